"""Where the tip touched, told from slopes. Rule: a pixel counts as touched only where neighbouring positions agree.

A smooth tip touches where it is as steep as the picture, so a picture's slope tells where its contact lay (Keller,
Surf. Sci. 253 (1991) 353). From one position to the next the contact moves by 1 + R κ of their distance, κ the
picture's curvature, positive in hollows: not at all at an edge, alike over flat ground. Where it leaps, what lies
between was jumped over. Unlike Villarrubia's certainty (1997), which asks for one contact exactly, that stands noise.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.domain.tip import Tip, TipForm

Plane = NDArray[np.float32]

LEAP_PER_PX = 0.1
"""A leap is told from this much more way than the tip itself, for each pixel of the radius: kinks blur over pixels."""
LEAST_LEAP, MOST_LEAP = 0.25, 1.0
SOFTNESS = 0.15
SPAN = 3
CLEAR_FLANK, NOISY_FLANK = 0.95, 0.88
"""Of the flank's own slope: as steep as that, any point of the flank may have touched."""


def contact(smooth: Plane, *, pixel_nm: tuple[float, float], tip: Tip, noisy: bool) -> Plane:
    """Return how surely the tip touched each pixel of the surface, float32 (rows, cols) in [0, 1].

    ``smooth``: the picture, its noise removed where it was ``noisy``, nm. Of ``tip``
    only radius and half-angle are heeded.
    """
    down, across = (np.asarray(g, dtype=np.float32) for g in np.gradient(smooth, *pixel_nm))
    slant = np.float32(0 if tip.form is TipForm.PARABOLOID else 1)
    length = np.asarray(np.sqrt(1 + slant * (down**2 + across**2)), dtype=np.float32)
    leaps = cv2.dilate(_leaps(down, across, length, pixel_nm, tip.radius_nm), np.ones((SPAN, SPAN), np.uint8))
    radius_px = tip.radius_nm / float(np.sqrt(pixel_nm[0] * pixel_nm[1]))
    leap = 1 + float(np.clip(LEAP_PER_PX * radius_px, LEAST_LEAP, MOST_LEAP))
    voice = (1 / (1 + np.exp(np.minimum((leaps - leap) / (SOFTNESS * (leap - 1)), 50)))).astype(np.float32)
    if tip.form is not TipForm.PARABOLOID:
        steepest = (NOISY_FLANK if noisy else CLEAR_FLANK) / np.tan(np.radians(tip.half_angle_deg))
        voice[np.hypot(down, across) > steepest] = 0
    rows = np.arange(smooth.shape[0])[:, None] + np.rint(tip.radius_nm * down / length / pixel_nm[0]).astype(np.intp)
    cols = np.arange(smooth.shape[1])[None, :] + np.rint(tip.radius_nm * across / length / pixel_nm[1]).astype(np.intp)
    heard = cv2.morphologyEx(_loudest(voice, rows, cols), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return heard.astype(np.float32)


def _leaps(
    down: Plane, across: Plane, length: Plane, pixel_nm: tuple[float, float], radius_nm: float
) -> NDArray[np.float32]:
    """Return by how much more than the tip its contact moves, in the direction in which that is most."""
    (down_down, mixed), across_across = (
        np.gradient(down / length, *pixel_nm),
        np.gradient(across / length, pixel_nm[1], axis=1),
    )
    middle, apart = (down_down + across_across) / 2, (down_down - across_across) / 2
    return np.asarray(1 + radius_nm * (middle + np.hypot(apart, mixed)), dtype=np.float32)


def _loudest(voice: Plane, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> Plane:
    """Return the loudest of the voices that speak for each pixel, 0 where none does."""
    heard = np.zeros_like(voice)
    inside = (rows >= 0) & (rows < voice.shape[0]) & (cols >= 0) & (cols < voice.shape[1])
    np.maximum.at(heard, (rows[inside], cols[inside]), voice[inside])
    return heard
