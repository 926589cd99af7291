"""Tips as a round apex on a leaning cone, and what they make of a surface.

Rule: what a tip images is the dilation of the surface by it (Villarrubia 1997): first by the apex's parabola, then by
the cone, in eight directions and ever longer steps, which is an octagon for a circle but quick on large frames.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.training.second.samples.fields import between

Image = NDArray[np.float32]

BLUNTEST_DEG = 55.0
APEX_STEPS = 70
"""Beyond this many pixels no apex reaches."""
HEADINGS = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))
"""Steps (down, across) along which the cone is followed, there and back."""


@dataclass(frozen=True, slots=True)
class Tip:
    """Apex radius in nm, and the cone's half-angles in degrees towards larger and towards smaller columns."""

    radius_nm: float
    front_deg: float
    back_deg: float


def new_tip(rng: np.random.Generator) -> Tip:
    """Draw a tip that is good enough; now and then it is a used one."""
    half_angle = rng.uniform(9, 24)
    radius = between(rng, 2, 18) if rng.random() < 0.85 else between(rng, 18, 35)
    return Tip(radius, half_angle + rng.uniform(-2, 6), half_angle)


def worn(rng: np.random.Generator, tip: Tip, wear: float) -> Tip:
    """Draw what becomes of a tip by so much wear, 0 for none and about 1 for much."""
    wider = 9 * min(wear, 2.5)
    radius = tip.radius_nm * (1 + wear * rng.uniform(3, 9))
    back = min(tip.back_deg + wider * rng.uniform(0.3, 1), BLUNTEST_DEG)
    return Tip(radius, min(tip.front_deg + wider, BLUNTEST_DEG), back)


def dilated(surface: NDArray[np.float64], tip: Tip, *, down_nm: float, across_nm: float) -> Image:
    """Return a new array: the heights in nm that a perfect loop would record with ``tip``."""
    image = surface.astype(np.float32)
    relief = float(image.max() - image.min())
    for axis, pitch in enumerate((down_nm, across_nm)):
        _touch_with_apex(image, tip, axis=axis, pitch=pitch, relief=relief)
    for heading in HEADINGS:
        _touch_with_cone(image, tip, heading=heading, pitches=(down_nm, across_nm), relief=relief)
    return image


def touch(image: Image, other: Image, *, down: int, across: int, lower: float) -> None:
    """Raise ``image`` to ``other`` moved by so many pixels and lowered by so many nm, wherever that is higher."""
    rows, cols = image.shape
    here = (slice(max(down, 0), rows + min(down, 0)), slice(max(across, 0), cols + min(across, 0)))
    there = (slice(max(-down, 0), rows + min(-down, 0)), slice(max(-across, 0), cols + min(-across, 0)))
    np.maximum(image[here], other[there] - np.float32(lower), out=image[here])


def _touch_with_apex(image: Image, tip: Tip, *, axis: int, pitch: float, relief: float) -> None:
    """Dilate along one axis by the parabola, as far out as the cone takes over."""
    steepest = np.deg2rad(min(tip.front_deg, tip.back_deg))
    reach = tip.radius_nm / np.tan(steepest)
    before = image.copy()
    for steps in range(1, min(image.shape[axis] // 2, APEX_STEPS)):
        lower = (steps * pitch) ** 2 / (2 * tip.radius_nm)
        if lower > relief or steps * pitch > reach:
            break
        for way in (steps, -steps):
            touch(image, before, down=way * (axis == 0), across=way * (axis == 1), lower=lower)


def _touch_with_cone(
    image: Image, tip: Tip, *, heading: tuple[int, int], pitches: tuple[float, float], relief: float
) -> None:
    """Dilate along one heading, there and back; doubled steps reach any distance in a few passes."""
    down, across = heading
    length = np.hypot(down * pitches[0], across * pitches[1])
    for sign in (1, -1):
        front = 0.5 + 0.5 * (across * pitches[1] / length) * sign
        half_angle = tip.front_deg * front + tip.back_deg * (1 - front)
        lower = length / np.tan(np.deg2rad(half_angle))
        steps = 1
        while steps * lower < relief and steps * max(abs(down), abs(across)) < min(image.shape):
            way = sign * steps
            touch(image, image.copy(), down=way * down, across=way * across, lower=steps * lower)
            steps *= 2
