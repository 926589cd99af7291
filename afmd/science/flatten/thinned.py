"""A scan with fewer, averaged columns: all that the joint fit has to look at. Rule: lines are never merged.

The fit asks each line for a few numbers only. A hundred columns or two carry them, and make the fit's cost nearly
independent of the frame's width; each is the mean of a few neighbours, too few to blur what stands on the ground.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.terms import Ground
from afmd.science.robust import TINY, middle

Floats = NDArray[np.float32]

COLUMNS_AT_512 = 128
WIDEST = 4
"""Most columns that are averaged into one."""
FEWEST_ALIVE = 0.05
"""A line whose trusted share is below this share of the best line's has nothing to say."""


@dataclass(frozen=True, slots=True, eq=False)
class Thinned:
    """The lines that can speak, and their averaged columns.

    ``heights``: float32 (lines, columns) nm about ``middle_nm``. ``votes``: float32, the same shape, 0 … 1.
    ``rows``: which rows of the frame the lines are. ``down``, ``across``: places of lines and columns, −1 … 1 over the
    whole frame.
    """

    heights: Floats
    votes: Floats
    rows: NDArray[np.intp]
    down: NDArray[np.float64]
    across: NDArray[np.float64]
    middle_nm: float


def thinned(ground: Ground) -> Thinned:
    """Average neighbouring columns by their votes and leave silent lines out."""
    rows, cols = ground.heights.shape
    every, width = spacing(cols)
    count = (cols - width) // every + 1
    across = 2 * ((width - 1) / 2 + every * np.arange(count)) / max(cols - 1, 1) - 1
    down = np.linspace(-1, 1, rows)
    centre = _middle(ground)
    if ground.trusted is None and ground.weights is None:
        heights = _summed(ground.heights, count, every, width) * np.float32(1 / width) - np.float32(centre)
        return Thinned(heights, np.ones_like(heights), np.arange(rows), down, across, centre)
    own = ground.votes()
    votes = _summed(own, count, every, width)
    own *= ground.heights - np.float32(centre)
    heights = _summed(own, count, every, width)
    np.divide(heights, votes, out=heights, where=votes > 0)
    votes *= np.float32(1 / max(float(votes.max()), TINY))
    share = votes.mean(axis=1)
    alive = np.flatnonzero(share > FEWEST_ALIVE * share.max())
    return Thinned(heights[alive], votes[alive], alive, down[alive], across, centre)


def spacing(cols: int) -> tuple[int, int]:
    """Return how far apart kept columns lie and how many neighbours each averages: 4 and 4 at 512, 8 and 4 at 2048."""
    every = max(1, round(cols / (COLUMNS_AT_512 * max(cols / 512, 1.0) ** 0.5)))
    return every, min(every, WIDEST)


def _middle(ground: Ground) -> float:
    """Return a typical trusted height, so that what follows is accurate in float32."""
    every = max(1, ground.heights.size // 8192) | 1
    values = ground.heights.ravel()[::every]
    if ground.trusted is not None:
        values = values[ground.trusted.ravel()[::every]]
    return middle(values) if values.size else 0.0


def _summed(values: Floats, count: int, every: int, width: int) -> Floats:
    """Return sums over ``width`` neighbouring columns; a strided add for each is faster than a reduction."""
    end = (count - 1) * every + 1
    total = values[:, :end:every].copy()
    for shift in range(1, width):
        total += values[:, shift : end + shift : every]
    return total
