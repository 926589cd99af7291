"""Where a sample's heights live: a frame of pixels with a border around it, and places in it.

Rule: lengths are in nm, and positions count from the frame's first pixel: the border begins at negative ones.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Heights = NDArray[np.float64]
Mask = NDArray[np.bool_]
Pixels = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows and columns of single pixels, border included."""
Window = tuple[slice, slice]

WHOLE: Window = (slice(None), slice(None))


class Place(NamedTuple):
    """A position in nm."""

    across: float
    down: float


ORIGIN = Place(0.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A frame of ``rows`` × ``cols`` pixels of pitch ``down_nm`` × ``across_nm``, and ``pad`` more on every side.

    ``across``, ``down``: position of each pixel, of the padded shape, read-only.
    """

    rows: int
    cols: int
    across_nm: float
    down_nm: float
    pad: int
    across: Heights
    down: Heights

    @classmethod
    def of(cls, rows: int, cols: int, *, across_nm: float, down_nm: float, pad: int) -> Self:
        """Return the grid of a frame."""
        shape = rows + 2 * pad, cols + 2 * pad
        across = np.broadcast_to((np.arange(shape[1]) - pad) * across_nm, shape)
        down = np.broadcast_to(((np.arange(shape[0]) - pad) * down_nm)[:, None], shape)
        return cls(rows, cols, across_nm, down_nm, pad, across, down)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, border included."""
        return self.rows + 2 * self.pad, self.cols + 2 * self.pad

    @property
    def pitch_nm(self) -> tuple[float, float]:
        """Distance of pixels down and across, in the order of an array's axes."""
        return self.down_nm, self.across_nm

    @property
    def width_nm(self) -> float:
        """Width of the frame."""
        return self.cols * self.across_nm

    @property
    def height_nm(self) -> float:
        """Height of the frame, from its first line to its last."""
        return self.rows * self.down_nm

    @property
    def side_nm(self) -> float:
        """The shorter side of the frame."""
        return min(self.width_nm, self.height_nm)

    @property
    def centre(self) -> Place:
        """The middle of the frame."""
        return Place(self.width_nm / 2, self.height_nm / 2)

    @property
    def area_nm2(self) -> float:
        """Area, border included."""
        rows, cols = self.shape
        return cols * self.across_nm * rows * self.down_nm


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A sample, in nm, arrays of the padded shape.

    ``substrate``: what would be seen if nothing stood there, or None where the sample has none. ``least_height_nm``:
    how far at least things stand out of it or reach into it; it means nothing without a substrate.
    """

    heights: Heights
    substrate: Heights | None
    least_height_nm: float


def somewhere(grid: Grid, rng: np.random.Generator) -> Place:
    """Draw a place in the frame."""
    return Place(rng.uniform(0, grid.width_nm), rng.uniform(0, grid.height_nm))


def turned(grid: Grid, angle: float, *, about: Place = ORIGIN, window: Window = WHOLE) -> tuple[Heights, Heights]:
    """Return each pixel's distance from ``about`` along the direction ``angle`` (rad) and at right angles to it."""
    across, down = grid.across[window] - about.across, grid.down[window] - about.down
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * across + sin * down, -sin * across + cos * down


def pixels(grid: Grid, across: Heights, down: Heights) -> Pixels:
    """Return the pixels nearest to places, without those that lie off the grid."""
    cols = np.round(across / grid.across_nm).astype(int) + grid.pad
    rows = np.round(down / grid.down_nm).astype(int) + grid.pad
    on_grid = (rows >= 0) & (rows < grid.shape[0]) & (cols >= 0) & (cols < grid.shape[1])
    return rows[on_grid], cols[on_grid]


def scattered(grid: Grid, rng: np.random.Generator, count: int) -> Pixels:
    """Draw pixels anywhere, border included."""
    return rng.integers(0, grid.shape[0], count), rng.integers(0, grid.shape[1], count)


def around(grid: Grid, place: Place, reach_nm: float) -> Window | None:
    """Return the rows and columns within ``reach_nm`` of a place, or None where that lies off the grid."""
    rows = _stretch(place.down, reach_nm, grid.down_nm, pad=grid.pad, count=grid.shape[0])
    cols = _stretch(place.across, reach_nm, grid.across_nm, pad=grid.pad, count=grid.shape[1])
    return None if rows.stop <= rows.start or cols.stop <= cols.start else (rows, cols)


def _stretch(middle_nm: float, reach_nm: float, pitch_nm: float, *, pad: int, count: int) -> slice:
    first = int(np.floor((middle_nm - reach_nm) / pitch_nm)) + pad
    last = int(np.ceil((middle_nm + reach_nm) / pitch_nm)) + pad
    return slice(max(first, 0), min(last + 1, count))
