"""What sings: ringing of the feedback loop, and waves that only one pass shows. Rule: the median of many lines speaks.

A feature is on some lines; a loop that rings or a wave from outside is on most.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from afmd.science.robust import row_medians
from afmd.science.rules.passes import difference
from afmd.science.rules.streaks import sampled_sigma

Plane = NDArray[np.float32]

LINES = 128
LIMIT = 5.0
"""Heights count up to so many σ, so that edges do not drown the rest."""
RINGS_WITHIN = slice(2, 24)
PEAK_WIDTH = 15
SHORTEST = 32


def ringing(heights: Plane) -> float:
    """Return how negative the correlation of bends along the lines becomes within a few px; 0 without oscillation.

    White noise gives about 0.2 (a second difference overshoots by itself), a loop that rings 0.5 and more.
    """
    if heights.shape[1] < SHORTEST:
        return 0.0
    power = _power(np.diff(_some_lines(heights), n=2, axis=1))
    correlation = fft.irfft(power)
    return float(max(0.0, -correlation[RINGS_WITHIN].min() / correlation[0])) if correlation[0] > 0 else 0.0


def lone_wave(heights: Plane, other: Plane) -> float:
    """Return by how much the narrowest peak of the passes' difference stands above its spectrum, in natural log."""
    if heights.shape[1] < SHORTEST:
        return 0.0
    power = _power(difference(_some_lines(heights), _some_lines(other)))
    log = np.log(power + np.finfo(np.float32).tiny)
    return float((log - ndimage.median_filter(log, PEAK_WIDTH, mode="nearest"))[2:].max())


def _some_lines(heights: Plane) -> Plane:
    """Return at most ``LINES`` lines, spread evenly."""
    return heights[:: max(1, len(heights) // LINES)]


def _power(lines: Plane) -> NDArray[np.floating]:
    """Return the median power spectrum of lines whose heights are limited."""
    sigma = sampled_sigma(lines)
    if sigma == 0:
        return np.zeros(lines.shape[1] // 2 + 1, dtype=np.float32)
    spectra = fft.rfft(np.clip(lines / np.float32(sigma), -LIMIT, LIMIT), axis=1)
    return row_medians((np.square(spectra.real) + np.square(spectra.imag)).T)
