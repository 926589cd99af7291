"""Trace against retrace. Rule: what does not repeat is not the sample; what is between the passes is not compared.

Both passes see the same line, shifted by the lag of scanner and loop, with an offset of their own and a smooth
difference that hysteresis leaves. After these are taken off, they differ by noise and, at slopes, by what is left of
the shift.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.science.robust import row_medians
from afmd.science.rules.streaks import sampled_sigma

Plane = NDArray[np.float32]

FURTHEST = 8
ALIGN_LINES = 64
LIMIT = 4.0
PROFILE_PX = 31
MEDIAN_OF = 128
SHIFT_LEFT = 0.35
"""What may be left of the shift after whole pixels, in px: a slope times this is no disagreement."""
ALONG, AROUND = 5, 9


def disagreement(heights: Plane, other: Plane) -> Plane:
    """Return how far ``heights`` and the other pass are apart where ``heights`` is the odd one, in σ; 0 elsewhere.

    Both float32 (rows, cols) in the same unit, ``other`` the opposite pass in the same orientation. The odd one is the
    pass that fits worse to the lines above and below.
    """
    other = _shifted(other, _shift(heights, other))
    apart = _unalike(heights, other)
    tolerated = _slope(heights)
    np.maximum(tolerated, cv2.blur(tolerated, (5, 3)), out=tolerated)
    tolerated *= np.float32(SHIFT_LEFT)
    tolerated += np.float32(sampled_sigma(apart))
    np.maximum(tolerated, np.finfo(np.float32).tiny, out=tolerated)
    np.abs(apart, out=apart)
    apart *= _oddness(heights) >= _oddness(other)
    return np.asarray(np.divide(apart, tolerated, out=apart))


def difference(heights: Plane, other: Plane) -> Plane:
    """Return ``heights`` less the other pass, less what the scanner explains: shift, line offsets, hysteresis."""
    return _unalike(heights, _shifted(other, _shift(heights, other)))


def _unalike(heights: Plane, other: Plane) -> Plane:
    apart = heights - other
    rows, cols = (max(1, side // MEDIAN_OF) for side in apart.shape)
    apart -= row_medians(apart[:, ::cols])[:, None]
    apart -= cv2.blur(row_medians(apart[::rows].T)[None], (PROFILE_PX, 1)).reshape(1, -1)
    return apart


def _slope(heights: Plane) -> Plane:
    """Return the magnitude of the slope along the lines, per px: of central differences, one-sided at the ends."""
    slope: Plane = np.empty_like(heights)
    np.subtract(heights[:, 2:], heights[:, :-2], out=slope[:, 1:-1])
    slope[:, 1:-1] *= np.float32(0.5)
    slope[:, 0], slope[:, -1] = heights[:, 1] - heights[:, 0], heights[:, -1] - heights[:, -2]
    return np.abs(slope, out=slope)


def _oddness(heights: Plane) -> Plane:
    """Return how far each pixel is from the mean of the lines around it, over some px of its own line."""
    own = cv2.sepFilter2D(
        heights, -1, _mean_of(ALONG), _mean_of(1)
    )  # half the cost of OpenCV's blur, which sums doubles
    around = cv2.sepFilter2D(own, -1, _mean_of(1), _mean_of(AROUND))
    return np.asarray(cv2.absdiff(own, around, dst=own))


def _mean_of(count: int) -> NDArray[np.float32]:
    return np.full(count, 1 / count, np.float32)


def _shift(heights: Plane, other: Plane) -> int:
    """Return the shift in px at which the slopes of both passes go together best, from lines spread over the frame."""
    rows, cols = heights.shape
    if cols < 6 * FURTHEST:
        return 0
    some = slice(None, None, max(1, rows // ALIGN_LINES))
    one, two = (_slopes(each[some]) for each in (heights, other))
    middle = np.ascontiguousarray(one[:, FURTHEST:-FURTHEST])  # else each product would copy it
    width = middle.shape[1]
    shifts = range(-FURTHEST, FURTHEST + 1)
    return max(shifts, key=lambda shift: float(np.vdot(middle, two[:, FURTHEST + shift : FURTHEST + shift + width])))


def _slopes(lines: Plane) -> Plane:
    """Return differences along the lines, limited so that no edge outweighs the rest."""
    steps = np.diff(lines, axis=1)
    limit = np.float32(LIMIT * sampled_sigma(steps))
    return np.clip(steps, -limit, limit)


def _shifted(other: Plane, shift: int) -> Plane:
    cols = np.clip(np.arange(other.shape[1]) + shift, 0, other.shape[1] - 1)
    return np.take(other, cols, axis=1)
