"""Units and scales: from a raw integer to nm, V or °. Rule: a unit is never guessed; what we cannot tell stays."""

import math
import re
from dataclasses import dataclass

from afmd.files.nanoscope.header import NUMBER, Header, Section

_CIAO_VALUE = re.compile(
    rf"V\s*(?:\[(?P<soft>[^\]]*)\])?\s*(?:\((?P<hard>[^()]*(?:\([^()]*\)[^()]*)*)\))?"
    rf"\s*(?P<value>{NUMBER.pattern})\s*(?P<unit>\S*)"
)
_CIAO_CHOICE = re.compile(r'S\s*\[(?P<internal>[^\]]*)\]\s*"(?P<shown>[^"]*)"')
_SCAN_SIZE = re.compile(rf"({NUMBER.pattern})\s+(?:({NUMBER.pattern})\s+)?(\S+)")
_RATIO = re.compile(rf"({NUMBER.pattern})(?:\s*:\s*({NUMBER.pattern}))?\s*$")
_POWERS = {"f": -15, "p": -12, "n": -9, "µ": -6, "u": -6, "~": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_BASES = ("Arb", "Hz", "Pa", "V", "A", "N", "W", "m")
LARGEST_FACTOR = 1e28
"""Times any 4-byte integer, this still fits a float32."""

_DEGREE = str.maketrans({"º": "°", "~": "µ"})


@dataclass(frozen=True, slots=True)
class Scale:
    """``value = raw * factor``, in ``unit``; lengths are always in nm."""

    factor: float
    unit: str

    @property
    def is_length(self) -> bool:
        """True where the values are heights."""
        return self.unit == "nm"


def channel_scale(section: Section, header: Header, *, bytes_per_pixel: int) -> Scale:
    """Return the scale of a channel's stored integers.

    z = raw × hard value / 2^(8 × bytes per pixel) × sensitivity. The hard value is the number after the round
    brackets of ``Z scale``: after an offline plane fit it differs from the V/LSB inside. Without a sensitivity the
    unit is the hard value's own; without a ``Z scale`` it is ``LSB``.
    Raises ``MalformedHeader``.
    """
    text = section.get("@z scale")
    if not text:
        return Scale(1.0, "LSB")
    found = _CIAO_VALUE.match(text)
    if found is None:
        section.fault(f"'Z scale: {text[:80]}' is not a scaled value")
    factor, unit = float(found["value"]) / 2.0 ** (8 * bytes_per_pixel), found["unit"]
    soft = header.sensitivity(found["soft"], near=section) if found["soft"] else None
    if soft is not None:
        factor, unit = _times(factor, unit, soft)
    in_nm = _ratio(unit, "nm")
    scale = Scale(factor * in_nm, "nm") if in_nm else Scale(factor, unit.translate(_DEGREE) or "LSB")
    if not math.isfinite(scale.factor) or abs(scale.factor) > LARGEST_FACTOR:
        section.fault(f"'Z scale: {text[:80]}' is out of all bounds")
    return scale


def shown_name(section: Section) -> str:
    """Return the channel's name as the microscope shows it (the internal one where nothing is shown)."""
    found = _CIAO_CHOICE.match(section.get("@image data"))
    if found is None:
        return "unnamed"
    return found["shown"].strip() or found["internal"].strip() or "unnamed"


def chosen(text: str) -> str:
    """Return what a CIAO choice ``S [internal] "shown"`` shows, or an empty text."""
    found = _CIAO_CHOICE.match(text)
    return found["shown"] or found["internal"] if found else ""


def measured(text: str) -> str:
    """Return number and unit of a CIAO value for people, or an empty text."""
    found = _CIAO_VALUE.match(text)
    return f"{float(found['value']):g} {found['unit'].translate(_DEGREE)}".strip() if found else ""


def frame_nm(section: Section, header: Header) -> tuple[float, float]:
    """Return the frame's (height, width) in nm from scan size and aspect ratio.

    One number is the width, and the aspect ratio (width : height) gives the height. The channel's own section goes
    before the scan list. Raises ``MalformedHeader``: there is no assumed pixel size.
    """
    scan = header.first("ciao scan list")
    text = section.get("scan size") or scan.get("scan size")
    found = _SCAN_SIZE.match(text)
    to_nm = _ratio(found[3], "nm") if found else None
    if found is None or to_nm is None:
        section.fault(f"'Scan Size: {text[:40]}' gives no frame in a length unit, and no pixel size is assumed")
    width = float(found[1]) * to_nm
    height = float(found[2]) * to_nm if found[2] else width / _aspect(section, scan)
    if not (1e-6 < width < 1e9 and 1e-6 < height < 1e9):
        section.fault(f"'Scan Size: {text[:40]}' is out of all bounds")
    return height, width


def _aspect(section: Section, scan: Section) -> float:
    """Return width / height of the frame from ``1:1``, ``1:0.51``, ``2:1``."""
    text = section.get("aspect ratio") or scan.get("aspect ratio")
    found = _RATIO.match(text)
    if found and found[2] and float(found[1]) > 0 and float(found[2]) > 0:
        return float(found[1]) / float(found[2])
    if not (found and not found[2] and float(found[1]) == 1):
        section.fault(f"the scan size has one number, and 'Aspect Ratio: {text[:40]}' does not give the other")
    return 1.0


def _times(factor: float, unit: str, soft: tuple[float, str]) -> tuple[float, str]:
    """Apply a sensitivity; one whose unit does not fit the hard value's leaves it alone."""
    value, per = soft
    if not per:
        return factor * value, unit
    above, _, below = per.partition("/")
    ratio = _ratio(unit, below)
    return (factor * value * ratio, above) if ratio else (factor, unit)


def _ratio(unit: str, other: str) -> float | None:
    """Return how many ``other`` one ``unit`` is, or None where they do not measure the same."""
    if unit == other:
        return 1.0
    for base in _BASES:
        if unit.endswith(base) and other.endswith(base):
            ours, theirs = _POWERS.get(unit.removesuffix(base)), _POWERS.get(other.removesuffix(base))
            return None if ours is None or theirs is None else 10.0 ** (ours - theirs)
    return None
