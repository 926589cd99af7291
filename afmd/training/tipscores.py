"""How near a surface comes to the true one, as tip deconvolution is judged: areas, roughness, contours, coverage.

Rule: each figure is of one frame or one particle; lengths in nm at square pixels of ``pixel_nm``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Heights = NDArray[np.float32]
HALF, TENTH = 0.5, 0.1
NORMAL_90 = 1.6448536
"""Half width of a normal distribution's 90 % interval in standard deviations."""


@dataclass(frozen=True, slots=True, eq=False)
class Particles:
    """The particles of a frame of paper B's kind: ``cells`` (rows, cols) names the nearest particle of every pixel.

    ``peaks``: height of each over flat ground of 0, ``whole``: those whose image cannot reach the frame's edge.
    """

    cells: NDArray[np.int32]
    peaks: NDArray[np.float64]
    whole: NDArray[np.bool_]


def particles(surface: Heights, *, margin_px: int) -> Particles:
    """Find the particles of a true surface on flat ground of height 0; pixels that meet at a corner belong together."""
    labels, count = ndimage.label(surface > 1e-3, structure=np.ones((3, 3)))
    nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    cells = labels[tuple(nearest)]
    index = np.arange(1, count + 1)
    peaks = np.asarray(ndimage.maximum(surface, labels, index), dtype=np.float64).reshape(-1)
    rows, cols = surface.shape
    whole = [
        s[0].start >= margin_px
        and s[1].start >= margin_px
        and s[0].stop <= rows - margin_px
        and s[1].stop <= cols - margin_px
        for s in ndimage.find_objects(labels)
    ]
    return Particles(cells, peaks, np.array(whole, dtype=bool).reshape(-1))


def areas(heights: Heights, found: Particles, *, share: float) -> NDArray[np.float64]:
    """Return the area in pixels of each whole particle, above ``share`` of its true height, within its own cell."""
    peaks = np.concatenate([[0.0], found.peaks])
    above = heights >= share * peaks[found.cells]
    counts = np.bincount(found.cells[above], minlength=len(peaks))[1:]
    return counts[found.whole].astype(np.float64)


def area_errors(heights: Heights, surface: Heights, found: Particles, *, share: float) -> NDArray[np.float64]:
    """Return each whole particle's absolute error of area in percent of its true area."""
    true = areas(surface, found, share=share)
    return 100 * np.abs(areas(heights, found, share=share) - true) / np.maximum(true, 1)


def mean_roughness(heights: Heights) -> float:
    """Return Ra in nm: the mean distance from the mean height (ISO 21920-2)."""
    values = heights.astype(np.float64)
    return float(np.abs(values - values.mean()).mean())


def contour_distance(heights: Heights, surface: Heights, *, levels_nm: Sequence[float], pixel_nm: float) -> float:
    """Return the mean distance in nm between contours of both, at heights over the true mean, in both directions."""
    found = []
    for level in surface.mean() + np.asarray(levels_nm):
        one, other = _contour(heights, level), _contour(surface, level)
        if one.any() and other.any():
            found.append((_distance(one, other) + _distance(other, one)) / 2)
    return pixel_nm * float(np.mean(found)) if found else float("nan")


def coverage(heights: Heights, sigma: Heights, surface: Heights) -> float:
    """Return the share of pixels whose true height lies within 1.645 standard deviations."""
    return float((np.abs(heights - surface) <= NORMAL_90 * sigma).mean())


def _contour(heights: Heights, level: float) -> NDArray[np.bool_]:
    above = heights > level
    return above & ~ndimage.binary_erosion(above, border_value=1)


def _distance(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(ndimage.distance_transform_edt(~other)[one].mean())
