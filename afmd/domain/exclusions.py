"""Regions that a user keeps out of every fit, in raw pixel coordinates (row 0 at the top, as read)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from afmd.domain.scan import checked_mask
from afmd.errors import InvalidInput

MIN_CORNERS = 3


class Exclusion(Protocol):
    """A region that can be painted; True = excluded."""

    def painted(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return a new bool array of ``shape``, True inside the region. Raises ``InvalidInput``."""
        ...


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Half-open pixel ranges: rows ``top``..``bottom``, columns ``left``..``right``; parts outside are cut off."""

    top: int
    left: int
    bottom: int
    right: int

    def painted(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Paint the rectangle."""
        if self.bottom <= self.top or self.right <= self.left:
            raise InvalidInput(
                "rectangle", why=f"rows {self.top}..{self.bottom}, columns {self.left}..{self.right} hold no pixel",
                mend="Give top < bottom and left < right", field="exclude",
            )  # fmt: skip
        mask = np.zeros(shape, dtype=bool)
        mask[max(self.top, 0) : max(self.bottom, 0), max(self.left, 0) : max(self.right, 0)] = True
        return mask


@dataclass(frozen=True, slots=True)
class Polygon:
    """Corners as (row, col), closed by itself; a pixel is inside when its centre is (even-odd rule)."""

    corners: tuple[tuple[float, float], ...]

    def painted(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Paint the polygon."""
        if len(self.corners) < MIN_CORNERS or not np.isfinite(self.corners).all():
            raise InvalidInput(
                "polygon", why=f"{len(self.corners)} corners make no area",
                mend="Give at least three finite (row, col) corners", field="exclude",
            )  # fmt: skip
        corners = np.asarray(self.corners, dtype=np.float64)
        rows = np.arange(shape[0], dtype=np.float64)[:, None]
        cols = np.arange(shape[1], dtype=np.float64)[None, :]
        inside = np.zeros(shape, dtype=bool)
        for (r0, c0), (r1, c1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if r0 == r1:
                continue
            crosses = (rows >= min(r0, r1)) & (rows < max(r0, r1))
            inside ^= crosses & (cols < c0 + (rows - r0) * (c1 - c0) / (r1 - r0))
        return inside


@dataclass(frozen=True, slots=True, eq=False)
class Freehand:
    """A mask drawn by hand, bool (rows, cols) of the scan's own shape, True = excluded."""

    mask: ArrayLike

    def painted(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Copy the mask after checking its shape."""
        return checked_mask(self.mask, shape=shape, name="exclude").copy()


def union(exclusions: Iterable[Exclusion], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a new bool array of ``shape``, True where any region excludes."""
    mask = np.zeros(shape, dtype=bool)
    for exclusion in exclusions:
        mask |= exclusion.painted(shape)
    return mask
