"""Interpolation across gaps of a line, for all gaps at once. Rule: the cost is that of the masked pixels."""

import numpy as np
from numpy.typing import NDArray


def along(heights: NDArray[np.float32], mask: NDArray[np.bool_], *, axis: int) -> NDArray[np.float32]:
    """Return new heights, masked pixels interpolated linearly along ``axis``; at an edge the nearest one holds.

    A line without any unmasked pixel gets the median of the unmasked frame.
    """
    field = heights if axis == 1 else heights.T
    gaps = mask if axis == 1 else mask.T
    result = np.array(field)
    rows, cols = np.nonzero(gaps)
    if len(rows) == 0:
        return np.ascontiguousarray(result if axis == 1 else result.T)
    new = np.r_[True, (np.diff(rows) != 0) | (np.diff(cols) != 1)]
    run = np.cumsum(new) - 1
    first, last = cols[new], cols[np.r_[new[1:], True]]
    left, right = first[run] - 1, last[run] + 1
    has_left, has_right = left >= 0, right < gaps.shape[1]
    before = field[rows, np.where(has_left, left, 0)]
    after = field[rows, np.where(has_right, right, 0)]
    share = ((cols - left) / (right - left)).astype(np.float32)
    value = np.where(has_left & has_right, before + share * (after - before), np.where(has_left, before, after))
    trusted = field[~gaps]
    value[~has_left & ~has_right] = np.median(trusted) if trusted.size else 0
    result[rows, cols] = value
    return np.ascontiguousarray(result if axis == 1 else result.T)
