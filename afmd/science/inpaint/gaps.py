"""How far every masked pixel is from data in all four directions, and what stands there.

Rule: the cost is that of the masked pixels; no loop over lines.
"""

import numpy as np
from numpy.typing import NDArray

Heights = NDArray[np.float32]
Mask = NDArray[np.bool_]
Reach = NDArray[np.int32]

NONE = 1 << 20
"""Stands for the distance to data where there are none before the frame's edge; larger than any side."""


def reach(mask: Mask) -> Reach:
    """Return distances in px to the nearest unmasked pixel, int32 (4, n): up, down, left, right; ``NONE`` for none.

    The n masked pixels come in row-major order.
    """
    rows, cols = mask.shape
    row, col = np.divmod(np.flatnonzero(mask), cols)
    seen = np.empty((4, row.size), dtype=np.int32)
    seen[2:] = _to_ends_of_runs(row, col, length=cols)
    by_column = np.argsort(col.astype(np.uint16), kind="stable") if cols <= 1 << 16 else np.argsort(col, kind="stable")
    seen[:2, by_column] = _to_ends_of_runs(col[by_column], row[by_column], length=rows)
    return seen


def _to_ends_of_runs(line: NDArray[np.intp], place: NDArray[np.intp], *, length: int) -> Reach:
    """Return the distances (2, n) from each masked pixel to the unmasked ones before and after it in its line.

    ``line``, ``place``: of masked pixels, line by line in order. ``length``: of a line, px.
    """
    if place.size == 0:
        return np.empty((2, 0), dtype=np.int32)
    starts = np.empty(place.size, dtype=bool)
    starts[0] = True
    np.not_equal(np.diff(place), 1, out=starts[1:])
    starts[1:] |= np.diff(line) != 0
    first = np.flatnonzero(starts)
    count = np.diff(first, append=place.size)
    before = place - np.repeat(place[first] - 1, count)
    after = np.repeat(place[first] + count, count) - place
    ends = np.stack([before, after]).astype(np.int32)
    ends[0, before > place] = NONE
    ends[1, after >= length - place] = NONE
    return ends


def along(heights: Heights, mask: Mask) -> NDArray[np.float32]:
    """Return the masked pixels interpolated linearly along their rows, in row-major order, nm.

    At the frame's border the nearest pixel holds; a row without data takes the median of all unmasked pixels.
    """
    left, right, before, after = _neighbours(heights, mask)
    share = (before / (before + after)).astype(np.float32)
    value = np.where(after == NONE, left, np.where(before == NONE, right, left + share * (right - left)))
    return np.where((before == NONE) & (after == NONE), typical(heights, mask), value)


def nearest_along(heights: Heights, mask: Mask) -> NDArray[np.float32]:
    """Return the nearest unmasked height in its row for each masked pixel, the mean of both where equally near.

    A row without data takes the median of all unmasked pixels.
    """
    left, right, before, after = _neighbours(heights, mask)
    value = np.where(before < after, left, np.where(after < before, right, (left + right) / 2))
    return np.where((before == NONE) & (after == NONE), typical(heights, mask), value)


def _neighbours(
    heights: Heights, mask: Mask
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
    """Return the heights left and right of each masked pixel's run, and the distances to them."""
    row, col = np.nonzero(mask)
    before, after = _to_ends_of_runs(row, col, length=mask.shape[1])
    left = heights[row, np.where(before < NONE, col - before, 0)]
    right = heights[row, np.where(after < NONE, col + after, 0)]
    return left, right, before, after


def typical(heights: Heights, mask: Mask) -> np.float32:
    """Return the median of the unmasked heights, nm."""
    return np.float32(np.median(heights[~mask]))
