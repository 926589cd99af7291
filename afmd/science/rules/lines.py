"""Lines whose texture is not that of the lines around, and heights at the end of their range.

Rule: a line is compared with its neighbourhood, never with the frame, so that samples that change from top to bottom
stay clean.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from afmd.science.robust import mad_sigma

Plane = NDArray[np.float32]

NEIGHBOURHOOD = 61
LEAST_SPREAD = 0.05
"""Lines differ by chance by at least so much, in natural logarithms of their roughness."""
FLOOR_SHARE = 1e-3
CLIPPED_SHARE = 1e-4
CLIPPED_LEAST = 12


def rough_and_smooth(heights: Plane) -> tuple[Plane, Plane]:
    """Return how much rougher, and how much smoother, each line is than those around, in σ; float32 (rows,).

    Roughness is the median size of second differences along the line, so that features of less than half a line do
    not count.
    """
    rows = len(heights)
    if rows < 5 or heights.shape[1] < 5:
        return np.zeros(rows, np.float32), np.zeros(rows, np.float32)
    bends = np.abs(np.diff(heights, n=2, axis=1))
    size = np.median(bends, axis=1)
    usual = float(np.median(size))
    if usual == 0:
        return np.zeros(rows, np.float32), np.zeros(rows, np.float32)
    log = np.log(size + FLOOR_SHARE * usual)
    apart = log - ndimage.median_filter(log, min(NEIGHBOURHOOD, rows), mode="nearest")
    apart /= mad_sigma(apart) + LEAST_SPREAD
    return np.maximum(apart, 0).astype(np.float32), np.maximum(-apart, 0).astype(np.float32)


def clipped(heights: Plane) -> NDArray[np.bool_]:
    """Return True where heights are equal to the highest or lowest of all, and too many are to be chance."""
    mask = np.zeros(heights.shape, dtype=bool)
    least = max(CLIPPED_LEAST, CLIPPED_SHARE * heights.size)
    low, high = heights.min(), heights.max()
    for end in (low, high) if low < high else ():
        at = heights == end
        if np.count_nonzero(at) > least:
            mask |= at
    return mask
