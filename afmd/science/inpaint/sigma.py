"""The standard deviation of every filled pixel. Rule: it is measured on trial holes in the same scan.

Kriging's own variance is right on average for a Gaussian surface. Real ones have flat ground and steep edges, and holes
have ragged borders. So the errors in trial holes of the same shapes are compared with what kriging expected, by how
much it expected, by how much of the prediction rests on guesses, and by the contrast of the data around (in proportion
to it beyond what the trial holes had).
"""

from collections.abc import Callable

import numpy as np

from afmd.science.inpaint.kriging import Kriged, Predictions, Values

FEWEST = 100
PARTS = np.array([0.2, 0.4, 0.6, 0.75, 0.86, 0.93, 0.97])
"""Where the sorted trial pixels are divided: finer towards the top, where holes at the edges of features belong."""
COVERED, COVERED_SIGMAS = 0.90, 1.645
"""The share of errors that must lie within so many standard deviations."""
HARDER = 1.15
"""Artefacts lie where the surface is hard to guess, and have touched the data beside them: holes that they leave have
so much larger errors than trial holes (simulated scans, median over kinds)."""
LEAST_CONTRAST = 0.05
TINY = np.finfo(np.float32).tiny


def standard_deviation(guess: Kriged) -> Values:
    """Return σ in nm of each filled pixel, its noise included, float32 (n,): 90 % of errors are below 1.645 σ."""
    sigma, trial_sigma = np.sqrt(guess.filled.variance), np.sqrt(guess.trial.variance)
    errors = np.abs(guess.trial.values - guess.truth)
    if len(errors) >= FEWEST:
        for feature in FEATURES:
            curve = _curve(feature(guess.trial), errors / np.maximum(trial_sigma, TINY))
            sigma, trial_sigma = sigma * curve(feature(guess.filled)), trial_sigma * curve(feature(guess.trial))
        highest = max(float(np.quantile(guess.trial.contrast, PARTS[-1])), LEAST_CONTRAST)
        sigma *= np.maximum(guess.filled.contrast / np.float32(highest), 1)
    return (np.float32(HARDER) * sigma).astype(np.float32)


FEATURES: tuple[Callable[[Predictions], Values], ...] = (
    lambda of: np.log(of.variance + TINY),
    lambda of: of.guessed,
    lambda of: np.log(of.contrast + TINY),
)
"""What the factor on kriging's own σ depends on; each is measured after the ones before have been applied."""


def _curve(feature: Values, excess: Values) -> Callable[[Values], Values]:
    """Return the function of a feature that gives the 90 % quantile of the excess over 1.645, from parts."""
    order = np.argsort(feature)
    parts = np.split(order, (PARTS * len(order)).astype(np.intp)) if len(order) >= 8 * FEWEST else [order]
    middle = [float(feature[part[len(part) // 2]]) for part in parts]
    level = [_quantile(excess[part]) / COVERED_SIGMAS for part in parts]
    return lambda wanted: np.interp(wanted, middle, level).astype(np.float32)


def _quantile(excess: Values) -> float:
    """Return what ``COVERED`` of the values lie below."""
    place = int(COVERED * len(excess))
    return float(np.partition(excess, place)[place])
