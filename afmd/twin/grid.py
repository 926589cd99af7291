"""Where heights live: the raster with a margin around the frame, and random fields on it.

Rule: lengths are in nm; a field has mean 0 and standard deviation 1.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Heights = NDArray[np.float64]
Mask = NDArray[np.bool_]
Value = TypeVar("Value", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Grid:
    """A raster of ``rows`` × ``cols`` pixels of pitch ``down_nm`` × ``across_nm``.

    ``margin_rows`` and ``margin_cols`` of it lie outside the frame on each side: the tip sees what stands there.
    """

    rows: int
    cols: int
    down_nm: float
    across_nm: float
    margin_rows: int = 0
    margin_cols: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, margin included."""
        return self.rows, self.cols

    @property
    def size_nm(self) -> tuple[float, float]:
        """Height and width of the whole raster."""
        return self.rows * self.down_nm, self.cols * self.across_nm

    @property
    def pixel_nm(self) -> float:
        """Geometric mean pitch."""
        return float(np.sqrt(self.down_nm * self.across_nm))

    @property
    def frame_nm(self) -> float:
        """The shorter side of the frame, margin excluded."""
        inner = self.rows - 2 * self.margin_rows, self.cols - 2 * self.margin_cols
        return min(inner[0] * self.down_nm, inner[1] * self.across_nm)

    def down(self) -> Heights:
        """Row positions in nm, shape (rows, 1)."""
        return np.arange(self.rows, dtype=np.float64)[:, None] * self.down_nm

    def across(self) -> Heights:
        """Column positions in nm, shape (1, cols)."""
        return np.arange(self.cols, dtype=np.float64)[None, :] * self.across_nm

    def cropped(self, values: NDArray[Value]) -> NDArray[Value]:
        """Return the frame's part of a (..., rows, cols) array."""
        return self.col_cropped(self.row_cropped(values))

    def row_cropped(self, values: NDArray[Value]) -> NDArray[Value]:
        """Return the frame's rows, with the margin's columns left on."""
        return values[..., self.margin_rows : self.rows - self.margin_rows, :]

    def col_cropped(self, values: NDArray[Value]) -> NDArray[Value]:
        """Return the frame's columns."""
        return values[..., self.margin_cols : self.cols - self.margin_cols]


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A sample: ``heights`` in nm and ``feature`` (True = stands out of, or sinks into, the substrate)."""

    heights: Heights
    feature: Mask


def wavenumbers(grid: Grid) -> Heights:
    """|q| in cycles per nm on the half plane of ``scipy.fft.rfft2``, for ``fast_shape(grid)``."""
    rows, cols = fast_shape(grid)
    return np.hypot(fft.fftfreq(rows, grid.down_nm)[:, None], fft.rfftfreq(cols, grid.across_nm)[None, :])


def fast_shape(grid: Grid) -> tuple[int, int]:
    """The shape, at least the grid's, at which transforms are quick."""
    return fft.next_fast_len(grid.rows, real=True), fft.next_fast_len(grid.cols, real=True)


def field(rng: np.random.Generator, grid: Grid, amplitude: Heights) -> Heights:
    """Return a Gaussian random field with the given spectral ``amplitude`` on ``wavenumbers(grid)``."""
    shape = fast_shape(grid)
    spectrum = fft.rfft2(rng.standard_normal(shape, dtype=np.float32)) * amplitude.astype(np.float32)
    spectrum[0, 0] = 0
    return normalised(fft.irfft2(spectrum, s=shape)[: grid.rows, : grid.cols].astype(np.float64))


def smooth_field(rng: np.random.Generator, grid: Grid, length_nm: float) -> Heights:
    """A field whose correlation is Gaussian with the given length."""
    return field(rng, grid, np.exp(-((np.pi * wavenumbers(grid) * length_nm) ** 2) / 2))


def fractal_field(rng: np.random.Generator, grid: Grid, *, hurst: float, rolloff_nm: float) -> Heights:
    """A self-affine field, C(q) ~ q^(-2 - 2H) above the roll-off and flat below (Persson et al. 2005)."""
    q = np.maximum(wavenumbers(grid), 1.0 / rolloff_nm)
    return field(rng, grid, q ** (-1.0 - hurst))


def band_field(
    rng: np.random.Generator, grid: Grid, *, period_nm: float, width: float, heading: tuple[float, float] | None = None
) -> Heights:
    """A field of one dominant period; ``width`` is the relative width of the ring in the spectrum.

    ``heading``: direction of the waves in rad and its spread, or None where all directions are alike.
    """
    ring = np.exp(-(((wavenumbers(grid) * period_nm - 1) / width) ** 2) / 2)
    if heading is not None:
        rows, cols = fast_shape(grid)
        angle = np.arctan2(fft.fftfreq(rows, grid.down_nm)[:, None], fft.rfftfreq(cols, grid.across_nm)[None, :])
        off = np.abs((angle - heading[0] + np.pi / 2) % np.pi - np.pi / 2)
        ring = ring * np.exp(-((off / heading[1]) ** 2) / 2)
    return field(rng, grid, ring)


def normalised(values: Heights) -> Heights:
    """Return ``values`` with mean 0 and standard deviation 1 (a constant stays 0)."""
    centred = values - values.mean()
    spread = float(centred.std())
    return np.asarray(centred / spread) if spread > 0 else centred


def span(values: Heights) -> float:
    """The relief in nm: the distance between the 0.5 and the 99.5 percentile."""
    low, high = np.percentile(values, [0.5, 99.5])
    return float(high - low)


def minority(high: Mask) -> Mask:
    """Of two levels, the rarer one stands out."""
    return high if high.mean() <= 0.5 else ~high
