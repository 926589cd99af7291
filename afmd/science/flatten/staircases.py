"""Staircases: treads too many and too rough for levels, which a fit of the heights lays flat as one ramp.

On a staircase the guess that levels plateaus leaves more pixels level with those beside them than the fit does, and
nearly all other steps go one way. On a rough film neither has more, and the flanks of what stands on a ground go up as
often as down.

Rule: two comparisons must tell of a staircase, and along the lines it must go down: levelled as plateaus, what a tip
leaves that falls slowly behind every feature looks like a staircase that goes up.
"""

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.thinned import Floats
from afmd.science.robust import narrow_sigma

APART = (1 / 128, 1 / 64, 1 / 32)
"""How far apart pixels are compared, as shares of the frame."""
LEVEL, FAR = 0.7, 3.0
"""Steps up to here are level, from here on a step, in units of the usual one."""
MORE_LEVEL, ONE_WAY = 1.1, 0.8
"""How many times more pixels must lie level, and by what share of the steps more must go one way than the other."""
LEAST_STEPS, MOST_STEPS = 0.03, 0.2
"""Share of the pixels that must lie beside a step, and that may."""
FEWEST = 2
"""Comparisons, of other distances or directions, that must tell the same."""
SAMPLED = 10_000


def is_staircase(treads: Floats, ramp: Floats, votes: Floats) -> bool:
    """True where ``treads`` is a staircase that ``ramp`` has laid flat.

    Both (lines, columns) nm: the same frame, once without the guess that levels plateaus and once without the fit.
    """
    every = slice(None, None, max(1, treads.size // SAMPLED))
    told = 0
    for share in APART:
        down = max(1, round(share * len(treads)))
        upper, lower = slice(None, -down, every.step), slice(down, None, every.step)
        told += _tells(treads[lower] - treads[upper], ramp[lower] - ramp[upper], votes[lower] * votes[upper])
        along = max(1, round(share * treads.shape[1]))
        own, their, trust = treads[every], ramp[every], votes[every]
        step, other = own[:, along:] - own[:, :-along], their[:, along:] - their[:, :-along]
        told += _tells(step, other, trust[:, along:] * trust[:, :-along], falls=True)
    return told >= FEWEST


def _tells(step: Floats, other: Floats, votes: Floats, *, falls: bool = False) -> bool:
    """True where more of the steps are level than of the other ones, and nearly all that are not go one way.

    ``falls``: that way must be down.
    """
    usual = narrow_sigma(step, votes)
    up, down = _share(step > FAR * usual, votes), _share(step < -FAR * usual, votes)
    one_way = down - up if falls else abs(up - down)
    if not max(LEAST_STEPS, ONE_WAY * (up + down)) < one_way < MOST_STEPS:
        return False
    near = LEVEL * usual
    return _share(np.abs(step) < near, votes) > MORE_LEVEL * _share(np.abs(other) < near, votes)


def _share(there: NDArray[np.bool_], votes: Floats) -> float:
    total = float(votes.sum())
    return float((votes * there).sum()) / total if total else 0.0
