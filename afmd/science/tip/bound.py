"""The erosion of a noisy picture, with what noise does to it taken off. Rule: a bound says how sure it is.

Erosion takes the least of many heights, so noise pulls it down. The picture is opened, made noisy anew and eroded
again: the mean of what that changes is the pull, its spread the uncertainty.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.domain.tip import Tip, TipForm
from afmd.science.tip.contact import contact
from afmd.science.tip.morphology import dilate, erode
from afmd.science.tip.shape import kernel
from afmd.science.tip.workpiece import Workpiece, neutral, prepared

Plane = NDArray[np.float32]

REPEATS = 3
SEED = 20_260
NEARLY_NONE = 5e-3
"""Noise below this share of the radius is none."""
CONTACT_BLUR_PX, CONTACT_BLUR = 0.7, 0.08
"""Width of the Gaussian before contacts are told from curvature: at least in pixels, and as a share of the radius."""
SHARP_BLUR_PX = 0.3
MOST_BLUR = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Imaging:
    """A picture and the tip that took it.

    ``heights``: float32 (rows, cols) nm, levelled. ``pixel_nm``: (down, across). ``mask``: True where a height means
    nothing.
    """

    heights: Plane
    pixel_nm: tuple[float, float]
    mask: NDArray[np.bool_]
    tip: Tip

    @property
    def pitch(self) -> float:
        """Geometric mean of the two pitches, nm."""
        return float(np.sqrt(self.pixel_nm[0] * self.pixel_nm[1]))

    @property
    def shape(self) -> NDArray[np.float64]:
        """The tip on the picture's grid, as high as the trusted relief. Raises ``InvalidInput``: absurdly wide."""
        trusted = self.heights[~self.mask]
        relief = float(np.ptp(trusted)) if trusted.size else 0.0
        return kernel(self.tip, pixel_nm=self.pixel_nm, relief_nm=max(relief, 1e-6))


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """What geometry says of the surface; float32 (rows, cols) each.

    ``heights``: its least upper bound in nm. ``sigma``: standard deviation of that from noise, nm. ``contact``: how
    surely the tip touched, in [0, 1]. ``noise_nm``: of single pixels of the picture.
    """

    heights: Plane
    sigma: Plane
    contact: Plane
    noise_nm: float


def bounded(imaging: Imaging) -> Bound:
    """Return the bound of the surface under a picture. Raises ``InvalidInput`` for a tip absurdly wide."""
    shape, trusted = imaging.shape, ~imaging.mask
    picture = neutral(imaging.heights, trusted)
    piece = prepared(picture, trusted, imaging.pixel_nm, step=(1, 1))
    noise = float(np.hypot(piece.white_nm, piece.lines_nm))
    if noise <= NEARLY_NONE * max(imaging.tip.radius_nm, imaging.pitch):
        plain = _eroded(picture, trusted, shape)
        return Bound(plain, np.zeros_like(plain), _contact(picture, imaging, noisy=False), noise)
    blur = _blur_px(piece.white_nm, imaging)
    smooth = piece.smoothed(picture, blur)
    eroded = _eroded(smooth, trusted, shape)
    opened = np.minimum(smooth, dilate(eroded, shape)).astype(np.float32)
    pull, spread = _shaken(piece, opened, imaging, blur)
    touch = _contact(
        piece.smoothed(opened, max(CONTACT_BLUR_PX, CONTACT_BLUR * imaging.tip.radius_nm / imaging.pitch)),
        imaging,
        noisy=True,
    )
    return Bound(eroded - pull, spread, touch, noise)


def _shaken(piece: Workpiece, opened: Plane, imaging: Imaging, blur_px: float) -> tuple[Plane, Plane]:
    """Return by how much noise pulls the erosion down and how much it spreads it, both nm.

    Only the apex is used, as high as its radius: noise decides between near contacts and not between far ones.
    """
    relief = float(np.ptp(opened))
    apex = kernel(imaging.tip, pixel_nm=imaging.pixel_nm, relief_nm=max(min(relief, imaging.tip.radius_nm), 1e-6))
    rng, calm, trusted = np.random.default_rng(SEED), _eroded(opened, piece.trusted, apex), piece.trusted
    changes = [
        _eroded(piece.smoothed(opened + piece.noise(rng), blur_px), trusted, apex) - calm for _ in range(REPEATS)
    ]
    pull = cv2.blur(np.mean(changes, axis=0, dtype=np.float32), (5, 5))
    spread = np.sqrt(cv2.blur(np.var(changes, axis=0, ddof=1, dtype=np.float32), (7, 7)))
    return pull.astype(np.float32), spread.astype(np.float32)


def radius_doubt(imaging: Imaging) -> Plane:
    """Return by how much the bound moves with the radius's own standard deviation, float32 (rows, cols) nm, new."""
    tip = imaging.tip
    spread = min(tip.radius_sigma_nm, 0.9 * tip.radius_nm)
    if spread <= 0 or tip.form is TipForm.ARRAY:
        return np.zeros_like(imaging.heights)
    picture, trusted = neutral(imaging.heights, ~imaging.mask), ~imaging.mask
    radii = tip.radius_nm - spread, tip.radius_nm + spread
    shapes = (replace(imaging, tip=replace(tip, radius_nm=radius)).shape for radius in radii)
    sharper, blunter = (_eroded(picture, trusted, shape) for shape in shapes)
    return np.asarray(np.abs(sharper - blunter) / 2, dtype=np.float32)


def _contact(picture: Plane, imaging: Imaging, *, noisy: bool) -> Plane:
    touch = contact(picture, pixel_nm=imaging.pixel_nm, tip=imaging.tip, noisy=noisy)
    return np.where(imaging.mask, np.float32(0), touch)


def _eroded(picture: Plane, trusted: NDArray[np.bool_], shape: NDArray[np.float64]) -> Plane:
    eroded = erode(np.where(trusted, picture, np.float32(np.inf)), shape)
    return np.where(np.isfinite(eroded), eroded, picture).astype(np.float32)


def _blur_px(noise_nm: float, imaging: Imaging) -> float:
    """Return the width that leaves noise of 1 % of the radius, within reason: more would round the picture's cusps."""
    radius = max(imaging.tip.radius_nm, imaging.pitch)
    needed = noise_nm / (2 * np.sqrt(np.pi) * 0.01 * radius)
    return float(np.clip(needed, SHARP_BLUR_PX, np.clip(MOST_BLUR * radius / imaging.pitch, 0.5, 1.5)))
