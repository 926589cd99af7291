"""Two first guesses of the scanner, and which of them leaves the tidier surface.

The plateau guess is right wherever there is flat ground, and sees nothing but slopes on a rough film; the plain guess,
medians of lines and columns, is right on a rough film, and tilts terraces and sinks under crowds of particles.

Rule: the choice looks at the surface that is left, not at the guess.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.plateaus import first_guess
from afmd.science.flatten.substrate import find_substrate
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


def best_guess(frame: Thinned, basis: Doubles) -> Guess:
    """Return the guess that leaves the tidier surface. ``basis``: (columns, order)."""
    plateau, plain = Guess(*first_guess(frame, basis)), plain_guess(frame, basis)
    ours, theirs = disorder(frame, basis, plateau), disorder(frame, basis, plain)
    return plateau if ours.total <= theirs.total or theirs.slopes - ours.slopes > PLATEAUS_SURE else plain


def plain_guess(frame: Thinned, basis: Doubles) -> Guess:
    """Return the shape of the columns' medians about the lines' medians, and then the lines' medians."""
    trusted = None if frame.votes.all() else frame.votes > 0
    middle = _known_medians(frame.heights, trusted)
    rest = np.ascontiguousarray((frame.heights - middle[:, None].astype(np.float32)).T)
    columns = line_median(rest, None if trusted is None else np.ascontiguousarray(trusted.T))
    known = np.isfinite(columns)
    design = np.column_stack([np.ones(np.count_nonzero(known)), basis[known]])
    shape = np.linalg.lstsq(design, columns[known], rcond=1e-6)[0][1:]
    return Guess(shape, _known_medians(frame.heights - (basis @ shape).astype(np.float32), trusted))


def _known_medians(heights: Floats, trusted: NDArray[np.bool_] | None) -> Doubles:
    return np.nan_to_num(line_median(heights, trusted))


class Disorder(NamedTuple):
    """How untidy a surface is, in natural logarithms of nm: the less, the better. ``slopes`` is part of ``total``."""

    total: float
    slopes: float


def disorder(frame: Thinned, basis: Doubles, guess: Guess) -> Disorder:
    """Return how much it takes to say where each pixel of the levelled surface lies.

    A pixel on a level costs the logarithm of the level's width, any other that of the space between levels; levels that
    would catch as many pixels by chance save nothing. Height differences over short distances count beside heights.
    """
    flat = frame.heights - (basis @ guess.shape).astype(np.float32) - guess.offsets[:, None].astype(np.float32)
    trusted = frame.votes > 0
    substrate = find_substrate(flat, frame.votes, noise=least_width(flat, frame.votes))
    values = flat[trusted]
    low, high = np.quantile(values[:: max(1, values.size // 20_000)], [0.003, 0.997])
    span = max(float(high - low), TINY)
    own = substrate.levels.astype(np.float32)[substrate.nearest(values)]
    share = float(np.mean(np.abs(values - own) < 2.5 * substrate.sigma))
    count = len(substrate.levels)
    chance = min(0.95, 5 * count * substrate.sigma / span) if count > 1 else 0.0
    share = max(0.0, (share - chance) / (1 - chance))
    heights = share * np.log(substrate.sigma) + (1 - share) * np.log(span / count)
    slopes = [float(np.log(max(_slope(flat, frame.votes, lag), TINY))) for lag in LAGS_PX]
    return Disorder(float(heights) + sum(slopes) / len(slopes), slopes[1])


def _slope(flat: Floats, votes: Floats, lag: int) -> float:
    """Return the usual height difference of pixels ``lag`` apart, both ways, nm."""
    lag_down, lag_across = min(lag, len(flat) - 1), min(lag, flat.shape[1] - 1)
    down = narrow_sigma(flat[lag_down:] - flat[:-lag_down], votes[lag_down:] * votes[:-lag_down])
    across = narrow_sigma(flat[:, lag_across:] - flat[:, :-lag_across], votes[:, lag_across:] * votes[:, :-lag_across])
    return (down + across) / 2


def least_width(flat: Floats, votes: Floats) -> float:
    """Return the spread of close pixels, nm: no level can be narrower."""
    lag = min(2, len(flat) - 1)
    across = narrow_sigma(flat[:, 1:] - flat[:, :-1], votes[:, 1:] * votes[:, :-1])
    down = narrow_sigma(flat[lag:] - flat[:-lag], votes[lag:] * votes[:-lag])
    return max(float(min(across, down)) / 2**0.5, 1e-6 * float(np.ptp(flat)), TINY)
