"""What the tip does to every flank. Rule: a tip is seen where all features share it.

A worn tip rounds every top alike and leaves sharp valleys (Keller and Franke, Scanning Microsc. 1993), so that
curvature is lopsided; a loop that lags makes one flank of everything steeper than the other.
"""

from typing import Final

import cv2
import numpy as np

from afmd.inference.traits.values import Image, Values, log, outline, sampled, spread

SCALES_PX: Final = (1, 2, 4, 8)
_WITH_SLOPES: Final = (1, 4)


def flanks(image: Image) -> Values:
    """Return the shape of the curvatures at four scales and of the slopes at two, (126,), of an image (rows, cols)."""
    return np.concatenate([_bent(image, scale) for scale in SCALES_PX])


def _bent(image: Image, scale: int) -> Values:
    """Return the outline of the curvature at one scale, its size and direction; at two scales the slopes' too."""
    smooth = cv2.GaussianBlur(image, (0, 0), scale)
    curvature = cv2.Laplacian(smooth, cv2.CV_32F)
    along, down = cv2.Sobel(smooth, cv2.CV_32F, 2, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 2)
    sizes = log([spread(curvature), spread(along), spread(down)])
    found: list[Values] = [outline(curvature), np.array([sizes[0], sizes[1] - sizes[2]])]
    if scale in _WITH_SLOPES:
        along, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
        steep = np.percentile(sampled(np.hypot(along, down)), (50, 90, 99, 99.9))
        found += [np.diff(log(steep, floor=1e-9)), outline(along), outline(down)]
    return np.concatenate(found)
