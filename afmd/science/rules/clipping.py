"""Heights at the end of the piezo's, the converter's or the sensor's range.

Rule: equality counts; so does a crowd at the end of all heights that lies level where the rest of the frame is tilted.
A sample's own flat tops are tilted with the rest, but a scanner that can go no further stays where it is, and only the
noise of the sensor is left: the crowd itself neither leans nor bends, as flat ground beside a slope does.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import Clipped
from afmd.science.robust import TINY, mad_sigma

Heights = NDArray[np.float32]
Bools = NDArray[np.bool_]

SHARE = 1e-4
LEAST = 12
LONGEST_LEVEL = 8
"""A flat top on a coarse scale is no clipping: the end must hold so many times what the next levels hold."""
SHARES = tuple(2.0 ** -(half / 2) for half in range(3, 19))
"""Of the frame that may crowd there."""
OUTLIERS, BULK = 2e-4, 0.01
"""Shares at the end itself that may be hits, and at the other end that do not tell the span."""
NARROWEST, NARROW, DENSE, SLACK = 0.002, 0.04, 4.0, 0.5
"""Least and greatest width of a crowd as shares of the span, how many times wider as many heights beside it must
spread, and by how many widths it may spread further itself, since it is noise."""
SOLID = 0.5
"""Least share of a crowd that is left where lone pixels and thin lines are taken away."""
TILTED = 4.0
"""By how many of its widths the rest of the frame, carried on, would rise over a crowd (standard deviation)."""
LEVEL = 0.6
"""How far a crowd may lean and bend, in standard deviations of the noise from pixel to pixel: clipped ones come to a
third of one at most, ground beside the slope of a cell, or below a jump, to one and more."""
ROUNDS, SAMPLE = 4, 4096


def ends(heights: Heights) -> Clipped:
    """Return at which end of a range heights, (rows, cols) nm, lie."""
    ranked = np.sort(heights, axis=None)
    if ranked[0] == ranked[-1]:
        return Clipped(np.zeros(heights.shape, dtype=bool), np.zeros(heights.shape, dtype=bool))
    return Clipped(low=_end(-heights, -ranked[::-1]), high=_end(heights, ranked))


def _end(heights: Heights, ranked: Heights) -> Bools:
    """Return True where heights lie at the upper end of a range. ``ranked``: ascending."""
    at = heights == ranked[-1]
    count = np.count_nonzero(at)
    least = max(LEAST, SHARE * heights.size)
    if count > least and count > LONGEST_LEVEL * _beside(ranked, ranked[-1], ranked[-1] - ranked[0]):
        return np.asarray(at)
    return _crowd(heights, ranked)


def _beside(heights: Heights, end: np.float32, span: np.float32) -> float:
    """Return how many pixels share the next level below the end, within a thousandth of the range."""
    near = heights[(np.abs(heights - end) < span / 1000) & (heights != end)]
    return float(np.unique(near, return_counts=True)[1].max(initial=0))


def _crowd(heights: Heights, ranked: Heights) -> Bools:
    """Return True where heights crowd at their upper end, though the frame is tilted there. ``ranked``: ascending."""
    none = np.zeros(heights.shape, dtype=bool)
    end, size = float(ranked[int(ranked.size * (1 - OUTLIERS)) - 1]), ranked.size
    span = end - float(ranked[int(size * BULK)])
    lower = ranked[[int(size * (1 - share)) for share in SHARES]].astype(np.float64)
    lower_yet = ranked[[max(int(size * (1 - 2 * share)), 0) for share in SHARES]].astype(np.float64)
    width = np.maximum(end - lower, NARROWEST * span)
    dense = np.where(width < NARROW * span, (lower - lower_yet) / np.maximum(width, TINY), 0)
    best = int(dense.argmax())
    if dense[best] < DENSE:
        return none
    crowd = heights >= lower[best] - SLACK * width[best]
    solid = cv2.morphologyEx(crowd.view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    if np.count_nonzero(solid) < max(LEAST, SOLID * np.count_nonzero(crowd)):
        return none
    rest = cv2.dilate(crowd.view(np.uint8), np.ones((5, 5), np.uint8)) == 0
    stays = _rise_over(solid, heights, rest) > TILTED * width[best] and _lies_level(solid, heights)
    return np.asarray(crowd) if stays else none


def _lies_level(place: Bools, heights: Heights) -> bool:
    """True where the heights, nm, lean and bend on ``place``, bool (rows, cols), no more than their noise allows."""
    steps: Heights = np.diff(heights, axis=1)[place[:, 1:] & place[:, :-1]]
    row, col = np.nonzero(place)
    every = max(1, row.size // SAMPLE)
    row, col = row[::every], col[::every]
    down, across = row / heights.shape[0] - 0.5, col / heights.shape[1] - 0.5
    design = np.column_stack([np.ones(row.size), down, across, down**2, down * across, across**2])
    values = heights[row, col].astype(np.float64)
    bend = design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return bool(bend.std() <= LEVEL * mad_sigma(steps) / 2**0.5)


def _rise_over(place: Bools, heights: Heights, rest: Bools) -> float:
    """Return the standard deviation over ``place`` of the plane of the ``rest``, nm; 0 where that tells none."""
    known = np.flatnonzero(rest)
    known = known[:: max(1, known.size // SAMPLE)]
    if known.size < LEAST:
        return 0.0
    row, col = np.divmod(known, heights.shape[1])
    design = np.column_stack([row - row.mean(), col - col.mean(), np.ones(known.size)])
    values = heights.reshape(-1)[known].astype(np.float64)
    weight = np.ones(known.size)
    slope: NDArray[np.floating] = np.zeros(3)
    for _ in range(ROUNDS):
        slope = np.linalg.lstsq(design * weight[:, None], values * weight, rcond=None)[0]
        away = np.abs(values - design @ slope)
        weight = 1 / np.sqrt(1 + np.square(away / max(float(np.median(away)), TINY)))
    row, col = np.nonzero(place)
    return float(np.std(slope[0] * row + slope[1] * col))
