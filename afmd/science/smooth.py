"""Smoothing of filled pixels. Rule: outside the mask nothing changes, to the last bit."""

import cv2
import numpy as np
from numpy.typing import NDArray


def inside(heights: NDArray[np.float32], mask: NDArray[np.bool_], *, sigma: float) -> NDArray[np.float32]:
    """Return new heights, blurred by a Gaussian of ``sigma`` px where ``mask`` is True (paper A, section 2.5).

    ``heights`` float32 (rows, cols) nm; ``sigma`` 0 returns a copy.
    """
    result = heights.copy()
    if sigma > 0 and mask.any():
        blurred = cv2.GaussianBlur(heights, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        result[mask] = blurred[mask]
    return result
