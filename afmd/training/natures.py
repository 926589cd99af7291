"""How a fault lies in a frame. Rule: faults of one nature are found by one output, and every kind has one nature.

A scar is a few pixels of which one can be certain; a ripple covers everything or nothing; the skirts of a blunt tip
are guessed. One output for all of them has to give every pixel of a doubtful frame the same middling probability, and
what is certain drowns in it. With an output for each nature, each gets its own cut.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

NATURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "line": ("lost_lines", "lift_off", "jump", "scar", "drag", "spike", "burst", "debris_pickup"),
        "tail": ("parachute", "smear", "ringing", "saturation"),
        "field": ("ripple", "mains", "start_drift"),
        "tip": ("double_tip", "blunt_tip", "tip_change"),
    }
)
"""The kinds of each nature: few pixels or lines; what trails behind features; the whole field; what the tip widens."""
UNKNOWN = -1
_OF = {kind: index for index, kinds in enumerate(NATURES.values()) for kind in kinds}


def nature_of(kinds: Iterable[str]) -> int:
    """Return the index of the nature that all of these kinds share, or ``UNKNOWN`` where there is no single one."""
    natures = {_OF[kind] for kind in kinds}
    return natures.pop() if len(natures) == 1 else UNKNOWN
