"""Raised edges, put back before a tip is undone. Rule: a lift is taken off only if the image is more like a tip's then.

A loop that lags or a tip that is pushed raises an image where it is steep, by up to a greatest lift (edge elevation).
No tip records such an image: its opening by the tip lies below it (Villarrubia 1997, section 6), and the opening,
raised again, is not the image. The lift is the one for which both come nearest.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.domain.tip import Tip, TipForm
from afmd.science.tip.morphology import dilate, erode
from afmd.science.tip.shape import kernel

Plane = NDArray[np.float32]

STEEP: Final = 1.5
"""Slope from which an edge is raised no further."""
WINDOW_PX: Final = 128
LEAST_SIDE_PX: Final = 48
BLUR_PER_NOISE: Final = 2.5
BLURS_PX: Final = (0.3, 0.8)
"""Before slopes are taken a noisy image is blurred, in proportion to its noise; by less than the first, not at all."""
SHARPEST: Final = 0.3
COARSE: Final = (0.5, 1.0, 1.5, 2.0, 2.5)
"""Lifts, in pixels, that are tried first."""
MOST_PX: Final = 3.0
WIDTHS_PX: Final = (0.6, 2.2)
STEPS: Final = ((0.0, 0.45), (0.25, 0.0), (0.12, 0.0), (0.0, 0.2), (0.06, 0.0))
"""By how much lift and width, in pixels, are varied by turns."""
LEAST_GAIN, LEAST_GAIN_NOISY = 0.05, 0.09
"""Share of the objection to an image as it is by which a lift must lessen it."""
NOTHING: Final = 4e-3
MOST_UNSURE: Final = 0.02
"""Share of the radius that its standard deviation may be."""
SHARPER: Final = ((0.95, 1.0), (0.9, 1.15))
"""Shares of the radius whose tips must not explain an image as well without a lift; the sharper one is given less
credit, for sharp tips explain noise."""
CAUTION, CAUTION_NOISY = 0.01, 0.006
"""Objection to a lift of one pixel for its own sake."""
EVIDENCE_PX: Final = 2.0
"""Width of the Gaussian over which noise is let average out of the evidence."""
SEED: Final = 20_261
CALM: Final = 0.02
"""Noise, in pixels, beyond which it is taken into account."""
SEEKING_ROUNDS, ROUNDS = 8, 14


@dataclass(frozen=True, slots=True)
class Lift:
    """What raised the edges of an image; lengths in pixels (the geometric mean of both pitches).

    ``most``: the lift of the steepest places, 0 for none. ``width``: of the Gaussian over which slopes are felt.
    ``both``: True on all sides, False only where the tip climbs along the line.
    """

    most: float = 0.0
    width: float = 1.3
    both: bool = True


def lift_of(
    image: Plane, *, pixel_nm: tuple[float, float], tip: Tip, noise_nm: float, mask: NDArray[np.bool_] | None = None
) -> Lift:
    """Return the lift that best explains an image (rows, cols) nm of a known tip, or none.

    None is sought where the radius itself is unsure, for a wrong radius leaves the same traces. Large images are judged
    by the window of theirs with most edges. Raises ``InvalidInput`` for an absurd kernel.
    """
    unsure = tip.radius_sigma_nm > MOST_UNSURE * tip.radius_nm
    if unsure or min(image.shape) < LEAST_SIDE_PX or (mask is not None and mask.all()):
        return Lift()
    window = _edgiest(image, pixel_nm)
    court = _Court(image[window], pixel_nm, tip, noise_nm, None if mask is None else ~mask[window])
    none = court.objection(Lift())
    if none < NOTHING:
        return Lift()
    best, least = court.best(Lift(most, both=both) for both in (True, False) for most in COARSE)
    if least > (1 - (LEAST_GAIN_NOISY if court.noisy else LEAST_GAIN)) * none:
        return Lift()
    for most, width in STEPS:
        best, least = court.best(_varied(best, most, width), than=(best, least))
    return best if least < court.objection_to_sharper_tips() else Lift()


def lowered(image: Plane, lift: Lift, *, pixel_nm: tuple[float, float], noise_nm: float, rounds: int = ROUNDS) -> Plane:
    """Return the image (rows, cols) nm that the lift had raised: the fixed point of image less lift, damped."""
    if lift.most == 0:
        return image
    pitch = _pitch(pixel_nm)
    most, width = np.float32(lift.most * pitch), lift.width * pitch
    step = np.float32(1 / (1 + min(0.5 * lift.most / lift.width, 1.5) ** 2))
    result = image - most / 2 * share_raised(image, width, lift.both, pixel_nm=pixel_nm, noise_nm=noise_nm)
    for _ in range(rounds):
        raised = share_raised(result, width, lift.both, pixel_nm=pixel_nm, noise_nm=noise_nm)
        result += step * (image - result - most * raised)
    return np.asarray(result, np.float32)


def share_raised(
    image: Plane, width_nm: float, both: bool, *, pixel_nm: tuple[float, float], noise_nm: float = 0.0
) -> Plane:
    """Return which share of the greatest lift each pixel is raised by, in [0, 1]: its slope, blurred, up to ``STEEP``.

    ``noise_nm``: of white noise in the image, whose own slopes raise nothing.
    """
    noise = noise_nm / _pitch(pixel_nm)
    blur = _blur_px(noise)
    smooth = _blurred(image, blur)
    down, across = (slope(smooth, axis, pixel_nm[axis]) for axis in (0, 1))
    squared = across**2 + down**2 if both else np.maximum(across, 0) ** 2
    if noise > 0:
        squared = np.maximum(squared - np.float32((3.0 if both else 1.5) * _slope_noise(noise, blur)), 0)
    steep = np.minimum(np.sqrt(squared), np.float32(STEEP))
    left = np.sqrt(max(1 - (blur * _pitch(pixel_nm) / width_nm) ** 2, SHARPEST**2))
    across_px, down_px = (float(left * width_nm / pitch) for pitch in reversed(pixel_nm))
    felt = cv2.GaussianBlur(steep, (0, 0), sigmaX=across_px, sigmaY=down_px, borderType=cv2.BORDER_REFLECT)
    return np.asarray(np.minimum(felt, np.float32(1)), dtype=np.float32)


def slope(image: Plane, axis: int, pitch: float) -> Plane:
    """Return the central difference along an axis over its pitch, one-sided at the frame, 0 along a single pixel."""
    if image.shape[axis] < 2:
        return np.zeros_like(image)
    field, result = np.moveaxis(image, axis, 0), np.empty_like(image)
    target = np.moveaxis(result, axis, 0)
    np.subtract(field[2:], field[:-2], out=target[1:-1])
    target[1:-1] *= np.float32(0.5)
    target[0], target[-1] = field[1] - field[0], field[-1] - field[-2]
    result /= np.float32(pitch)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Court:
    """Hears what speaks against a lift in one window of an image."""

    image: Plane
    pixel_nm: tuple[float, float]
    tip: Tip
    noise_nm: float
    trusted: NDArray[np.bool_] | None

    @property
    def noise(self) -> float:
        """White noise in pixels."""
        return self.noise_nm / _pitch(self.pixel_nm)

    @property
    def noisy(self) -> bool:
        """True where noise is more than next to none."""
        return self.noise > CALM

    def best(self, lifts: Iterable[Lift], *, than: tuple[Lift, float] | None = None) -> tuple[Lift, float]:
        """Return the lift that least speaks against, and how much that is."""
        heard = [(lift, self.objection(lift)) for lift in lifts]
        return min(heard if than is None else [than, *heard], key=lambda found: found[1])

    def objection_to_sharper_tips(self) -> float:
        """Return the least that speaks against the image as it is, had the tip been sharper than was said.

        A tip that is not as blunt as one believes leaves what looks like a lift. Not asked of a measured tip.
        """
        if self.tip.form is TipForm.ARRAY:
            return float("inf")
        sharper = (replace(self, tip=replace(self.tip, radius_nm=part * self.tip.radius_nm)) for part, _ in SHARPER)
        return min(ease * court.objection(Lift()) for court, (_, ease) in zip(sharper, SHARPER, strict=True))

    def objection(self, lift: Lift) -> float:
        """Return the mean distance, in pixels, of the lowered image from its opening and of both once raised again.

        In noise both are held against those of what tip and lift would have recorded of the same surface in such noise.
        """
        pitch = _pitch(self.pixel_nm)
        again, gaps, reach = self._explained(self.image, lift)
        if self.noisy:
            grain = np.random.default_rng(SEED).standard_normal(again.shape, dtype=np.float32)
            _, expected, _ = self._explained(again + np.float32(self.noise_nm) * grain, lift)
            gaps = [_blurred(seen - due, EVIDENCE_PX) for seen, due in zip(gaps, expected, strict=True)]
        apart = np.add(*(np.minimum(np.abs(gap) / np.float32(pitch), 1) for gap in gaps))
        if self.trusted is not None:
            apart = apart * self.trusted
        margins = (min(s // 2, n // 5) for s, n in zip(reach, again.shape, strict=True))
        inner = tuple(slice(m, -m or None) for m in margins)
        return float(np.mean(apart[inner])) + lift.most * (CAUTION_NOISY if self.noisy else CAUTION)

    def _explained(self, image: Plane, lift: Lift) -> tuple[Plane, list[Plane], tuple[int, ...]]:
        """Return the lowered image's opening, raised again; how far both images lie above; the tip's size in pixels."""
        pitch = _pitch(self.pixel_nm)
        before = lowered(image, lift, pixel_nm=self.pixel_nm, noise_nm=self.noise_nm, rounds=SEEKING_ROUNDS)
        image, before = (_blurred(field, _blur_px(self.noise_nm / pitch)) for field in (image, before))
        shape = kernel(self.tip, pixel_nm=self.pixel_nm, relief_nm=float(np.ptp(before)))
        opened = np.asarray(dilate(erode(before, shape), shape), np.float32)
        again = opened
        if lift.most:
            raised = share_raised(opened, lift.width * pitch, lift.both, pixel_nm=self.pixel_nm)
            again = opened + np.float32(lift.most * pitch) * raised
        return again, [before - opened, image - again], shape.shape


def _varied(lift: Lift, most: float, width: float) -> list[Lift]:
    return [
        replace(
            lift,
            most=float(np.clip(lift.most + sign * most, 0.1, MOST_PX)),
            width=float(np.clip(lift.width + sign * width, *WIDTHS_PX)),
        )
        for sign in (-1, 1)
    ]


def _edgiest(image: Plane, pixel_nm: tuple[float, float]) -> tuple[slice, slice]:
    """Return the window of at most ``WINDOW_PX`` pixels a side whose lines rise and fall most."""
    sides = [min(n, WINDOW_PX) for n in image.shape]
    if sides == list(image.shape):
        return slice(None), slice(None)
    steps = np.minimum(np.abs(np.diff(image, axis=1)), np.float32(STEEP * pixel_nm[1]))
    total = np.pad(cv2.integral(steps), ((0, 0), (0, 1)), mode="edge")
    tops, lefts = (np.unique(np.linspace(0, n - s, 9).astype(int)) for n, s in zip(image.shape, sides, strict=True))
    lows, rights = tops + sides[0], lefts + sides[1]
    down = total[lows] - total[tops]
    i, j = divmod(int(np.argmax(down[:, rights] - down[:, lefts])), len(lefts))
    return slice(int(tops[i]), int(lows[i])), slice(int(lefts[j]), int(rights[j]))


def _blur_px(noise: float) -> float:
    wanted = BLUR_PER_NOISE * noise
    return float(min(wanted, BLURS_PX[1])) if wanted >= BLURS_PX[0] else 0.0


def _blurred(image: Plane, width_px: float) -> Plane:
    return image if width_px == 0 else np.asarray(cv2.GaussianBlur(image, (0, 0), width_px), np.float32)


def _slope_noise(noise: float, blur_px: float) -> float:
    """Return the variance of either slope that white noise (in pixels) leaves after the blur."""
    if blur_px == 0:
        return noise**2 / 2
    return noise**2 / (8 * np.pi * blur_px**2) * (1 - float(np.exp(-1 / blur_px**2)))


def _pitch(pixel_nm: tuple[float, float]) -> float:
    return float(np.sqrt(pixel_nm[0] * pixel_nm[1]))
