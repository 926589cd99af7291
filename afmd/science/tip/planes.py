"""What the deconvolving network sees: the tip already undone as far as geometry can, in units of the tip itself.

Rule: pure functions of image, pitch and tip, shared by training and inference. No plane changes when heights, pitch and
radius are all multiplied by one number, nor when a constant is added to the heights.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.domain.tip import Tip, TipForm
from afmd.science.tip.edges import slope
from afmd.science.tip.lines import middle_of_three_lines
from afmd.science.tip.mending import mended
from afmd.science.tip.morphology import erode, erode_coarsely
from afmd.science.tip.shape import kernel

RECIPE: Final = 2
"""Counts up whenever a plane changes: weights of another recipe are refused."""

NAMES: Final = ("height", "gap", "robust", "slope", "touches", "masked", "down", "across", "flank", "noise", "lift")
HEIGHT, GAP, ROBUST, SLOPE, TOUCHES, MASKED, DOWN, ACROSS, FLANK, NOISE, LIFT = range(len(NAMES))
CONSTANT: Final = (DOWN, ACROSS, FLANK, NOISE, LIFT)
MOST_PX: Final = 16.0
"""Largest radius in pixels that the network learned; a finer grid is seen as several coarser ones, interleaved."""

ALLOWED_NOISE: Final = 3.0
"""Standard deviations of the noise by which the surface may lie above the erosion."""
ALLOWED_LIFT: Final = 0.5
"""Share of a lift of edges that was taken off, by which it may lie above the erosion of what is left."""

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class TipView:
    """An image as the network sees it.

    ``planes``: float32 (11, rows, cols), see ``NAMES``. ``bound``: float32 (rows, cols) nm, the erosion of ``image``.
    ``image``: the heights, shifted lines and raised edges put back. ``ground``: nm, what ``planes[HEIGHT]`` is measured
    from. ``unit_nm``: the length of 1 in planes and answers. ``noise_nm``: standard deviation of white noise.
    ``lift_nm``: by how much edges had been raised, or 0. ``slack``: float32 (rows, cols) nm, by how much the surface
    may lie above the bound, see `slack_of`. ``stride``: of how many interleaved grids, each way, the picture is made
    for the network.
    """

    planes: Plane
    bound: Plane
    image: Plane
    ground: Plane
    unit_nm: float
    noise_nm: float
    lift_nm: float
    slack: Plane
    stride: int


def tip_view(
    heights: Plane, *, pixel_nm: tuple[float, float], tip: Tip, mask: NDArray[np.bool_] | None = None
) -> TipView:
    """Return the planes of levelled, finite heights (rows, cols) nm. Raises ``InvalidInput``: absurd kernel."""
    pitch = float(np.sqrt(pixel_nm[0] * pixel_nm[1]))
    unit = max(tip.radius_nm, pitch)
    stride = max(1, int(np.ceil(tip.radius_nm / (pitch * MOST_PX))))
    found = mended(heights, pixel_nm=pixel_nm, tip=tip, mask=mask)
    image, noise = found.image, found.noise_nm
    bound = _eroded(image, pixel_nm, tip, mask)
    robust = _eroded(middle_of_three_lines(image), pixel_nm, tip, mask, coarsely=True)
    ground = ground_level(bound, pixel_nm, reach_nm=3 * unit)
    slope_of_flank = float(np.tan(np.radians(tip.half_angle_deg)))
    planes = np.empty((len(NAMES), *image.shape), np.float32)
    planes[HEIGHT] = (bound - ground) / np.float32(unit)
    planes[GAP] = (image - bound) / np.float32(unit)
    planes[ROBUST] = (robust - bound) / np.float32(unit)
    planes[SLOPE] = np.minimum(_steepness(bound, pixel_nm) * np.float32(slope_of_flank), 4)
    counts = touches(image, pixel_nm=pixel_nm, tip=tip, noise_nm=noise)
    planes[TOUCHES] = np.log1p(np.arange(counts.max() + 1, dtype=np.float32))[counts]
    planes[MASKED] = 0 if mask is None else mask
    for plane, side in ((DOWN, pixel_nm[0]), (ACROSS, pixel_nm[1])):
        planes[plane] = np.log2(unit / (side * stride)) / 4
    planes[FLANK] = 2 * slope_of_flank
    planes[NOISE] = np.sqrt(10 * noise / unit)
    planes[LIFT] = np.sqrt(found.lift_nm / unit)
    if mask is not None:
        planes[GAP][mask] = planes[ROBUST][mask] = 0
    slack = np.float32(unit) * slack_of(planes)
    return TipView(planes, bound, image, ground, unit, noise, found.lift_nm, slack, stride)


def slack_of(planes: Plane) -> Plane:
    """Return by how much, in units, the surface may lie above the erosion (rows, cols), from the planes.

    Noise pulls the erosion down; an estimated lift may have been taken off too much; and one low line that was not put
    back drags down as many as the tip is wide, where the erosion of the median over three lines stays up.
    """
    noise, lift = planes[NOISE].flat[0] ** 2 / 10, planes[LIFT].flat[0] ** 2
    return np.asarray(np.maximum(planes[ROBUST], 0) + (ALLOWED_NOISE * noise + ALLOWED_LIFT * lift), np.float32)


def touches(image: Plane, *, pixel_nm: tuple[float, float], tip: Tip, noise_nm: float) -> NDArray[np.intp]:
    """Return how many pixels of the image were made by a contact at each pixel of the surface, (rows, cols).

    A smooth tip touches where it is as steep as the image (Keller, Surf. Sci. 253 (1991) 353): the contact lies uphill
    by the distance at which the tip has the image's slope. Pixels as steep as the flank tell nothing and do not count.
    """
    width = min(3 * noise_nm / min(pixel_nm), 1.5)
    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), width), np.float32) if width > 0.3 else image
    slopes = [slope(smooth, axis, pitch) for axis, pitch in enumerate(pixel_nm)]
    known = np.ones(image.shape, np.bool_)
    uphill = np.full_like(image, tip.radius_nm)
    if tip.form is not TipForm.PARABOLOID:
        squared = slopes[0] ** 2 + slopes[1] ** 2
        uphill /= np.sqrt(1 + squared)
        known = squared < np.float32((0.97 / np.tan(np.radians(tip.half_angle_deg))) ** 2)
    at = np.zeros(image.shape, np.int32)
    for axis, count in enumerate(image.shape):
        own = np.expand_dims(np.arange(count, dtype=np.float32), 1 - axis)
        there = own + np.rint(uphill * (slopes[axis] / np.float32(pixel_nm[axis])))
        known &= (there >= 0) & (there < count)
        at = at * np.int32(count) + there.astype(np.int32)
    at[~known] = image.size
    return np.bincount(at.ravel(), minlength=image.size + 1)[:-1].reshape(image.shape)


def ground_level(bound: Plane, pixel_nm: tuple[float, float], *, reach_nm: float) -> Plane:
    """Return a smooth lower envelope: the least height within a reach, then its mean over the same window."""
    down, across = (2 * min(int(np.ceil(reach_nm / p)), 200) + 1 for p in pixel_nm)
    least = cv2.erode(bound, np.ones((down, across), np.uint8))
    return np.asarray(cv2.blur(least, (across, down)), np.float32)


def _eroded(
    image: Plane, pixel_nm: tuple[float, float], tip: Tip, mask: NDArray[np.bool_] | None, *, coarsely: bool = False
) -> Plane:
    known = image if mask is None else image[~mask]
    relief = float(np.ptp(known)) if known.size else 0.0
    shape = kernel(tip, pixel_nm=pixel_nm, relief_nm=relief)
    free = image if mask is None else np.where(mask, np.float32(np.inf), image)
    bound = np.asarray((erode_coarsely if coarsely else erode)(free, shape), np.float32)
    return bound if mask is None else np.where(np.isfinite(bound), bound, image)


def _steepness(surface: Plane, pixel_nm: tuple[float, float]) -> Plane:
    down, across = (slope(surface, axis, pitch) for axis, pitch in enumerate(pixel_nm))
    return np.asarray(cv2.magnitude(down, across), np.float32)
