"""What the tip does to every flank. Rule: a tip is seen where all features share it.

A worn tip rounds every top alike and leaves sharp valleys (Keller and Franke, Scanning Microsc. 1993), so that
curvature is lopsided; a loop that lags makes one flank of everything steeper than the other.
"""

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.inference.traits.values import Image, Values, log, outline, quantiles, spread, stride

SCALES_PX: Final = (1, 2, 4, 8)
_WITH_SLOPES: Final = (1, 4)
_ONCE, _STEP, _TWICE = (1, 2, 1), (-1, 0, 1), (1, -2, 1)
_STENCILS: Final = np.array(
    [
        (0, 1, 0, 1, -4, 1, 0, 1, 0),
        *(np.outer(down, along).ravel() for down, along in ((_ONCE, _TWICE), (_TWICE, _ONCE))),
        *(np.outer(down, along).ravel() for down, along in ((_ONCE, _STEP), (_STEP, _ONCE))),
    ],
    np.float64,
)
"""Curvature, second derivative along and down, first derivative along and down: of 3 × 3 pixels."""


def flanks(image: Image) -> Values:
    """Return the shape of the curvatures at four scales and of the slopes at two, (126,), of an image (rows, cols)."""
    around = _around(image.shape)
    return np.concatenate([_bent(image, around, scale=scale) for scale in SCALES_PX])


def derivatives(image: Image, around: NDArray[np.intp] | None = None) -> Values:
    """Return curvature, second and first derivatives along and down at the sampled pixels, (5, samples)."""
    around = _around(image.shape) if around is None else around
    return np.asarray(_STENCILS @ image.reshape(-1)[around])


@lru_cache(maxsize=1)
def _around(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Return where the 3 × 3 pixels around each sampled one lie, flat, (9, samples); the frame's edges are mirrored."""
    rows, cols = shape
    row, col = np.divmod(np.arange(0, rows * cols, stride(rows * cols)), cols)
    lines, columns = _mirrored(row, rows), _mirrored(col, cols)
    return np.stack([line * cols + column for line in lines for column in columns])


def _mirrored(at: NDArray[np.intp], count: int) -> list[NDArray[np.intp]]:
    """Return the place before each, the place itself and the one after, mirrored at the ends of ``count`` places."""
    return [np.minimum(np.abs(at + away), 2 * count - 2 - (at + away)) for away in (-1, 0, 1)]


def _bent(image: Image, around: NDArray[np.intp], *, scale: int) -> Values:
    """Return the outline of the curvature at one scale, its size and direction; at two scales the slopes' too."""
    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), scale), np.float32)
    curvature, along, down, steep_along, steep_down = derivatives(smooth, around)
    sizes = log([spread(curvature), spread(along), spread(down)])
    found: list[Values] = [outline(curvature), np.array([sizes[0], sizes[1] - sizes[2]])]
    if scale in _WITH_SLOPES:
        steep = quantiles(np.hypot(steep_along, steep_down), (50, 90, 99, 99.9))
        found += [np.diff(log(steep, floor=1e-9)), outline(steep_along), outline(steep_down)]
    return np.concatenate(found)
