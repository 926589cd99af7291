"""How deep the surface falls around its summits. Rule: what falls alike around every summit was drawn by the tip.

Where the tip's apex touches a summit, the image cannot fall faster from there than the tip itself (Villarrubia, J. Res.
NIST 102, 425, 1997). Around summits that a sharp tip drew the falls differ as the summits do; under a worn or flat one
the deepest lie close together, at one depth for each direction and distance. A second apex keeps up some
falls in one direction. Hollows, which no tip draws, say how much of that the sample does itself.
"""

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.inference.traits.values import Image, Values, log, quantiles

DISTANCES_PX: Final = (2, 4, 9, 19)
DIRECTIONS: Final = 16
_BLUR_PX = 1.0
_AROUND = np.ones((5, 5), np.uint8)
_MOST, _FEWEST = 800, 5
_PERCENTS = (5, 25, 50, 75, 90, 97, 100)
_GAPS = ((6, 5), (5, 4), (4, 2), (3, 1), (2, 0))
_GROWING = (2, 5)
_AGAINST_HOLLOWS = (2, 4, 5, 6)
"""Which of the percentiles are compared: with each other, over the distances, with hollows'."""
_FLOOR = 1e-3

Index = NDArray[np.intp]


def summits(image: Image) -> Values:
    """Return how alike the falls around summits and around hollows are, (140,), of an image (rows, cols).

    ``image``: without tilt and line offsets, in units of its spread. A hollow is a summit of the image upside down.
    """
    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), _BLUR_PX), np.float32)
    up, down = (log(np.maximum(_falls(sign * smooth), 0), floor=_FLOOR) for sign in (1, -1))
    beside = [over(up[at] - down[at]) for at in _AGAINST_HOLLOWS for over in (_mean, _most, _least)]
    return np.concatenate([_alike(up), _alike(down), *beside])


def _alike(falls: Values) -> Values:
    """Return gaps between the percentiles, in the mean and the least direction, and how falls grow outwards, (46,).

    ``falls``: logarithms, (percentiles, distances, directions).
    """
    gaps = [over(falls[deep] - falls[shallow]) for deep, shallow in _GAPS for over in (_mean, _least)]
    growth = [np.diff(_mean(falls[at])) for at in _GROWING]
    return np.concatenate([*gaps, *growth])


def _falls(smooth: Image) -> Values:
    """Return percentiles of the falls from all summits, (percentiles, distances, directions); 0 where they are few."""
    highest = smooth >= cv2.dilate(smooth, _AROUND)
    reach = DISTANCES_PX[-1]
    highest[:reach] = highest[-reach:] = highest[:, :reach] = highest[:, -reach:] = False
    places = np.flatnonzero(highest)
    if len(places) < _FEWEST:
        return np.zeros((len(_PERCENTS), len(DISTANCES_PX), DIRECTIONS))
    places = places[:: -(-len(places) // _MOST)]
    flat = smooth.reshape(-1)
    falls = flat[places] - flat[places + _steps(smooth.shape[1])[:, None]]
    return np.asarray(quantiles(falls, _PERCENTS).T.reshape(len(_PERCENTS), len(DISTANCES_PX), DIRECTIONS))


@lru_cache(maxsize=4)
def _steps(cols: int) -> Index:
    """Return the steps to all places that are looked at, in pixels of a flat image, (distances · directions,)."""
    angle = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    distance = np.asarray(DISTANCES_PX)[:, None]
    down, along = (np.rint(distance * part(angle)).astype(np.intp).ravel() for part in (np.sin, np.cos))
    return np.asarray(down * cols + along)


def _mean(values: Values) -> Values:
    return np.asarray(values.mean(axis=-1))


def _most(values: Values) -> Values:
    return np.asarray(values.max(axis=-1))


def _least(values: Values) -> Values:
    return np.asarray(values.min(axis=-1))
