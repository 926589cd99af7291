"""A second apex: every feature has a ghost beside it, in one direction, at one distance, lower by one height.

Rule: an echo multiplies the spectrum by a wave, so that the cepstrum, the transform of the spectrum's logarithm, has a
peak at its displacement (Bogert, Healy & Tukey 1963). The height of the surface over the displaced one then has a
cliff: nothing lies deeper than the second apex reaches, and much lies just there. A lattice repeats as well, but at
many displacements, and to no depth.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from afmd.inference import planes
from afmd.inference.traits.values import Image, Values, log, medians

_BLUR_PX, _CUT_SIGMAS = 1.0, 2.5
_TAPER = 0.1
"""Share of a side over which either end of the frame fades out."""
_REACH = 0.2
"""Farthest displacement looked at, in parts of the longer side."""
_NEAREST_PX = 3
_RINGS_PER_OCTAVE = 4
_RING_SAMPLES = 600
_BESIDE = 2
"""Pixels around the peak that are part of it."""
_SAMPLES = 16384
_PLACES = 1024
"""Depths at which a cliff is looked for, up to the median."""
_DEEPEST = 5e-4
_WIDTHS_SIGMAS, _WIDTHS_RELIEF = (4.0, 8.0), (0.01, 0.03)
_LEAST_SHARE, _FLOOR_SHARE = 0.005, 0.002

Index = NDArray[np.intp]


class Cliff(NamedTuple):
    """Of the heights over the displaced image: where more of them lie than just above.

    ``steep``: how many times more. ``share``: of the pixels that lie on it. ``depth``: below the displaced image, in
    parts of the relief. ``height``: its middle, and ``wide``: its width, in the image's unit.
    """

    steep: float
    share: float
    depth: float
    height: float = 0.0
    wide: float = 0.0


@dataclass(frozen=True, slots=True)
class Echo:
    """The likeliest displacement of an image over itself.

    ``rise``: of the cepstral peak over its ring. ``lead``: over the next highest; ``over_twice``: over the one at twice
    the displacement. ``away``: how far, in parts of the longer side. ``down``, ``across``: px from a feature to its
    ghost.
    """

    rise: float
    lead: float
    over_twice: float
    away: float
    down: int
    across: int
    cliff: Cliff

    def values(self) -> Values:
        """Return ln rise, lead, lead over twice the displacement, ln away, ln steep, ln share, depth, (7,)."""
        peak = [float(log(self.rise, floor=1.0)), self.lead, self.over_twice, float(log(self.away, floor=1e-3))]
        cliff = self.cliff
        return np.array([*peak, float(log(cliff.steep, floor=0.05)), float(log(cliff.share, floor=1e-3)), cliff.depth])


def echo(image: Image) -> Echo:
    """Return how an image (rows, cols) repeats itself once."""
    cepstrum = _cepstrum(image)
    rows, cols = (min(int(_REACH * max(image.shape)), side // 2 - 1) for side in image.shape)
    near = np.concatenate([cepstrum[-rows:, : cols + 1], cepstrum[: rows + 1, : cols + 1]]).astype(np.float32)
    rise = _risen(np.asarray(cv2.GaussianBlur(near, (0, 0), 0.7), np.float32))
    row, col = (int(place) for place in np.unravel_index(int(rise.argmax()), rise.shape))
    highest = float(rise[row, col])
    twice = float(_around(rise, 2 * row - rows, 2 * col, _BESIDE // 2).max(initial=0.0))
    _around(rise, row, col, _BESIDE)[:] = 0
    down = row - rows
    away = float(np.hypot(down, col)) / max(image.shape)
    cliff, way = cliff_of(image, down, col)
    return Echo(highest, highest - float(rise.max()), highest - twice, away, way * down, way * col, cliff)


def over(image: Image, down: int, across: int) -> Image:
    """Return by how much an image stands over itself displaced, where both are: (rows - |down|, cols - |across|)."""
    here, there = (image[shared(image.shape, sign * down, sign * across)] for sign in (1, -1))
    return np.asarray(here - there)


def cliff_of(image: Image, down: int, across: int) -> tuple[Cliff, int]:
    """Return the steeper cliff of the image over itself, displaced either way by so many pixels, and which way.

    The way is 1 or -1.
    """
    some = image[:: max(1, len(image) // 64)]
    second = np.diff(some, 2, axis=1)
    sigma = planes.MAD_TO_SIGMA * float(np.median(np.abs(second - medians(second.reshape(-1))))) / np.sqrt(6) + 1e-9
    low, high = np.percentile(some, (0.5, 99.5))
    relief = float(high - low) + 1e-9
    return max((_steepest(_sampled_over(image, way * down, way * across), sigma, relief), way) for way in (1, -1))


def shared(shape: tuple[int, ...], down: int, across: int) -> tuple[slice, slice]:
    """Return the window of a frame that has the frame displaced by so many pixels behind it."""
    rows, cols = (slice(max(0, by), side + min(0, by)) for by, side in zip((down, across), shape, strict=True))
    return rows, cols


def _cepstrum(image: Image) -> NDArray[np.float64]:
    """Return the real cepstrum of the image's curvature, (rows, cols)."""
    blurred = cv2.GaussianBlur(image.astype(np.float32), (0, 0), _BLUR_PX)
    curvature: Image = np.asarray(cv2.Laplacian(blurred, cv2.CV_32F), np.float32)
    limit = _CUT_SIGMAS * float(curvature.std()) + 1e-12
    curvature = np.clip(curvature, -limit, limit)
    down, across = (_taper(side) for side in image.shape)
    windowed = (curvature - curvature.mean()) * down[:, None] * across
    power = np.square(np.abs(fft.rfft2(windowed)))
    logarithm = np.log(power + 1e-6 * power.mean() + 1e-30)
    return np.asarray(fft.irfft2(logarithm - logarithm.mean(), s=image.shape))


def _taper(side: int) -> NDArray[np.float32]:
    """Return a window that falls to 0 at both ends only, (side,): what has a ghost may stand in a corner."""
    from_end = np.minimum(np.arange(side), np.arange(side)[::-1]) / max(_TAPER * (side - 1), 1)
    return np.asarray(np.sin(np.pi / 2 * np.minimum(from_end, 1)) ** 2, np.float32)


def _risen(cepstrum: Image) -> NDArray[np.float64]:
    """Return by how many usual spreads of its ring each place rises over it; 0 near the axes and the middle."""
    result = np.zeros(cepstrum.size)
    flat = cepstrum.reshape(-1)
    for own, wide in _rings(cepstrum.shape):
        around = flat[wide]
        middle = float(np.median(around))
        result[own] = (flat[own] - middle) / (planes.MAD_TO_SIGMA * float(np.median(np.abs(around - middle))) + 1e-9)
    return result.reshape(cepstrum.shape)


@lru_cache(maxsize=8)
def _rings(shape: tuple[int, int]) -> tuple[tuple[Index, Index], ...]:
    """Return the flat places of each ring, and of it with its neighbours."""
    rows = shape[0] // 2
    down, across = np.mgrid[-rows : rows + 1, : shape[1]]
    radius = np.hypot(down, across)
    looked_at = (radius > _NEAREST_PX) & (across > 1) & (np.abs(down) > 1)
    ring = np.where(looked_at, (np.log2(np.maximum(radius, 1)) * _RINGS_PER_OCTAVE).astype(int), -9)
    numbers = [int(number) for number in np.unique(ring) if number >= 0]
    wide = (np.flatnonzero(np.abs(ring - one) <= 1) for one in numbers)
    return tuple(
        (np.flatnonzero(ring == one), every[:: 1 + every.size // _RING_SAMPLES])
        for one, every in zip(numbers, wide, strict=True)
    )


def _around(plane: NDArray[np.float64], row: int, col: int, reach: int) -> NDArray[np.float64]:
    """Return the view of a plane around a place; empty where that lies outside."""
    rows, cols = (slice(max(at - reach, 0), max(at + reach + 1, 0)) for at in (row, col))
    return plane[rows, cols]


def _sampled_over(image: Image, down: int, across: int) -> Image:
    """Return the sorted height of some pixels over the image displaced by so many pixels, (samples,)."""
    every = over(image, down, across).reshape(-1)
    return np.sort(every[:: max(1, every.size // _SAMPLES) | 1])


def _steepest(heights: Image, sigma: float, relief: float) -> Cliff:
    """Return the steepest cliff below the ground of sorted heights, or one without steepness."""
    count = len(heights)
    at = np.linspace(_DEEPEST * count, count / 2, _PLACES).astype(int)
    depth, best = heights[at], Cliff(0.0, 0.0, 0.0)
    for wide in (*(sigmas * sigma for sigmas in _WIDTHS_SIGMAS), *(share * relief for share in _WIDTHS_RELIEF)):
        on, past = np.searchsorted(heights, depth + wide), np.searchsorted(heights, depth + 2 * wide)
        least = _FLOOR_SHARE * count
        steep = (on - at) / np.maximum(at + least, past - on + least)
        steep[(depth + wide / 2 > -max(0.02 * relief, 3 * sigma)) | (on - at < _LEAST_SHARE * count)] = 0
        top = int(steep.argmax())
        share, middle = float(on[top] - at[top]) / count, float(depth[top] + wide / 2)
        best = max(best, Cliff(float(steep[top]), share, float(-depth[top] / relief), middle, float(wide)))
    return best if best.steep > 0 else Cliff(0.0, 0.0, 0.0)
