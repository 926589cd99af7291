"""What changes while the frame is recorded. Rule: one number for every line, and how far it departs from a steady one.

A tip that changed, or carries something for a while, makes lines of another kind: a break. A scanner that still
creeps makes the first lines tilt and slide: a decay.
"""

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.inference import planes
from afmd.inference.traits.values import Image, Values, log, medians, quantiles, sampled, spread

DECAYS: Final = (0.02, 0.05, 0.1, 0.2)
"""In parts of the frame."""
_FEWEST_LINES = 6


def breaks(native: planes.Plane, strip: Image) -> Values:
    """Return how far ten numbers of each line stray from a steady course, and break at one line, (40,).

    ``native``: planes (planes, rows, cols). ``strip``: aligned heights of the same rows and some columns.
    """
    return _strays(_lines(native, strip)).ravel()


def drift(strip: Image) -> Values:
    """Return how well slope, slide, its sum and bend of the lines decay from either end of the frame, (32,)."""
    at = np.linspace(-1, 1, strip.shape[1], dtype=np.float32)
    heads = np.clip(strip, *quantiles(sampled(strip), (2, 98)).astype(np.float32))
    slope = (heads * at).mean(axis=1) / np.square(at).mean()
    bend = (heads * (np.square(at) - np.float32(1 / 3))).mean(axis=1)
    slide = _slides(strip)
    lines = np.array([slope, slide, np.cumsum(slide), bend], np.float64)
    return _decays(lines).ravel()


def _lines(native: planes.Plane, strip: Image) -> Values:
    """Return the ten numbers of each line, (10, rows): steepness, curvatures, pass difference, noise, heights."""
    smooth, smoother = (cv2.GaussianBlur(strip, (0, 0), scale) for scale in (1, 3))
    fine, coarse = (cv2.Laplacian(one, cv2.CV_32F) for one in (smooth, smoother))
    steep = np.abs(np.diff(smooth, axis=1))
    bent, wide = (np.tanh(one / (3 * spread(one))) for one in (fine, coarse))
    flat = native[planes.FLAT]
    return np.array([
        log(steep.mean(axis=1), floor=1e-9 * float(steep.mean()) + 1e-30), log(np.abs(fine).mean(axis=1)),
        bent.mean(axis=1), (bent * bent * bent).mean(axis=1), np.abs(wide).mean(axis=1), wide.mean(axis=1),
        np.abs(native[planes.PASS_DIFFERENCE]).mean(axis=1),
        np.log1p(np.maximum(native[planes.ROW_NOISE, :, 0], -0.9) + 1), flat.std(axis=1),
        quantiles(flat[:, ::4], (95,))[:, 0],
    ], np.float64)  # fmt: skip


def _strays(lines: Values) -> Values:
    """Return height and range of each cumulative sum, and the sharpest step over half a sixteenth of the frame, (…, 4).

    ``lines``: (…, rows), a number of each line.
    """
    rows = lines.shape[-1]
    lines = _limited(lines, (1, 99))
    lines -= lines.mean(axis=-1, keepdims=True)
    noise = np.diff(lines).std(axis=-1) / np.sqrt(2) + 0.1 * lines.std(axis=-1) + 1e-12
    total = np.zeros((*lines.shape[:-1], rows + 1))
    np.cumsum(lines, axis=-1, out=total[..., 1:])
    summed = total[..., 1:] / (noise * np.sqrt(rows))[..., None]
    half = max(_FEWEST_LINES, rows // 16)
    before, after = total[..., half:-half] - total[..., : -2 * half], total[..., 2 * half :] - total[..., half:-half]
    step = np.abs(after - before) / (half * noise)[..., None] * np.sqrt(half / 2)
    sharpest = step.max(axis=-1)
    return np.stack(
        [
            np.arcsinh(np.abs(summed).max(axis=-1)), np.arcsinh(np.ptp(summed, axis=-1)), np.arcsinh(sharpest),
            np.log((sharpest + 0.1) / (medians(step) + 0.1)),
        ],
        axis=-1,
    )  # fmt: skip


def _limited(lines: Values, percents: tuple[float, float]) -> Values:
    """Return rows of numbers, new, cut at two of their percentiles."""
    lowest, highest = np.moveaxis(quantiles(lines, percents), -1, 0)[..., None]
    return np.clip(lines, lowest, highest)


def _slides(strip: Image) -> Values:
    """Return how far each line is displaced sideways to the one before, px (Lucas and Kanade 1981), (rows,)."""
    smooth = cv2.GaussianBlur(strip, (0, 0), 1.5)
    along, down = np.gradient(smooth, axis=1)[:-1], np.diff(smooth, axis=0)
    down = down - medians(down[:, ::4]).astype(np.float32)[:, None]
    counts = (np.abs(down) < 4 * spread(down)) & (np.abs(along) < 12 * spread(along))
    square = np.square(along)
    enough = 1e-3 * float(square.mean()) * strip.shape[1] + 1e-30
    slide = -(along * down * counts).sum(axis=1) / ((square * counts).sum(axis=1) + enough)
    return np.append(slide, slide[-1]).astype(np.float64)


def _decays(lines: Values) -> Values:
    """Return how many times its own scatter a decay from the first or the last line has, for four lengths, (…, 8).

    ``lines``: (…, rows), a number of each line.
    """
    lines = _limited(lines, (0.5, 99.5))
    count = lines.shape[-1]
    steady, decays = _bases(count)
    rest = lines - (lines @ steady) @ steady.T
    heights = rest @ decays
    whole = np.square(rest).sum(axis=-1, keepdims=True)
    scatter = np.sqrt(np.maximum((whole - np.square(heights)) / count, 1e-20))
    return np.asarray(np.abs(heights) / scatter / np.sqrt(count))


@lru_cache(maxsize=2)
def _bases(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return an orthonormal parabola's basis (count, 3), and unit decays orthogonal to it (count, 8)."""
    at = np.arange(count) / count
    steady, _ = np.linalg.qr(np.stack([np.ones(count), at - 0.5, (at - 0.5) ** 2], axis=1))
    decays = np.stack([np.exp(-away / length) for away in (at, 1 - at) for length in DECAYS], axis=1)
    decays -= steady @ (steady.T @ decays)
    return steady, decays / np.linalg.norm(decays, axis=0)
