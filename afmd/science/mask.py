"""From per-pixel probability to the final mask: despiking, area filter, stripes and blobs, growth, expansion.

Rule: every threshold is free of scale. Heights count only against the frame's own noise, so nanometres or metres, a
tilted or a level frame give the same mask. Source: paper A, section 2.3, equations 1 to 5 and Table 1.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from afmd.domain.params import Params
from afmd.science.robust import mad_sigma, median, middle

Mask = NDArray[np.bool_]
Heights = NDArray[np.float32]
Labels = NDArray[np.signedinteger[Any]]

EIGHT = np.ones((3, 3), dtype=bool)
"""Pixels that touch at a corner belong together: a streak of one line often steps to the next."""
BROAD_LINES, DOUBT, MUCH = 5, 0.15, 0.1
"""A region so many lines thick that is hardly above ``thr`` in the mean loses at most this share of the relief."""
CURVE_LINES, CURVE_PX, CURVE_SHARE, SURE_CURVE = 8, 3.2, 0.45, 0.95
"""Over how many lines a curve runs, on how many pixels of each in the mean, and, unless it is straight, on how much of
its box, at most; and from which mean probability on it is believed all the same."""
OUTERMOST = (0.5, 99.5)
"""Percentiles between which the relief lies."""
TRIED = 1 << 12
"""So many pixels tell which value is probably the median of all."""


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """The masks of one scan, bool (rows, cols), True = spoilt.

    ``raw``: probability ≥ ``thr``. ``grown``: after despiking, area filter and growth: what levelling leaves out.
    ``stripes``: the part of ``final`` that comes from stripes. ``final``: after expansion: what is filled.
    """

    raw: Mask
    grown: Mask
    stripes: Mask
    final: Mask


def assemble(heights: Heights, probability: NDArray[np.float32], params: Params) -> Masks:
    """Return the masks of one scan (paper A, equations 1 to 5).

    ``heights`` (rows, cols) in nm as captured, ``probability`` the artefact probability of each pixel in [0, 1].
    """
    raw = probability >= np.float32(params.thr)
    found = raw | spikes(heights, win=params.win, lam=params.lam)
    sure = probability >= np.float32(params.sure) if params.sure < 1 else None
    kept, labels = by_area(found, low=params.min_pix, high=params.max_pix, sure=sure)
    across, down = stripes(labels, ar=params.ar)
    blobs = kept & ~across & ~down
    stripe = grown(heights, across | down, k=params.k, region=params.region, grad=params.grad)
    whole = expanded(across, down) if params.expand else np.zeros_like(raw)
    return Masks(raw=raw, grown=stripe | blobs, stripes=stripe | whole, final=stripe | blobs | whole)


def spikes(heights: Heights, *, win: int, lam: float) -> Mask:
    """Return True where a pixel is further than ``lam`` robust σ from the median of its ``win`` × ``win`` window.

    σ is 1.4826 MAD of that difference in the window, and at least that of the whole frame: on rough ground a grain's
    edge is no spike, on flat ground rounding is none (paper A, Table 1, step 2). ``lam`` 0 finds none.
    """
    if lam == 0 or min(heights.shape) < 2:
        return np.zeros(heights.shape, dtype=bool)
    apart = np.abs(heights - local_median(heights, win))
    frame = _frame_median(apart)
    far = np.float32(1.4826 * lam)
    found = apart > far * np.float32(frame)
    if frame == 0 or not found.any():
        return np.zeros(heights.shape, dtype=bool)
    limit = local_median(apart, win)
    limit *= far
    return np.asarray(found & (apart > limit))


def local_median(heights: Heights, win: int) -> Heights:
    """Return the running median of an odd square window, float32, nm."""
    side = win | 1
    if side <= 5:
        return np.asarray(cv2.medianBlur(np.ascontiguousarray(heights), side))
    low, high = float(heights.min()), float(heights.max())
    if high == low:
        return heights.copy()
    # Beyond 5 × 5 the fast median exists for bytes only: the bytes find a coarse level, 1/255 of the range.
    coarse = cv2.medianBlur(((heights - low) * (255 / (high - low)) + 0.5).astype(np.uint8), side)
    return coarse.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)


def _frame_median(values: Heights) -> float:
    """Return the median of a frame: where heights are counts, one value is often in the middle, and is tried first."""
    few = values.reshape(-1)[:: max(1, values.size // TRIED)]
    tried = middle(few)
    below, upto = np.count_nonzero(values < tried), np.count_nonzero(values <= tried)
    return tried if below < values.size // 2 < upto else median(values)


def by_area(mask: Mask, *, low: int, high: int, sure: Mask | None = None) -> tuple[Mask, Labels]:
    """Return the regions of ``low`` ≤ pixels ≤ ``high`` (paper A, equation 2) and their labels, 0 where none.

    ``sure``: True where a pixel keeps its region however small, for a spike may be a single pixel.
    """
    labels, count = _components(mask)
    at, number = _labelled(labels)
    area = np.bincount(number, minlength=count)
    small = area < low
    if sure is not None:
        small[labels[sure]] = False
    dropped = at[(small | (area > high))[number]]
    kept = mask.copy()
    kept.reshape(-1)[dropped] = False
    labels.reshape(-1)[dropped] = 0
    return kept, labels


def stripes(labels: Labels, *, ar: float) -> tuple[Mask, Mask]:
    """Return the regions at least ``ar`` times wider than high, and those higher than wide (paper A, equation 3)."""
    across, down = np.zeros((2, *labels.shape), dtype=bool)
    at, number = _labelled(labels)
    if at.size:
        high, wide = _boxes(at, number, cols=labels.shape[1])
        lying = wide >= ar * high
        across.reshape(-1)[at[lying[number]]] = True
        down.reshape(-1)[at[(~lying & (high >= ar * wide))[number]]] = True
    return across, down


def _labelled(labels: Labels) -> tuple[NDArray[np.intp], Labels]:
    """Return where labels are not 0, in the flat frame, and these labels."""
    at = np.flatnonzero(labels)
    return at, labels.reshape(-1)[at]


def _boxes(at: NDArray[np.intp], number: Labels, *, cols: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return height and width in px of each label's bounding box, 1 for a label that does not occur."""
    sides = []
    for place in np.divmod(at, cols):
        low = np.full(int(number.max(initial=0)) + 1, np.iinfo(np.int64).max)
        high = np.full_like(low, -1)
        np.minimum.at(low, number, place)
        np.maximum.at(high, number, place)
        sides.append(np.where(high >= 0, high - low + 1, 1))
    return sides[0], sides[1]


def detrended(heights: Heights) -> Heights:
    """Return new heights less their plane of median slopes and their median, float32, nm."""
    down, across = (np.float32(np.median(np.diff(heights, axis=axis))) for axis in (0, 1))
    rows, cols = (np.arange(n, dtype=np.float32) for n in heights.shape)
    level: Heights = heights - down * rows[:, None] - across * cols[None, :]
    level -= np.float32(np.median(level))
    return level


def grown(heights: Heights, seeds: Mask, *, k: float, region: int, grad: float) -> Mask:
    """Return the stripes with the neighbours that look like them (paper A, equation 4).

    A pixel joins a stripe it touches where its height lies within ``k`` σ of the stripe's own mean, its gradient is
    at most ``grad`` robust σ of the frame's gradients, and it is at most ``region`` pixels from the seed.
    """
    if k == 0 or not seeds.any():
        return seeds.copy()
    level = detrended(heights)
    labels, count = _components(seeds)
    numbers = np.arange(count)
    mean = ndimage.mean(level, labels, numbers)
    spread = ndimage.standard_deviation(level, labels, numbers)
    distance, owner = _nearest(seeds, labels)
    alike = np.abs(level - mean[owner].astype(np.float32)) <= (k * spread[owner]).astype(np.float32)
    allowed = alike & gentle(level, grad=grad) & (distance <= region)
    return np.asarray(ndimage.binary_propagation(seeds, structure=EIGHT, mask=allowed | seeds))


def gentle(heights: Heights, *, grad: float) -> Mask:
    """Return True where the gradient is at most ``grad`` robust σ of the frame's gradients."""
    down, across = np.asarray(np.gradient(heights))
    steep = np.hypot(down, across)
    return np.asarray(steep <= grad * mad_sigma(np.concatenate([down.ravel(), across.ravel()])))


def _components(mask: Mask) -> tuple[Labels, int]:
    """Return the labels of connected regions, 0 outside, and their count with the outside."""
    count, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    return np.asarray(labels, dtype=np.int32), count


def expanded(across: Mask, down: Mask) -> Mask:
    """Return full rows for stripes along rows and full columns for those along columns (paper A, section 2.5)."""
    rows, cols = np.any(across, axis=1, keepdims=True), np.any(down, axis=0, keepdims=True)
    return np.asarray(rows | cols)


def _nearest(seeds: Mask, labels: Labels) -> tuple[NDArray[np.float32], Labels]:
    """Return each pixel's distance in px to the nearest seed, and that seed's label."""
    away = (~seeds).view(np.uint8)
    distance, index = cv2.distanceTransformWithLabels(
        away, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    owner = np.zeros(int(index.max()) + 1, dtype=np.int32)
    owner[index[seeds]] = labels[seeds]
    return np.asarray(distance, dtype=np.float32), owner[index]


def doubtful(heights: Heights, filled: Heights, touched: Mask, *, probability: NDArray[np.float32], thr: float) -> Mask:
    """Return bool (rows, cols), True in the filled regions that had better be left as they were measured.

    Some are broad and hardly more likely spoilt than sound, and filling takes much away from them: a particle, say,
    that was taken for its own tail. Others are curves that cross the lines, thin on each: cracks and walls, for nothing
    that spoils a line goes on like that in the next ones. ``heights``: levelled; ``filled``: the same with all of
    ``touched`` filled, nm. ``probability``: that a pixel is spoilt, in [0, 1]; from ``thr`` on it entered the mask.
    """
    result = np.zeros_like(touched)
    if not touched.any():
        return result
    cols = touched.shape[1]
    at, number, area = _regions(touched)
    held = np.bincount(number, probability.reshape(-1)[at])
    high, wide = _boxes(at, number, cols=cols)
    begins = np.diff(at, prepend=-2) > 1
    begins |= at % cols == 0
    runs = np.bincount(number, begins)
    thin = (area <= CURVE_PX * runs) & ((area < CURVE_SHARE * high * wide) | (wide < 2 * CURVE_PX))
    curved = (high >= CURVE_LINES) & thin
    result.reshape(-1)[at[(curved & (held < SURE_CURVE * area))[number]]] = True
    doubted = (held < (thr + DOUBT) * area) & (area >= BROAD_LINES * wide)
    at, number = at[doubted[number]], number[doubted[number]]
    if at.size:
        low, top = np.percentile(heights, OUTERMOST)
        lost = np.bincount(number, (heights - filled).reshape(-1)[at], minlength=area.size) / area
        result.reshape(-1)[at[(lost > MUCH * (top - low))[number]]] = True
    return result


def regions_as_sure(mask: Mask, *, probability: NDArray[np.float32], least: float) -> Mask:
    """Return bool (rows, cols), True in the connected regions of a mask that are surely spoilt.

    That is with a ``probability`` (rows, cols), in [0, 1], of ``least`` and more in the mean.
    """
    result = np.zeros_like(mask)
    at, number, area = _regions(mask)
    if at.size:
        sure = np.bincount(number, probability.reshape(-1)[at]) >= least * area
        result.reshape(-1)[at[sure[number]]] = True
    return result


def count_of_spots(mask: Mask, *, high: int) -> int:
    """Return how many connected regions of a mask have at most ``high`` pixels."""
    _, _, area = _regions(mask)
    return int(np.count_nonzero(area[1:] <= high))


def _regions(mask: Mask) -> tuple[NDArray[np.intp], Labels, NDArray[np.intp]]:
    """Return the flat indices of a mask's pixels, (n,), the number of the region of each, (n,), and the pixels of the
    regions, (regions + 1,), at least 1: none has number 0."""
    at, number = _labelled(_components(mask)[0])
    return at, number, np.maximum(np.bincount(number), 1)


def stripe_part(mask: Mask, *, ar: float) -> Mask:
    """Return the part of a mask that is stripes, along rows or along columns."""
    across, down = stripes(by_area(mask, low=1, high=mask.size)[1], ar=ar)
    return across | down
