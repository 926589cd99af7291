"""Wide holes all at once: the surface as a Gaussian Markov random field, and as a thin plate.

Rule: nothing is written; a guess and the data around go in, heights come out.

Kriging from a few points sees a hole's edge in four directions; this sees all of it. The field's precision is a stencil
of 5 × 5 px (Rue and Held 2005), fitted to the surface's power spectrum by Whittle's likelihood (1953) with coefficients
that cannot be negative, so that it is positive definite. The plate's is the biharmonic one: it carries slopes on, where
the field returns to the mean. Conjugate gradients on coarse pixels come first, since each such step reaches far
(cascadic multigrid, Bornemann and Deuflhard 1996), and a few steps at full resolution last.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.science.inpaint.canvas import Canvas
from afmd.science.inpaint.gaps import Heights, Mask

NARROWEST = 5
"""Px: a place of a hole is wide where a square of this side fits into it."""
STEPS, STEP = 2, 1.5
"""Steps at full resolution, and how far each goes over the inverse of the stiffest wave's precision."""
COARSE_STEPS, ENOUGH = 200, 2e-4
"""Most steps on coarse pixels; they end where one wins less than this share of what all have won."""
FEWEST, SMALLEST = 16, 8
"""Coarse pixels inside holes, and px of a side, that are worth a level."""
ROUNDS = 20
ALONE, BANDS = 4, 12
"""So many of the lowest frequencies of an axis count each for itself, the others in about so many bands."""
LOW = 0.02
"""Cycles per px: a frequency counts by 1 / (itself + this), since wide holes are filled by the low ones."""
WHITE = 1e-7
"""Of the mean power: no frequency has less."""

Kernel = NDArray[np.float32]
"""A precision's stencil, (5, 5), even along both axes, 1 in the middle."""
Precision = Callable[[int], Kernel]
"""The precision among pixels so many times as wide as the frame's."""

_SLOPE = np.array([-0.25, 0.5, -0.25])
_POWERS = np.array([[0, 0, 1, 0, 0], [0, *_SLOPE, 0], np.convolve(_SLOPE, _SLOPE)])
"""Stencils of u^i along one axis, i = 0, 1, 2, where u = (1 - cos ω) / 2."""


class Wide:
    """The wide places of holes, and the guesses there, on pixels of every size.

    ``places``: intp (n,), where they lie in the flat frame.
    """

    def __init__(self, canvas: Canvas, mask: Mask) -> None:
        """Read from a canvas with guesses in its holes; ``mask`` True = hole."""
        self.places = _wide(mask)
        frame = canvas.frame()
        self._row, self._col = np.divmod(self.places, mask.shape[1])
        self._canvas, self._origin = canvas, canvas.at(self._row, self._col)
        self._coarse: list[_Level] = []
        row, col = self._row, self._col
        while (level := _Level.of(frame, row, col)) is not None:
            self._coarse.append(level)
            frame, row, col = level.frame, level.row, level.col

    def settled(self, precision: Precision) -> NDArray[np.float32]:
        """Return the conditional mean at the places, float32 (n,) nm; the canvas is as before afterwards."""
        change: Heights | None = None
        for number, level in reversed(list(enumerate(self._coarse, start=1))):
            change = level.moved(change, precision(1 << number))
        flat, kernel = self._canvas.flat, precision(1)
        guess = flat.take(self._origin)
        heights, middle = guess + _finer(change, self._row, self._col), guess.mean()
        for _ in range(STEPS):
            flat[self._origin] = heights
            heights -= np.float32(STEP / _stiffest(kernel)) * self._pull(kernel, middle)
        flat[self._origin] = guess
        return heights

    def _pull(self, kernel: Kernel, middle: np.float32) -> NDArray[np.float32]:
        """Return the slope of the energy of heights that count from ``middle``."""
        total = np.full(self._origin.size, -middle * kernel.sum(), np.float32)
        for (down, across), weight in np.ndenumerate(kernel):
            beside = self._canvas.flat.take(self._origin + ((down - 2) * self._canvas.stride + across - 2))
            beside *= weight
            total += beside
        return total


def _wide(mask: Mask) -> NDArray[np.intp]:
    """Return the flat places of masked pixels where holes are wide."""
    square = np.ones((NARROWEST, NARROWEST), np.uint8)
    return np.flatnonzero(cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, square))


def stencil(power: NDArray[np.float64], scale: int) -> Kernel:
    """Return the precision among pixels ``scale`` times as wide, float32 (5, 5), 1 in the middle.

    At the frequencies ω, ν it is a sum of c_ij u(ω)^i u(ν)^j, i and j up to 2. The coefficients of the largest
    likelihood come from multiplications none of which lowers it.
    """
    down, across = (_bands(length, scale) for length in power.shape)
    part = power[: down.first[-1], : across.first[-1]]
    seen = np.add.reduceat(np.add.reduceat(part, down.first[:-1], axis=0), across.first[:-1], axis=1)
    seen *= np.outer(down.passed / np.diff(down.first), across.passed / np.diff(across.first))
    counts = np.outer(np.diff(down.first), np.diff(across.first))
    counts = (counts / (np.hypot(down.cycles[:, None], across.cycles) + LOW)).reshape(-1)[1:]
    terms = np.einsum("im,jn->ijmn", down.powers, across.powers).reshape(9, -1)[:, 1:]
    told = counts * seen.reshape(-1)[1:]
    of_term = terms @ (told + WHITE * told.sum() / counts.sum() * counts)
    shares = 1 / of_term
    for _ in range(ROUNDS):
        shares *= terms @ (counts / (shares @ terms)) / of_term
    return _kernel(shares.reshape(3, 3))


def _kernel(shares: NDArray[np.float64]) -> Kernel:
    """Return the stencil of a sum of shares_ij u(ω)^i u(ν)^j, scaled."""
    kernel = _POWERS.T @ shares @ _POWERS
    return np.asarray(kernel / kernel[2, 2], np.float32)


PLATE = _kernel(np.array([[0.0, 0.0, 1.0], [0.0, 2.0, 0.0], [1.0, 0.0, 0.0]]))
"""The precision of least bending, (u(ω) + u(ν))²."""


@dataclass(frozen=True, slots=True, eq=False)
class _Bands:
    """Bands of one axis's frequencies.

    ``first``: where each begins, and the end of the last. Of each, float64: ``powers``, (3, bands), the mean u^i;
    ``passed``, what of the power is left once pixels are averaged; ``cycles``, its middle, per px.
    """

    first: NDArray[np.intp]
    powers: NDArray[np.float64]
    passed: NDArray[np.float64]
    cycles: NDArray[np.float64]


@lru_cache(maxsize=32)
def _bands(length: int, scale: int) -> _Bands:
    count = length // scale
    first = np.unique(np.append(np.arange(ALONE), np.geomspace(ALONE, count, BANDS).round())).astype(np.intp)
    angle = np.pi * scale / length * np.arange(count)
    size = np.diff(first)
    u = (1 - np.cos(angle)) / 2
    averaged = np.square(np.sinc(angle / (2 * np.pi)) / np.sinc(angle / (2 * np.pi * scale)))
    powers = np.stack([np.add.reduceat(u**i, first[:-1]) / size for i in range(3)])
    passed = np.add.reduceat(averaged, first[:-1]) / size
    return _Bands(first, powers, passed, (first[:-1] + first[1:] - 1) / (4 * count))


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """The pixels of one size that lie wholly in wide places.

    ``frame``: float32, all pixels of this size, nm from their mean. ``row``, ``col``: intp (n,), of those inside.
    ``near``: intp (25, n), places in the flat frame of the 5 × 5 around each, mirrored at the border. ``among``: the
    same, as numbers of those inside, n for all others.
    """

    frame: Heights
    row: NDArray[np.intp]
    col: NDArray[np.intp]
    near: NDArray[np.intp]
    among: NDArray[np.intp]

    @classmethod
    def of(cls, finer: Heights, row: NDArray[np.intp], col: NDArray[np.intp]) -> "_Level | None":
        """Return pixels twice as wide as those of a frame, of which some lie inside; None where too few do."""
        rows, cols = (side // 2 for side in finer.shape)
        if min(rows, cols) < SMALLEST:
            return None
        paired = (row < 2 * rows) & (col < 2 * cols)
        held = np.bincount((row[paired] >> 1) * cols + (col[paired] >> 1), minlength=rows * cols)
        at = np.flatnonzero(held == 4)
        if not FEWEST <= at.size < rows * cols:
            return None
        frame = np.asarray(
            cv2.resize(finer[: 2 * rows, : 2 * cols], (cols, rows), interpolation=cv2.INTER_AREA), np.float32
        )
        frame -= frame.mean()
        row, col = np.divmod(at, cols)
        down, across = _around(row, rows), _around(col, cols)
        near = (down[:, None] * cols + across).reshape(25, -1)
        number = np.full(rows * cols, at.size)
        number[at] = np.arange(at.size)
        return cls(frame, row, col, near, number.take(near))

    def moved(self, change: Heights | None, kernel: Kernel) -> Heights:
        """Return by how much least energy moves the frame, after coarser pixels' ``change``, by conjugate gradients."""
        weights, start = kernel.reshape(-1).astype(np.float64), _finer(change, self.row, self.col)
        heights = np.append(start.astype(np.float64), 0.0)
        rest = -(weights @ self.frame.take(self.near) + weights @ heights.take(self.among))
        way, left, won = np.append(rest, 0.0), float(rest @ rest), 0.0
        for _ in range(COARSE_STEPS):
            back = weights @ way.take(self.among)
            stiff = float(way[:-1] @ back)
            if not stiff > 0:
                break
            far = left / stiff
            heights += far * way
            won += far * left
            if far * left < ENOUGH * won:
                break
            rest -= far * back
            before, left = left, float(rest @ rest)
            way *= left / before
            way[:-1] += rest
        moved = np.zeros_like(self.frame)
        moved[self.row, self.col] = heights[:-1]
        return moved


def _around(at: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Return the places up to two px before and after some, (5, n), mirrored at a side's ends."""
    beside = at + np.arange(-2, 3)[:, None]
    beside = np.where(beside < 0, -1 - beside, beside)
    return np.where(beside >= length, 2 * length - 1 - beside, beside)


def _finer(change: Heights | None, row: NDArray[np.intp], col: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return a frame interpolated at the middles of some pixels half as wide, (n,); 0 of None."""
    if change is None:
        return np.zeros(row.size, np.float32)
    rows, cols = change.shape
    (up, far_up), (left, far_left) = (
        (np.minimum(at >> 1, length - 1), np.clip((at >> 1) + np.where(at & 1, 1, -1), 0, length - 1))
        for at, length in ((row, rows), (col, cols))
    )
    flat = change.reshape(-1)
    near, far = (3 * flat.take(down * cols + left) + flat.take(down * cols + far_left) for down in (up, far_up))
    return np.asarray((3 * near + far) * np.float32(1 / 16), np.float32)


def _stiffest(kernel: Kernel) -> float:
    """Return the largest precision of any wave."""
    return float(np.abs(np.fft.fft2(kernel, (16, 16))).max())
