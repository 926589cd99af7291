"""How far a repair is to be trusted, as a whole. Rule: a few cheap figures, weighed as simulated scans taught.

Most of a repair's error is levelling's: what of the scanner is left in it, or what of the sample went with the
scanner. It is large where no ground stands out (half of all heights fill most of the relief), where much had to be
taken off, and where what is left still swings over the whole frame. On 204 simulated scans of all surfaces and kinds
of artefact these three told the error with a rank correlation of 0.53 (each left out of the fit in turn, an eighth at
a time); what the passes repeat, the share that was touched and the filled pixels' standard deviation went with it by
less than 0.1, and only add what they are.
"""

import math

import numpy as np
from numpy.typing import NDArray

Heights = NDArray[np.floating]

SIDE = 128
"""Lines and columns that are looked at, at least, where there are as many."""
RELIEF_PARTS = (0.5, 99.5)
SLOW_WAVES = 2.5
"""Waves of fewer periods over the frame are what a scanner might have left."""
CONSTANT, OF_HALF, OF_REMOVED, OF_SLOW = -0.615, 0.440, 0.158, 0.091
"""Of the logarithm (base 10) of the rms error over the relief."""
OF_PASSES, OF_TOUCHED = 0.2, 0.1
"""How much of what the passes do not repeat, and of the share that was touched, counts as error over the relief."""
NEAR, SPREAD = 0.1, 0.31
"""A repair is near the truth within this share of the relief; how the logarithm of true over expected error spreads."""
UNSURE_OF_CLASS = 0.9
LEAST = 1e-2
"""Of each figure: below this the simulated scans taught nothing."""


def confidence(
    raw: Heights, restored: Heights, *, sigma: Heights, touched_share: float, pass_rms_nm: float | None, abstained: bool
) -> float:
    """Return how probable it is that the repair lies within a tenth of the relief of the truth, rms, in [0, 1].

    ``raw``, ``restored``: (rows, cols) nm. ``sigma``: nm, the filled pixels' standard deviation, 0 elsewhere.
    ``pass_rms_nm``: how far the passes lie apart after the repair, if both were recorded. ``abstained``: nobody knows
    what is wrong with the scan.
    """
    few = _few(restored)
    ordered = np.sort(few, axis=None)
    low, high = (_percentile(ordered, part) for part in RELIEF_PARTS)
    relief = high - low
    if relief <= 0:
        return 1.0
    fill = float(np.linalg.norm(sigma)) / math.sqrt(sigma.size) / relief
    passes = OF_PASSES * (pass_rms_nm or 0.0) / relief
    error = math.hypot(_levelling(_few(raw), few, ordered, relief), fill, passes, OF_TOUCHED * touched_share)
    sure = 0.5 * (1 + math.erf(math.log10(NEAR / error) / (SPREAD * math.sqrt(2))))
    return sure * (UNSURE_OF_CLASS if abstained else 1.0)


def _levelling(raw: Heights, restored: Heights, ordered: Heights, relief: float) -> float:
    """Return the error over the relief that levelling leaves on scans that look like this one, median.

    ``ordered``: the restored heights in rising order.
    """
    middle = len(ordered) // 2
    half = float((ordered[middle:] - ordered[: len(ordered) - middle]).min())
    removed = float((raw - restored).std())
    logs = (math.log10(max(part, LEAST)) for part in (half / relief, removed / relief, _slow(restored)))
    return float(10 ** (CONSTANT + sum(w * x for w, x in zip((OF_HALF, OF_REMOVED, OF_SLOW), logs, strict=True))))


def _percentile(ordered: NDArray[np.float64], percent: float) -> float:
    """Return a percentile of rising values, linear between ranks."""
    share, below = math.modf(percent / 100 * (ordered.size - 1))
    low, high = ordered[int(below)], ordered[min(int(below) + 1, ordered.size - 1)]
    return float(low + share * (high - low))


def _slow(heights: Heights) -> float:
    """Return which share of the variance is in waves of less than ``SLOW_WAVES`` periods over the frame."""
    apart = heights - heights.mean()
    (down, left), (across, right) = (_slow_waves(side) for side in heights.shape)
    power = np.square(np.abs(left @ apart @ right.T))
    slow = np.hypot(down[:, None], across) < SLOW_WAVES
    whole = apart.size * float(np.square(apart).sum())  # of all waves (Parseval)
    return float(power[slow].sum() / max(whole, np.finfo(np.float64).tiny))


def _slow_waves(side: int) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Return periods over ``side`` pixels below ``SLOW_WAVES``, (waves,), and their Fourier transform (waves, side)."""
    periods = np.fft.fftfreq(side) * side
    periods = periods[np.abs(periods) < SLOW_WAVES]
    return periods, np.exp(-2j * np.pi / side * periods[:, None] * np.arange(side))


def _few(heights: Heights) -> NDArray[np.float64]:
    some = tuple(slice(None, None, max(1, side // SIDE)) for side in heights.shape)
    return heights[some].astype(np.float64)
