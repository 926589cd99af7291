"""Lines that lie almost wholly on a feature: a fit that takes the feature's top for ground sinks them.

Under a sound fit the lowest heights of every line lie near the ground. Where they swing from line to line by many times
the ground's own width, the lines were laid wrong, or the ground has deep holes. So two other fits are made, one from
these lines raised to a common lowest height, one from the lowest heights alone, and all are compared.

Rule: lines are raised only where the whole surface is clearly tidier for it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from afmd.science.flatten.guesses import LOWEST, Leftover, breaks, leftover, low_guess
from afmd.science.flatten.refine import Fit, refined
from afmd.science.flatten.scanner import Scanner, powers
from afmd.science.flatten.thinned import Thinned
from afmd.science.robust import line_quantile

Doubles = NDArray[np.float64]

SWINGS, SWINGS_OF_RELIEF = 30.0, 0.3
"""Least swing of the lines' lowest heights, in widths of the ground and as a share of the relief, for which other fits
are made."""
FEWEST_SHARE = 1 / 32
"""Share of the lines that must be sunk side by side to count."""
TIDIER = 0.15
"""Least gain in order, in ln nm."""


def without_sunken_lines(frame: Thinned, fit: Fit, order: int, left: Leftover) -> Fit:
    """Return the fit, or a tidier one where lines have sunk. ``left``: what ``fit`` leaves. ``order``: of the shape."""
    low = _lowest(frame, fit.scanner)
    reach = max(3, round(len(low) * FEWEST_SHARE)) | 1
    swing = float(np.ptp(median_filter(low, reach)))
    if swing < SWINGS * left.substrate.sigma or swing < SWINGS_OF_RELIEF * left.span_nm:
        return fit
    raised = fit.scanner._replace(offsets=fit.scanner.offsets + low)
    best, least = fit, left.disorder - TIDIER
    for guess in (raised, low_guess(frame, powers(frame.across, order))):
        other, disorder = _settled(frame, guess)
        if disorder < least and not breaks(frame, other.scanner, instead_of=fit.scanner, span_nm=left.span_nm):
            best, least = other, disorder
    return best


def _settled(frame: Thinned, guess: Scanner) -> tuple[Fit, float]:
    """Return the fit that begins at ``guess``, fitted twice, and the disorder that it leaves."""
    once = refined(frame, guess, leftover(frame, guess).substrate, twists=False)
    twice = refined(frame, once.scanner, leftover(frame, once.scanner).substrate, twists=False)
    return twice, leftover(frame, twice.scanner).disorder


def _lowest(frame: Thinned, scanner: Scanner) -> Doubles:
    """Return how high each line's lowest ground lies without the scanner, (lines,) nm."""
    trusted = None if frame.votes.all() else frame.votes > 0
    return np.nan_to_num(line_quantile(scanner.off(frame), trusted, LOWEST))
