"""What the networks see of a scan: scale-free planes at native resolution, and their pooled form.

Rule: pure functions of one scan, shared by training and inference. No plane depends on the height's unit, offset or
tilt, and none is ever shrunk for the segmenter: a spoilt line one pixel high must stay one pixel high.
Every plane is compressed by asinh, linear within the noise and logarithmic in the outliers.
"""

from typing import Any, Final

import cv2
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
    planes = np.empty((len(NAMES), *heights.shape), np.float32)
    level = less_plane(heights, out=planes[RELIEF])  # each plane is compressed while a core's cache holds it
    across = _across(level, out=planes[ACROSS])
    planes[ROW_NOISE] = np.arcsinh(row_noise(across))[:, None]
    noise = _compressed(across)
    if retrace is None:
        planes[PASS_DIFFERENCE] = 0
    else:
        _compressed(_difference(level, less_plane(retrace), out=planes[PASS_DIFFERENCE]), scale=noise)
    planes[PASS_PRESENT] = retrace is not None
    down = _down(level, out=planes[DOWN])
    steps = _row_medians(down[:, _every(level.shape[1], 256)])
    down -= steps[:, None]
    planes[ROW_STEP] = np.arcsinh(steps / max(robust_scale(steps), 0.1 * _compressed(down)))[:, None]
    _compressed(np.subtract(level, median_of_five_rows(level), out=planes[SCAR]))
    joined = np.subtract(level, np.cumsum(steps, dtype=np.float64).astype(np.float32)[:, None], out=planes[ALIGNED])
    flat = above_ground(less_plane(joined, out=joined), out=planes[FLAT])
    np.arcsinh(flat, out=flat)
    _compressed(joined)
    _compressed(level)
    return planes


def _compressed(plane: Plane, *, scale: float | None = None) -> float:
    """Divide a plane by its scale, or by another, and take its asinh, in place; return the scale."""
    scale = robust_scale(plane) if scale is None else scale
    plane /= np.float32(scale)
    np.arcsinh(plane, out=plane)
    return scale


def classifier_planes(heights: NDArray[np.float32], retrace: NDArray[np.float32] | None = None) -> Plane:
    """Return new float32 planes (3, 224, 224), as ``POOLED`` tells, from a scan of any shape; see `pooled`."""
    return pooled(segmenter_planes(heights, retrace))


def pooled(planes: Plane) -> Plane:
    """Pool native planes (10, rows, cols) to (3, 224, 224): statistics first and shrinking last loses nothing thin."""
    streaks = np.maximum(np.abs(planes[SCAR]), np.abs(planes[DOWN]))
    ripples = np.maximum(np.abs(planes[ACROSS]), np.abs(planes[PASS_DIFFERENCE]))
    return np.stack([pool(planes[ALIGNED], np.add), pool(streaks, np.maximum), pool(ripples, np.add)])


def less_plane(heights: NDArray[np.float32], *, out: Plane | None = None) -> Plane:
    """Return heights less their least-squares plane, float32, new or in ``out``, which may be the heights themselves.

    Row and column ramps are orthogonal on a grid.
    """
    rows, cols = heights.shape
    down = np.arange(rows) - (rows - 1) / 2
    along = np.arange(cols) - (cols - 1) / 2
    row_means, column_means = (
        np.ravel(cv2.reduce(heights, axis, cv2.REDUCE_AVG, dtype=cv2.CV_64F)).astype(np.float64) for axis in (1, 0)
    )
    mean = row_means.mean()
    slopes = (row_means @ down / (down @ down), column_means @ along / (along @ along))
    level = np.subtract(heights, (mean + slopes[0] * down).astype(heights.dtype)[:, None], out=out)
    level -= (slopes[1] * along).astype(heights.dtype)[None, :]
    return np.asarray(level, np.float32)


def _down(level: Plane, *, out: Plane) -> Plane:
    """Return each line less the one above it, 0 in the first, in ``out``."""
    out[0] = 0
    np.subtract(level[1:], level[:-1], out=out[1:])
    return out


def _across(level: Plane, *, out: Plane) -> Plane:
    """Return each pixel less the one before it, 0 in the first of a line, in ``out``."""
    out[:, 0] = 0
    np.subtract(level[:, 1:], level[:, :-1], out=out[:, 1:])
    return out


def above_ground(aligned: Plane, *, out: Plane | None = None) -> Plane:
    """Return heights above the ground, in units of the ground's own width: float32 (rows, cols), new or in ``out``.

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
        weighed = (basis * weight[:, None]).T
        shape = np.linalg.solve(weighed @ basis + ridge, weighed @ points.ravel())
    middle, width = shortest_half(points.ravel() - basis @ shape)
    flat: Plane = np.subtract(aligned, _surface(shape, down, across), out=out)
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
    y, x = (np.vander(part, _ORDER + 1, increasing=True) for part in (down, across))
    i, j = np.transpose(_TERMS)
    return np.asarray(y[:, None, i] * x[None, :, j]).reshape(-1, len(_TERMS))


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
    moved, after = np.take(other, whole, axis=1), np.take(other, whole + 1, axis=1)
    moved *= 1 - part
    after *= part
    return np.asarray(np.add(moved, after, out=moved))


def _difference(level: Plane, other: Plane, *, out: Plane) -> Plane:
    """Return this pass less the other, registered, less each line's median: lines' offsets are told in *row_step*."""
    np.subtract(level, registered(other, level), out=out)
    out -= _row_medians(out[:, _every(level.shape[1], 256)])[:, None]
    return out


def _centred(lines: Plane) -> Plane:
    """Return lines less their medians."""
    return np.asarray(lines - _row_medians(lines)[:, None])


def _unlike(inner: Plane, other: Plane, *, farthest: int, starts: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the sum of differences at every whole shift, in every window: (2 farthest + 1, windows)."""
    apart, sums = np.empty_like(inner), np.empty((2 * farthest + 1, inner.shape[1]), np.float32)
    for first, own in enumerate(sums):
        np.subtract(inner, other[:, first : first + inner.shape[1]], out=apart)
        np.abs(apart, out=apart).sum(axis=0, out=own)
    return np.add.reduceat(sums.astype(np.float64), starts, axis=1)


def _parabola(unlike: NDArray[np.float64], at: NDArray[np.float64], *, farthest: int) -> NDArray[np.float64]:
    """Return constant, slope and bend, in pixels, of the cheapest displacement: coarsely, then to half a pixel."""
    best = np.zeros(3)
    for reach, step in ((np.array([farthest, 3.0, farthest]), 1.0), (np.array([1.0, 1.0, 1.0]), 0.5)):
        axes = [centre + np.arange(-most, most + step, step) for centre, most in zip(best, reach, strict=True)]
        constant, slope, bend = axes[0][:, None, None], axes[1][:, None], axes[2]
        leaning = _displacement(np.stack(np.broadcast_arrays(0.0, slope, bend))[..., None], at)
        cost = _costs(unlike, axes[0], leaning, step=step)
        cost += 1e-6 * unlike.mean() * (np.abs(constant) + np.abs(slope) + np.abs(bend))
        place = np.unravel_index(int(cost.argmin()), cost.shape)
        best = np.array([axis[i] for axis, i in zip(axes, place, strict=True)])
    return best


def _displacement(parabola: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return pixels at places of a line, -1 to 1; ``parabola``: (3, …), constant, slope and bend."""
    return np.asarray(parabola[0] + parabola[1] * at + parabola[2] * at**2)


def _costs(
    unlike: NDArray[np.float64], constants: NDArray[np.float64], leaning: NDArray[np.float64], *, step: float
) -> NDArray[np.float64]:
    """Return the cost of each constant with each leaning, linear between whole shifts: (constants, slopes, bends).

    ``constants``: ``step`` apart. ``leaning``: displacement less the constant in each window, (slopes, bends, windows).
    Whatever the constant, a leaning lies equally far between two steps: costs are looked up at the steps alone.
    """
    count, farthest = len(constants), len(unlike) // 2
    steps = np.floor(leaning / step)
    part = leaning / step - steps
    lowest, highest = int(steps.min()), int(steps.max())
    at = np.clip(constants[0] + step * np.arange(lowest, highest + count + 1), -farthest, farthest)
    whole = np.arange(-farthest, farthest + 1)
    table = np.stack([np.interp(at, whole, window) for window in unlike.T])
    runs = np.lib.stride_tricks.sliding_window_view(table, count + 1, axis=1)
    near = runs[np.arange(len(table)), steps.astype(np.intp) - lowest]
    sums = np.stack([1 - part, part], axis=-2) @ near
    return np.moveaxis(sums[..., 0, :-1] + sums[..., 1, 1:], -1, 0)


def robust_scale(values: NDArray[np.float32]) -> float:
    """Return 1.4826 MAD of at most 16 k samples; never less than a twentieth of the mean magnitude, and never 0."""
    flat = values.ravel()
    sample = flat[:: _stride(flat.size)]
    centred = np.abs(sample - _median(sample))
    return float(max(MAD_TO_SIGMA * _median(centred), 0.05 * centred.mean())) or 1.0


def _median(values: NDArray[np.float32]) -> np.float32:
    """Return the median of (n,): NumPy partitions by one rank in vector instructions, for its own median by three."""
    return np.float32(_row_medians(values[None])[0])


def _row_medians(values: Plane) -> NDArray[np.float32]:
    """Return the median of each line, (rows,), to the last bit what NumPy gives; sorting is vectorised."""
    ranked, half = np.sort(values, axis=1), values.shape[1] // 2
    return np.asarray(ranked[:, half] if values.shape[1] % 2 else (ranked[:, half - 1] + ranked[:, half]) / 2)


def row_noise(across: Plane) -> NDArray[np.float32]:
    """Return each line's mean magnitude of the second difference over the median line's, less 1: (rows,)."""
    bend = np.zeros(len(across), np.float32)
    if across.shape[1] > 2:
        bends = across[:, 2:] - across[:, 1:-1]
        bend = np.abs(bends, out=bends).mean(axis=1)
    typical = float(np.median(bend)) or float(bend.mean())
    return ((bend - typical) / (typical or 1.0)).astype(np.float32)


def median_of_five_rows(level: Plane) -> Plane:
    """Return the median of each pixel and its two neighbours above and below, edges repeated."""
    padded = np.pad(level, ((2, 2), (0, 0)), mode="edge")
    least, most = np.minimum(padded[1:], padded[:-1]), np.maximum(padded[1:], padded[:-1])  # of each two lines
    low, high = np.maximum(least[:-3], least[3:]), np.minimum(most[:-3], most[3:])
    between = np.maximum(low, high, out=padded[4:])
    np.minimum(between, level, out=between)
    return np.maximum(between, np.minimum(low, high, out=low), out=low)


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
