"""Figures of a surface: ISO 25178-2 roughness and paper A's levelling figures.

Rule: strip by strip, so that a large frame costs no large copies and its strips stay in a core's cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.domain.result import Roughness

Heights = NDArray[np.floating]
Mask = NDArray[np.bool_]
Pitch = tuple[float, float]
Slopes = tuple[float, float]

STRIP_PX = 1 << 16
"""Pixels in a strip, about."""


def roughness(heights: Heights, *, pixel_nm: Pitch, tilt: Slopes = (0.0, 0.0)) -> Roughness:
    """Return ISO 25178-2 parameters of (rows, cols) heights in nm: Sa, Sq, Sz, Sdr and the slope Sdq (nm per nm).

    ``tilt``: slope (down, across) in nm per nm of a plane that is taken off first.
    """
    total = _Totals()
    middle = _mean(heights, tilt, pixel_nm)
    for strip in _strips(heights.shape):
        z = _planed(heights, strip, tilt, pixel_nm)
        total.add_facets(z, pixel_nm)
        total.add_heights(z[: strip.own] - middle)
    return total.roughness()


def line_residual_nm(heights: Heights, *, ground: Mask) -> float:
    """Return paper A's RMSE_line: rms over ``ground`` (True = counts) of each row about its own straight line, nm."""
    square, count = 0.0, 0
    x = np.linspace(-1, 1, heights.shape[1], dtype=np.float32)
    powers = np.stack([np.ones_like(x), x, x**2], axis=1)
    for strip in _strips(heights.shape):
        rows = strip.rows(own=True)
        vote = ground[rows].astype(np.float32)
        votes, sum_x, sum_xx = (vote @ powers).T.astype(np.float64)
        n = np.maximum(votes, 1)
        z = np.asarray(heights[rows] * vote, np.float32)
        sum_z = np.asarray(cv2.reduce(z, 1, cv2.REDUCE_SUM, dtype=cv2.CV_64F), np.float64).ravel()
        sum_xz = (z @ x).astype(np.float64)
        spread = np.maximum(sum_xx - sum_x**2 / n, 0)
        lean = sum_xz - sum_x * sum_z / n
        slope = np.divide(lean, spread, out=np.zeros_like(lean), where=spread > 1e-6 * n)
        line = np.multiply.outer(slope.astype(np.float32), x)
        line += ((sum_z - slope * sum_x) / n).astype(np.float32)[:, None]
        z -= line
        z *= vote
        square += cv2.norm(z, cv2.NORM_L2SQR)
        count += int(votes.sum())
    return float(np.sqrt(square / max(count, 1)))


def mean_gradient(heights: Heights, *, ground: Mask) -> float:
    """Return paper A's mean |∇h| over facets that are ``ground`` as a whole (all facets if none is), nm per pixel."""
    sums = np.zeros((2, 2))
    for strip in _strips(heights.shape):
        rows = strip.rows(own=False)
        steepness = _steepness(heights[rows], (1.0, 1.0))
        np.sqrt(steepness, out=steepness)
        t = ground[rows]
        whole = t[1:, 1:] & t[1:, :-1] & t[:-1, 1:] & t[:-1, :-1]
        sums[1] += float(steepness.sum()), whole.size
        steepness *= whole
        sums[0] += float(steepness.sum()), np.count_nonzero(whole)
    total, count = sums[0] if sums[0, 1] else sums[1]
    return float(total / max(count, 1))


@dataclass(frozen=True, slots=True)
class _Strip:
    """Rows ``first`` and on: ``own`` of them, and one more where there is one, for the facets in between."""

    first: int
    own: int

    def rows(self, *, own: bool) -> slice:
        return slice(self.first, self.first + self.own + (not own))


def _strips(shape: tuple[int, ...]) -> Iterator[_Strip]:
    high = max(2, STRIP_PX // shape[1])
    for first in range(0, shape[0], high):
        yield _Strip(first, min(high, shape[0] - first))


class _Totals:
    """Sums over a surface's pixels and facets."""

    def __init__(self) -> None:
        self.pixels = self.facets = 0
        self.absolute = self.square = self.excess = self.steepness = 0.0
        self.low, self.high = np.inf, -np.inf

    def add_heights(self, z: Heights) -> None:
        self.pixels += z.size
        self.absolute += cv2.norm(z, cv2.NORM_L1)
        self.square += cv2.norm(z, cv2.NORM_L2SQR)
        self.low, self.high = min(self.low, float(z.min())), max(self.high, float(z.max()))

    def add_facets(self, z: Heights, pixel_nm: Pitch) -> None:
        steepness = _steepness(z, pixel_nm)
        self.facets += steepness.size
        self.steepness += float(steepness.sum())
        rise = steepness + 1
        np.sqrt(rise, out=rise)
        rise += 1
        self.excess += float(np.divide(steepness, rise, out=rise).sum())

    def roughness(self) -> Roughness:
        return Roughness(
            sa_nm=self.absolute / self.pixels,
            sq_nm=float(np.sqrt(self.square / self.pixels)),
            sz_nm=self.high - self.low,
            sdr=self.excess / self.facets,
            slope=float(np.sqrt(self.steepness / self.facets)),
        )


def _mean(heights: Heights, tilt: Slopes, pixel_nm: Pitch) -> np.float32:
    rows, cols = heights.shape
    plane = tilt[0] * pixel_nm[0] * (rows - 1) / 2 + tilt[1] * pixel_nm[1] * (cols - 1) / 2
    return np.float32(heights.mean(dtype=np.float64) - plane)


def _planed(heights: Heights, strip: _Strip, tilt: Slopes, pixel_nm: Pitch) -> Heights:
    part = heights[strip.rows(own=False)]
    if tilt == (0.0, 0.0):
        return part
    down = tilt[0] * pixel_nm[0] * np.arange(strip.first, strip.first + len(part))
    across = tilt[1] * pixel_nm[1] * np.arange(part.shape[1])
    return part - down[:, None].astype(np.float32) - across.astype(np.float32)


def _steepness(heights: Heights, pixel_nm: Pitch) -> Heights:
    """Return the squared slope of every 2 × 2 pixels, new: down and across are half the sum and difference of the
    diagonals' rises."""
    one, other = heights[1:, 1:] - heights[:-1, :-1], heights[1:, :-1] - heights[:-1, 1:]
    down, across = (0.25 / pitch**2 for pitch in pixel_nm)
    both = None if down == across else one * other
    one *= one
    other *= other
    one += other
    one *= one.dtype.type(down + across)
    if both is not None:
        one += one.dtype.type(2 * (down - across)) * both
        np.maximum(one, 0, out=one)
    return one
