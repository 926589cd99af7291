"""The surface's own statistics: how alike two heights are at a given distance, along both axes.

Rule: the table comes from a power spectrum, so that no combination of heights has a negative variance.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

TILE = 256
TILES_EACH_WAY = 3


@dataclass(frozen=True, slots=True, eq=False)
class Covariance:
    """``correlation``: float64 (lags down, lags across), 1 at no lag. ``period``: px, (down, across), after which the
    frame's endless mirror images repeat, for which the table holds. ``variance``: nm².
    """

    correlation: NDArray[np.float64]
    period: tuple[int, int]
    variance: float

    def between(self, down: NDArray[np.integer], across: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the correlation of heights so many pixels apart; beyond the table its last value holds."""
        rows, cols = self.correlation.shape
        place = _folded(down, self.period[0], rows - 1)
        place *= cols
        place += _folded(across, self.period[1], cols - 1)
        return np.asarray(self.correlation.take(place))


def spectrum(frame: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the power spectrum of a frame without holes, float32 (rows, cols) nm: nm² at n π / length per px.

    The mean over even extensions of tiles (a cosine transform: no step at the borders, which would look like
    roughness), at most (TILE, TILE). The sum is the variance.
    """
    corners = [_starts(side) for side in frame.shape]
    side = [min(TILE, length) for length in frame.shape]
    power = np.zeros(side)
    for top in corners[0]:
        for left in corners[1]:
            tile = frame[top : top + side[0], left : left + side[1]]
            waves = fft.dctn(tile - tile.mean(), norm="ortho", overwrite_x=True)
            power += np.square(waves, out=waves)
    power /= len(corners[0]) * len(corners[1]) * power.size
    return power


def estimated(power: NDArray[np.float64], *, longest_lag: int = TILE) -> Covariance:
    """Turn a spectrum back into correlations, for lags of up to ``longest_lag`` px (theorem of Wiener and Khinchin)."""
    down, across = (_cosines(length, longest_lag) for length in power.shape)
    table = down @ power @ across.T
    variance, period = float(table[0, 0]), (2 * power.shape[0], 2 * power.shape[1])
    if variance <= 0:
        return Covariance(np.ones((1, 1)), period, 0.0)
    return Covariance(table / variance, period, variance)


def _starts(length: int) -> NDArray[np.intp]:
    """Return where tiles begin along a side: spread evenly, overlapping only where they must."""
    count = min(TILES_EACH_WAY, max(1, length // TILE))
    return np.linspace(0, max(length - TILE, 0), count).astype(np.intp)


@lru_cache(maxsize=8)
def _cosines(length: int, longest_lag: int) -> NDArray[np.float64]:
    lags = np.arange(min(longest_lag, length) + 1)
    return np.asarray(np.cos(np.pi / length * np.outer(lags, np.arange(length))))


def _folded(lag: NDArray[np.integer], period: int, last: int) -> NDArray[np.intp]:
    """Return lags of an even, periodic function within half a period, none above ``last``, new."""
    rest = np.abs(lag).astype(np.intp, copy=False)
    furthest = int(rest.max(initial=0))
    if furthest > period // 2:
        rest %= period
        rest = np.minimum(rest, period - rest)
    return np.asarray(np.minimum(rest, last) if furthest > last else rest)
