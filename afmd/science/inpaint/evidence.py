"""Filling with what was measured inside the hole as evidence: kriging says what the surroundings expect, the measured
heights say what of it was seen, and a small network weighs the two.

Rule: the result is a weighted mean of a few candidate heights, moved by at most ``FURTHEST`` times kriging's own doubt:
whatever stands in a hole, the filling stays within what was measured and expected there.

The network is a function of ratios alone (see ``clues``), with two hidden layers, the same for every pixel. It is
trained on simulated scans of ``twin.TRAINING`` by ``afmd.training.filling``, one network that hears one pass and one
that hears both, among them holes whose contents tell
nothing and masks that are too wide: the height by squared error over the rms of the scan, the interval as the 90 %
quantile of the error (pinball loss, Koenker and Bassett 1978).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.science.inpaint.clues import (
    CANDIDATES,
    PASS_CANDIDATES,
    PASS_DIFFERENCES,
    PASS_SCAN_CLUES,
    PIXEL_CLUES,
    SCAN_CLUES,
    Clues,
)
from afmd.science.inpaint.coefficients import BOTH_PASSES, ONE_PASS
from afmd.science.inpaint.gaps import Heights, Mask
from afmd.science.inpaint.kriging import Kriged, Values
from afmd.science.inpaint.numbers import unpacked
from afmd.science.inpaint.sigma import COVERED_SIGMAS

CHUNK = 1 << 11
FURTHEST = 2.0
HIDDEN = 32
Shapes = tuple[tuple[int, ...], ...]


def shapes(*, passes: bool) -> Shapes:
    """Return those of a network's arrays: the range of the scan's clues in training, weights and biases of layers."""
    pixel, scan = PIXEL_CLUES + passes * PASS_DIFFERENCES, SCAN_CLUES + passes * PASS_SCAN_CLUES
    outputs = CANDIDATES + passes * PASS_CANDIDATES + 2
    return ((2, scan), (HIDDEN, pixel + scan), (HIDDEN,), (HIDDEN, HIDDEN), (HIDDEN,), (outputs, HIDDEN), (outputs,))


NARROWEST, WIDEST = -4.0, 3.0
"""Bounds of the logarithm of the half interval over the doubt."""
UNLIKE = 0.97
"""Factor on the intervals as they were learnt, from holes that have unseen faults beside them. Where nothing is spoilt
beside a hole they are still too wide: 95 to 97 % of cut holes in measured surfaces are covered."""
UNEVEN = np.float32(0.5)
"""How much of the passes' unevenness around a hole counts as standard deviation: real passes repeat each other less
well than simulated ones (of holes cut into three real scans, the interval held 66 to 85 % without, 79 to 95 % with)."""


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """Heights and their standard deviations, each float32 (n,) nm."""

    values: Values
    sigma: Values


def weighed(heights: Heights, mask: Mask, *, guess: Kriged, sigma: Values) -> Weighed:
    """Return the masked pixels' heights from ``heights`` as measured, float32 (rows, cols) nm, and from kriging.

    ``guess``, ``sigma``: kriging's prediction and its standard deviation. Where nothing was measured (heights under the
    mask that are all the same, or not finite) kriging's own stand.
    """
    measured = heights.reshape(-1).take(guess.pixels.at)
    known = np.isfinite(measured)
    every = bool(known.all())
    told = measured if every else measured[known]
    if guess.covariance.variance <= 0 or told.size == 0 or np.ptp(told) == 0:
        return Weighed(guess.filled.values, sigma)
    found = judged(Clues(heights, mask, guess=guess, sigma=sigma))
    own = found.sigma if guess.beside is None else np.hypot(found.sigma, UNEVEN * guess.beside.apart)
    values = guess.filled.values + found.values
    if every:
        return Weighed(values, own)
    return Weighed(np.where(known, values, guess.filled.values), np.where(known, own, sigma))


def judged(of: Clues) -> Weighed:
    """Return what the network makes of clues: heights relative to kriging's, and standard deviations, in nm."""
    values, sigma = np.empty_like(of.doubt), np.empty_like(of.doubt)
    numbers = unpacked(BOTH_PASSES if of.passes else ONE_PASS, shapes(passes=of.passes))
    lowest_highest, first, first_bias, second, second_bias, last, last_bias = numbers
    pixel_clues = first.shape[1] - of.scan.size
    bias = first_bias + first[:, pixel_clues:] @ np.clip(of.scan, lowest_highest[0], lowest_highest[1])
    of_pixel = np.ascontiguousarray(first[:, :pixel_clues])
    for start in range(0, values.size, CHUNK):
        part = slice(start, start + CHUNK)
        hidden = _layer(second, second_bias, _layer(of_pixel, bias, of.pixels(part)))
        out = last @ hidden + last_bias[:, None]
        values[part], sigma[part] = mixed(out, of.candidates(part), of.doubt[part])
    return Weighed(values * np.float32(of.unit_nm), sigma * np.float32(of.unit_nm))


def _layer(weights: Values, bias: Values, inputs: Values) -> Values:
    out: Values = weights @ inputs
    out += bias[:, None]
    return np.maximum(out, 0, out=out)


def mixed(out: NDArray[np.float32], candidates: NDArray[np.float32], doubt: Values) -> tuple[Values, Values]:
    """Return the weighted mean of the candidates, moved, and σ, each (n,), from the network's outputs (outputs, n)."""
    weights, move, width = out[:-2], out[-2], out[-1]
    weights -= weights.max(axis=0)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=0)
    mean = np.einsum("kn,kn->n", weights, candidates)
    spread = np.einsum("kn,kn->n", weights, np.square(candidates - mean))
    half = np.exp(np.clip(width, NARROWEST, WIDEST)) * np.sqrt(np.square(doubt) + spread)
    return mean + np.float32(FURTHEST) * doubt * np.tanh(move), half * np.float32(UNLIKE / COVERED_SIGMAS)
