"""A picture made ready to be asked for its tip. Rule: what is masked constrains nothing and testifies to nothing.

The question is asked on a grid on which the tip is some five to sixteen pixels in radius: coarser, its apex is not
seen; finer, noise is seen instead.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.science.robust import SIGMA_PER_MAD

WINDOW_PX = 128
MOST_WINDOWS = 4
SECOND = np.array([1.0, -2.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class Workpiece:
    """``heights``: float32 (rows, cols) nm, filled where not ``trusted``; ``pitch``: (down, across) in nm.

    ``white_nm``: standard deviation of the noise of single pixels; ``lines_nm``: of the offsets of whole lines.
    """

    heights: NDArray[np.float32]
    trusted: NDArray[np.bool_]
    pitch: tuple[float, float]
    white_nm: float
    lines_nm: float

    def smoothed(self, heights: NDArray[np.float32], width_px: float) -> NDArray[np.float32]:
        """Return ``heights`` after a Gaussian of ``width_px``, new."""
        return np.asarray(cv2.GaussianBlur(heights, (0, 0), width_px, borderType=cv2.BORDER_REFLECT), dtype=np.float32)

    def flooded(self, depth_nm: float) -> "Workpiece":
        """Return the uppermost ``depth_nm`` of the picture over a level floor.

        A flooded picture is the picture of the flooded surface by the same tip: dilation distributes over the greater
        of two. What towers above the rest is not trusted. So that kernels stay small on pictures of much relief.
        """
        if not self.trusted.any():
            return self
        top = float(np.quantile(self.heights[self.trusted], 0.995))
        low, high = np.float32(top - depth_nm), np.float32(top + depth_nm / 4)
        return replace(
            self, heights=np.clip(self.heights, low, high), trusted=self.trusted & (self.heights <= high)
        )  # fmt: skip

    def noise(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return noise such as this picture's own, float32 of its shape, nm."""
        rows, cols = self.heights.shape
        grain = rng.standard_normal((rows, cols), dtype=np.float32) * np.float32(self.white_nm)
        return grain + rng.standard_normal((rows, 1), dtype=np.float32) * np.float32(self.lines_nm)


def prepared(
    heights: NDArray[np.float32], trusted: NDArray[np.bool_], pitch: tuple[float, float], *, step: tuple[int, int]
) -> Workpiece:
    """Return the picture averaged over blocks of ``step`` (down, across) pixels, with its noise measured."""
    filled = neutral(heights, trusted)
    mean, kept = _blocks(filled, step), _blocks(trusted.astype(np.float32), step) >= 0.999
    white, lines = _noise(mean, kept)
    return Workpiece(mean, kept, (pitch[0] * step[0], pitch[1] * step[1]), white, lines)


def windows(piece: Workpiece) -> list[Workpiece]:
    """Return the whole of a small picture, or those parts of a large one that curve down most, largest first."""
    if piece.heights.size <= MOST_WINDOWS * WINDOW_PX**2:
        return [piece]
    score = _crests(piece)
    chosen = []
    for _ in range(MOST_WINDOWS):
        place = np.unravel_index(int(np.argmax(score)), score.shape)
        if score[place] <= 0:
            break
        top, left = (int(at) * WINDOW_PX // 2 for at in place)
        cut = np.s_[top : top + WINDOW_PX, left : left + WINDOW_PX]
        chosen.append(replace(piece, heights=piece.heights[cut].copy(), trusted=piece.trusted[cut].copy()))
        score[max(place[0] - 1, 0) : place[0] + 2, max(place[1] - 1, 0) : place[1] + 2] = 0
    return chosen


def neutral(heights: NDArray[np.float32], trusted: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the heights with what is not trusted replaced by a smooth surface through what is, new."""
    if trusted.all():
        return heights.copy()
    if not trusted.any():
        return np.zeros_like(heights)
    share, sums = trusted.astype(np.float32), np.where(trusted, heights, np.float32(0))
    filled, open_still = np.where(trusted, heights, np.float32(0)), ~trusted
    width = 1.0
    while open_still.any():
        known = cv2.GaussianBlur(share, (0, 0), width, borderType=cv2.BORDER_REFLECT)
        mean = cv2.GaussianBlur(sums, (0, 0), width, borderType=cv2.BORDER_REFLECT) / np.maximum(known, 1e-6)
        here = open_still & ((known > 1e-2) | (width > max(heights.shape)))
        filled[here] = mean[here]
        open_still &= ~here
        width *= 2
    return filled


def _blocks(values: NDArray[np.float32], step: tuple[int, int]) -> NDArray[np.float32]:
    rows, cols = values.shape[0] // step[0], values.shape[1] // step[1]
    cut = values[: rows * step[0], : cols * step[1]]
    return np.asarray(cut.reshape(rows, step[0], cols, step[1]).mean(axis=(1, 3)), dtype=np.float32)


def _noise(heights: NDArray[np.float32], trusted: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the noise of pixels and of lines from second differences, whose median no smooth surface moves.

    J. Immerkær, Comput. Vis. Image Underst. 64 (1996) 300: the mixed one is blind to curvature along either axis.
    """
    if min(heights.shape) < 8:
        return 0.0, 0.0
    sure = cv2.erode(trusted.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)[1:-1, 1:-1]
    down = np.diff(heights, n=2, axis=0)
    mixed = np.abs(np.diff(down, n=2, axis=1))[sure]
    if mixed.size < 16:
        return 0.0, 0.0
    white = SIGMA_PER_MAD * float(np.median(mixed)) / 6
    bends = np.median(np.where(trusted[1:-1], down, np.float32(0)), axis=1)
    bends = bends - np.median(bends)
    spread = SIGMA_PER_MAD * float(np.median(np.abs(bends)))
    chance = 1.2533 * np.sqrt(6) * white / np.sqrt(heights.shape[1])
    return white, float(np.sqrt(max(spread**2 - (2 * chance) ** 2, 0.0) / 6))


def _crests(piece: Workpiece) -> NDArray[np.float64]:
    """Return how much of each window curves down, on a grid of half windows."""
    smooth = piece.smoothed(piece.heights, 1.5)
    bend = np.maximum(-cv2.Laplacian(smooth, cv2.CV_32F), 0) * piece.trusted
    bend = np.minimum(bend, np.quantile(bend[::2, ::2], 0.98))
    total = np.pad(bend.cumsum(0, dtype=np.float64).cumsum(1), ((1, 0), (1, 0)))
    tops, lefts = (np.arange(0, max(side - WINDOW_PX, 0) + 1, WINDOW_PX // 2) for side in bend.shape)
    bottoms, rights = (np.minimum(a + WINDOW_PX, n) for a, n in zip((tops, lefts), bend.shape, strict=True))
    return np.asarray(
        total[np.ix_(bottoms, rights)] - total[np.ix_(tops, rights)] - total[np.ix_(bottoms, lefts)]
        + total[np.ix_(tops, lefts)]
    )  # fmt: skip
