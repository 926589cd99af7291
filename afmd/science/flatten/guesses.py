"""First guesses of the scanner, and which of them leaves the tidier surface.

The plateau guess is right wherever there is flat ground, and sees nothing but slopes on a rough film; the plain guess,
medians of lines and columns, is right on a rough film, and tilts terraces and sinks under crowds of particles.

Rule: the choice looks at the surface that is left, not at the guess.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.linesystem import sigma_across, sigma_down
from afmd.science.flatten.scanner import Scanner, powers
from afmd.science.flatten.substrate import MOST_PIXELS, Substrate, find_substrate, span_of
from afmd.science.flatten.thinned import Floats, Thinned
from afmd.science.flatten.vicinal import CRYSTAL_NM, leans_otherwise
from afmd.science.robust import TINY, line_median, line_quantile

Doubles = NDArray[np.float64]

LAG_PX = 6
NARROWER = 0.9
LOWEST = 0.05
"""Share of a line that is ground even where features stand close."""
CLIMBS, CLIMBS_HIGH = 4.0, 1.5
"""How many times higher a surface must be on plateaus than laid flat for the raw heights to have a say; the second
where its steps are higher than a crystal's."""
EDGE = 2
"""Levels that a single edge leaves."""
OF_WALLS = 3
"""Fewest levels that the plain guess leaves where it has taken walls for some."""
STEP_OF_SPAN = 0.2
"""Share of what the surface spans, from which on a step all along a line is high."""
IN_DOUBT = 0.2
"""Where both leave the same several levels and nearly the same disorder, the plateau guess is taken."""


def best_guess(frame: Thinned, plateau: Scanner) -> tuple[Scanner, Substrate]:
    """Return the guess that leaves the tidier surface, ``plateau`` or the plain one, and that surface's levels.

    The plain one may have lines' means for medians: where every line lies half on one level and half on another, its
    median is the height of a wall, and goes from one wall to another down the frame.
    """
    plain = plain_guess(frame, powers(frame.across, len(plateau.shape)))
    left_by_plateau, left_by_plain = leftover(frame, plateau), leftover(frame, plain)
    if len(left_by_plain.substrate.levels) >= OF_WALLS:
        on_means = plain._replace(offsets=plain.offsets + _means(plain.off(frame), frame.votes))
        left_by_means = leftover(frame, on_means)
        if _lies_lower(left_by_means, left_by_plain):
            plain, left_by_plain = on_means, left_by_means
    if tidier(left_by_plateau, left_by_plain) and not _climbs_in_vain(frame, plateau, left_by_plateau, left_by_plain):
        return plateau, left_by_plateau.substrate
    return plain, left_by_plain.substrate


def plain_guess(frame: Thinned, basis: Doubles) -> Scanner:
    """Return the shape of the columns' medians about the lines' medians, the twist of what is left, and the lines'
    medians."""
    trusted = None if frame.votes.all() else frame.votes > 0
    middle = _known_medians(frame.heights, trusted)
    rest = np.ascontiguousarray((frame.heights - middle[:, None].astype(np.float32)).T)
    columns = line_median(rest, None if trusted is None else np.ascontiguousarray(trusted.T))
    known = np.isfinite(columns)
    design = np.column_stack([np.ones(np.count_nonzero(known)), basis[known]])
    shape = np.asarray(np.linalg.lstsq(design, columns[known], rcond=1e-6)[0][1:], dtype=np.float64)
    scanner = Scanner(shape, np.zeros(len(frame.rows)))
    scanner = scanner.plus(np.zeros(len(shape)), _known_medians(scanner.off(frame), trusted), 0.0)
    return scanner._replace(twist=_twist(scanner.off(frame), frame))


def low_guess(frame: Thinned, basis: Doubles) -> Scanner:
    """Return a scanner under which every line and column has its lowest heights on one level.

    Right where features stand so close that most of a line lies on them; wrong wherever there is more to see.
    """
    trusted = None if frame.votes.all() else frame.votes > 0
    lines = np.nan_to_num(line_quantile(frame.heights, trusted, LOWEST))
    rest = np.ascontiguousarray((frame.heights - lines[:, None].astype(np.float32)).T)
    columns = line_quantile(rest, None if trusted is None else np.ascontiguousarray(trusted.T), LOWEST)
    known = np.isfinite(columns)
    design = np.column_stack([np.ones(np.count_nonzero(known)), basis[known]])
    shape = np.asarray(np.linalg.lstsq(design, columns[known], rcond=1e-6)[0][1:], dtype=np.float64)
    scanner = Scanner(shape, np.zeros(len(frame.rows)))
    return scanner._replace(offsets=np.nan_to_num(line_quantile(scanner.off(frame), trusted, LOWEST)))


def _twist(rest: Floats, frame: Thinned) -> float:
    """Return the least-squares twist of what a scanner leaves, nm."""
    lean = (frame.votes * rest) @ frame.across.astype(np.float32)
    norm = frame.down**2 @ (frame.votes @ (frame.across**2).astype(np.float32))
    return float(frame.down @ lean) / max(float(norm), TINY)


def _known_medians(heights: Floats, trusted: NDArray[np.bool_] | None) -> Doubles:
    return np.nan_to_num(line_median(heights, trusted))


def _means(rest: Floats, votes: Floats) -> Doubles:
    """Return the mean of each line, nm, 0 where nothing votes."""
    return np.asarray((votes * rest).sum(axis=1) / np.maximum(votes.sum(axis=1, dtype=np.float64), TINY))


class Leftover(NamedTuple):
    """The surface that a guess leaves.

    ``substrate``: its levels. ``share``: of the pixels on a level, beyond what chance would put there. ``span_nm``:
    from its lowest to its highest pixels. ``slope_nm``: usual height difference of pixels ``LAG_PX`` apart.
    """

    substrate: Substrate
    share: float
    span_nm: float
    slope_nm: float

    @property
    def disorder(self) -> float:
        """How much it takes to say where each pixel lies, in ln nm: the less, the tidier.

        A pixel on a level costs the logarithm of the level's width, any other that of the space between levels; height
        differences over a short distance count twice, the whole span a little. The weights were tuned on simulated
        scans for the choice to be right.
        """
        apart = self.span_nm / len(self.substrate.levels)
        heights = self.share * np.log(self.substrate.sigma) + (1 - self.share) * np.log(apart)
        return float(heights + 2 * np.log(self.slope_nm) + np.log(self.span_nm) / 4)


def tidier(one: Leftover, other: Leftover) -> bool:
    """True where ``one``, left by the plateau guess, is to be preferred to ``other``, left by the plain one."""
    alike = len(one.substrate.levels) == len(other.substrate.levels) > 1
    return _lies_lower(one, other) or one.disorder <= other.disorder + (IN_DOUBT if alike else 0.0)


def _lies_lower(one: Leftover, other: Leftover) -> bool:
    """True where ``one`` spans less and is no steeper."""
    return one.span_nm < NARROWER * other.span_nm and one.slope_nm <= other.slope_nm


def _climbs_in_vain(frame: Thinned, plateau: Scanner, left_by_plateau: Leftover, left_by_plain: Leftover) -> bool:
    """True where plateaus lie level only because the whole surface climbs, and the raw heights lean otherwise.

    Two levels are an edge, which climbs by rights.
    """
    climbs = left_by_plateau.span_nm / left_by_plain.span_nm
    levels = len(left_by_plateau.substrate.levels)
    step_nm = left_by_plateau.span_nm / levels if levels != EDGE else 0.0
    if climbs <= (CLIMBS if step_nm < CRYSTAL_NM else CLIMBS_HIGH):
        return False
    return leans_otherwise(frame, plateau.off(frame), step_nm=step_nm)


def leftover(frame: Thinned, guess: Scanner) -> Leftover:
    """Look at the surface that a guess leaves."""
    flat = guess.off(frame)
    substrate = find_substrate(flat, frame.votes, noise=least_width(flat, frame))
    values = _some_of(flat, frame.votes)
    low, high = span_of(values)
    span, count = max(high - low, TINY), len(substrate.levels)
    own = substrate.levels.astype(np.float32)[substrate.nearest(values)]
    share = float(np.mean(np.abs(values - own) < 2.5 * substrate.sigma))
    chance = min(0.95, 5 * count * substrate.sigma / span) if count > 1 else 0.0
    return Leftover(substrate, max(0.0, (share - chance) / (1 - chance)), span, _slope(flat, frame.votes))


def extent(flat: Floats, votes: Floats) -> tuple[float, float]:
    """Return what ``flat`` spans and its usual slope, nm, as ``Leftover`` has them."""
    low, high = span_of(_some_of(flat, votes))
    return max(high - low, TINY), _slope(flat, votes)


def breaks(frame: Thinned, scanner: Scanner, *, instead_of: Scanner, span_nm: float) -> bool:
    """True where a scanner leaves a step all along a line that is high for what the surface spans, and higher than any
    that the one ``instead_of`` which it is asked about leaves. ``span_nm``: what the surface spans under that one."""
    highest_nm = highest_step(scanner.off(frame), frame.votes)
    return highest_nm > STEP_OF_SPAN * span_nm and highest_nm > highest_step(instead_of.off(frame), frame.votes)


def highest_step(flat: Floats, votes: Floats) -> float:
    """Return the highest step, nm, that the median pixel of a line of ``flat`` takes from the line before.

    Both (lines, columns); only pixels that vote in both lines count.
    """
    steps = line_median(np.diff(flat, axis=0), (votes[1:] > 0) & (votes[:-1] > 0))
    return float(np.nanmax(np.abs(steps), initial=0))


def _slope(flat: Floats, votes: Floats) -> float:
    return max((sigma_down(flat, votes, LAG_PX) + sigma_across(flat, votes, LAG_PX)) / 2, TINY)


def _some_of(flat: Floats, votes: Floats) -> Floats:
    every = max(1, flat.size // MOST_PIXELS) | 1
    return np.asarray(flat.ravel()[::every][votes.ravel()[::every] > 0])


def least_width(flat: Floats, frame: Thinned) -> float:
    """Return the spread of close pixels, nm, or what float32 can tell of such heights: no level can be narrower."""
    down, across = sigma_down(flat, frame.votes, 2), sigma_across(flat, frame.votes, 1)
    return max(min(down, across) / 2**0.5, 1e-6 * float(np.ptp(frame.heights)), 1e3 * TINY)
