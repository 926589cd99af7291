"""How a scan was levelled: what was taken off besides a smooth shape, so that whoever uses the heights can judge it."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class Jump:
    """A sudden shift of the whole height signal: from pixel (row, col) on, everything lies ``height_nm`` higher."""

    row: int
    col: int
    height_nm: float


class DisturbanceKind(StrEnum):
    """Where a wave over the whole frame came from."""

    HUM = "hum"
    FRINGES = "fringes"
    RIPPLE = "ripple"


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A wave over the whole frame.

    ``amplitude_nm``: half the height from trough to crest. ``down``, ``across``: cycles per pixel along either axis.
    """

    kind: DisturbanceKind
    amplitude_nm: float
    down: float
    across: float


@dataclass(frozen=True, slots=True)
class Levelling:
    """``method``: its name in the table of methods. ``direction``: ``row``, ``column``, ``both`` or empty, as used.

    ``order``: the polynomial order as really used. ``jumps``: shifts that were undone. ``disturbances``: waves that
    were taken off.
    """

    method: str
    direction: str = ""
    order: int = 0
    jumps: tuple[Jump, ...] = ()
    disturbances: tuple[Disturbance, ...] = ()
