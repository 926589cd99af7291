"""Where a scanner seems to leave its course and comes back onto it, it never left.

A ridge or a trench along the lines, fibres that lie along them, a band in which contact was lost: a fit of the lines
takes each for a step of the scanner up and, some lines later, the same step down. A scanner on a smooth course over
most of the frame does not come back onto it to within a twelfth of its step by chance. There it is led straight on.

Rule: what rises or falls at once, from one line to the next, may be a slip, and stays undone.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from afmd.science.robust import SIGMA_PER_MAD, TINY, median, row_medians

Doubles = NDArray[np.float64]

ORDER = 3
ROUNDS, HELD_ROUNDS = 20, 8
SOFT = 30.0
ON_COURSE, NEAR, OFF = 0.6, 0.01, 4.0
"""Share of all lines that must lie on the course: within this share of the surface's span, or so many of their own
spreads."""
HIGH, CLEAR = 0.08, 12.0
"""Least height of a band, as a share of the surface's span and in spreads of the lines that lie on the course."""
SHORTEST, JOINED, MOST = 4, 2, 8
"""Fewest lines of a band, where lines that stray alone are none; bands so few lines apart are one; a course with more
bands is none."""
MARGIN = 3
"""A band so near the frame's border does not come back, and is believed only beside one that does."""
REACH, AT_ONCE, RISEN = 4, 0.72, 0.7
"""Lines on either side of an edge in which it runs, and from which share of all that rises there a single step is a
slip's: edges that the tip has rounded, or that are not straight, take several. The share of its height by which a band
at the border must rise there."""
COLUMNS = 256


class _Band(NamedTuple):
    """The lines ``first`` … ``last`` lie off the course by up to ``height_nm``; ``edges``: where it begins and ends, if
    that is not at the frame's border."""

    first: int
    last: int
    height_nm: float
    edges: tuple[int, ...]


def led_straight(offsets: Doubles, heights: NDArray[np.float32], *, span_nm: float) -> Doubles:
    """Return the offsets of all lines, nm, without what was the sample's; the same object where there is nothing.

    ``offsets``: (rows,) nm, as fitted. ``heights``: (rows, cols) nm, as measured. ``span_nm``: of the surface that the
    offsets leave.
    """
    if len(offsets) < 2 * (MARGIN + REACH + SHORTEST):
        return offsets
    course = _course(offsets)
    bands = _bands(offsets - course, span_nm)
    if not bands or _slips(bands, heights):
        return offsets
    straight = offsets.copy()
    for band in bands:
        straight[band.first : band.last] = course[band.first : band.last]
    return straight


def _course(offsets: Doubles) -> Doubles:
    """Return the smooth course on which most lines lie, nm, (rows,): from least absolute deviations to a biweight."""
    design = np.vander(np.linspace(-1, 1, len(offsets)), ORDER + 1)
    course = np.full_like(offsets, median(offsets))
    for turn in range(ROUNDS + HELD_ROUNDS):
        away = np.abs(offsets - course)
        usual = SIGMA_PER_MAD * median(away) + TINY
        if turn < ROUNDS:
            weight = 1 / np.maximum(away, usual / SOFT)
        else:
            weight = np.square(np.maximum(1 - np.square(away / (OFF * usual)), 0))
        weighed = design.T * weight
        course = design @ np.linalg.lstsq(weighed @ design, weighed @ offsets, rcond=None)[0]
    return np.asarray(course)


def _bands(away: Doubles, span_nm: float) -> list[_Band]:
    """Return the bands in which lines lie ``away`` from the course, nm; none where they tell of another course."""
    off = np.abs(away) > max(OFF * SIGMA_PER_MAD * median(np.abs(away)), NEAR * span_nm)
    if 1 - off.mean() < ON_COURSE:
        return []
    least_nm = CLEAR * float(away[~off].std())
    bands = []
    for first, last in _runs(off):
        height_nm = float(np.abs(away[first:last]).max())
        if height_nm < HIGH * span_nm or last - first < SHORTEST:
            continue
        if height_nm < least_nm:
            return []
        edges = tuple(edge for edge in (first, last) if MARGIN <= edge <= len(away) - MARGIN)
        bands.append(_Band(first, last, height_nm, edges))
    comes_back = any(len(band.edges) == 2 for band in bands)
    return bands if comes_back and len(bands) <= MOST else []


def _runs(off: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return where runs of True begin and end; those that at most ``JOINED`` lines part are one."""
    bounds = np.flatnonzero(np.diff(off, prepend=False, append=False))
    inner = bounds[1:-1].reshape(-1, 2)
    kept = inner[inner[:, 1] - inner[:, 0] > JOINED].ravel()
    return [(int(first), int(last)) for first, last in np.concatenate([bounds[:1], kept, bounds[-1:]]).reshape(-1, 2)]


def _slips(bands: list[_Band], heights: NDArray[np.float32]) -> bool:
    """True where one of the bands begins or ends at once, or goes off slowly to the frame's border."""
    steps = row_medians(np.diff(heights[:, :: max(1, heights.shape[1] // COLUMNS)], axis=0))
    steps = np.abs(steps - median(steps))
    for band in bands:
        rises = [steps[max(edge - 1 - REACH, 0) : edge - 1 + REACH] for edge in band.edges]
        if max(float(rise.max() / max(rise.sum(), TINY)) for rise in rises) >= AT_ONCE:
            return True
        if len(rises) == 1 and float(rises[0].sum()) < RISEN * band.height_nm:
            return True
    return False
