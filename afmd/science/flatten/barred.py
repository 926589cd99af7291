"""Where bars of the sample run along the lines: a grating scanned along its lines looks like lost lines to any look.

Rule: only what a smooth scanner leaves on the same few clean heights again and again is a bar.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.bars import bars_alone
from afmd.science.flatten.scanner import twisted
from afmd.science.flatten.terms import Ground
from afmd.science.flatten.thinned import thinned

Bools = NDArray[np.bool_]

ORDER = 3
NEAR = 0.2
"""How far from a level, in distances of levels, a pixel lies on it."""
MOSTLY, PURE = 0.5, 0.9
"""Share of a line's pixels on one level from which on it belongs to a bar, and from which on no edge runs in it."""
THIN, WIDEST_EDGE = 3, 1 / 16
"""Fewest lines of a bar, and greatest share of all lines between two bars."""


def bars_in(heights: NDArray[np.float32]) -> Bools | None:
    """Return where bars run along the lines, and their edges; None where there are none.

    ``heights``: (rows, cols) nm. Bool of that shape, True where a pixel of a bar lies on a level that bars share, and
    where one of the lines between two bars lies no higher and no lower than these.
    """
    frame = thinned(Ground(heights, None, None, (1.0, 1.0)))
    order = min(ORDER, len(frame.across) - 1)
    found = bars_alone(frame, order)
    if found is None:
        return None
    fit, substrate = found
    flat = heights - np.float32(frame.middle_nm) - fit.scanner.offsets[:, None].astype(np.float32)
    across, down = np.linspace(-1, 1, heights.shape[1]), np.linspace(-1, 1, len(heights))
    flat -= fit.scanner.along(across) + twisted(fit.scanner.twist, down, across)
    near = NEAR * float(np.diff(substrate.levels).min())
    level = substrate.nearest(flat)
    on = np.abs(flat - substrate.levels.astype(np.float32)[level]) < near
    bars = _bars(np.stack([(on & (level == one)).mean(axis=1) for one in range(len(substrate.levels))], axis=1))
    sound = np.zeros_like(on)
    for bar in bars:
        sound[bar.first : bar.last] = on[bar.first : bar.last]
    for one, other in pairwise(bars):
        edge = slice(one.pure_to, other.pure_from)
        low, high = sorted((substrate.levels[one.level], substrate.levels[other.level]))
        if edge.stop - edge.start <= WIDEST_EDGE * len(heights):
            sound[edge] |= (flat[edge] > low - near) & (flat[edge] < high + near)
    return sound if sound.any() else None


class _Bar(NamedTuple):
    """The lines ``first`` … ``last`` lie mostly on ``level``; from ``pure_from`` to ``pure_to`` all but wholly."""

    level: int
    first: int
    last: int
    pure_from: int
    pure_to: int


def _bars(share: NDArray[np.float64]) -> list[_Bar]:
    """Return the bars, first to last. ``share``: (lines, levels) of each line's pixels."""
    most = share.argmax(axis=1)
    held = share.max(axis=1)
    own = np.where(held > MOSTLY, most, -1)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(own)) + 1, [len(own)]])
    found = []
    for first, last in pairwise(starts):
        pure = first + np.flatnonzero(held[first:last] > PURE)
        if own[first] >= 0 and last - first >= THIN and pure.size:
            found.append(_Bar(int(own[first]), int(first), int(last), int(pure[0]), int(pure[-1]) + 1))
    return found
