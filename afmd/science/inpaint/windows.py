"""Means over windows of masked pixels, along lines and across them.

Rule: a window ends where its run of masked pixels ends, and its cost does not depend on its width.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from afmd.science.inpaint.gaps import Reach

Values = NDArray[np.float32]


class Windows:
    """The runs that n masked pixels, at ``row`` and ``col`` in row-major order, lie in.

    ``seen``: int32 (4, n), as ``gaps.reach`` has it. ``width``, ``height``: float32 (n,), the lengths in px of the
    pixel's runs along its line and across the lines.
    """

    def __init__(self, row: NDArray[np.intp], col: NDArray[np.intp], seen: Reach, shape: tuple[int, ...]) -> None:
        up, down = np.minimum(seen[0], row + 1), np.minimum(seen[1], shape[0] - row)
        left, right = np.minimum(seen[2], col + 1), np.minimum(seen[3], shape[1] - col)
        self.width, self.height = (left + right - 1).astype(np.float32), (up + down - 1).astype(np.float32)
        self._by_column = np.argsort(col.astype(np.uint16) if shape[1] <= 1 << 16 else col, kind="stable")
        self._lines = left - 1, right
        self._columns = up[self._by_column] - 1, down[self._by_column]

    def along(self, values: Sequence[Values]) -> "Sums":
        """Prepare means of some values, each (n,), along lines."""
        return Sums(values, *self._lines, order=None)

    def across(self, values: Sequence[Values]) -> "Sums":
        """Prepare means of some values, each (n,), across lines."""
        return Sums([each[self._by_column] for each in values], *self._columns, order=self._by_column)


class Sums:
    """Running sums of some values, each (n,), in the order in which runs are contiguous."""

    def __init__(
        self, values: Sequence[Values], before: Reach, after: Reach, *, order: NDArray[np.intp] | None
    ) -> None:
        self._running = np.zeros((len(values), len(before) + 1))
        for running, each in zip(self._running, values, strict=True):
            np.cumsum(each, out=running[1:], dtype=np.float64)
        self._before, self._after, self._order = before, after, order

    def mean(self, half: int | None, *which: int) -> list[Values]:
        """Return means of some of the values over ``half`` px to each side or the whole run, each float32 (n,)."""
        at = np.arange(len(self._before))
        begin = at - (self._before if half is None else np.minimum(self._before, half))
        end = at + (self._after if half is None else np.minimum(self._after, half + 1))
        share = 1 / (end - begin)
        return [self._ordered((self._running[c].take(end) - self._running[c].take(begin)) * share) for c in which]

    def _ordered(self, means: NDArray[np.float64]) -> Values:
        found = np.empty(len(means), np.float32)
        found[slice(None) if self._order is None else self._order] = means
        return found
