"""Where the masked pixels lie, the runs that they form, and how far each is from data in all four directions.

Rule: the cost is that of the masked pixels; no loop over lines.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Heights = NDArray[np.float32]
Mask = NDArray[np.bool_]
Reach = NDArray[np.int32]

NONE = 1 << 20
"""Stands for the distance to data where there are none before the frame's edge; larger than any side."""


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Masked pixels side by side in one direction. The n pixels come run by run: in ``order``, or as they are if None.

    ``first``: where each run begins among them. ``count``: px in each run. ``before``, ``after``: int32 (n,), distances
    in px to what stands before and after the run, the outside of the frame included.
    """

    order: NDArray[np.intp] | None
    first: NDArray[np.intp]
    count: NDArray[np.intp]
    before: NDArray[np.int32]
    after: NDArray[np.int32]

    def sorted(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values (n,) of pixels in row-major order run by run."""
        return values if self.order is None else values.take(self.order)

    def unsorted(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values (n,) that come run by run in row-major order."""
        if self.order is None:
            return values
        found = np.empty_like(values)
        found[self.order] = values
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """The n masked pixels of a frame in row-major order.

    ``at``: intp (n,), their places in the flat frame. ``row``, ``col``: int32 (n,). ``lines``, ``columns``: their runs
    along lines and along columns. ``seen``: int32 (4, n) px to the nearest unmasked pixel, up, down, left, right;
    ``NONE`` for none.
    """

    shape: tuple[int, int]
    at: NDArray[np.intp]
    row: NDArray[np.int32]
    col: NDArray[np.int32]
    lines: Runs
    columns: Runs
    seen: Reach


def located(mask: Mask) -> Pixels:
    """Return where the pixels lie that are True in ``mask``, (rows, cols)."""
    rows, cols = mask.shape
    at = np.flatnonzero(mask)
    row = (at // cols).astype(np.int32)
    col = (at - row * np.intp(cols)).astype(np.int32)
    by_column = np.argsort(col.astype(np.uint16) if cols <= 1 << 16 else col, kind="stable")
    seen = np.empty((4, at.size), dtype=np.int32)
    lines = _runs(row, col, None)
    columns = _runs(col.take(by_column), row.take(by_column), by_column)
    _to_data(seen[2:], lines, col, cols)
    _to_data(seen[:2], columns, row, rows)
    return Pixels((rows, cols), at, row, col, lines, columns, seen)


def reach(mask: Mask) -> Reach:
    """Return distances in px to the nearest unmasked pixel, int32 (4, n), as ``Pixels.seen`` has it."""
    return located(mask).seen


def _runs(line: NDArray[np.int32], place: NDArray[np.int32], order: NDArray[np.intp] | None) -> Runs:
    """Return the runs of masked pixels, from their ``line`` and ``place`` in it, line by line in order."""
    starts = np.empty(place.size, dtype=bool)
    starts[:1] = True
    np.not_equal(place[1:], place[:-1] + np.int32(1), out=starts[1:])
    starts[1:] |= line[1:] != line[:-1]
    first = np.flatnonzero(starts)
    count = np.diff(first, append=place.size)
    begin = place.take(first)
    before = place - np.repeat(begin - np.int32(1), count)
    after = np.repeat(begin + count.astype(np.int32), count) - place
    return Runs(order, first, count, before, after)


def _to_data(seen: Reach, runs: Runs, place: NDArray[np.int32], length: int) -> None:
    """Write the distances to data before and after, (2, n), for lines of ``length`` px."""
    for row, distance, left in ((0, runs.before, place + np.int32(1)), (1, runs.after, np.int32(length) - place)):
        seen[row] = runs.unsorted(distance)
        np.copyto(seen[row], NONE, where=seen[row] >= left)


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
    pixels, flat = located(mask), heights.reshape(-1)
    before, after = pixels.seen[2:]
    left = flat[pixels.at - np.where(before < NONE, before, 0)]
    right = flat[pixels.at + np.where(after < NONE, after, 0)]
    return left, right, before, after


def typical(heights: Heights, mask: Mask) -> np.float32:
    """Return the median of the unmasked heights, nm."""
    return np.float32(np.median(heights[~mask]))
