"""The tip's shape is the fault: a second apex, a worn one, another one from some moment on.

Rule: another tip images the surface anew; the loop sets the height, so that only the shape counts.
"""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from afmd.training.second.instrument import Instrument, Passes
from afmd.training.second.samples.grid import Heights, Mask
from afmd.training.second.specimen import Specimen, framed
from afmd.training.second.tips import Image, Tip, touch, worn


def double_tip(rng: np.random.Generator, instrument: Instrument, strength: float, _: Passes) -> Passes:
    """A second apex, sometimes a third, images everything once more beside it."""
    specimen = instrument.specimen
    radius = specimen.tip.radius_nm * rng.uniform(0.8, 2.5)
    second = specimen.dilated(replace(specimen.tip, radius_nm=radius))
    image = specimen.imaged.copy()
    height = _height(specimen.imaged, above=5 if specimen.feature.any() else 30)
    for ghost in range(1 if rng.random() < 0.8 else 2):
        down, across = _offset(rng, 5, 22, shrunk=0.6 if ghost else 1)
        shorter = np.clip(rng.uniform(0.15, 0.5) + (1 - strength) * 0.45, -0.15, 0.93)
        touch(image, second, down=down, across=across, lower=height * shorter * (1 + 0.2 * ghost))
    return instrument.followed(_held(specimen, framed(image)))


def blunt_tip(rng: np.random.Generator, instrument: Instrument, strength: float, _: Passes) -> Passes:
    """The apex is worn, some to a flat end."""
    specimen = instrument.specimen
    image = specimen.dilated(_blunted(rng, specimen, wear=strength, strength=strength, least_px=4))
    if rng.random() < 0.3:
        down = 1 + 2 * round(rng.uniform(0, 3) * strength)
        across = 1 + 2 * round(rng.uniform(0.5, 4) * strength)
        image = ndimage.grey_dilation(image, size=(down, across))
    return instrument.followed(_held(specimen, framed(image)))


def tip_change(rng: np.random.Generator, instrument: Instrument, strength: float, _: Passes) -> Passes:
    """For a stretch of time, the smaller part of the scan, another tip images the surface, at another height."""
    specimen = instrument.specimen
    wear = strength * rng.uniform(0.4, 1)
    image = specimen.dilated(_blunted(rng, specimen, wear=wear, strength=strength, least_px=3))
    if rng.random() < 0.45:
        down, across = _offset(rng, 4, 18)
        height = _height(specimen.imaged, above=20)
        shorter = np.clip(rng.uniform(0.1, 0.5) + 0.4 * (1 - strength), 0, 0.95)
        touch(image, image.copy(), down=down, across=across, lower=height * shorter)
    before, after = framed(specimen.imaged), framed(image)
    after = after - np.median(after - before)
    step = specimen.relief_nm * strength * rng.uniform(0.03, 0.6) * rng.choice([-1, 1, 1]) * (rng.random() < 0.85)
    return instrument.followed(np.where(_changed(rng, specimen.shape), after + step, before))


def _changed(rng: np.random.Generator, shape: tuple[int, int]) -> Mask:
    """Draw where the other tip is at work: to the end, or until it loses again what it picked up."""
    pixels = shape[0] * shape[1]
    changed = np.zeros(pixels, bool)
    if rng.random() < 0.5:
        changed[int(pixels * rng.uniform(0.5, 0.93)) :] = True
    else:
        first = int(pixels * rng.uniform(0.05, 0.7))
        changed[first : first + int(pixels * rng.uniform(0.04, 0.3))] = True
    return changed.reshape(shape)


def _blunted(rng: np.random.Generator, specimen: Specimen, *, wear: float, strength: float, least_px: int) -> Tip:
    """Draw a worn tip, blunt enough for so many pixels of this specimen to show it."""
    tip = worn(rng, specimen.tip, wear)
    shows = strength * (least_px * specimen.pixel_nm[1]) ** 2 / max(specimen.relief_nm, 0.1) * 0.5
    return replace(tip, radius_nm=max(tip.radius_nm, shows))


def _offset(rng: np.random.Generator, nearest: float, farthest: float, *, shrunk: float = 1) -> tuple[int, int]:
    """Draw how many pixels down and across another apex sits."""
    turn = rng.uniform(0, 6.3)
    length = rng.uniform(nearest, farthest) * shrunk
    return round(length * np.sin(turn)), round(length * np.cos(turn))


def _height(image: Image, *, above: float) -> float:
    """Return how high the highest places stand above the given percentile, nm."""
    return float(np.percentile(image, 99.5) - np.percentile(image, above))


def _held(specimen: Specimen, image: Heights) -> Heights:
    """Return another tip's image at the height of the good one's."""
    return np.asarray(image - np.median(image - specimen.truth - specimen.ground))
