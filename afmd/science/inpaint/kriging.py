"""Kriging across gaps: the best linear prediction of each masked pixel from the data at the edges of its hole.

Rule: data are read, never changed. What a cluster of points finds masked is a first guess; a second sweep uses the
first one's result there.

Ordinary kriging (Matheron 1963) with the covariance of the surface itself. How far a prediction can be trusted is
learnt on the side: the mask, moved elsewhere, makes trial holes whose truth is known (see ``sigma``).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.science.inpaint.canvas import TINY, Canvas
from afmd.science.inpaint.covariance import Covariance, estimated
from afmd.science.inpaint.gaps import Heights, Mask, Reach, reach
from afmd.science.inpaint.places import DISTANCES, Edges, Places, longest_lag, nearer_first, places

CHUNK = 1 << 12
RESTS_ON_GUESSES = 0.05
TRIAL_PIXELS = 3000
MOVED = (0.382, 0.236)
"""How far the mask is moved for its trial holes, in frame heights and widths: far from any simple fraction."""

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What is predicted of n pixels, each float32 (n,).

    ``values``: nm. ``variance``: nm², of the error as the covariance has it, noise of the pixel itself included.
    ``contrast``: the spread of the points that the prediction rests on over the expected one; above 1 near steps.
    ``guessed``: how much of the weight rests on points that are masked themselves.
    """

    values: Values
    variance: Values
    contrast: Values
    guessed: Values

    def part(self, where: slice) -> "Predictions":
        """Return the predictions of some of the pixels."""
        return Predictions(self.values[where], self.variance[where], self.contrast[where], self.guessed[where])


@dataclass(frozen=True, slots=True, eq=False)
class Kriged:
    """Predictions of the masked pixels, in row-major order, and of trial pixels, with the ``truth`` of the latter.

    ``seen``: int32 (4, n), how far the masked pixels are from data, as ``gaps.reach`` has it.
    """

    filled: Predictions
    trial: Predictions
    truth: Values
    covariance: Covariance
    seen: Reach


def kriged(heights: Heights, mask: Mask) -> Kriged:
    """Predict every masked pixel of ``heights``, float32 (rows, cols) nm; some pixels are masked, not all."""
    trial = trial_holes(mask)
    seen = reach(mask), _seen_from(trial, mask)
    canvas = Canvas(heights, mask)
    origin = canvas.origin(mask)
    canvas.prime(origin, seen[0])
    edges = nearer_first(np.concatenate(seen, axis=1))
    covariance = estimated(canvas.frame(), longest_lag=longest_lag(edges))
    kinds = tuple(places(edges, covariance)) if covariance.variance > 0 else ()
    filled = _Sweeps(canvas, origin, edges, first=0).run(kinds, covariance)
    canvas.flat[origin] = filled.values
    trials = canvas.origin(trial)
    canvas.prime(trials, seen[1])
    tried = _Sweeps(canvas, trials, edges, first=origin.size).run(kinds, covariance)
    return Kriged(filled, tried, heights[trial], covariance, seen[0])


def trial_holes(mask: Mask) -> Mask:
    """Return the mask moved elsewhere, less what is masked there, cut to the rows that hold enough of it."""
    moved = np.roll(mask, [round(share * side) for share, side in zip(MOVED, mask.shape, strict=True)], axis=(0, 1))
    moved &= ~mask
    moved[np.cumsum(np.count_nonzero(moved, axis=1)) > TRIAL_PIXELS] = False
    return moved


_Again = tuple[NDArray[np.intp], NDArray[np.intp], Values]
"""Pixels to predict again, where the points lie that they rest on, and the weights of these."""


def _seen_from(trial: Mask, mask: Mask) -> Reach:
    """Return how far trial pixels are from data, which are what neither mask nor trial holds.

    Lines further from any trial pixel than distances count are left out: for all that they tell, they are data.
    """
    lines = np.flatnonzero(trial.any(axis=1))
    if lines.size == 0:
        return reach(trial)
    near = slice(max(lines[0] - DISTANCES[-1], 0), lines[-1] + DISTANCES[-1] + 1)
    both = mask[near] | trial[near]
    return reach(both)[:, trial[near][both]]


@dataclass(frozen=True, slots=True, eq=False)
class _Sweeps:
    """The pixels at ``origin`` on a canvas, which are numbers ``first`` and on among those of the edges."""

    canvas: Canvas
    origin: NDArray[np.intp]
    edges: Edges
    first: int

    def run(self, kinds: tuple[Places, ...], covariance: Covariance) -> Predictions:
        """Predict once from data and guesses, and again, with the results for guesses, what rests on guesses."""
        found = _unseen(self.canvas.flat[self.origin])
        again = [self._first(found, place, which, np.float32(covariance.variance)) for place, which in self._own(kinds)]
        self.canvas.flat[self.origin] = found.values
        for at, index, weights in again:
            found.values[at] = np.einsum("nk,nk->n", self.canvas.flat.take(index), weights)
        found.variance[:] *= np.float32(covariance.variance)
        return found

    def _own(self, kinds: tuple[Places, ...]) -> Iterator[tuple[Places, NDArray[np.intp]]]:
        """Yield each place with its members among these pixels, not too many at a time."""
        for place in kinds:
            begin, end = np.searchsorted(place.members, [self.first, self.first + self.origin.size])
            for start in range(begin, end, CHUNK):
                yield place, np.arange(start, min(start + CHUNK, end))

    def _first(self, found: Predictions, place: Places, which: NDArray[np.intp], variance: np.float32) -> _Again:
        """Predict some members of a place; return what of them rests on guesses, to be predicted again."""
        at, kind = place.members[which] - self.first, place.kind[which]
        index, weights = self.canvas.index(place, which, self.origin[at], self.edges), place.weights.take(kind, axis=0)
        points = self.canvas.flat.take(index)
        value = np.einsum("nk,nk->n", points, weights)
        points -= value[:, None]
        spread = np.einsum("nk,nk->n", points, points) / np.float32(points.shape[1])
        found.values[at] = value
        found.variance[at] = place.variance[kind]
        found.contrast[at] = np.sqrt(spread / np.maximum(place.spread[kind] * variance, TINY))
        guessed = np.einsum("nk,nk->n", np.abs(weights), self.canvas.guess.take(index))
        found.guessed[at] = guessed
        again = np.flatnonzero(guessed > RESTS_ON_GUESSES)
        return at[again], index[again], weights[again]


def _unseen(values: Values) -> Predictions:
    """Return what is said of pixels that see no data: the guess, with the whole surface's variance."""
    return Predictions(values, np.ones_like(values), np.ones_like(values), np.zeros_like(values))
