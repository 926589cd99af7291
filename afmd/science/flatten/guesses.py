"""Two first guesses of the scanner, and which of them leaves the tidier surface.

The plateau guess is right wherever there is flat ground, and sees nothing but slopes on a rough film; the plain guess,
medians of lines and columns, is right on a rough film, and tilts terraces and sinks under crowds of particles.

Rule: the choice looks at the surface that is left, not at the guess.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.plateaus import first_guess
from afmd.science.flatten.substrate import MOST_PIXELS, Substrate, find_substrate, span_of
from afmd.science.flatten.thinned import Floats, Thinned
from afmd.science.robust import TINY, line_median, narrow_sigma

Doubles = NDArray[np.float64]

LAGS_PX = (2, 6, 18)
PLATEAUS_SURE = 0.9
"""The plateau guess is taken whatever the heights say when it leaves slopes smaller by this much, in ln."""


class Guess(NamedTuple):
    """``shape``: coefficients (order,) along the line, nm. ``offsets``: (lines,) nm."""

    shape: Doubles
    offsets: Doubles


def best_guess(frame: Thinned, basis: Doubles) -> tuple[Guess, Substrate]:
    """Return the guess that leaves the tidier surface, and that surface's levels. ``basis``: (columns, order)."""
    plateau, plain = Guess(*first_guess(frame, basis)), plain_guess(frame, basis)
    ours, theirs = disorder(frame, basis, plateau), disorder(frame, basis, plain)
    if ours.total <= theirs.total or theirs.slopes - ours.slopes > PLATEAUS_SURE:
        return plateau, ours.substrate
    return plain, theirs.substrate


def plain_guess(frame: Thinned, basis: Doubles) -> Guess:
    """Return the shape of the columns' medians about the lines' medians, and then the lines' medians."""
    trusted = None if frame.votes.all() else frame.votes > 0
    middle = _known_medians(frame.heights, trusted)
    rest = np.ascontiguousarray((frame.heights - middle[:, None].astype(np.float32)).T)
    columns = line_median(rest, None if trusted is None else np.ascontiguousarray(trusted.T))
    known = np.isfinite(columns)
    design = np.column_stack([np.ones(np.count_nonzero(known)), basis[known]])
    shape = np.asarray(np.linalg.lstsq(design, columns[known], rcond=1e-6)[0][1:], dtype=np.float64)
    return Guess(shape, _known_medians(frame.heights - (basis @ shape).astype(np.float32), trusted))


def _known_medians(heights: Floats, trusted: NDArray[np.bool_] | None) -> Doubles:
    return np.nan_to_num(line_median(heights, trusted))


class Disorder(NamedTuple):
    """How untidy a surface is, in natural logarithms of nm: the less, the better. ``slopes`` is part of ``total``."""

    total: float
    slopes: float
    substrate: Substrate


def disorder(frame: Thinned, basis: Doubles, guess: Guess) -> Disorder:
    """Return how much it takes to say where each pixel of the levelled surface lies.

    A pixel on a level costs the logarithm of the level's width, any other that of the space between levels; levels that
    would catch as many pixels by chance save nothing. Height differences over short distances count beside heights.
    """
    flat = frame.heights - (basis @ guess.shape).astype(np.float32) - guess.offsets[:, None].astype(np.float32)
    substrate = find_substrate(flat, frame.votes, noise=least_width(flat, frame))
    every = max(1, flat.size // MOST_PIXELS) | 1
    values = flat.ravel()[::every][frame.votes.ravel()[::every] > 0]
    low, high = span_of(values)
    span = max(high - low, TINY)
    own = substrate.levels.astype(np.float32)[substrate.nearest(values)]
    share = float(np.mean(np.abs(values - own) < 2.5 * substrate.sigma))
    count = len(substrate.levels)
    chance = min(0.95, 5 * count * substrate.sigma / span) if count > 1 else 0.0
    share = max(0.0, (share - chance) / (1 - chance))
    heights = share * np.log(substrate.sigma) + (1 - share) * np.log(span / count)
    slopes = [float(np.log(max(_slope(flat, frame.votes, lag), TINY))) for lag in LAGS_PX]
    return Disorder(float(heights) + sum(slopes) / len(slopes), slopes[1], substrate)


def _slope(flat: Floats, votes: Floats, lag: int) -> float:
    """Return the usual height difference of pixels ``lag`` apart, both ways, nm."""
    down, across = step_sigmas(flat, votes, lag)
    return (down + across) / 2


def least_width(flat: Floats, frame: Thinned) -> float:
    """Return the spread of close pixels, nm, or what float32 can tell of such heights: no level can be narrower."""
    down, across = step_sigmas(flat, frame.votes, 2)[0], step_sigmas(flat, frame.votes, 1)[1]
    return max(min(down, across) / 2**0.5, 1e-6 * float(np.ptp(frame.heights)), 1e3 * TINY)


def step_sigmas(flat: Floats, votes: Floats, lag: int) -> tuple[float, float]:
    """Return σ of the differences of pixels ``lag`` apart (down, across), nm, from a sample of the lines."""
    every = max(1, flat.size // MOST_PIXELS)
    down, across = min(lag, len(flat) - 1), min(lag, flat.shape[1] - 1)
    top, bottom = slice(None, -down, every), slice(down, None, every)
    some, some_votes = flat[::every], votes[::every]
    return (
        narrow_sigma(flat[bottom] - flat[top], votes[bottom] * votes[top]),
        narrow_sigma(some[:, across:] - some[:, :-across], some_votes[:, across:] * some_votes[:, :-across]),
    )
