"""The probe. Rule: what is imaged is the dilation of the surface by the reflected tip (Villarrubia 1997).

The tip is an apex of radius R that runs into a four-sided pyramid: t(x, y) = f(x) + f(y) with the hyperbola
f(x) = sqrt(c² + k² x²) - c, c = R k², so that f'' = 1 / R at the apex and the sides climb at k = cot(half-angle). A sum
in x and y makes the dilation separable: two passes along lines are exact. The two sides along the fast axis may differ.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from afmd.twin.grid import Grid, Heights

MAX_REACH_PX = 96
"""Beyond this many pixels from the apex the tip is cut off; only very blunt tips on very fine grids get there."""


@dataclass(frozen=True, slots=True)
class Tip:
    """Apex radius in nm and half-angles in degrees: on the left, on the right, and along the slow axis."""

    radius_nm: float
    left_deg: float
    right_deg: float
    slow_deg: float

    def blunter(self, radius_nm: float) -> "Tip":
        """The same tip worn to another radius."""
        return replace(self, radius_nm=radius_nm)


def imaged_by(tip: Tip, heights: Heights, grid: Grid) -> Heights:
    """Return a new array: the heights in nm that a perfect loop would record with ``tip``."""
    reach_nm = float(np.ptp(heights))
    once = _dilated(heights, _profile(tip.radius_nm, tip.left_deg, tip.right_deg, grid.across_nm, reach_nm), axis=1)
    return _dilated(once, _profile(tip.radius_nm, tip.slow_deg, tip.slow_deg, grid.down_nm, reach_nm), axis=0)


def shifted(values: Heights, down: float, across: float) -> Heights:
    """Return ``values`` moved by a number of pixels, linear in between, edges repeated."""
    return _moved(_moved(values, down, axis=0), across, axis=1)


def _dilated(values: Heights, profile: tuple[NDArray[np.float64], int], *, axis: int) -> Heights:
    depths, centre = profile
    count = values.shape[axis]
    result = values.copy()
    for index, depth in enumerate(depths):
        offset = index - centre
        if offset == 0 or abs(offset) >= count:
            continue
        here, there = _overlap(offset, count)
        target = result[:, here] if axis else result[here]
        source = values[:, there] if axis else values[there]
        np.maximum(target, source - depth, out=target)
    return result


def _overlap(offset: int, count: int) -> tuple[slice, slice]:
    return slice(max(0, -offset), min(count, count - offset)), slice(max(0, offset), min(count, count + offset))


def _profile(
    radius_nm: float, before_deg: float, after_deg: float, pitch_nm: float, reach_nm: float
) -> tuple[NDArray[np.float64], int]:
    before = _side(radius_nm, before_deg, pitch_nm, reach_nm)
    after = _side(radius_nm, after_deg, pitch_nm, reach_nm)
    return np.concatenate([before[:0:-1], after]), len(before) - 1


def _side(radius_nm: float, half_angle_deg: float, pitch_nm: float, reach_nm: float) -> NDArray[np.float64]:
    slope = 1.0 / np.tan(np.radians(half_angle_deg))
    blunt = radius_nm * slope**2
    depth = np.sqrt(blunt**2 + (slope * pitch_nm * np.arange(MAX_REACH_PX + 1)) ** 2) - blunt
    return np.asarray(depth[: max(1, int(np.searchsorted(depth, reach_nm)))])


def _moved(values: Heights, by: float, *, axis: int) -> Heights:
    whole = int(np.floor(by))
    part = by - whole
    index = np.arange(values.shape[axis])
    near = np.take(values, np.clip(index - whole, 0, len(index) - 1), axis=axis)
    if part == 0:
        return near
    far = np.take(values, np.clip(index - whole - 1, 0, len(index) - 1), axis=axis)
    return near * (1 - part) + far * part


def parabolic_caps(seeds: Heights, grid: Grid, *, radius_nm: float) -> Heights:
    """The upper envelope of paraboloids of one radius on top of every finite seed height: rounded grains."""
    finite = seeds[np.isfinite(seeds)]
    reach = float(np.ptp(finite)) + 4.0 * float(np.prod(grid.size_nm)) / (len(finite) * 2 * radius_nm)
    result = seeds
    for axis, pitch in ((1, grid.across_nm), (0, grid.down_nm)):
        half = (np.arange(MAX_REACH_PX + 1) * pitch) ** 2 / (2 * radius_nm)
        half = half[: int(np.searchsorted(half, reach)) + 1]
        result = _dilated(result, (np.concatenate([half[:0:-1], half]), len(half) - 1), axis=axis)
    lowest = float(result[np.isfinite(result)].min())
    return np.maximum(result, lowest)
