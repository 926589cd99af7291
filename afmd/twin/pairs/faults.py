"""What spoils an image after the tip has made it: noise, lines, raised edges, feedback tails.

Rule: each takes an image (float64 rows × cols, nm; lines run across) and returns a new one.
"""

import numpy as np
from scipy import ndimage

from afmd.twin.grid import Heights


def noisy(rng: np.random.Generator, image: Heights, *, rms_nm: float) -> Heights:
    """Add white noise."""
    return np.asarray(image + rms_nm * rng.standard_normal(image.shape))


def lined(rng: np.random.Generator, image: Heights, *, share: float, rms_nm: float) -> Heights:
    """Shift ``share`` of the lines, whole or in part, each by a height of its own."""
    result = image.copy()
    for row in np.flatnonzero(rng.random(len(image)) < share):
        start, stop = 0, image.shape[1]
        if rng.random() < 0.5:
            start = int(rng.integers(0, stop))
            stop = start + int(rng.uniform(0.1, 0.8) * stop)
        result[row, start:stop] += rms_nm * rng.standard_normal()
    return result


def edge_lifted(
    image: Heights, *, pitch_nm: tuple[float, float], lift_nm: float, width_nm: float, both: bool
) -> Heights:
    """Raise steep edges by up to ``lift_nm``: on all sides, or only where the tip climbs along the line."""
    down, across = np.gradient(image, *pitch_nm)
    steep = np.hypot(down, across) if both else np.maximum(across, 0)
    near = ndimage.gaussian_filter(np.minimum(steep, 1.5), [width_nm / p for p in pitch_nm])
    return np.asarray(image + lift_nm * np.minimum(near, 1))


def tailed(image: Heights, *, pitch_nm: float, fall: float) -> Heights:
    """Let the tip fall no faster than ``fall`` (nm per nm) along the line, as a saturated feedback loop does."""
    slope = fall * pitch_nm * np.arange(image.shape[1])
    return np.asarray(np.maximum.accumulate(image + slope, axis=1) - slope)
