"""Heights at the end of the piezo's or the converter's range. Rule: only exact equality counts."""

import numpy as np
from numpy.typing import NDArray

SHARE = 1e-4
LEAST = 12
LONGEST_LEVEL = 8
"""A flat top on a coarse scale is no clipping: the end must hold so many times what the next levels hold."""


def clipped(heights: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return True where heights equal the highest or lowest of all, and too many do to be chance."""
    mask = np.zeros(heights.shape, dtype=bool)
    least = max(LEAST, SHARE * heights.size)
    low, high = heights.min(), heights.max()
    for end in (low, high) if low < high else ():
        at = heights == end
        count = np.count_nonzero(at)
        if count > least and count > LONGEST_LEVEL * _beside(heights, end, np.float32(high - low)):
            mask |= at
    return mask


def _beside(heights: NDArray[np.float32], end: np.float32, span: np.float32) -> float:
    """Return how many pixels share the next level below (or above) the end, within a thousandth of the range."""
    near = heights[(np.abs(heights - end) < span / 1000) & (heights != end)]
    return float(np.unique(near, return_counts=True)[1].max(initial=0))
