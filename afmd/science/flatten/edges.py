"""Edges of the sample that run along the lines: a film's, a flake's, a crystal's, which line offsets would undo.

Where a film ends between two lines, every line on it lies higher by the film's thickness, and a fit of the lines takes
that for a slip of the scanner. A slip happens at one moment, so it parts at most one line in two. A real edge is never
quite straight, so that several lines lie half on either side of it, or not quite sharp, so that some lie on its flank.
Such an edge is taken off as a tread, the scanner is fitted once more, and goes on across the edge as it came.

Rule: an edge that is as straight and as sharp as a slip is taken for one.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.guesses import extent
from afmd.science.flatten.refine import Fit
from afmd.science.flatten.scanner import Scanner, twisted
from afmd.science.flatten.thinned import Thinned
from afmd.science.robust import TINY, narrow_sigma

Doubles = NDArray[np.float64]

WIDTHS = (1 / 24, 1 / 12)
"""Shares of the lines within which an edge may run."""
BESIDE = 3
"""From how many times as many lines on either side the scanner's course is told."""
MOST = 6
"""Where so many edges run, they are a grating's, and the next that is missed would tilt all: see ``bars``."""
PEAK = 0.75
"""What share of the largest step still counts as the same: an edge is narrower than the lines it is sought in."""
STANDS_OUT, OF_SPAN = 8.0, 0.25
"""Least step of the offsets over an edge, in spreads of usual steps, and as a share of what the surface spans."""
MIXED, FEWEST_MIXED = 0.05, 2
"""Which share of a line must lie on either side for it to be mixed, and how many lines must be."""
ASTRAY, NONE_ASTRAY = 0.02, 0.003
"""Which share of the pixels before and behind may lie as if on the other side: more, and what mixes lines is what
stands all over the surface. The second where no more lines than the fewest are mixed."""
ALIKE = 0.15
"""By which share the heights of two edges of one film differ at most."""
SWEEPS = 4
"""How often each edge's step is told anew, since others lie in the courses that tell it."""
AS_HIGH = 0.5
"""From what share of the highest edge on a step is as high: where one edge of several is missed, the surface climbs."""
FLANK = 0.2
"""How far from either side's ground, in steps, a pixel lies on the edge's flank."""
ON_FLANK, AT_ONCE = 0.5, 0.6
"""Share of a line's pixels on the flank, from which on it lies there: a slip leaves none. And the share of a step that
a slip takes from one line to the next."""
CLIMBS, ALL_ON_FLANK = 0.05, 0.9
"""By how much of a step a flank climbs at least from line to line; and from what share of its pixels on a line lies on
the flank altogether: where it does not climb there, it lies between two slips."""


class _Edge(NamedTuple):
    """``first``, ``last``: the lines within which it runs. ``step_nm``: how much higher the ground behind it lies.

    ``behind``: True for pixels behind it, (last - first, columns). ``flank``: True for those on neither ground.
    ``mixed``: how many lines in a row have some of either; ``gradual``: how many lie mostly on the flank, and climb.
    ``astray``: share of the pixels before and behind that lie as if on the other side.
    """

    first: int
    last: int
    step_nm: float
    behind: NDArray[np.bool_]
    flank: NDArray[np.bool_]
    mixed: int
    gradual: int
    astray: float

    @property
    def is_sure(self) -> bool:
        """True where no slip of the scanner looks so."""
        between = max(self.mixed, self.gradual)
        return between >= FEWEST_MIXED and self.astray <= (ASTRAY if between > FEWEST_MIXED else NONE_ASTRAY)

    def overlaps(self, other: "_Edge") -> bool:
        """True where both run within some of the same lines."""
        return self.first < other.last and other.first < self.last

    def is_as_high(self, other: "_Edge") -> bool:
        """True where both are of one height, up or down: no slip is as high as the film."""
        return abs(abs(self.step_nm) - abs(other.step_nm)) < ALIKE * abs(other.step_nm)


def with_edges(frame: Thinned, fit: Fit, whole: Thinned, again: Callable[[Thinned], Fit]) -> Fit:
    """Return ``fit``, or the one of a scanner that does not step where edges of the sample run along the lines.

    ``whole``: the same frame with every pixel, since masks take edges along the lines for spoilt lines. ``again`` fits
    a frame anew.
    """
    edges = _edges(frame, fit, whole)
    if not edges:
        return fit
    heights, votes = frame.heights.copy(), frame.votes.copy()
    for edge in edges:
        within = slice(edge.first, edge.last)
        heights[within] -= edge.behind * np.float32(edge.step_nm)
        heights[edge.last :] -= np.float32(edge.step_nm)
        votes[within][edge.flank] = 0
    calm = again(replace(frame, heights=heights, votes=votes))
    offsets = calm.scanner.offsets.copy()
    for edge in edges * SWEEPS:
        before, after = _courses(offsets, frame, edge.first, edge.last, frame.rows[edge.first : edge.last])
        step = float((after - before).mean())
        offsets[edge.last :] -= step
        offsets[edge.first : edge.last] -= step * edge.behind.mean(axis=1)
    return replace(calm, scanner=calm.scanner._replace(offsets=offsets))


def _edges(frame: Thinned, fit: Fit, whole: Thinned) -> list[_Edge]:
    """Return the edges over which the offsets of ``fit`` step, first to last.

    None where there are too many, or where a step beside them that is as high may be another.
    """
    found: list[_Edge] = []
    others: list[_Edge] = []
    least_nm = OF_SPAN * extent(fit.scanner.off(frame), frame.votes)[0]
    for width in WIDTHS:
        lag = max(4, round(len(frame.rows) * width))
        for edge in _steps(frame, fit, whole, lag, least_nm=least_nm, beside=found):
            (found if edge.is_sure else others).append(edge)
    others = [one for one in others if not any(one.overlaps(edge) for edge in found)]
    straight = [one for one in others if one.astray <= NONE_ASTRAY and any(one.is_as_high(edge) for edge in found)]
    highest = max((abs(edge.step_nm) for edge in found), default=0.0)
    left = [one for one in others if one.mixed >= FEWEST_MIXED and not any(one.overlaps(edge) for edge in straight)]
    missed = any(abs(one.step_nm) > AS_HIGH * highest for one in left)
    for one in straight:
        if not any(one.overlaps(edge) for edge in found):
            found.append(one)
    return [] if missed or len(found) >= MOST else sorted(found, key=lambda edge: edge.first)


def _steps(
    frame: Thinned, fit: Fit, whole: Thinned, lag: int, *, least_nm: float, beside: list[_Edge]
) -> Iterator[_Edge]:
    """Yield what may be edges within ``lag`` lines, the highest first, away from the edges that are known.

    ``least_nm``: the lowest step that may be one.
    """
    offsets, lines = fit.scanner.offsets, len(frame.rows)
    if lines < 6 * lag:
        return
    rise = offsets[lag:] - offsets[:-lag]
    step = np.zeros_like(rise)
    step[lag:-lag] = np.abs(rise[lag:-lag] - (rise[: -2 * lag] + rise[2 * lag :]) / 2)
    step[lines - 2 * lag :] = 0
    least = max(least_nm, STANDS_OUT * narrow_sigma(step[lag : lines - 2 * lag]))
    for edge in beside:
        step[max(edge.first - 2 * lag, 0) : edge.last + lag] = 0
    for _ in range(MOST):
        first = _middle_of_peak(step)
        if step[first] < least:
            return
        yield _edge_at(frame, fit.scanner, whole, first, first + lag)
        step[max(first - lag, 0) : first + lag] = 0


def _middle_of_peak(values: Doubles) -> int:
    """Return the middle of the places about the greatest value where they are nearly as great."""
    top = int(values.argmax())
    lower = np.flatnonzero(values < PEAK * values[top])
    before, after = lower[lower < top], lower[lower > top]
    first = int(before[-1]) + 1 if before.size else 0
    last = int(after[0]) - 1 if after.size else len(values) - 1
    return (first + last) // 2


def _edge_at(frame: Thinned, scanner: Scanner, whole: Thinned, first: int, last: int) -> _Edge:
    """Return the edge that may run between these lines."""
    lag = last - first
    rows = np.arange(frame.rows[first - lag], frame.rows[last + lag - 1] + 1)
    before, after = _courses(scanner.offsets, frame, first, last, rows)
    bare = whole.heights[rows] + np.float32(whole.middle_nm - frame.middle_nm) - scanner.along(whole.across)
    bare -= twisted(scanner.twist, whole.down[rows], whole.across)
    across = (bare - before[:, None]) / np.where(after == before, TINY, after - before)[:, None]
    behind = across > 0.5
    share = behind.mean(axis=1)
    inner = (rows >= frame.rows[first]) & (rows < frame.rows[last])
    astray = float(np.where(rows < frame.rows[first], share, 1 - share)[~inner].mean())
    flank = (across > FLANK) & (across < 1 - FLANK)
    on_flank = flank.mean(axis=1)
    climb = np.abs(np.diff(np.median(across, axis=1), prepend=0.0, append=1.0))
    climbs = np.minimum(climb[:-1], climb[1:]) > CLIMBS
    between_slips = (on_flank > ALL_ON_FLANK) & ~climbs
    mixed = _most_in_a_row((share > MIXED) & (share < 1 - MIXED) & inner & ~between_slips)
    own = frame.rows[first:last] - rows[0]
    at_once = climb[own[0] : own[-1] + 2].max()
    gradual = int(np.count_nonzero((on_flank > ON_FLANK)[own] & climbs[own])) if at_once < AT_ONCE else 0
    step_nm = float((after - before)[inner].mean())
    return _Edge(first, last, step_nm, behind[own], flank[own], mixed, gradual, astray)


def _most_in_a_row(there: NDArray[np.bool_]) -> int:
    """Return how long the longest stretch of True is."""
    ends = np.flatnonzero(np.diff(there, prepend=False, append=False))
    return int((ends[1::2] - ends[::2]).max(initial=0))


def _courses(
    offsets: Doubles, frame: Thinned, first: int, last: int, rows: NDArray[np.intp]
) -> tuple[Doubles, Doubles]:
    """Return the offsets, nm, with which the lines before ``first`` and those from ``last`` on would run straight on to
    ``rows`` of the frame."""
    reach = BESIDE * (last - first)
    sides = (slice(max(first - reach, 0), first), slice(last, last + reach))
    before, after = (np.polynomial.Polynomial.fit(frame.rows[one], offsets[one], 1)(rows) for one in sides)
    return np.asarray(before, np.float64), np.asarray(after, np.float64)
