"""The levels that the ground lies on: one for a flat substrate, several for terraces and gratings.

Rule: a level is a narrow peak of the height distribution; how narrow is read from the heights, not given.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.science.robust import tukey

Floats = NDArray[np.float32]

MOST_LEVELS = 32
FINEST_BINS = 4096
MOST_PIXELS = 30_000
SATURATED = 1.35
"""A level is wide enough once doubling its width gains less than this factor in pixels."""
LEAST_SHARE = 0.3
RARE = 0.05
"""A peak lower than this share of the highest is no level."""
VALLEY = 0.6
"""Two levels need a valley between them, below this share of the lower one."""


@dataclass(frozen=True, slots=True, eq=False)
class Substrate:
    """``levels``: (k,) rising heights in nm. ``sigma``: how far ground lies from its level, nm."""

    levels: NDArray[np.float64]
    sigma: float

    def nearest(self, heights: Floats) -> NDArray[np.intp]:
        """Return which level each height is nearest to."""
        if len(self.levels) == 1:
            return np.zeros(heights.shape, dtype=np.intp)
        return np.searchsorted(((self.levels[1:] + self.levels[:-1]) / 2).astype(np.float32), heights)

    def trust(self, departure: Floats, votes: Floats) -> Floats:
        """Return each pixel's vote, the less the further it departs from its level."""
        return np.multiply(tukey(departure, sigma=self.sigma), votes)


@dataclass(frozen=True, slots=True, eq=False)
class _Histogram:
    density: NDArray[np.float64]
    low: float
    step: float


def find_substrate(heights: Floats, votes: Floats, *, noise: float) -> Substrate:
    """Find the levels of levelled ``heights``; ``noise`` (nm) is the least width that a level can have.

    The width grows until the levels hold their pixels: a textured surface without levels ends as one wide level.
    """
    histogram = _histogram(heights, votes, noise)
    sigma = max(noise, 2 * histogram.step)
    while True:
        peaks = _peaks(histogram, sigma)
        share = _share(histogram, peaks, 2.5 * sigma)
        if share > LEAST_SHARE and _share(histogram, peaks, 5 * sigma) < SATURATED * share:
            break
        sigma *= 1.4
    return Substrate(np.asarray(histogram.low + (peaks + 0.5) * histogram.step, dtype=np.float64), sigma)


def _histogram(heights: Floats, votes: Floats, noise: float) -> _Histogram:
    every = max(1, heights.size // MOST_PIXELS) | 1
    values = heights.ravel()[::every][votes.ravel()[::every] > 0]
    low, high = span_of(values)
    low, high = low - 3 * noise, high + 3 * noise
    bins = int(min(FINEST_BINS, max(64, (high - low) / (noise / 2))))
    step = (high - low) / bins
    at = np.clip(((values - low) / step).astype(np.intp), 0, bins - 1)
    return _Histogram(np.bincount(at, minlength=bins) / values.size, low, step)


def span_of(values: Floats) -> tuple[float, float]:
    """Return the heights below and above which three pixels in a thousand lie."""
    out = int(0.003 * values.size)
    low, high = (np.partition(values, rank)[rank] for rank in (out, values.size - 1 - out))
    return float(low), float(high)


def _peaks(histogram: _Histogram, sigma: float) -> NDArray[np.intp]:
    """Return the bins of the levels at this width, rising."""
    reach = max(1, min(round(3 * sigma / histogram.step), len(histogram.density)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * histogram.step / sigma) ** 2)
    smooth = np.convolve(histogram.density, kernel / kernel.sum(), mode="full")[reach : reach + len(histogram.density)]
    inner = (smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:])
    peaks = np.flatnonzero(inner) + 1
    peaks = peaks[smooth[peaks] >= RARE * smooth.max()]
    kept: list[int] = []
    for peak in peaks[np.argsort(-smooth[peaks])][: 2 * MOST_LEVELS]:
        own = VALLEY * smooth[peak]
        if all(smooth[min(peak, other) : max(peak, other) + 1].min() < own for other in kept):
            kept.append(int(peak))
    return np.sort(np.array(kept[:MOST_LEVELS] or [int(smooth.argmax())], dtype=np.intp))


def _share(histogram: _Histogram, peaks: NDArray[np.intp], reach: float) -> float:
    """Return the share of pixels within ``reach`` nm of a level."""
    bins = len(histogram.density)
    edge = np.zeros(bins + 1, dtype=np.intp)
    span = int(reach / histogram.step)
    np.add.at(edge, np.maximum(peaks - span, 0), 1)
    np.add.at(edge, np.minimum(peaks + span + 1, bins), -1)
    return float(histogram.density[np.cumsum(edge[:-1]) > 0].sum())
