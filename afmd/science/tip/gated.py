"""What the surface may be where the tip did not touch. Rule: no lower than what was touched around, no higher than the
bound.

A wall steeper than the tip leaves a skirt that was never touched: behind it lies what was touched lowest nearby. The
skirt is therefore filled from the touched pixels around with weights that fall with their height.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.science.tip.bound import Bound, Imaging

Plane = NDArray[np.float32]

TOUCHED = 0.5
SOFTNESS = 0.1
"""Heights that differ by this share of the radius weigh alike."""
SPARSE, DENSE = 0.75, 0.92
GAP_SHARE = 0.30
SLOPE_SHARE = 0.6
SPARSE_SHARE = 0.5
OCTAVES, FARTHER = 6, 0.1
"""Gaussians of 1, 2, 4 … pixels, each with a tenth of the last one's say."""


@dataclass(frozen=True, slots=True, eq=False)
class Gated:
    """``surface``: the bound where touched, the fill elsewhere; ``doubt``: standard deviation of not having touched."""

    surface: Plane
    doubt: Plane


def gated(bound: Bound, imaging: Imaging) -> Gated:
    """Return the surface that touched pixels suggest, and how far it may be off where there were none; nm, new."""
    share = _certain(bound.contact)
    walls = _walled(share, imaging)
    lower = np.minimum(_lower_fill(bound, imaging), bound.heights)
    lower = walls * lower + (1 - walls) * bound.heights
    surface = share * bound.heights + (1 - share) * lower
    doubt = _doubt(bound, share, bound.heights - lower, imaging)
    return Gated(surface.astype(np.float32), doubt.astype(np.float32))


def _doubt(bound: Bound, share: Plane, gap: Plane, imaging: Imaging) -> Plane:
    """Return what not having touched may hide: behind walls, between contacts, and wherever contacts are sparse."""
    radius = np.float32(imaging.tip.radius_nm)
    wide, high = _window(imaging, 1)
    down, across = np.gradient(bound.heights, *imaging.pixel_nm)
    slope = np.sqrt(np.maximum(cv2.blur(np.asarray(down**2 + across**2, dtype=np.float32), (wide, high)), 0))
    away = cv2.distanceTransform((bound.contact < TOUCHED).astype(np.uint8), cv2.DIST_L2, 5) * min(imaging.pixel_nm)
    unseen = slope * np.sqrt(np.minimum(away, radius) * radius) / 2
    sparse = (1 - cv2.blur(share, (wide, high))) ** 2 * slope * radius
    missed = (1 - share) * np.hypot(np.float32(GAP_SHARE) * gap, np.float32(SLOPE_SHARE) * unseen)
    return np.asarray(np.hypot(missed, SPARSE_SHARE * sparse), dtype=np.float32)


def _walled(share: Plane, imaging: Imaging) -> Plane:
    """Return 1 where much was touched nearby, so that gaps are skirts of walls, and 0 on surfaces rough throughout."""
    wide, high = _window(imaging, 2.5)
    densest = cv2.dilate(cv2.blur(share, _window(imaging, 0.7)), np.ones((high, wide), np.uint8))
    return np.asarray(np.clip((densest - SPARSE) / (DENSE - SPARSE), 0, 1), dtype=np.float32)


def _window(imaging: Imaging, radii: float) -> tuple[int, int]:
    """Return (width, height) in pixels of a window that reaches this many tip radii from its middle."""
    down, across = (2 * max(1, round(radii * imaging.tip.radius_nm / pitch)) + 1 for pitch in imaging.pixel_nm)
    return across, down


def _certain(contact: Plane) -> Plane:
    """Return 0 below half a touch, 1 above, softly in between."""
    return np.asarray(np.clip((contact - TOUCHED + 0.2) / 0.4, 0, 1), dtype=np.float32)


def _lower_fill(bound: Bound, imaging: Imaging) -> Plane:
    """Return the mean of touched heights around each pixel, low ones first, then near ones."""
    sure, (down, across) = _certain(bound.contact), (side // 2 for side in imaging.shape.shape)
    lifted = np.where(sure > 0, bound.heights, np.float32(np.inf))
    lowest = cv2.erode(lifted, np.ones((4 * down + 1, 4 * across + 1), np.uint8), borderType=cv2.BORDER_REFLECT)
    soft = max(2 * bound.noise_nm, SOFTNESS * max(imaging.tip.radius_nm, imaging.pitch))
    above = np.where(sure > 0, bound.heights - np.where(np.isfinite(lowest), lowest, 0), 0)
    weight = (sure * np.exp(-above / np.float32(soft))).astype(np.float32)
    total, sums = np.full_like(sure, 1e-12), np.zeros_like(sure)
    for octave in range(OCTAVES):
        if octave and 2**octave > 2 * max(down, across):
            break
        share, width = np.float32(FARTHER**octave), 2.0**octave
        total += share * _spread(weight, imaging, width)
        sums += share * _spread(weight * bound.heights, imaging, width)
    return np.where(total > 1e-9, sums / total, bound.heights).astype(np.float32)


def _spread(values: Plane, imaging: Imaging, width: float) -> Plane:
    """Return ``values`` after a Gaussian of ``width`` in units of the finer pitch."""
    down, across = (width * min(imaging.pixel_nm) / pitch for pitch in imaging.pixel_nm)
    return cv2.GaussianBlur(values, (0, 0), across, sigmaY=down, borderType=cv2.BORDER_REFLECT).astype(np.float32)
