"""Several attempts at the scanner, and which of them leaves the tidiest surface.

Three first guesses settle on the levels that then show: plateaus made level (right where there is flat ground), medians
of lines and columns made equal (right on a rough film), and their lowest heights made equal (right where features stand
close). On a staircase no height is the ground's, and every one of them would tilt it: there treads are made level, and
no level is asked.

Rule: the choice looks at the surface that is left and at how steady the scanner would have been, not at the guess.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.linesystem import compared, step_sigmas
from afmd.science.flatten.plateaus import plateau_guess, plateau_votes
from afmd.science.flatten.refine import Fit, refined
from afmd.science.flatten.scanner import Scanner, powers
from afmd.science.flatten.substrate import Substrate, find_substrate, span_of
from afmd.science.flatten.thinned import Floats, Thinned
from afmd.science.robust import TINY, line_quantile, narrow_sigma

Doubles = NDArray[np.float64]

BOW = 2
"""Order of every first attempt: higher powers run wild where a part of the lines is not trusted."""
TREADS_DOWN = (1 / 128, 1 / 64, 1 / 32)
"""How far apart, as a share of the frame, two pixels of a tread are compared."""
LEVEL, FAR = 0.7, 3.0
"""Steps up to here are level, from here on a step, in units of the usual one."""
MORE_LEVEL, ONE_WAY = 1.05, 0.65
"""How many times more pixels must lie level, and by what share of the steps more must go one way than the other."""
MOST_STEPS = 0.3
"""Share of the pixels that may lie beside a step."""
RARE = 0.005
GROUND = 0.3
"""Share of the pixels that surely lie on some level."""
MIDDLE, LOWEST = 0.5, 0.05
"""Share of a line that is ground even where features stand close."""


class Leftover(NamedTuple):
    """The surface that a scanner leaves, and how steady that scanner is.

    ``substrate``: the surface's levels. ``width_nm``: how far from its level a pixel of the ground may lie.
    ``span_nm``: from the lowest to the highest pixels. ``slip_nm``: greatest departure of a step between two lines'
    offsets from the usual one.
    """

    substrate: Substrate
    width_nm: float
    span_nm: float
    slip_nm: float

    @property
    def disorder(self) -> float:
        """How much surface and scanner leave to chance, in ln nm: the less, the tidier.

        Narrow levels win; what moved a line far to make them narrow must pay for it. On 530 simulated scans of all
        families, no other choice of measures and weights picked surely better.
        """
        levels = np.log(self.substrate.sigma) + np.log(self.width_nm)
        several = np.log(len(self.substrate.levels)) / 4
        return float(levels + several + np.log(self.slip_nm) + np.log(self.span_nm) / 2)


def tidiest(frame: Thinned) -> tuple[Fit, Leftover | None]:
    """Return the attempt that leaves the tidiest surface, and what it leaves; None where treads tell the scanner."""
    basis = powers(frame.across, min(BOW, len(frame.across) - 1))
    plateau = plateau_guess(frame, basis)
    guesses = (plateau._replace(twist=0.0), *(lined_up(frame, basis, share=share) for share in (MIDDLE, LOWEST)))
    fits = [refined(frame, guess, levels_of(guess.off(frame), frame), twists=True) for guess in guesses]
    left = [leftover(frame, fit.scanner) for fit in fits]
    best = int(np.argmin([one.disorder for one in left]))
    if is_staircase(plateau.off(frame), fits[best].scanner.off(frame), frame.votes):
        return on_treads(frame, plateau), None
    return fits[best], left[best]


def on_treads(frame: Thinned, scanner: Scanner) -> Fit:
    """Return a plateau guess as it is: what it leaves, where it trusts it, and what the sample makes of its offsets."""
    rest = scanner.off(frame)
    weight = plateau_votes(rest, frame.votes)
    return Fit(scanner, compared(rest, weight, frame.rows).solved()[1], rest, weight)


def lined_up(frame: Thinned, basis: Doubles, *, share: float) -> Scanner:
    """Return a scanner under which this quantile of every line and every column lies on one level."""
    trusted = None if frame.votes.all() else frame.votes > 0
    lines = np.nan_to_num(line_quantile(frame.heights, trusted, share))
    rest = np.ascontiguousarray((frame.heights - lines[:, None].astype(np.float32)).T)
    columns = line_quantile(rest, None if trusted is None else np.ascontiguousarray(trusted.T), share)
    known = np.isfinite(columns)
    design = np.column_stack([np.ones(np.count_nonzero(known)), basis[known]])
    shape = np.asarray(np.linalg.lstsq(design, columns[known], rcond=1e-6)[0][1:], dtype=np.float64)
    scanner = Scanner(shape, np.zeros(len(frame.rows)))
    return scanner._replace(offsets=np.nan_to_num(line_quantile(scanner.off(frame), trusted, share)))


def leftover(frame: Thinned, scanner: Scanner) -> Leftover:
    """Look at the surface that a scanner leaves."""
    flat = scanner.off(frame)
    levels = levels_of(flat, frame)
    values = flat[frame.votes > 0]
    away = np.abs(values - levels.levels.astype(np.float32)[levels.nearest(values)])
    ground = int(GROUND * away.size)
    width = float(np.partition(away, ground)[ground])
    low, high = span_of(values)
    steps = np.diff(scanner.offsets)
    slip = float(np.abs(steps - np.median(steps)).max())
    return Leftover(levels, max(width, TINY), max(high - low, TINY), max(slip, TINY))


def is_staircase(treads: Floats, levels: Floats, votes: Floats) -> bool:
    """True where more pixels lie level with those below them in ``treads``, and nearly all others step one way.

    ``treads``, ``levels``: (lines, columns) nm, the same frame without the scanner of either attempt. On a rough film
    neither has more, and the flanks of what stands on a ground go up as often as down. Only steps down the frame are
    looked at: along the lines, what a tip leaves behind every feature looks like a staircase too.
    """
    for lag in (max(1, round(share * len(treads))) for share in TREADS_DOWN):
        both = votes[lag:] * votes[:-lag]
        step, other = treads[lag:] - treads[:-lag], levels[lag:] - levels[:-lag]
        near = narrow_sigma(step, both)
        more = _share(np.abs(step) < LEVEL * near, both) / _share(np.abs(other) < LEVEL * near, both)
        up, down = _share(step > FAR * near, both), _share(step < -FAR * near, both)
        if more > MORE_LEVEL and ONE_WAY * (up + down) < abs(up - down) < MOST_STEPS:
            return True
    return False


def _share(which: NDArray[np.bool_], votes: Floats) -> float:
    return float((votes * which).sum() / max(float(votes.sum()), TINY)) + RARE


def levels_of(flat: Floats, frame: Thinned) -> Substrate:
    """Return the levels of a levelled frame; none is narrower than close pixels, or than float32 can tell."""
    down, across = step_sigmas(flat, frame.votes, 2)[0], step_sigmas(flat, frame.votes, 1)[1]
    noise = max(min(down, across) / 2**0.5, 1e-6 * float(np.ptp(frame.heights)), 1e3 * TINY)
    return find_substrate(flat, frame.votes, noise=noise)
