"""Sudden shifts of the whole height signal: between two lines, or in the middle of one.

Rule: a shift inside a line is undone only where it halves the line's distance from its two neighbours.
"""

import numpy as np
from numpy.typing import NDArray

from afmd.domain.levelling import Jump
from afmd.science.robust import median, narrow_sigma

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

STANDS_OUT = 8.0
"""Offsets of neighbouring lines that differ by this many times the usual are a jump."""
VISIBLE = 2.0
MOST = 64
CLOSER = 0.5
LEAST_SIDE = 0.03
"""Least share of the line on either side of a jump within it."""


def undo_jumps(heights: Floats, surface: Floats, offsets: Doubles, *, base_nm: float) -> tuple[Jump, ...]:
    """Find jumps, change ``surface`` in place where one lies inside a line, and return them in order.

    ``heights``, ``surface``: (rows, cols) nm; ``base_nm`` comes on top of the surface. ``offsets``: (rows,) nm, each
    row's own part of it.
    """
    if len(offsets) < 5:
        return ()
    least = _least_height(heights)
    rows = _jumping_rows(offsets, least)
    found = [Jump(int(row), 0, float(offsets[row] - offsets[row - 1])) for row in _shifted_rows(offsets, least)]
    if rows.size == 0:
        return tuple(found)
    flat = heights[rows] - np.float32(base_nm) - surface[rows] + offsets[rows, None].astype(np.float32)
    around = [heights[rows + side] - np.float32(base_nm) - surface[rows + side] for side in (-1, 1)]
    own = np.asarray(flat - (around[0] + around[1]) / 2, dtype=np.float32)
    for falls in (True, False):
        before, after = (offsets[rows - 1], offsets[rows + 1]) if falls else (offsets[rows + 1], offsets[rows - 1])
        place, cost = _best_place(own, before.astype(np.float32), after.astype(np.float32))
        now = np.abs(own - offsets[rows, None]).mean(axis=1)
        better = cost < CLOSER * now
        for row, col, low, high in zip(rows[better], place[better], before[better], after[better], strict=True):
            shift = np.where(np.arange(surface.shape[1]) < col, low, high) - offsets[row]
            surface[row] += shift.astype(np.float32)
            found = [jump for jump in found if abs(jump.row - row) > 1]
            found.append(Jump(int(row), int(col), float(high - low)))
    return tuple(sorted(found))


def _least_height(heights: Floats) -> float:
    """Return the height, nm, below which a jump would be lost between neighbouring pixels."""
    some = heights[:: max(1, heights.size // 30_000)]
    step = some[:, 1:] - some[:, :-1]
    return VISIBLE * narrow_sigma(step - np.float32(median(step)))


def _jumping_rows(offsets: Doubles, least: float) -> NDArray[np.intp]:
    """Return the rows whose two neighbours lie far apart, the furthest ``MOST`` of them.

    Two lines on either side must agree with each other: next to a single spoilt line nothing has jumped.
    """
    step = np.abs(offsets[2:] - offsets[:-2])
    rows = np.flatnonzero(step > max(STANDS_OUT * narrow_sigma(step), least)) + 1
    rows = rows[(rows >= 2) & (rows <= len(offsets) - 3)]
    unrest = np.maximum(np.abs(offsets[rows - 1] - offsets[rows - 2]), np.abs(offsets[rows + 2] - offsets[rows + 1]))
    rows = rows[unrest < step[rows - 1] / 3]
    return np.sort(rows[np.argsort(-step[rows - 1])][:MOST])


def _shifted_rows(offsets: Doubles, least: float) -> NDArray[np.intp]:
    """Return the rows from which on the offsets lie elsewhere, and stay there for a few rows."""
    step = offsets[1:] - offsets[:-1]
    usual = narrow_sigma(step - median(step))
    rows = np.flatnonzero(np.abs(step) > max(STANDS_OUT * usual, least)) + 1
    rows = rows[(rows >= 2) & (rows <= len(offsets) - 2)]
    stays = np.abs(offsets[rows + 1] - offsets[rows - 2]) > np.abs(step[rows - 1]) / 2
    return rows[stays][:MOST]


def _best_place(own: Floats, before: Floats, after: Floats) -> tuple[NDArray[np.intp], Doubles]:
    """Return for each row the column that best parts ``before`` from ``after``, and the mean distance that leaves."""
    columns = own.shape[1]
    left = np.cumsum(np.abs(own - before[:, None]), axis=1, dtype=np.float64)
    right = np.cumsum(np.abs(own - after[:, None])[:, ::-1], axis=1, dtype=np.float64)[:, ::-1]
    side = max(2, round(LEAST_SIDE * columns))
    cost = (left[:, :-1] + right[:, 1:])[:, side - 1 : columns - side] / columns
    if cost.shape[1] == 0:
        return np.zeros(len(own), dtype=np.intp), np.full(len(own), np.inf)
    place = cost.argmin(axis=1)
    return place + side, cost[np.arange(len(own)), place]
