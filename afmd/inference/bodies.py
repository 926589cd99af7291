"""Bodies in what is called as tails. Rule: a tail begins with a fall, and what rings stands where it stood.

Parachuting and smear leave heights that are too high behind whatever fell away under the tip, and ringing swings behind
every edge. A network that looks at neighbours calls the whole body with it, and filling would take the body away. Which
way tails run, the frame shows: called runs that rise and fall again do so steeply on one side and slowly on the other.
Then what rises before the first fall, and the top, is no tail. Ringing swings either way alike: a body may be spoilt by
it, and is better left. A run that only falls tells nothing.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, Self

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
HALF: Final = 0.5
"""Share of its span by which a run without a way rises and falls just once where it is one body, and how high in it the
body begins."""
TURNS: Final = 9
"""Most falls and rises of a run; what comes after stays called."""

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
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

    def flags(self, values: Flags, shape: tuple[int, int]) -> Flags:
        """Return values (n,) where the pixels lie in the frame, (rows, cols), and False elsewhere."""
        flags = np.zeros(shape, bool)
        flags.reshape(-1)[self.at] = values
        return flags

    def steps(self) -> Floats:
        """Return each height less the one before it in its run, nm, (n,); 0 for the first."""
        steps = np.diff(self.heights, prepend=self.heights[0])
        steps[self.first] = 0
        return steps


class Bodies(NamedTuple):
    """What of the pixels called as tails is a body, bool (rows, cols) each.

    ``sound``: True where nothing has fallen yet, so that there can be no tail. ``ringing``: True in bodies of a frame
    that does not tell which way tails run: called perhaps rightly, and better left as measured.
    """

    sound: Flags
    ringing: Flags


def bodies_in(heights: planes.Plane, called: Flags) -> Bodies:
    """Return the bodies in what is called as tails; none where nothing is called, or most of the frame.

    ``heights``: nm, (rows, cols), as measured. ``called``: True = called as a tail, (rows, cols).
    """
    none = np.zeros_like(called)
    if not 0 < np.count_nonzero(called) <= MOST_CALLED * called.size:
        return Bodies(none, none)
    level = planes.less_plane(heights)
    tall_nm = TALL_NOISES * planes.robust_scale(np.diff(level, axis=1)) / np.sqrt(2)
    wide = _widened(called)
    runs = _Runs.of(level, wide)
    both = _both_ways(runs, tall_nm)
    way = _way(runs, both)
    if way == 0:
        return Bodies(none, runs.flags(_tops(runs) & both[runs.number], called.shape) & called)
    along = slice(None, None, way)
    runs = runs if way > 0 else _Runs.of(level[:, along], wide[:, along])
    before = (_turns(runs, FALLEN) % 2 == 0) & (runs.span() > tall_nm)[runs.number]
    return Bodies(runs.flags(before, called.shape)[:, along] & called, none)


def _widened(called: Flags) -> Flags:
    """Return ``called``, (rows, cols), with ``BESIDE_PX`` pixels of the line on either side."""
    wide = called.copy()
    for away in range(1, BESIDE_PX + 1):
        wide[:, away:] |= called[:, :-away]
        wide[:, :-away] |= called[:, away:]
    return wide


def _both_ways(runs: _Runs, tall_nm: float) -> Flags:
    """Return True for runs, (runs,), that are tall, and rise and fall again by much of that."""
    span = runs.span()
    least = BOTH_WAYS * span
    rises = runs.highest(runs.heights + _highest_so_far(-runs.heights, runs.number))
    falls = runs.highest(_highest_so_far(runs.heights, runs.number) - runs.heights)
    return np.asarray((span > tall_nm) & (rises > least) & (falls > least))


def _way(runs: _Runs, both: Flags) -> int:
    """Return 1 where tails run to the right, -1 where to the left, 0 where the runs of ``both`` ways do not tell."""
    cubes = runs.steps()[both[runs.number]] ** 3
    size = float(np.abs(cubes).sum())
    skewness = float(cubes.sum()) / size if size > 0 else 0.0
    return int(np.sign(skewness)) if abs(skewness) >= ONE_WAY else 0


def _tops(runs: _Runs) -> Flags:
    """Return True for the upper half, (n,), of runs that rise and fall by half their span just once."""
    once = runs.highest(_turns(runs, HALF)) <= 1
    above = runs.heights + runs.highest(-runs.heights)[runs.number]
    return np.asarray(once[runs.number] & (above > HALF * runs.span()[runs.number]))


def _turns(runs: _Runs, share: float) -> Floats:
    """Return how often the heights of a run turned up to each pixel, (n,), down first, by ``share`` of its span.

    At most ``TURNS`` times.
    """
    turns = np.zeros(runs.at.shape)
    least = share * runs.span()
    rest = np.arange(runs.at.size)
    for turn in range(TURNS):
        number, values = runs.number[rest], runs.heights[rest] * (-1) ** turn
        back = _highest_so_far(values, number) - values > least[number]
        rest = rest[_highest_so_far(back.astype(np.float64), number) > 0]
        if rest.size == 0:
            break
        turns[rest] = turn + 1
    return turns


def _highest_so_far(values: Floats, number: Indices) -> Floats:
    """Return the highest of the values (n,) up to each in its own run; ``number`` ascends."""
    lift = number * (np.ptp(values) + 1.0)
    return np.asarray(np.maximum.accumulate(values + lift) - lift)
