"""Means over windows of masked pixels, along lines and across them.

Rule: a window ends where its run of masked pixels ends, and its cost does not depend on its width.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from afmd.science.inpaint.gaps import Runs

Values = NDArray[np.float32]


class Windows:
    """Windows over the runs that masked pixels form in one direction."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._spans: dict[int, tuple[NDArray[np.intp], NDArray[np.intp], Values]] = {}

    def lengths(self) -> Values:
        """Return the length of each pixel's run, px."""
        return self.spread(self._runs.count.astype(np.float32))

    def whole(self, values: Sequence[Values]) -> list[Values]:
        """Return the means of some values, each (n,), over each run: one for a run."""
        share = 1 / self._runs.count
        sums = (np.add.reduceat(self._runs.sorted(each), self._runs.first, dtype=np.float64) for each in values)
        return [(total * share).astype(np.float32) for total in sums]

    def spread(self, of_run: Values) -> Values:
        """Return what is said of each run for each of its pixels, (n,)."""
        return self._runs.unsorted(np.repeat(of_run, self._runs.count))

    def near(self, values: Values, *half: int) -> list[Values]:
        """Return the means of values (n,) over so many px to each side, (n,), for each of the half widths."""
        running = np.zeros(values.size + 1)
        np.cumsum(self._runs.sorted(values), out=running[1:], dtype=np.float64)
        means = []
        for width in half:
            begin, end, share = self._span(width)
            mean = (running.take(end) - running.take(begin)).astype(np.float32)
            mean *= share
            means.append(self._runs.unsorted(mean))
        return means

    def _span(self, half: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Values]:
        if half not in self._spans:
            before = np.minimum(self._runs.before - np.int32(1), np.int32(half))
            after = np.minimum(self._runs.after, np.int32(half + 1))
            at = np.arange(len(before), dtype=np.intp)
            self._spans[half] = at - before, at + after, np.reciprocal((before + after).astype(np.float32))
        return self._spans[half]
