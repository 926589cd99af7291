"""What the networks see of a scan: scale-free planes at native resolution, and their pooled form.

Rule: pure functions of one scan, shared by training and inference. No plane depends on the height's unit, offset or
tilt, and none is ever shrunk for the segmenter: a spoilt line one pixel high must stay one pixel high.
Every plane is compressed by asinh, linear within the noise and logarithmic in the outliers.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

RECIPE: Final = 3
"""Counts up with every change of meaning below; weights name the recipe they were trained on."""
NAMES: Final = (
    "relief", "aligned", "flat", "down", "scar", "across", "row_noise", "row_step", "pass_difference", "pass_present",
)  # fmt: skip
RELIEF, ALIGNED, FLAT, DOWN, SCAR, ACROSS, ROW_NOISE, ROW_STEP, PASS_DIFFERENCE, PASS_PRESENT = range(len(NAMES))
POOLED_SIDE: Final = 224
POOLED: Final = ("aligned, mean", "scar and down, largest magnitude", "across and pass difference, mean magnitude")
MAD_TO_SIGMA: Final = 1.4826
_SAMPLES = 1 << 14
_FARTHEST_PX = 20
_LINES = 48
_WINDOWS = 8
_GRID = 56
_ORDER = 3
_TERMS = tuple((i, j) for i in range(_ORDER + 1) for j in range(_ORDER + 1 - i))
_NARROWING = (8.0, 4.0, 2.5, 2.0, 2.0)
"""Half-widths, in widths of the ground, within which points count in the successive fits of its shape."""


def segmenter_planes(heights: NDArray[np.float32], retrace: NDArray[np.float32] | None = None) -> Plane:
    """Return new float32 planes (10, rows, cols) in the order of ``NAMES``.

    ``heights``, ``retrace``: finite (rows, cols) in any one unit; ``retrace`` is the opposite pass or None.
    *relief*: less its mean plane. *aligned*: lines joined by the median of their differences, then levelled.
    *flat*: height above the ground, in widths of the ground (see `above_ground`).
    *down*: difference to the line above less its median. *scar*: difference to the median of five lines.
    *across*: difference to the pixel before. *row_noise*, *row_step*: each line's noise and offset, spread over it.
    *pass_difference*: this pass less the other, registered, less each line's median, or zero; *pass_present*: whether
    there is another, 1 or 0.
    """
    level = less_plane(heights)
    planes = np.empty((len(NAMES), *level.shape), np.float32)
    down = np.diff(level, axis=0, prepend=level[:1])
    steps = np.median(down[:, _every(level.shape[1], 256)], axis=1).astype(np.float32)
    across = np.diff(level, axis=1, prepend=level[:, :1])
    planes[RELIEF] = level
    planes[ALIGNED] = less_plane(level - np.cumsum(steps, dtype=np.float64).astype(np.float32)[:, None])
    planes[DOWN] = down - steps[:, None]
    planes[SCAR] = level - median_of_five_rows(level)
    planes[ACROSS] = across
    planes[PASS_DIFFERENCE] = 0 if retrace is None else _difference(level, less_plane(retrace))
    scales = {i: robust_scale(planes[i]) for i in (RELIEF, ALIGNED, DOWN, SCAR, ACROSS)}
    scales[PASS_DIFFERENCE] = scales[ACROSS]
    planes[FLAT] = above_ground(planes[ALIGNED])
    for plane, scale in scales.items():
        np.divide(planes[plane], scale, out=planes[plane])
    planes[ROW_NOISE] = row_noise(across)[:, None]
    planes[ROW_STEP] = (steps / max(robust_scale(steps), 0.1 * scales[DOWN]))[:, None]
    np.arcsinh(planes[:PASS_PRESENT], out=planes[:PASS_PRESENT])
    planes[PASS_PRESENT] = retrace is not None
    return planes


def classifier_planes(heights: NDArray[np.float32], retrace: NDArray[np.float32] | None = None) -> Plane:
    """Return new float32 planes (3, 224, 224), as ``POOLED`` tells, from a scan of any shape; see `pooled`."""
    return pooled(segmenter_planes(heights, retrace))


def pooled(planes: Plane) -> Plane:
    """Pool native planes (10, rows, cols) to (3, 224, 224): statistics first and shrinking last loses nothing thin."""
    streaks = np.maximum(np.abs(planes[SCAR]), np.abs(planes[DOWN]))
    ripples = np.maximum(np.abs(planes[ACROSS]), np.abs(planes[PASS_DIFFERENCE]))
    return np.stack([pool(planes[ALIGNED], np.add), pool(streaks, np.maximum), pool(ripples, np.add)])


def less_plane(heights: NDArray[np.float32]) -> Plane:
    """Return heights less their least-squares plane, new float32; row and column ramps are orthogonal on a grid."""
    rows, cols = heights.shape
    down = np.arange(rows) - (rows - 1) / 2
    along = np.arange(cols) - (cols - 1) / 2
    row_means = heights.mean(axis=1, dtype=np.float64)
    column_means = heights.mean(axis=0, dtype=np.float64)
    mean = row_means.mean()
    slopes = (row_means @ down / (down @ down), column_means @ along / (along @ along))
    level = heights - (mean + slopes[0] * down).astype(heights.dtype)[:, None]
    level -= (slopes[1] * along).astype(heights.dtype)[None, :]
    return np.asarray(level, np.float32)


def above_ground(aligned: Plane) -> Plane:
    """Return heights above the ground, in units of the ground's own width: new float32 (rows, cols).

    The ground is the closest-lying half of the pixels: a cubic surface is fitted to it, narrower in each round, and
    then each line set to it where the line touches it. Scanner bow and drift go; what stands out of a substrate shows.
    """
    rows, cols = aligned.shape
    down, across = np.linspace(-1, 1, rows), np.linspace(-1, 1, cols)
    few = (_every(rows, _GRID), _every(cols, _GRID))
    points = aligned[few].astype(np.float64)
    basis = _powers(down[few[0]], across[few[1]])
    shape = np.zeros(basis.shape[1])
    for narrow in _NARROWING:
        rest = points.ravel() - basis @ shape
        middle, width = shortest_half(rest)
        weight = _bisquare((rest - middle) / (narrow * width))
        ridge = 1e-6 * len(weight) * np.eye(len(shape))
        shape = np.linalg.solve(
            (basis * weight[:, None]).T @ basis + ridge, (basis * weight[:, None]).T @ points.ravel()
        )
    middle, width = shortest_half(points.ravel() - basis @ shape)
    flat = aligned - _surface(shape, down, across)
    flat -= np.float32(middle)
    flat -= _line_offsets(flat[:, _every(cols, 4 * _GRID)], width)[:, None]
    flat /= np.float32(width)
    return flat


def shortest_half(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return middle and half-width of the shortest interval that holds half of the values (Rousseeuw 1984); never 0."""
    order = np.sort(values)
    half = len(order) // 2
    lengths = order[half:] - order[: len(order) - half]
    first = int(np.argmin(lengths))
    width = max(float(lengths[first]) / 2, 1e-3 * float(order[-1] - order[0]))
    return float(order[first] + order[first + half]) / 2, width or 1.0


def _line_offsets(flat: Plane, width: float) -> NDArray[np.float32]:
    """Return each line's mean height where it touches the ground, drawn to 0 where it hardly does: (rows,)."""
    weight = _bisquare(flat / np.float32(4 * width))
    touching = weight.sum(axis=1)
    return np.asarray((weight * flat).sum(axis=1) / (touching + 0.05 * flat.shape[1]), np.float32)


def _bisquare(scaled: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.square(np.maximum(1 - np.square(scaled), 0)))


def _powers(down: NDArray[np.float64], across: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cubic surface's terms at every point of a grid, (points, 10)."""
    y, x = (part.ravel() for part in np.meshgrid(down, across, indexing="ij"))
    return np.stack([y**i * x**j for i, j in _TERMS], axis=1)


def _surface(shape: NDArray[np.float64], down: NDArray[np.float64], across: NDArray[np.float64]) -> Plane:
    """Return the cubic surface at every pixel."""
    table = np.zeros((_ORDER + 1, _ORDER + 1))
    table[tuple(np.transpose(_TERMS))] = shape
    left = np.vander(down, _ORDER + 1, increasing=True) @ table
    return np.asarray(left.astype(np.float32) @ np.vander(across, _ORDER + 1, increasing=True).T.astype(np.float32))


def registered(other: Plane, level: Plane) -> Plane:
    """Return the other pass, moved along the lines to where it differs least (L1) from this one, edges repeated.

    By the piezo's hysteresis real passes lie up to 14 pixels of 256 apart, and by another distance at the ends of a
    line than in its middle: the displacement is a parabola over the line, found to half a pixel on 48 lines.
    """
    cols = level.shape[1]
    farthest = min(_FARTHEST_PX, cols // 8)
    lines = _every(len(level), _LINES)
    edges = farthest + np.arange(_WINDOWS + 1) * (cols - 2 * farthest) // _WINDOWS
    inner = _centred(level[lines])[:, farthest : cols - farthest]
    unlike = _unlike(inner, _centred(other[lines]), farthest=farthest, starts=edges[:-1] - farthest)
    along = np.linspace(-1, 1, cols)
    middles = np.interp((edges[:-1] + edges[1:]) / 2, np.arange(cols), along)
    shift = _displacement(_parabola(unlike, middles, farthest=farthest), along)
    at = np.clip(np.arange(cols) + np.clip(shift, -farthest, farthest), 0, cols - 1)
    whole = np.minimum(at.astype(np.intp), cols - 2)
    part = (at - whole).astype(np.float32)
    return np.asarray(other[:, whole] * (1 - part) + other[:, whole + 1] * part)


def _difference(level: Plane, other: Plane) -> Plane:
    """Return this pass less the other, registered, less each line's median: lines' offsets are told in *row_step*."""
    difference = level - registered(other, level)
    difference -= np.median(difference[:, _every(level.shape[1], 256)], axis=1, keepdims=True)
    return difference


def _centred(lines: Plane) -> Plane:
    """Return lines less their medians."""
    return np.asarray(lines - np.median(lines, axis=1, keepdims=True))


def _unlike(inner: Plane, other: Plane, *, farthest: int, starts: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the sum of differences at every whole shift, in every window: (2 farthest + 1, windows)."""
    count = inner.shape[1]
    sums = [np.abs(inner - other[:, first : first + count]).sum(axis=0) for first in range(2 * farthest + 1)]
    return np.add.reduceat(np.stack(sums).astype(np.float64), starts, axis=1)


def _parabola(unlike: NDArray[np.float64], at: NDArray[np.float64], *, farthest: int) -> NDArray[np.float64]:
    """Return constant, slope and bend, in pixels, of the cheapest displacement: coarsely, then to half a pixel."""
    best = np.zeros(3)
    for reach, step in ((np.array([farthest, 3.0, farthest]), 1.0), (np.array([1.0, 1.0, 1.0]), 0.5)):
        axes = [centre + np.arange(-most, most + step, step) for centre, most in zip(best, reach, strict=True)]
        tried = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")])
        shifts = np.clip(_displacement(tried[..., None], at), -farthest, farthest)
        cost = _between(unlike, shifts + farthest) + 1e-6 * unlike.mean() * np.abs(tried).sum(axis=0)
        best = tried[:, int(cost.argmin())]
    return best


def _displacement(parabola: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return pixels at places of a line, -1 to 1; ``parabola``: (3, …), constant, slope and bend."""
    return np.asarray(parabola[0] + parabola[1] * at + parabola[2] * at**2)


def _between(unlike: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cost of each row of ``at`` (rows, windows), places among the whole shifts, linear between: (rows,)."""
    whole = np.minimum(at.astype(np.intp), len(unlike) - 2)
    part = at - whole
    window = np.arange(unlike.shape[1])
    return np.asarray((unlike[whole, window] * (1 - part) + unlike[whole + 1, window] * part).sum(axis=1))


def robust_scale(values: NDArray[np.float32]) -> float:
    """Return 1.4826 MAD of at most 16 k samples; never less than a twentieth of the mean magnitude, and never 0."""
    flat = values.ravel()
    sample = flat[:: _stride(flat.size)]
    centred = np.abs(sample - np.median(sample))
    return float(max(MAD_TO_SIGMA * np.median(centred), 0.05 * centred.mean())) or 1.0


def row_noise(across: Plane) -> NDArray[np.float32]:
    """Return each line's mean magnitude of the second difference over the median line's, less 1: (rows,)."""
    bend = np.abs(np.diff(across[:, 1:], axis=1)).mean(axis=1) if across.shape[1] > 2 else np.zeros(len(across))
    typical = float(np.median(bend)) or float(bend.mean())
    return ((bend - typical) / (typical or 1.0)).astype(np.float32)


def median_of_five_rows(level: Plane) -> Plane:
    """Return the median of each pixel and its two neighbours above and below, edges repeated."""
    padded = np.pad(level, ((2, 2), (0, 0)), mode="edge")
    a, b, middle, c, d = (padded[i : i + len(level)] for i in range(5))
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    return np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), middle))


def pool(plane: Plane, over: np.ufunc) -> Plane:
    """Reduce (rows, cols) to 224 × 224 bins by ``over`` (the sum becomes a mean); smaller sides are repeated."""
    for axis in (0, 1):
        edges = np.arange(POOLED_SIDE) * plane.shape[axis] // POOLED_SIDE
        bins = over.reduceat(plane, edges, axis=axis)
        if over is np.add:
            counts = np.maximum(np.diff(edges, append=plane.shape[axis]), 1).astype(np.float32)
            bins /= counts[:, None] if axis == 0 else counts
        plane = bins
    return plane


def _every(count: int, samples: int) -> slice:
    """Return a slice that keeps about ``samples`` of ``count``."""
    return slice(None, None, max(1, count // samples))


def _stride(count: int) -> int:
    """Return an odd stride that keeps at most 16 k of ``count``, so that no row or column is met again and again."""
    return max(1, -(-count // _SAMPLES)) | 1
