"""A scan with fewer, averaged columns: all that the joint fit has to look at. Rule: lines are never merged.

The fit asks each line for a few numbers only; a few hundred columns carry them, and averaging neighbours loses no
photon of them while it makes the fit's cost nearly independent of the frame's width.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.terms import Ground

Floats = NDArray[np.float32]

COLUMNS_AT_512 = 170
FEWEST_ALIVE = 0.05
"""A line with a smaller trusted share than this has nothing to say."""


@dataclass(frozen=True, slots=True, eq=False)
class Thinned:
    """The lines that can speak, and their averaged columns.

    ``heights``: float32 (lines, columns) nm about ``middle_nm``. ``votes``: float32, the same shape, ≥ 0.
    ``rows``: which rows of the frame the lines are. ``across``: each column's place, -1 … 1 over the whole frame.
    """

    heights: Floats
    votes: Floats
    rows: NDArray[np.intp]
    across: NDArray[np.float64]
    middle_nm: float


def thinned(ground: Ground) -> Thinned:
    """Average neighbouring columns by their votes and leave silent lines out."""
    rows, cols = ground.heights.shape
    width = column_width(cols)
    count = cols // width
    middle = _middle(ground)
    if ground.trusted is None and ground.weights is None:
        heights = _summed(ground.heights, count, width) * np.float32(1 / width) - np.float32(middle)
        votes = np.ones_like(heights)
        alive = np.arange(rows)
    else:
        own = ground.votes()
        votes = _summed(own, count, width)
        heights = _summed(own * (ground.heights - np.float32(middle)), count, width)
        np.divide(heights, votes, out=heights, where=votes > 0)
        votes *= np.float32(1 / max(float(votes.max()), 1e-30))
        share = votes.mean(axis=1)
        alive = np.flatnonzero(share > FEWEST_ALIVE * share.max())
        heights, votes = heights[alive], votes[alive]
    first = (width - 1) / 2
    across = 2 * (first + width * np.arange(count)) / max(cols - 1, 1) - 1
    return Thinned(heights, votes, alive, across, middle)


def column_width(cols: int) -> int:
    """Return how many columns are averaged into one: 1 for narrow frames, 3 at 512, 4 at 2048."""
    return max(1, round(cols / (COLUMNS_AT_512 * (cols / 512) ** 0.8)))


def _middle(ground: Ground) -> float:
    """Return a typical trusted height, so that what follows is accurate in float32."""
    values = ground.heights if ground.trusted is None else ground.heights[ground.trusted]
    return float(np.median(values.ravel()[:: max(1, values.size // 4096)]))


def _summed(values: Floats, count: int, width: int) -> Floats:
    """Return sums over ``width`` neighbouring columns; a strided add for each is faster than a reduction."""
    total = values[:, : count * width : width].copy()
    for shift in range(1, width):
        total += values[:, shift : count * width : width]
    return total
