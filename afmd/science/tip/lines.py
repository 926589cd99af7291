"""Shifted lines, put back before a tip is undone. Rule: a line moves only where it stands apart from both neighbours.

A tip that is undone spreads one wrong line over as many lines as the tip is wide; so lines are put back first, whole
or in part.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

SIGMAS: Final = 4.0
LEAST_PART_PX: Final = 12
PART_LEAST: Final = 2.0
"""A part must stand apart by this many times what a whole line must."""
PART_NOISES: Final = 1.5
"""A pixel speaks for a shifted part where it stands apart by this many standard deviations of the noise or more."""
AGAINST: Final = 0.5
"""What each pixel of a part says against it; one that stands clearly apart says 1 for it."""
ALIKE: Final = 0.35
"""Quartiles of a shifted part differ by no more than this share of the shift (and by the noise's own)."""


def unshifted(image: Plane, mask: NDArray[np.bool_] | None, *, least: float, noise: float = 0.0) -> Plane:
    """Return the image (rows, cols) with lines put back that stand apart from both their neighbours, whole or in part.

    A line is moved where the median of its differences to the middle of three lines stands out of those of other lines
    by 4 robust standard deviations and by ``least`` nm; then the longest part of each line that stands apart evenly, by
    twice that and out of white ``noise`` (standard deviation, nm).
    """
    if len(image) < 5:
        return image
    away = _away(image, mask)
    offsets = np.median(away, axis=1)
    spread = 1.4826 * float(np.median(np.abs(offsets)))
    offsets[np.abs(offsets) < max(SIGMAS * spread, least)] = 0
    if offsets.any():
        image = np.asarray(image - offsets[:, None].astype(np.float32))
        away = _away(image, mask)
    return _parts_put_back(image, away, least=least, noise=noise)


def middle_of_three_lines(image: Plane) -> Plane:
    """Return the median of each pixel and those above and below, new; the first and last line as they are."""
    result = image.copy()
    above, own, below = image[:-2], image[1:-1], image[2:]
    if len(own):
        cv2.max(cv2.min(above, below), cv2.min(cv2.max(above, below), own), result[1:-1])
    return result


def _parts_put_back(image: Plane, away: Plane, *, least: float, noise: float) -> Plane:
    apart = max(PART_LEAST * least, PART_NOISES * noise)
    result = image
    for sign in (1, -1):
        spoken = np.float32(sign / apart) * away
        rows = np.flatnonzero((spoken >= 1).sum(axis=1) >= LEAST_PART_PX // 2)
        start, stop = _strongest(np.clip(spoken[rows], -1, 1) - AGAINST)
        for row, first, end in zip(rows, start, stop, strict=True):
            part = slice(int(first), int(end))
            if end - first < LEAST_PART_PX:
                continue
            low, middle, high = _quartiles(away[row, part])
            if sign * middle >= apart and high - low <= ALIKE * abs(middle) + 2 * noise:
                result = image.copy() if result is image else result
                result[row, part] -= np.float32(middle)
    return result


def _quartiles(values: Plane) -> NDArray[np.float64]:
    """Return the three quartiles, linear between values, as ``numpy.percentile`` does for a tenth of the time."""
    values = np.sort(values)
    at = np.array([0.25, 0.5, 0.75]) * (len(values) - 1)
    below = at.astype(np.intp)
    above = np.minimum(below + 1, len(values) - 1)
    return np.asarray(values[below] + (at - below) * (values[above] - values[below]))


def _strongest(voices: Plane) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return start and stop of the part of each row whose sum is greatest."""
    sums = np.zeros((voices.shape[0], voices.shape[1] + 1))
    np.cumsum(voices, axis=1, out=sums[:, 1:])
    gains = sums - np.minimum.accumulate(sums, axis=1)
    stop = gains.argmax(axis=1)
    before = np.arange(sums.shape[1])[None, :] <= stop[:, None]
    return np.where(before, sums, np.inf).argmin(axis=1), stop


def _away(image: Plane, mask: NDArray[np.bool_] | None) -> Plane:
    """Return how far each pixel lies from the middle of three, 0 where one of them is masked."""
    away = image - middle_of_three_lines(image)
    if mask is None or not mask.any():
        return away
    unsure = mask.copy()
    unsure[1:] |= mask[:-1]
    unsure[:-1] |= mask[1:]
    return np.where(unsure, np.float32(0), away)
