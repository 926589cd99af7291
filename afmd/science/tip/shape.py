"""A tip on a pixel grid. Rule: a kernel reaches as far as the picture's relief can feel it, and no further."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from afmd.domain.tip import Tip, TipForm
from afmd.errors import InvalidInput

MAX_REACH_PX = 255
"""Half the side of the largest kernel, in pixels; a tip that needs more is too blunt for so fine a grid."""


def kernel(tip: Tip, *, pixel_nm: tuple[float, float], relief_nm: float) -> NDArray[np.float64]:
    """Return the tip's heights in nm above its apex, float64 (odd rows, odd cols), apex 0 at the centre.

    ``relief_nm``: highest minus lowest height of the picture. No pixel of the kernel is higher than that: such pixels
    are ``inf``, since they can touch nothing. Raises ``InvalidInput`` where the kernel would be absurdly large.
    """
    if tip.form is TipForm.ARRAY:
        heights = _resampled(tip, pixel_nm)
    else:
        down, across = (_reach_px(tip, pitch, relief_nm) for pitch in pixel_nm)
        rows = np.arange(-down, down + 1, dtype=np.float64)[:, None] * pixel_nm[0]
        cols = np.arange(-across, across + 1, dtype=np.float64)[None, :] * pixel_nm[1]
        heights = _heights_above_apex(tip, rows, cols)
    return _trimmed(np.where(heights <= relief_nm, heights, np.inf))


def _reach_px(tip: Tip, pitch: float, relief_nm: float) -> int:
    reach = _distance_at(tip, relief_nm) / pitch
    if not reach <= MAX_REACH_PX:
        raise InvalidInput(
            "tip", why=f"at this relief it is {2 * reach:.0f} pixels wide",
            mend="Crop or coarsen the picture, or check radius and pixel pitch", field="tip",
        )  # fmt: skip
    return int(reach)


def _heights_above_apex(tip: Tip, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[np.float64]:
    if tip.form is TipForm.PARABOLOID:
        return (rows**2 + cols**2) / (2 * tip.radius_nm)
    if tip.form is TipForm.PYRAMID:
        return _profile(tip, np.maximum(np.abs(rows), np.abs(cols)))
    return _profile(tip, np.hypot(rows, cols))


def _profile(tip: Tip, distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the height of a sphere that runs tangentially into a cone, at a distance from the axis."""
    radius, angle = tip.radius_nm, np.radians(tip.half_angle_deg)
    touch = radius * np.cos(angle)
    sphere = radius - np.sqrt(np.maximum(radius**2 - distance**2, 0.0))
    flank = radius - radius * np.sin(angle) + (distance - touch) / np.tan(angle)
    return np.where(distance <= touch, sphere, flank)


def _distance_at(tip: Tip, height: float) -> float:
    """Return the distance from the axis at which the tip reaches a height above its apex (the profile's inverse)."""
    radius, angle = tip.radius_nm, np.radians(tip.half_angle_deg)
    if tip.form is TipForm.PARABOLOID:
        return float(np.sqrt(2 * radius * height))
    cap = radius * (1 - np.sin(angle))
    if height <= cap:
        return float(np.sqrt(max(2 * radius * height - height**2, 0.0)))
    return float(radius * np.cos(angle) + (height - cap) * np.tan(angle))


def _resampled(tip: Tip, pixel_nm: tuple[float, float]) -> NDArray[np.float64]:
    """Return a measured tip on another grid, linear between its pixels."""
    assert tip.heights is not None and tip.pixel_nm is not None  # noqa: PT018 - what ``array`` means
    own = tip.heights
    if tip.pixel_nm == pixel_nm:
        return own
    ratio = np.divide(pixel_nm, tip.pixel_nm)
    half = [int((side // 2) / step) for side, step in zip(own.shape, ratio, strict=True)]
    axes = [np.arange(-n, n + 1) * step + side // 2 for n, step, side in zip(half, ratio, own.shape, strict=True)]
    return np.asarray(map_coordinates(own, np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest"))


def _trimmed(heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Drop outer rings that hold no finite height; the apex stays central."""
    finite = np.argwhere(np.isfinite(heights))
    centre = np.array(heights.shape) // 2
    down, across = np.abs(finite - centre).max(axis=0)
    return heights[centre[0] - down : centre[0] + down + 1, centre[1] - across : centre[1] + across + 1]
