"""What a called tail cannot be: the front that rises before it, and the top. Rule: a tail begins with a fall.

Parachuting and smear leave heights that are too high behind whatever fell away under the tip. A network that looks at
neighbours calls the whole body with its tail, and filling would take the body away. Which way tails run, the frame
shows: called runs that rise and fall again do so steeply on one side and slowly on the other. Ringing swings either way
alike, and a run that only falls tells nothing.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from afmd.inference import planes

BESIDE_PX: Final = 4
"""So much of the line before and after a run is looked at with it: the front is often not called."""
TALL_NOISES: Final = 8.0
"""Least span of a run's heights, over the noise."""
BOTH_WAYS: Final = 0.4
"""A run rises and falls again where it does both by this share of its span."""
ONE_WAY: Final = 0.4
"""Least skewness of the steps of such runs, in [-1, 1]; ringing stays below it."""
FALLEN: Final = 0.1
"""Share of its span by which a run must have fallen from its highest, and risen again from its lowest."""
MOST_CALLED: Final = 0.5
"""Where more of the frame is called, what is left of it is no ground."""
TURNS: Final = 8
"""Most falls and rises of a run; what comes after stays called."""

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The pixels of runs along the lines, run after run.

    ``at``: flat indices in the frame, (n,). ``number``: of the run, (n,), ascending. ``first``: where each run begins
    among the pixels, (runs,). ``heights``: nm, (n,).
    """

    at: Indices
    number: Indices
    first: Indices
    heights: Floats

    @classmethod
    def of(cls, heights: planes.Plane, mask: Flags) -> Self:
        """Return the runs of a mask, at least one pixel of which is True; both are (rows, cols)."""
        at = np.flatnonzero(mask)
        begins = np.append(True, (np.diff(at) > 1) | (np.diff(at // mask.shape[1]) > 0))
        return cls(at, np.cumsum(begins) - 1, np.flatnonzero(begins), heights.reshape(-1)[at].astype(np.float64))

    def highest(self, values: Floats) -> Floats:
        """Return each run's highest of values (n,), (runs,)."""
        return np.maximum.reduceat(values, self.first)

    def span(self) -> Floats:
        """Return each run's highest less its lowest, nm, (runs,)."""
        return self.highest(self.heights) + self.highest(-self.heights)

    def steps(self) -> Floats:
        """Return each height less the one before it in its run, nm, (n,); 0 for the first."""
        steps = np.diff(self.heights, prepend=self.heights[0])
        steps[self.first] = 0
        return steps


def fronts(heights: planes.Plane, called: Flags) -> Flags:
    """Return True where pixels called as tails cannot be of one, (rows, cols): nothing has fallen yet before them.

    ``heights``: nm, (rows, cols), as measured. ``called``: True = called as a tail. All False where the frame does not
    tell which way tails run, or where most of it is called.
    """
    if not 0 < np.count_nonzero(called) <= MOST_CALLED * called.size:
        return np.zeros_like(called)
    level = planes.less_plane(heights)
    tall_nm = TALL_NOISES * planes.robust_scale(np.diff(level, axis=1)) / np.sqrt(2)
    wide = _widened(called)
    way = _way(Runs.of(level, wide), tall_nm)
    if way == 0:
        return np.zeros_like(called)
    along = slice(None, None, way)
    runs = Runs.of(level[:, along], wide[:, along])
    found = np.zeros(called.size, bool)
    found[runs.at] = _before_falls(runs) & (runs.span() > tall_nm)[runs.number]
    return found.reshape(called.shape)[:, along] & called


def _widened(called: Flags) -> Flags:
    wide = called.copy()
    for away in range(1, BESIDE_PX + 1):
        wide[:, away:] |= called[:, :-away]
        wide[:, :-away] |= called[:, away:]
    return wide


def _way(runs: Runs, tall_nm: float) -> int:
    """Return 1 where tails run to the right, -1 where to the left, 0 where the frame does not tell."""
    span, least = runs.span(), BOTH_WAYS * runs.span()
    rises = runs.highest(runs.heights + _highest_so_far(-runs.heights, runs.number))
    falls = runs.highest(_highest_so_far(runs.heights, runs.number) - runs.heights)
    both = (span > tall_nm) & (rises > least) & (falls > least)
    cubes = runs.steps()[both[runs.number]] ** 3
    size = float(np.abs(cubes).sum())
    skewness = float(cubes.sum()) / size if size > 0 else 0.0
    return int(np.sign(skewness)) if abs(skewness) >= ONE_WAY else 0


def _before_falls(runs: Runs) -> Flags:
    """Return True for pixels (n,) before their run's first fall, and from where it has risen again to the next fall."""
    before = np.zeros(runs.at.shape, bool)
    turned = FALLEN * runs.span()
    rest = np.arange(runs.at.size)
    for turn in range(TURNS):
        rising, number = turn % 2 == 0, runs.number[rest]
        values = runs.heights[rest] * (1 if rising else -1)
        back = _highest_so_far(values, number) - values > turned[number]
        since = _highest_so_far(back.astype(np.float64), number) > 0
        if rising:
            before[rest[~since]] = True
        rest = rest[since]
        if rest.size == 0:
            break
    return before


def _highest_so_far(values: Floats, number: Indices) -> Floats:
    """Return the highest of the values (n,) up to each in its own run; ``number`` ascends."""
    lift = number * (np.ptp(values) + 1.0)
    return np.asarray(np.maximum.accumulate(values + lift) - lift)
