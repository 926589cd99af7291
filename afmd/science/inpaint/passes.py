"""The other pass, laid on this one: what a retrace saw where the trace was spoilt.

Rule: only data outside the mask say where the other pass lies; what it saw inside is returned, never judged here.

Both passes see the same line, the other displaced along it by hysteresis (most in mid-line) and by where its lines
start, with an offset of its own for each line and a smooth difference besides. These are taken off.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from afmd.science.inpaint.gaps import Heights, Mask

FARTHEST_SHARE = 0.1
"""Of a line: how far the passes may lie apart."""
MOST_BENT_SHARE = 0.04
"""Of a line: how much further they may lie apart in mid-line than at its ends, or less far."""
PARTS = 4
COMPARED_LINES, COMPARED_PX = 48, 64
LIMIT = 6.0
"""In typical slopes: no edge outweighs the rest."""
LEAST_COLS = 32
CUBIC, ROUNDS = 3, 2
LEAST_KNOWN = 0.15
"""Of a line: less tells nothing of where it lies."""
TINY = np.finfo(np.float32).tiny


def laid(heights: Heights, other: Heights, mask: Mask) -> Heights:
    """Return the other pass as this one would have recorded it, new float32 (rows, cols) nm.

    ``heights``, ``other``: float32 (rows, cols) nm, the same orientation; ``mask`` True = spoilt in ``heights``.
    """
    there = np.where(np.isfinite(other), other, np.float32(0))
    moved = _moved(there, _shift_px(heights, there, mask))
    return moved + _between(heights - moved, mask)


def _shift_px(heights: Heights, other: Heights, mask: Mask) -> NDArray[np.float32]:
    """Return how far to the right each column's place lies in the other pass, px, float32 (cols,)."""
    cols = heights.shape[1]
    if cols < LEAST_COLS:
        return np.zeros(cols, np.float32)
    alike = _alikeness(heights, other, mask)
    farthest = alike.shape[1] // 2
    bend = 1 - ((np.arange(PARTS) + 0.5) / PARTS * 2 - 1) ** 2
    most = MOST_BENT_SHARE * cols
    bends = np.linspace(-most, most, 2 * max(round(most), 1) + 1)
    start = np.arange(-farthest, farthest + 1)
    at = np.clip(np.round(start[None, :, None] + bends[:, None, None] * bend), -farthest, farthest).astype(np.intp)
    score = alike[np.arange(PARTS), at + farthest].sum(axis=-1) * (1 - 0.01 * np.abs(bends) / most)[:, None]
    own, first = np.unravel_index(int(np.argmax(score)), score.shape)
    across = np.linspace(-1, 1, cols)
    shift = start[first] + _peak(score[own], int(first)) + bends[own] * (1 - across**2)
    return np.asarray(shift, np.float32)


def _alikeness(heights: Heights, other: Heights, mask: Mask) -> NDArray[np.float64]:
    """Return how well slopes go together, (parts of the line, shifts), from lines spread over the frame."""
    rows, cols = heights.shape
    some = slice(None, None, max(1, rows // COMPARED_LINES))
    one, two = _slopes(heights[some]), _slopes(other[some])
    one[mask[some, 1:] | mask[some, :-1]] = 0
    farthest = max(2, round(FARTHEST_SHARE * cols))
    length = fft.next_fast_len(cols + 2 * farthest, real=True)
    there = fft.rfft(two, length)
    found = np.empty((PARTS, 2 * farthest + 1))
    for number, part in enumerate(np.array_split(np.arange(cols - 1), PARTS)):
        alone = np.zeros_like(one)
        alone[:, part] = one[:, part]
        sums = fft.irfft((there * fft.rfft(alone, length).conj()).sum(axis=0), length)
        found[number] = np.concatenate([sums[-farthest:], sums[: farthest + 1]])
    return found


def _slopes(lines: Heights) -> Heights:
    steps = np.diff(lines, axis=1)
    limit = np.float32(LIMIT * np.median(np.abs(steps))) + TINY
    return np.clip(steps, -limit, limit)


def _peak(score: NDArray[np.float64], at: int) -> float:
    """Return how far beside the largest value the top of a parabola through it lies, at most half a step."""
    if not 0 < at < len(score) - 1:
        return 0.0
    before, top, after = score[at - 1 : at + 2]
    bent = before - 2 * top + after
    return float(np.clip(0.5 * (before - after) / bent, -0.5, 0.5)) if bent < 0 else 0.0


def _moved(other: Heights, shift_px: NDArray[np.float32]) -> Heights:
    rows, cols = other.shape
    across = np.broadcast_to(np.arange(cols, dtype=np.float32) + shift_px, (rows, cols))
    down = np.broadcast_to(np.arange(rows, dtype=np.float32)[:, None], (rows, cols))
    maps = np.ascontiguousarray(across), np.ascontiguousarray(down)
    return np.asarray(cv2.remap(other, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _between(apart: Heights, mask: Mask) -> Heights:
    """Return what the scanner adds between the passes: a height for each line, and a cubic along them."""
    rows, cols = apart.shape
    few = (slice(None, None, max(1, rows // COMPARED_PX)), slice(None, None, max(1, cols // COMPARED_PX)))
    across, along = np.linspace(-1, 1, cols), np.zeros(cols, np.float32)
    for _ in range(ROUNDS):
        line = _medians(apart[:, few[1]] - along[few[1]], mask[:, few[1]])
        profile = _medians((apart[few[0]] - line[few[0], None]).T, mask[few[0]].T)
        fitted = np.polynomial.Polynomial.fit(across, profile, min(CUBIC, cols - 1), domain=[-1, 1])
        along = fitted(across).astype(np.float32)
    return np.asarray(line[:, None] + along, np.float32)


def _medians(lines: Heights, mask: Mask) -> NDArray[np.float32]:
    """Return the median of what is not masked of each line, float32; of one that hardly has any, its neighbours'."""
    ordered = np.sort(np.where(mask, np.float32(np.inf), lines), axis=1)
    count = np.count_nonzero(~mask, axis=1)
    at = np.flatnonzero(count >= max(1, LEAST_KNOWN * mask.shape[1]))
    if at.size == 0:
        return np.full(len(lines), np.median(lines), np.float32)
    return np.asarray(np.interp(np.arange(len(lines)), at, ordered[at, count[at] // 2]), np.float32)
