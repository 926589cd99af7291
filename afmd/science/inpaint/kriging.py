"""Kriging across gaps: the best linear prediction of each masked pixel from the data at the edges of its hole.

Rule: data are read, never changed. What a cluster of points finds masked is a first guess; a second sweep uses the
first one's result there.

Ordinary kriging (Matheron 1963) with the covariance of the surface itself. How far a prediction can be trusted is
learnt on the side: the mask, moved elsewhere, makes trial holes whose truth is known (see ``sigma``).
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from afmd.science.inpaint.canvas import TINY, Canvas
from afmd.science.inpaint.covariance import Covariance, estimated, spectrum
from afmd.science.inpaint.gaps import Heights, Mask, Pixels, Reach, located
from afmd.science.inpaint.markov import PLATE, Wide, stencil
from afmd.science.inpaint.places import DISTANCES, Edges, Places, longest_lag, nearer_first, places

CHUNK = 1 << 11
RESTS_ON_GUESSES = 0.05
TRIAL_PIXELS = 3000
ROWS_AT_ONCE = 256
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
class Beside:
    """What another pass says of n pixels, each float32 (n,) nm.

    ``values``: its heights, with kriging's prediction of what lies between the passes. ``apart``: how unevenly the
    passes lie apart at the points that this rests on.
    """

    values: Values
    apart: Values


@dataclass(frozen=True, slots=True, eq=False)
class Kriged:
    """Predictions of the masked pixels, in row-major order, and of trial pixels, with the ``truth`` of the latter.

    ``bent``: nm, where the masked pixels lie on a thin plate; as filled where holes are narrow. ``pixels``: where the
    masked pixels lie. ``beside``: what the other pass says of them, where there is one.
    """

    filled: Predictions
    trial: Predictions
    truth: Values
    bent: Values
    covariance: Covariance
    pixels: Pixels
    beside: Beside | None


def kriged(heights: Heights, mask: Mask, other: Heights | None = None) -> Kriged:
    """Predict every masked pixel of ``heights``, float32 (rows, cols) nm; some pixels are masked, not all.

    ``other``: the opposite pass, laid on this one, like ``heights``.
    """
    pixels, trial = located(mask), trial_holes(mask)
    trials, trial_seen = located(trial), _seen_from(trial, mask)
    canvas = Canvas(heights, mask)
    origin, tried = canvas.origin(pixels), canvas.origin(trials)
    canvas.prime(origin, pixels.seen)
    apart = None
    if other is not None:
        apart = Canvas(heights - other, mask)
        apart.prime(origin, pixels.seen)
    edges = nearer_first(np.concatenate([pixels.seen, trial_seen], axis=1))
    power = spectrum(canvas.frame())
    covariance = estimated(power, longest_lag=longest_lag(edges))
    kinds = tuple(places(edges, covariance)) if covariance.variance > 0 else ()
    variance = np.float32(covariance.variance)
    holes = _Sweeps(canvas, origin, edges, first=0, apart=apart).run(kinds, variance)
    if holes.beside is not None and other is not None:
        holes.beside.values[:] += other.reshape(-1).take(pixels.at)
    canvas.flat[origin] = holes.found.values
    bent = _seen_whole(Wide(canvas, mask), holes.found.values, pixels.at, power) if kinds else holes.found.values
    canvas.flat[origin] = holes.found.values
    canvas.prime(tried, trial_seen)
    found = _Sweeps(canvas, tried, edges, first=origin.size).run(kinds, variance).found
    return Kriged(holes.found, found, heights.reshape(-1).take(trials.at), bent, covariance, pixels, holes.beside)


def _seen_whole(wide: Wide, values: Values, at: NDArray[np.intp], power: NDArray[np.float64]) -> Values:
    """Refine ``values`` where holes are wide; return those of thin plates there, and elsewhere the same.

    ``at``: where each value lies in the flat frame. ``power``: the surface's spectrum.
    """
    bent = values.copy()
    if wide.places.size:
        among = np.searchsorted(at, wide.places)
        bent[among] = wide.settled(lambda _: PLATE)
        values[among] = wide.settled(partial(stencil, power))
    return bent


def trial_holes(mask: Mask) -> Mask:
    """Return the mask moved elsewhere, less what is masked there, cut to the rows that hold enough of it."""
    down, across = (round(share * side) for share, side in zip(MOVED, mask.shape, strict=True))
    trial, held = np.zeros_like(mask), 0
    for top in range(0, len(mask), ROWS_AT_ONCE):
        rows = np.arange(top, min(top + ROWS_AT_ONCE, len(mask)))
        moved = np.roll(mask.take(rows - down, axis=0, mode="wrap"), across, axis=1) & ~mask[top : top + ROWS_AT_ONCE]
        counts = held + np.cumsum(np.count_nonzero(moved, axis=1))
        trial[rows[counts <= TRIAL_PIXELS]] = moved[counts <= TRIAL_PIXELS]
        held = int(counts[-1])
        if held > TRIAL_PIXELS:
            break
    return trial


_Again = tuple[NDArray[np.intp], NDArray[np.intp], Values]
"""Pixels to predict again, where the points lie that they rest on, and the weights of these."""


def _seen_from(trial: Mask, mask: Mask) -> Reach:
    """Return how far trial pixels are from data, which are what neither mask nor trial holds.

    Lines further from any trial pixel than distances count are left out: for all that they tell, they are data.
    """
    lines = np.flatnonzero(trial.any(axis=1))
    if lines.size == 0:
        return located(trial).seen
    near = slice(max(lines[0] - DISTANCES[-1], 0), lines[-1] + DISTANCES[-1] + 1)
    both = mask[near] | trial[near]
    return located(both).seen[:, trial[near][both]]


class _Sweeps:
    """The pixels at ``origin`` on a canvas, which are numbers ``first`` and on among those of the edges.

    ``found``, ``beside``: what is predicted of them; until ``run``, the guesses that prime the canvases, with the whole
    surface's variance. ``apart``: a canvas of what lies between the passes.
    """

    def __init__(
        self, canvas: Canvas, origin: NDArray[np.intp], edges: Edges, *, first: int, apart: Canvas | None = None
    ) -> None:
        self.canvas, self.origin, self.edges, self.first, self.apart = canvas, origin, edges, first, apart
        one, none = np.ones(origin.size, np.float32), np.zeros(origin.size, np.float32)
        self.found = Predictions(canvas.flat.take(origin), one, one.copy(), none)
        self.beside = Beside(apart.flat.take(origin), none.copy()) if apart is not None else None

    def run(self, kinds: tuple[Places, ...], variance: np.float32) -> "_Sweeps":
        """Predict once from data and guesses, and again, with the results for guesses, what rests on guesses."""
        again: list[_Again] = []
        for place in kinds:
            begin, end = np.searchsorted(place.members, [self.first, self.first + self.origin.size])
            ways = self.canvas.ways(place)
            parts = (slice(start, min(start + CHUNK, end)) for start in range(begin, end, CHUNK))
            again += [self._first(place, ways, part, variance) for part in parts]
        self.canvas.flat[self.origin] = self.found.values
        for at, index, weights in again:
            self.found.values[at] = np.einsum("kn,kn->n", self.canvas.flat.take(index), weights)
        self.found.variance[:] *= variance
        return self

    def _first(self, place: Places, ways: NDArray[np.intp], which: slice, variance: np.float32) -> _Again:
        """Predict some members of a place; return what of them rests on guesses, to be predicted again."""
        found, at, kind = self.found, place.members[which] - self.first, place.kind[which]
        index = self.canvas.index(place, ways, which, self.origin.take(at), self.edges)
        weights = place.weights.take(kind, axis=1)
        found.values[at], spread = _weighed(self.canvas.flat.take(index), weights)
        found.variance[at] = place.variance.take(kind)
        found.contrast[at] = np.sqrt(spread / np.maximum(place.spread * variance, TINY).take(kind))
        if self.apart is not None and self.beside is not None:
            self.beside.values[at], square = _weighed(self.apart.flat.take(index), weights)
            self.beside.apart[at] = np.sqrt(square)
        guessed = self._guessed(index, weights)
        found.guessed[at] = guessed
        again = np.flatnonzero(guessed > RESTS_ON_GUESSES)
        return at[again], index.take(again, axis=1), weights.take(again, axis=1)

    def _guessed(self, index: NDArray[np.intp], weights: NDArray[np.float32]) -> Values:
        """Return how much of the weight is on guesses: most points are data."""
        count = index.shape[1]
        which = np.flatnonzero(self.canvas.guess.take(index))
        share = np.abs(weights.reshape(-1).take(which))
        return np.bincount(which % count, share, minlength=count).astype(np.float32)


def _weighed(points: NDArray[np.float32], weights: NDArray[np.float32]) -> tuple[Values, Values]:
    """Return the weighted sums of points, (points, n), and their mean squares about them, each (n,)."""
    value = np.einsum("kn,kn->n", points, weights)
    points -= value
    return value, np.einsum("kn,kn->n", points, points) * np.float32(1 / len(points))
