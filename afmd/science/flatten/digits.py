"""Heights in coarse digits: a flat scan taken with the whole range of the scanner has only a few heights.

A bow is then a staircase of contour bands, each flat and wider than the sample's own terraces, and a fit that looks for
flat ground levels the bands. So the scanner is fitted to a surface that would read the same and is as smooth as it can
be.

Rule: no height is moved by more than half a digit.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

ALIKE = 0.5
"""Share of neighbours of the very same height from which on digits, not noise, tell heights apart."""
REACHES = (*(16,) * 4, *(8,) * 6, *(4,) * 8, *(2,) * 8, *(1,) * 8)
"""Over how many pixels to each side the mean is taken, in turn."""


def between_digits(heights: Floats) -> Floats | None:
    """Return a smooth surface, (rows, cols) nm, that has these ``heights`` in their digits; None where these are fine.

    Means over neighbours, ever fewer, are taken in turns with what the digits allow (projection onto convex sets).
    """
    if (heights[:, 1:] == heights[:, :-1]).mean() < ALIKE:
        return None
    values = np.unique(heights)
    if len(values) < 2:
        return None
    half = np.float32(np.median(np.diff(values)) / 2)
    low, high = heights - half, heights + half
    smooth = heights.copy()
    for reach in REACHES:
        side = 2 * reach + 1
        smooth = np.asarray(cv2.blur(smooth, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)
        np.clip(smooth, low, high, out=smooth)
    return smooth
