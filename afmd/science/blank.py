"""Lines that were never scanned: a capture that was stopped leaves the rest of its frame blank, or repeats a line.

Rule: only bit-equality counts. A sensor's noise makes no two lines alike, so that a sample cannot be taken for it.
"""

import numpy as np
from numpy.typing import NDArray

FEWEST = 4
"""Fewer lines at an end of the frame may as well have been lost, and are filled like those."""
MOST_ALIKE = 0.05
"""Where more of the other lines repeat their neighbours too, there is no noise, and it tells nothing."""
MOST_AS_BLANK = 0.01
"""Where more of the other pixels hold the value of blank lines, it is the range's end, or the sample's ground."""


def scanned_lines(heights: NDArray[np.float32]) -> slice:
    """Return which lines of a frame, (rows, cols) nm, were scanned: all but blank ones at its top and its bottom.

    Blank are ``FEWEST`` lines and more that hold one value, or that repeat the line beside them, to the last bit.
    """
    top, bottom = _blank(heights), _blank(heights[::-1])
    lines = slice(top, len(heights) - bottom)
    rest = heights[lines]
    if not top + bottom or len(rest) < FEWEST or (rest[1:] == rest[:-1]).all(axis=1).mean() > MOST_ALIKE:
        return slice(0, len(heights))
    ends = (heights[0], top), (heights[-1], bottom)
    if any(blank and np.ptp(line) == 0 and (rest == line[0]).mean() > MOST_AS_BLANK for line, blank in ends):
        return slice(0, len(heights))
    return lines


def _blank(heights: NDArray[np.float32]) -> int:
    """Return how many lines from the first one on are blank."""
    alike = 1
    while alike < len(heights) and np.array_equal(heights[alike], heights[0]):
        alike += 1
    blank = alike if np.ptp(heights[0]) == 0 else alike - 1
    return blank if blank >= FEWEST else 0
