"""Where the tip touched. Rule: a pixel is certain when some position of the tip rests on it alone.

Villarrubia (1997), section 7: only there is the erosion the surface itself and not merely a bound.
"""

import numpy as np
from numpy.typing import NDArray

from afmd.science.tip.morphology import Heights


def certainty(image: Heights, eroded: Heights, tip: NDArray[np.float64], *, slack_nm: float) -> NDArray[np.float32]:
    """Return how surely the tip touched each pixel: float32 (rows, cols) in [0, 1], 1 = the tip rested on it alone.

    ``eroded``: ``erode(image, tip)``. ``slack_nm``: how near the tip must come to count as touching: rounding for a
    picture without noise, about its noise otherwise. A position of the tip with n contacts gives each 1 / n.
    """
    contacts = np.zeros(image.shape, dtype=np.int32)
    for here, there, height in _overlaps(image.shape, tip):
        contacts[here] += eroded[there] - height >= image[here] - slack_nm
    share = np.zeros(image.shape, dtype=np.float32)
    np.divide(1.0, contacts, out=share, where=contacts > 0)
    sure = np.zeros(image.shape, dtype=np.float32)
    for here, there, height in _overlaps(image.shape, tip):
        touched = eroded[there] - height >= image[here] - slack_nm
        np.maximum(sure[there], np.where(touched, share[here], 0), out=sure[there])
    return sure


def _overlaps(
    shape: tuple[int, ...], tip: NDArray[np.float64]
) -> list[tuple[tuple[slice, slice], tuple[slice, slice], float]]:
    """Return, for every pixel u of the tip, the image's part x, the surface's part x + u, and the tip's height."""
    pairs = []
    for i, j in np.argwhere(np.isfinite(tip)):
        down, across = int(i) - tip.shape[0] // 2, int(j) - tip.shape[1] // 2
        if abs(down) < shape[0] and abs(across) < shape[1]:
            (r, dr), (c, dc) = _cut(down, shape[0]), _cut(across, shape[1])
            pairs.append(((r, c), (dr, dc), float(tip[i, j])))
    return pairs


def _cut(offset: int, count: int) -> tuple[slice, slice]:
    return slice(max(0, -offset), count - max(0, offset)), slice(max(0, offset), count - max(0, -offset))
