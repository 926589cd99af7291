"""Paper A's fillings: directional neighbours, and Telea's fast marching. Each returns the masked pixels' heights."""

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.science.inpaint.gaps import Heights, Mask, nearest_along

FULL_SCALE = 65535.0
"""OpenCV's Telea is right only for heights of about this range, and says nothing where it is wrong."""


def directional(heights: Heights, mask: Mask, *, stripes: Mask, radius: int) -> NDArray[np.float32]:
    """Return each masked pixel's nearest neighbour along the fast axis, stripes by Telea (paper A, section 2.5)."""
    values = nearest_along(heights, mask)
    if stripes.any():
        inside = stripes[mask]
        values[inside] = telea(heights, mask, radius=radius)[inside]
    return values


def telea(heights: Heights, mask: Mask, *, radius: int) -> NDArray[np.float32]:
    """Return OpenCV's Telea inpainting of the masked pixels (Telea 2004), run on heights mapped to 0..65535."""
    known = heights[~mask]
    low, high = float(known.min()), float(known.max())
    if high == low:
        return np.full(np.count_nonzero(mask), low, dtype=np.float32)
    scale = FULL_SCALE / (high - low)
    mapped = np.where(mask, 0, (heights.astype(np.float64) - low) * scale).astype(np.float32)
    painted = np.asarray(cv2.inpaint(mapped, mask.astype(np.uint8), radius, cv2.INPAINT_TELEA))[mask]
    return (painted.astype(np.float64) / scale + low).astype(np.float32)
