"""A scan as the microscope gave it. Rule: nothing here is ever changed in place; arrays are read-only."""

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from afmd.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_SIDE = 2


class Direction(StrEnum):
    """Which way the tip moved along the fast axis."""

    TRACE = "trace"
    RETRACE = "retrace"


class Frame(StrEnum):
    """Which way the slow axis moved: ``up`` means that the bottom row was scanned first."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One recorded signal.

    ``values`` is float32 of shape (rows, cols), row 0 at the top of the picture, in ``unit`` (``nm`` for heights;
    otherwise the hard value's own unit, such as ``V`` or ``°``).
    """

    name: str
    direction: Direction
    unit: str
    values: NDArray[np.float32]

    def __post_init__(self) -> None:
        self.values.flags.writeable = False


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One captured frame.

    ``heights``: float32 (rows, cols) in nm, row 0 at the top as the microscope shows it; only rows really captured.
    ``pixel_nm``: pixel pitch (down, across) in nm; the two differ on non-square grids.
    ``retrace``: the height signal's opposite pass, same shape and unit, or None where it was not recorded.
    ``direction``: which pass ``heights`` is. ``rows_expected`` exceeds ``heights.shape[0]`` for a partial capture.
    ``channels``: every recorded signal, the height's own included. ``meta``: header facts for people and the record.
    """

    name: str
    heights: NDArray[np.float32]
    pixel_nm: tuple[float, float]
    channels: tuple[Channel, ...] = ()
    retrace: NDArray[np.float32] | None = None
    direction: Direction = Direction.TRACE
    frame: Frame = Frame.DOWN
    rows_expected: int = 0
    meta: "Mapping[str, str]" = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        self.heights.flags.writeable = False
        if self.retrace is not None:
            self.retrace.flags.writeable = False

    @classmethod
    def from_heights(
        cls,
        heights: ArrayLike,
        *,
        pixel_nm: float | tuple[float, float],
        retrace: ArrayLike | None = None,
        name: str = "",
    ) -> Self:
        """Wrap an array as a scan.

        ``heights`` and ``retrace``: (rows, cols) in nm, finite, at least 2 × 2; copied to float32.
        ``pixel_nm``: pitch in nm, one number for square pixels or (down, across).
        Raises ``InvalidInput``.
        """
        own = checked_heights(heights, name="heights")
        other = None if retrace is None else checked_heights(retrace, name="retrace")
        if other is not None and other.shape != own.shape:
            raise InvalidInput(
                "retrace", why=f"its shape {other.shape} is not that of heights {own.shape}",
                mend="Give both passes of the same frame", field="retrace",
            )  # fmt: skip
        return cls(name=name, heights=own, pixel_nm=checked_pitch(pixel_nm), retrace=other, rows_expected=own.shape[0])

    @property
    def partial(self) -> bool:
        """True when the capture stopped before the last line."""
        return len(self.heights) < self.rows_expected


def checked_heights(values: ArrayLike, *, name: str = "heights") -> NDArray[np.float32]:
    """Return a new C-contiguous float32 copy of a finite (rows, cols) array, or raise ``InvalidInput``."""
    array = np.array(values, dtype=np.float32, order="C")
    if array.ndim != 2 or min(array.shape) < MIN_SIDE:
        raise InvalidInput(
            name, why=f"shape {array.shape} is not an image of at least {MIN_SIDE} × {MIN_SIDE}",
            mend="Give a (rows, cols) array", field=name,
        )  # fmt: skip
    if not np.isfinite(array).all():
        raise InvalidInput(
            name, why=f"{np.count_nonzero(~np.isfinite(array))} values are not finite",
            mend="Fill or mask them before", field=name,
        )  # fmt: skip
    return array


def checked_mask(values: ArrayLike, *, shape: tuple[int, ...], name: str = "mask") -> NDArray[np.bool_]:
    """Return ``values`` as a bool array of ``shape``, or raise ``InvalidInput``."""
    array = np.asarray(values)
    if array.shape != shape:
        raise InvalidInput(
            name, why=f"shape {array.shape} is not that of the heights {shape}",
            mend="Give one value for each pixel", field=name,
        )  # fmt: skip
    return array.astype(bool, copy=False)


def checked_pitch(pixel_nm: float | tuple[float, float]) -> tuple[float, float]:
    """Return (down, across) in nm; there is no assumed pixel size. Raises ``InvalidInput``."""
    pitch = (pixel_nm, pixel_nm) if isinstance(pixel_nm, int | float | np.number) else tuple(pixel_nm)
    if len(pitch) != 2 or not all(np.isfinite(p) and p > 0 for p in pitch):
        raise InvalidInput(
            "pixel_nm", why=f"{pixel_nm!r} is not a positive pitch (down, across)",
            mend="Give scan size / pixels in nm", field="pixel_nm",
        )  # fmt: skip
    return float(pitch[0]), float(pitch[1])
