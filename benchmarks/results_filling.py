"""Filling for ``results.py``: true mask, true ground, every method on the same heights (paper A, Table 4)."""

import cv2
import numpy as np
from results_scans import Case
from scipy import ndimage
from scipy.interpolate import griddata
from scipy.spatial import cKDTree
from skimage.metrics import structural_similarity
from skimage.restoration import inpaint_biharmonic

from afmd.domain.params import Params
from afmd.science import smooth
from afmd.science.inpaint import fill

Plane = np.ndarray

LARGEST_SHARE = 0.3
RING_PX = 3
NEIGHBOURS = 20
CHUNK = 4096
NINETY = 1.645
CLASSES = {"1–2 px": (0, 1.5), "3–4 px": (1.5, 2.5), "5–8 px": (2.5, 4.5), "over 8 px": (4.5, np.inf)}
"""Holes by their widest place; the bounds are distances from its middle to data."""


def filling_figures(case: Case) -> tuple[dict[str, dict[str, float]], dict[str, tuple[int, int]]]:
    """Return figures by method, and (covered, all) pixels of our 90 % interval by hole class; empty where not apt."""
    one = case.one
    if not 0 < one.artifact.mean() <= LARGEST_SHARE:
        return {}, {}
    spoilt = (one.scan.heights - one.background).astype(np.float32)
    clean = spoilt - one.displacement
    blank = np.where(one.artifact, np.median(spoilt[~one.artifact]), spoilt).astype(np.float32)
    best = fill(spoilt, one.artifact, method=Params().fill, pixel_nm=one.scan.pixel_nm)
    filled = {name: method(blank, one.artifact) for name, method in METHODS.items()} | {"best": best.heights}
    figures = {name: _figures(case, heights, clean) for name, heights in filled.items()}
    within = np.abs(best.heights - clean) <= NINETY * best.sigma
    return figures, _by_class(one.artifact, within)


def _figures(case: Case, heights: Plane, clean: Plane) -> dict[str, float]:
    mask, span = case.one.artifact, float(np.ptp(clean))
    joined = np.where(mask, heights, clean)
    mean, each = structural_similarity(clean, joined, data_range=span, full=True, gaussian_weights=True)
    ground = ~case.one.feature if (~case.one.feature).mean() > 0.02 else np.ones_like(mask)
    return {
        "error": 100 * float(np.sqrt(np.mean(np.square(joined - clean)[mask]))) / span,
        "ssim": float(mean),
        "ssim_mask": float(each[mask].mean()),
        "sigma_bg": float(joined[ground].std(dtype=np.float64)),
    }


def _by_class(mask: Plane, within: Plane) -> dict[str, tuple[int, int]]:
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    deepest = ndimage.maximum(ndimage.distance_transform_edt(mask), labels, np.arange(count + 1))
    deep = np.asarray(deepest)[labels]
    parts = {name: mask & (deep > low) & (deep <= high) for name, (low, high) in CLASSES.items()}
    return {name: (int(within[part].sum()), int(part.sum())) for name, part in parts.items()}


def bilinear(heights: Plane, mask: Plane) -> Plane:
    """SciPy's triangulation of a ring around the holes alone: the whole frame gives the same."""
    ring = ndimage.binary_dilation(mask, np.ones((2 * RING_PX + 1,) * 2)) & ~mask
    points, wanted = np.argwhere(ring), np.argwhere(mask)
    value = griddata(points, heights[ring], wanted, method="linear")
    lost = np.isnan(value)
    value[lost] = griddata(points, heights[ring], wanted[lost], method="nearest") if lost.any() else 0
    return _put(heights, mask, value)


def kriging(heights: Plane, mask: Plane) -> Plane:
    """Ordinary kriging from the nearest pixels, with an exponential covariance whose range the variogram tells."""
    length = _correlation_px(np.where(mask, np.nan, heights))
    ring = ndimage.binary_dilation(mask, np.ones((2 * RING_PX + 1,) * 2)) & ~mask
    points, wanted = np.argwhere(ring), np.argwhere(mask)
    values, tree = heights[ring].astype(np.float64), cKDTree(points)
    count = min(NEIGHBOURS, len(points))
    result = np.empty(len(wanted))
    for first in range(0, len(wanted), CHUNK):
        here = wanted[first : first + CHUNK]
        away, near = tree.query(here, k=count)
        around = points[near]
        apart = np.linalg.norm(around[:, :, None] - around[:, None], axis=-1)
        system = np.ones((len(here), count + 1, count + 1))
        system[:, :count, :count] = np.exp(-apart / length) + 1e-3 * np.eye(count)
        system[:, count, count] = 0
        told = np.ones((len(here), count + 1, 1))
        told[:, :count, 0] = np.exp(-away / length)
        result[first : first + CHUNK] = (np.linalg.solve(system, told)[:, :count, 0] * values[near]).sum(axis=1)
    return _put(heights, mask, result)


def _correlation_px(heights: Plane) -> float:
    """Return the lag at which the semivariance reaches 63 % of the variance, px."""
    whole = float(np.nanvar(heights))
    for lag in range(1, 64):
        steps = np.concatenate(
            [(heights[lag:] - heights[:-lag]).ravel(), (heights[:, lag:] - heights[:, :-lag]).ravel()]
        )
        if np.nanmean(steps**2) / 2 > 0.63 * whole:
            break
    return float(lag)


def biharmonic(heights: Plane, mask: Plane) -> Plane:
    return np.asarray(inpaint_biharmonic(heights, mask, split_into_regions=True), dtype=np.float32)


def telea(heights: Plane, mask: Plane) -> Plane:
    """OpenCV's Telea, in a scale where it is right."""
    low, high = float(heights[~mask].min()), float(heights[~mask].max())
    scale = np.float32(65535 / max(high - low, 1e-9))
    mapped = np.where(mask, 0, (heights - low) * scale).astype(np.float32)
    painted = cv2.inpaint(mapped, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    return np.where(mask, painted / scale + low, heights).astype(np.float32)


def published(heights: Plane, mask: Plane) -> Plane:
    """Paper A's directional neighbours and smoothing inside the mask."""
    params = Params("published")
    filled = fill(heights, mask, method=params.fill, pixel_nm=(1.0, 1.0), radius=params.radius)
    return smooth.inside(filled.heights, mask, sigma=params.sigma)


def _put(heights: Plane, mask: Plane, value: Plane) -> Plane:
    result = heights.copy()
    result[mask] = value
    return result


METHODS = {
    "bilinear": bilinear,
    "kriging": kriging,
    "biharmonic (scikit-image)": biharmonic,
    "Telea (OpenCV)": telea,
    "published": published,
}
