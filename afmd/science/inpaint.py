"""Filling of masked pixels, with a standard deviation for each. Rule: outside the mask no bit changes."""

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.domain.result import Filled
from afmd.science.inpaint_gaps import along

Heights = NDArray[np.float32]
Mask = NDArray[np.bool_]


def fill(
    heights: Heights,
    mask: Mask,
    *,
    method: str,
    pixel_nm: tuple[float, float],
    radius: int = 3,
    stripes: Mask | None = None,
) -> Filled:
    """Return the heights with masked pixels filled.

    ``heights`` float32 (rows, cols) nm; ``mask`` True = to fill. ``method``: see ``PARAMETERS['fill']``.
    ``stripes``: the part of the mask that ``directional`` leaves to Telea.
    """
    del pixel_nm
    result = heights.copy()
    if not mask.any():
        return Filled(heights=result, sigma=np.zeros_like(heights))
    if method == "telea":
        result[mask] = telea(heights, mask, radius=radius)[mask]
    else:
        axis = 1 if method == "directional" else 0
        result[mask] = along(heights, mask, axis=axis)[mask]
        if method == "directional" and stripes is not None and stripes.any():
            result[stripes] = telea(heights, mask, radius=radius)[stripes]
    return Filled(heights=result, sigma=np.zeros_like(heights))


def telea(heights: Heights, mask: Mask, *, radius: int) -> Heights:
    """Return OpenCV's Telea inpainting, run on heights mapped to 0..65535, where it is right."""
    low, high = float(heights[~mask].min(initial=0)), float(heights[~mask].max(initial=0))
    scale = 65535 / (high - low) if high > low else 1.0
    mapped = ((heights - np.float32(low)) * np.float32(scale)).clip(0, 65535).astype(np.float32)
    painted = cv2.inpaint(mapped, mask.astype(np.uint8), radius, cv2.INPAINT_TELEA)
    return (painted / np.float32(scale) + np.float32(low)).astype(np.float32)
