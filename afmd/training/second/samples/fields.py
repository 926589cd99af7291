"""Draws and random fields that samples are made of. Rule: a field has standard deviation 1 and mean about 0."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from afmd.training.second.samples.grid import Grid, Heights

Single = NDArray[np.float32]

LEAST_SPREAD = 1e-30
"""A field that came out flat is divided by this, and stays flat."""


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw evenly in the logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def rough_field(grid: Grid, rng: np.random.Generator, length_nm: float, *, hurst: float) -> Heights:
    """A self-affine field, rough below ``length_nm`` and without correlation beyond."""
    flat = np.float32(1 / length_nm**2)
    return _field(grid, rng, (_frequencies_squared(grid) + flat) ** np.float32(-(hurst + 1) / 2))


def softened_field(
    grid: Grid, rng: np.random.Generator, length_nm: float, *, hurst: float, blur_px: float = 3.0
) -> Heights:
    """A self-affine field without its finest part."""
    soft = ndimage.gaussian_filter(rough_field(grid, rng, length_nm, hurst=hurst), blur_px)
    return np.asarray(soft / max(soft.std(), LEAST_SPREAD))


def blob_field(grid: Grid, rng: np.random.Generator, length_nm: float) -> Heights:
    """A smooth field of humps and hollows about ``length_nm`` wide."""
    return _field(grid, rng, np.exp(-_frequencies_squared(grid) * np.float32(2 * (length_nm * 0.5) ** 2 * 2)))


def band_field(grid: Grid, rng: np.random.Generator, period_nm: float, *, width: float) -> Heights:
    """A field of one period; ``width``: how far its frequencies spread, as a share of the middle one."""
    middle = 1 / period_nm
    return _field(grid, rng, np.exp(-(((np.sqrt(_frequencies_squared(grid)) - middle) / (width * middle)) ** 2)))


def smooth_step(distance: Heights, width: float) -> Heights:
    """Rise from 0 where ``distance`` is far below zero to 1 where it is far above, within ``width``."""
    share = np.clip(distance / width + 0.5, 0, 1)
    return np.asarray(share * share * (3 - 2 * share))


def _field(grid: Grid, rng: np.random.Generator, amplitude: Single) -> Heights:
    """Colour white noise; ``amplitude`` as ``_frequencies_squared`` lays it out. Single precision halves the time."""
    shape = _fast_shape(grid)
    spectrum = fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    spectrum *= amplitude
    spectrum[0, 0] = 0
    values = fft.irfft2(spectrum, s=shape)[: grid.shape[0], : grid.shape[1]]
    return np.asarray(values / max(values.std(), LEAST_SPREAD)).astype(np.float64)


def _frequencies_squared(grid: Grid) -> Single:
    """Cycles per nm, squared, on the half plane of ``rfft2``."""
    rows, cols = _fast_shape(grid)
    down = fft.fftfreq(rows, grid.down_nm)[:, None].astype(np.float32)
    across = fft.rfftfreq(cols, grid.across_nm)[None].astype(np.float32)
    return np.asarray(across * across + down * down)


def _fast_shape(grid: Grid) -> tuple[int, int]:
    rows, cols = grid.shape
    return fft.next_fast_len(rows, real=True), fft.next_fast_len(cols, real=True)
