"""Edges of the sample that run along the lines: a film's, a flake's, a crystal's, which line offsets would undo.

Where a film ends between two lines, every line on it lies higher by the film's thickness, and a fit of the lines takes
that for a slip of the scanner. A slip happens at one moment, so it parts at most one line in two. A real edge is never
quite straight: several lines lie half on either side of it. Such an edge is taken off as a tread, the scanner is fitted
once more, and goes on across the edge as it came.

Rule: an edge that is as straight as a slip is taken for one.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.guesses import extent
from afmd.science.flatten.refine import Fit
from afmd.science.flatten.scanner import Scanner, twisted
from afmd.science.flatten.thinned import Floats, Thinned
from afmd.science.robust import TINY, median, narrow_sigma

Doubles = NDArray[np.float64]

WIDE = 1 / 24
"""Share of the lines within which an edge crosses all of them."""
BESIDE = 3
"""From how many times as many lines on either side the scanner's course is told."""
MOST = 6
STANDS_OUT, OF_SPAN = 8.0, 0.25
"""Least step of the offsets over an edge, in spreads of usual steps, and as a share of what the surface spans."""
MIXED, FEWEST_MIXED = 0.05, 3
"""Which share of a line must lie on either side for it to be mixed, and how many lines must be."""
ASTRAY = 0.02
"""Which share of the pixels before and behind may lie as if on the other side: more, and what mixes lines is what
stands all over the surface."""
FLANK = 0.2
"""How far from either side's ground, in steps, a pixel lies on the edge's flank."""


class _Edge(NamedTuple):
    """``first``, ``last``: the lines within which it runs. ``step_nm``: how much higher the ground behind it lies.

    ``behind``: True for pixels behind it, (last - first, columns). ``flank``: True for those on neither ground.
    """

    first: int
    last: int
    step_nm: float
    behind: NDArray[np.bool_]
    flank: NDArray[np.bool_]


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
    for edge in edges:
        before, after = _courses(offsets, frame, edge.first, edge.last, frame.rows[edge.first : edge.last])
        step = float((after - before).mean())
        offsets[edge.last :] -= step
        offsets[edge.first : edge.last] -= step * edge.behind.mean(axis=1)
    return replace(calm, scanner=calm.scanner._replace(offsets=offsets))


def _edges(frame: Thinned, fit: Fit, whole: Thinned) -> list[_Edge]:
    """Return the edges over which the offsets of ``fit`` step, first to last."""
    lag = max(4, round(len(frame.rows) * WIDE))
    offsets = fit.scanner.offsets
    if len(offsets) < 2 * (BESIDE + 1) * lag:
        return []
    step = offsets[lag:] - offsets[:-lag]
    step = np.abs(step - median(step))
    least = max(STANDS_OUT * narrow_sigma(step), OF_SPAN * extent(fit.scanner.off(frame), frame.votes)[0])
    step[: 2 * lag] = step[len(step) - 2 * lag :] = 0
    found: list[_Edge] = []
    for _ in range(MOST):
        first = int(step.argmax())
        if step[first] < least:
            break
        edge = _edge_at(frame, fit.scanner, whole, first, first + lag)
        if edge is not None:
            found.append(edge)
        step[max(first - lag, 0) : first + lag] = 0
    return sorted(found, key=lambda edge: edge.first)


def _edge_at(frame: Thinned, scanner: Scanner, whole: Thinned, first: int, last: int) -> _Edge | None:
    """Return the edge between these lines, or None where a slip of the scanner would do."""
    lag = last - first
    rows = np.arange(frame.rows[first - lag], frame.rows[last + lag - 1] + 1)
    before, after = _courses(scanner.offsets, frame, first, last, rows)
    bare = whole.heights[rows] + np.float32(whole.middle_nm - frame.middle_nm) - scanner.along(whole.across)
    bare -= twisted(scanner.twist, whole.down[rows], whole.across)
    across = (bare - before[:, None]) / np.where(after == before, TINY, after - before)[:, None]
    behind = across > 0.5
    share = behind.mean(axis=1)
    inner = (rows >= frame.rows[first]) & (rows < frame.rows[last])
    outside = np.where(rows < frame.rows[first], share, 1 - share)[~inner]
    mixed = (share > MIXED) & (share < 1 - MIXED) & inner
    if outside.mean() > ASTRAY or np.count_nonzero(mixed) < FEWEST_MIXED:
        return None
    own = frame.rows[first:last] - rows[0]
    flank = (across > FLANK) & (across < 1 - FLANK)
    return _Edge(first, last, float((after - before)[inner].mean()), behind[own], flank[own])


def _courses(
    offsets: Doubles, frame: Thinned, first: int, last: int, rows: NDArray[np.intp]
) -> tuple[Doubles, Doubles]:
    """Return the offsets, nm, with which the lines before ``first`` and those from ``last`` on would run straight on to
    ``rows`` of the frame."""
    reach = BESIDE * (last - first)
    sides = (slice(max(first - reach, 0), first), slice(last, last + reach))
    before, after = (np.polyval(np.polyfit(frame.rows[one], offsets[one], 1), rows) for one in sides)
    return before, after
