"""Trace against retrace. Rule: what does not repeat is not the sample; what is between the passes is not compared.

Both passes see the same line, shifted by the lag of scanner and loop, with an offset of their own and a smooth
difference that hysteresis leaves. After these are taken off, they differ by noise and, at slopes, by what is left of
the shift.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.science.rules.streaks import sampled_sigma

Plane = NDArray[np.float32]

FURTHEST = 8
ALIGN_LINES = 64
PROFILE_PX = 31
SHIFT_LEFT = 0.35
"""What may be left of the shift after whole pixels, in px: a slope times this is no disagreement."""
ALONG, AROUND = 5, 9


def disagreement(heights: Plane, other: Plane) -> Plane:
    """Return how far ``heights`` and the other pass are apart where ``heights`` is the odd one, in σ; 0 elsewhere.

    Both float32 (rows, cols) in the same unit, ``other`` the opposite pass in the same orientation. The odd one is the
    pass that fits worse to the lines above and below.
    """
    other = _shifted(other, _shift(heights, other))
    apart = heights - other
    apart -= np.median(apart, axis=1, keepdims=True)
    apart -= cv2.blur(np.median(apart, axis=0)[None].astype(np.float32), (PROFILE_PX, 1)).reshape(1, -1)
    slope = np.abs(np.gradient(heights, axis=1)).astype(np.float32)
    slope = np.maximum(slope, cv2.blur(slope, (5, 3)))
    tolerated = np.float32(sampled_sigma(apart)) + np.float32(SHIFT_LEFT) * slope
    excess = np.abs(apart) / np.maximum(tolerated, np.finfo(np.float32).tiny)
    return np.where(_oddness(heights) >= _oddness(other), excess, np.float32(0))


def _oddness(heights: Plane) -> Plane:
    """Return how far each pixel is from the mean of the lines around it, over some px of its own line."""
    own, around = cv2.blur(heights, (ALONG, 1)), cv2.blur(heights, (ALONG, AROUND))
    return np.abs(np.asarray(own - around, dtype=np.float32))


def _shift(heights: Plane, other: Plane) -> int:
    """Return the shift in px at which both passes agree best, from lines spread over the frame."""
    rows, cols = heights.shape
    if cols < 6 * FURTHEST:
        return 0
    some = slice(None, None, max(1, rows // ALIGN_LINES))
    middle = heights[some, FURTHEST:-FURTHEST]

    def unlike(shift: int) -> float:
        apart = middle - other[some, FURTHEST + shift : cols - FURTHEST + shift]
        return sampled_sigma(apart - np.median(apart, axis=1, keepdims=True))

    return min(range(-FURTHEST, FURTHEST + 1), key=unlike)


def _shifted(other: Plane, shift: int) -> Plane:
    cols = np.clip(np.arange(other.shape[1]) + shift, 0, other.shape[1] - 1)
    return np.take(other, cols, axis=1)
