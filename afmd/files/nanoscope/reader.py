"""From a file's bytes to a scan. Rule: heights are right or the file is refused with the true reason."""

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from afmd.domain.scan import Channel, Direction, Frame, Scan
from afmd.errors import AfmdError, NoHeightChannel
from afmd.files.disk import load_bytes
from afmd.files.nanoscope.header import Header, Section, parse
from afmd.files.nanoscope.layout import Block, blocks_of, check_whole
from afmd.files.nanoscope.scale import Scale, channel_scale, chosen, frame_nm, measured, shown_name

HEIGHT_NAMES = ("height sensor", "zsensor", "height")
"""Signals that are heights, the closed-loop one first."""


def read_scan(path: Path, *, max_bytes: int | None = None) -> Scan:
    """Read one file, once. Raises ``ScanError`` in its kinds, ``StorageError`` and ``LimitReached``."""
    return decode(load_bytes(path, max_bytes=max_bytes), name=path.name)


def decode(data: bytes, *, name: str) -> Scan:
    """Return the scan in a NanoScope file's bytes; ``name`` becomes the scan's and is used in messages.

    Every channel has float32 values, row 0 = top; lengths in nm, all else in the hard value's unit. Raises
    ``NotNanoScope``, ``NotAnImage``, ``MalformedHeader``, ``NoScanData``, ``UnfinishedScan``, ``MangledScan``,
    ``NoHeightChannel``.
    """
    header = parse(data, name=name)
    blocks = blocks_of(header)
    check_whole(data, header, blocks)
    scales = [channel_scale(b.section, header, bytes_per_pixel=b.bytes_per_pixel) for b in blocks]
    best = height_index(header, blocks, scales)
    other = _opposite(header, blocks, scales, best)
    if other is not None and _direction(blocks[best].section) is Direction.RETRACE:
        best, other = other, best
    down, across = pitch_nm(blocks[best], header)
    channels = tuple(_channel(data, b, s) for b, s in zip(blocks, scales, strict=True))
    return Scan(
        name=name,
        heights=channels[best].values,
        pixel_nm=(down, across),
        channels=channels,
        retrace=None if other is None else channels[other].values,
        direction=channels[best].direction,
        frame=_frame(blocks[best].section),
        rows_expected=blocks[best].rows_expected,
        meta=MappingProxyType(_facts(header, blocks[best].section)),
    )


def refusal(data: bytes, name: str) -> AfmdError | None:
    """Return why ``decode`` would refuse these bytes, or None where it would not."""
    try:
        decode(data, name=name)
    except AfmdError as e:
        return e
    return None


def height_index(header: Header, blocks: tuple[Block, ...], scales: list[Scale]) -> int:
    """Return which channel is the height: ``Height Sensor`` before ``Height``, the main line before the interleaved.

    Raises ``NoHeightChannel``.
    """
    ranked = [
        (HEIGHT_NAMES.index(name), _interleaved(block.section), i)
        for i, (block, scale) in enumerate(zip(blocks, scales, strict=True))
        if (name := shown_name(block.section).casefold()) in HEIGHT_NAMES and scale.is_length and scale.factor != 0
    ]
    if not ranked:
        found = ", ".join(f"{shown_name(b.section)} in {s.unit}" for b, s in zip(blocks, scales, strict=True))
        raise NoHeightChannel(
            header.name, why=f"it holds {found[:200]}", mend="Capture Height or Height Sensor with a calibrated scanner"
        )
    return min(ranked)[2]


def pitch_nm(block: Block, header: Header) -> tuple[float, float]:
    """Return the pixel pitch (down, across) in nm: the whole frame over its lines, not only over those captured."""
    height, width = frame_nm(block.section, header)
    return height / block.rows_expected, width / block.cols


def values_of(data: bytes, block: Block) -> NDArray[np.int16] | NDArray[np.int32]:
    """Return a view of the captured rows' raw integers, row 0 = top (rows are stored bottom-up)."""
    raw = np.frombuffer(data, dtype=f"<i{block.width}", count=block.rows * block.cols, offset=block.offset)
    rows: NDArray[np.int16] | NDArray[np.int32] = raw.reshape(block.rows, block.cols)[block.valid][::-1]
    return rows


def _channel(data: bytes, block: Block, scale: Scale) -> Channel:
    raw = values_of(data, block)
    values = np.empty(raw.shape, dtype=np.float32)
    np.multiply(raw, scale.factor, out=values, casting="unsafe")
    return Channel(shown_name(block.section), _direction(block.section), scale.unit, values)


def _opposite(header: Header, blocks: tuple[Block, ...], scales: list[Scale], best: int) -> int | None:
    """Return the same signal's other pass, of the same shape, unit and height above the surface, or None."""
    own = blocks[best]
    lifted = chosen(header.first("ciao scan list").get("@interleavelist")).casefold() not in ("", "disabled")
    for i, block in enumerate(blocks):
        same = (
            shown_name(block.section) == shown_name(own.section)
            and _direction(block.section) is not _direction(own.section)
            and (block.valid, block.rows, block.cols) == (own.valid, own.rows, own.cols)
            and scales[i].is_length
        )
        if same and not (lifted and _interleaved(block.section) != _interleaved(own.section)):
            return i
    return None


def _direction(section: Section) -> Direction:
    return Direction.RETRACE if section.get("line direction").casefold() == "retrace" else Direction.TRACE


def _frame(section: Section) -> Frame:
    return Frame.UP if section.get("frame direction").casefold() == "up" else Frame.DOWN


def _interleaved(section: Section) -> bool:
    return section.get("scan line").casefold() == "interleave"


_FACTS: tuple[tuple[str, str, str, Callable[[str], str]], ...] = (
    ("date", "", "date", str),
    ("instrument", "equipment list", "description", str),
    ("scanner", "scanner list", "serial number", str),
    ("mode", "ciao scan list", "@microscopelist", chosen),
    ("medium", "ciao scan list", "medium", str),
    ("interleave", "ciao scan list", "@interleavelist", chosen),
    ("scan_rate_hz", "ciao scan list", "scan rate", str),
    ("tip_velocity_um_s", "ciao scan list", "tip velocity", str),
    ("scan_angle_rad", "ciao scan list", "rotate ang.", str),
    ("x_offset", "ciao scan list", "x offset", str),
    ("y_offset", "ciao scan list", "y offset", str),
    ("tip_serial", "ciao scan list", "tip serial number", str),
    ("tip_radius_nm", "ciao scan list", "tip radius", str),
    ("spring_constant", "ciao image list", "spring constant", str),
    ("realtime_planefit", "ciao image list", "realtime planefit", str),
    ("offline_planefit", "ciao image list", "offline planefit", str),
    ("note", "ciao image list", "note", str),
)
_FEEDBACK = {"tapping": ("tmfb", "tmsetamplitude"), "contact": ("afmfb", "afmsetdeflection")}
_PEAK_FORCE = ("softharmonixfb", "softharmonixsetpoint")


def _facts(header: Header, channel: Section) -> dict[str, str]:
    """Return what a microscopist wants to know, as text; only what the header says."""
    facts = {"version": _version(header.version)}
    for name, title, key, told in _FACTS:
        section = header.first(title) if title else header.sections[0]
        facts[name] = told((channel if title == "ciao image list" else section).get(key))
    scan = header.first("ciao scan list")
    mode = facts["mode"].casefold()
    gain, setpoint = next((_FEEDBACK[m] for m in _FEEDBACK if m in mode), _PEAK_FORCE)
    for name, keys in (
        ("integral_gain", (f"@{gain}igain", "@spmfbigain")),
        ("proportional_gain", (f"@{gain}pgain", "@spmfbpgain")),
        ("setpoint", (f"@{setpoint}", "@tmsetamplitude")),
    ):
        facts[name] = next((measured(found) for k in keys if (found := scan.find(k)) is not None), "")
    return {name: text[:500] for name, text in facts.items() if text}


def _version(number: int) -> str:
    return f"{number >> 24:x}.{number >> 16 & 0xFF:02x}" if number else ""
