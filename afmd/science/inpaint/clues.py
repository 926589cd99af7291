"""What the heights measured inside a hole say, pixel by pixel: the clues that ``evidence`` weighs.

Rule: every clue is a ratio of heights or a count of pixels, so that neither unit nor frame size matters; and mirror
images give the same clues.

Artefacts seldom erase the surface: a slipped zero keeps its shape, a burst of noise its slow part, a tail behind a
falling edge is an upper bound. So what was measured is compared with what kriging expects, over windows of several
lengths along the line and across the lines, and with how the whole scan is spoilt.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.science.inpaint.gaps import NONE, Heights, Mask, Reach
from afmd.science.inpaint.kriging import Kriged, Values
from afmd.science.inpaint.windows import Windows

NEAR, FAR = 2, 8
"""Half widths in px of the windows over which differences are averaged."""
FURTHEST_SEEN = 1000
LEAST_SHARE = 0.02
"""Of the surface's spread: what counts as uncertain even where kriging is sure."""
TINY = np.float32(1e-6)
STEEPEST = np.float32(1.5)
"""How much higher than measured the surface may be, where a run is fitted to the guess."""
ROUGH = np.float32(1e-3)
CANDIDATES = 7
DIFFERENCES = 22
PIXEL_CLUES, SCAN_CLUES = DIFFERENCES + 8, 12


class Clues:
    """The clues of n masked pixels, in row-major order; heights in units of ``unit_nm`` and relative to kriging's.

    ``scan``: float32 (SCAN_CLUES,), what all pixels share. ``doubt``: float32 (n,), how unsure kriging is.
    """

    def __init__(self, heights: Heights, mask: Mask, *, guess: Kriged, sigma: Values) -> None:
        """Gather from ``heights``, float32 (rows, cols) nm, as measured, also where ``mask`` is True.

        ``guess``: kriging's prediction; its surface must not be flat. ``sigma``: float32 (n,) nm, its standard
        deviation.
        """
        self.unit_nm = float(np.sqrt(guess.covariance.variance))
        self.doubt = np.hypot(sigma / np.float32(self.unit_nm), np.float32(LEAST_SHARE))
        view = _View(heights, mask, guess, self.unit_nm)
        self.scan, mirrored = _scan(view, self.doubt)
        self._noise = np.float32(view.noise)
        self._around = _Around.of(view, mirrored)
        self._means = _means(view)

    def pixels(self, part: slice) -> NDArray[np.float32]:
        """Return the clues of some pixels, float32 (PIXEL_CLUES, size of the part)."""
        doubt, around, means = self.doubt[part], self._around, self._means
        found = np.empty((PIXEL_CLUES, doubt.size), np.float32)
        relative, absolute = found[:DIFFERENCES], found[DIFFERENCES:]
        for row, values in enumerate((means.off, *around.differences, *means.differences)):
            np.divide(values[part], doubt, out=relative[row])
        _squash(relative)
        np.divide(means.rough[part], self._noise, out=absolute[0])
        absolute[0] += ROUGH
        for row, values in enumerate(around.distances, start=1):
            absolute[row] = values[part]
        absolute[6] = doubt
        np.divide(self._noise, doubt, out=absolute[7])
        np.log(absolute, out=absolute)
        return found

    def candidates(self, part: slice) -> NDArray[np.float32]:
        """Return heights that some pixels may have, float32 (CANDIDATES, size of the part), kriging's own (0) first."""
        means, between = self._means, self._around.between[part]
        off, far, run, block = (values[part] for values in (means.off, means.far, means.run, means.block))
        return np.stack([np.zeros_like(off), off, off - far, off - run, far, block, between])


class _View:
    """The masked pixels and what stands around them, in units of the surface's spread.

    ``measured``, ``guessed``: (n,), ``around``, ``expected``: (4, n), the neighbours up, down, left, right as measured
    and with holes filled. ``ends``: (4, n), the data in these directions; the guess where there are none. ``off``:
    measured less guessed. ``noise``: the rms step between unmasked neighbours in a line.
    """

    def __init__(self, heights: Heights, mask: Mask, guess: Kriged, unit: float) -> None:
        rows, cols = mask.shape
        at = np.flatnonzero(mask)
        row, col = np.divmod(at, cols)
        scale, middle = np.float32(1 / unit), np.float32(np.mean(guess.filled.values))
        flat = heights.reshape(-1)
        self.guessed = (guess.filled.values - middle) * scale
        measured = (flat[at] - middle) * scale
        self.known = np.isfinite(measured)
        self.measured = np.where(self.known, measured, self.guessed)
        self.off = self.measured - self.guessed
        whole = flat.copy()
        whole[at] = guess.filled.values
        raw = flat if self.known.all() else np.where(np.isfinite(flat), flat, whole)
        to = (at - cols * (row > 0), at + cols * (row < rows - 1), at - (col > 0), at + (col < cols - 1))
        self.around = np.stack([(raw[there] - middle) * scale for there in to])
        self.expected = np.stack([(whole[there] - middle) * scale for there in to])
        self.ends = np.empty((4, at.size), np.float32)
        for end, seen, unit_step in zip(self.ends, guess.seen, (-cols, cols, -1, 1), strict=True):
            there = seen < NONE
            end[:] = np.where(there, (flat[at + unit_step * np.where(there, seen, 0)] - middle) * scale, self.guessed)
        self.seen: Reach = guess.seen
        self.windows = Windows(row, col, guess.seen, mask.shape)
        self.share = at.size / mask.size
        self.noise = _step(heights, mask) * float(scale) + float(TINY)


@dataclass(frozen=True, slots=True, eq=False)
class _Around:
    """What stands beside each of n pixels, each array (n,), left and right changed over in a mirrored scan.

    ``differences``: steps to the neighbours as measured, those across lines in order of size; of the guess; to the
    data at the ends of the run; of the straight line ``between`` the data above and below; and the bend of the line.
    ``distances``: px to the data left, right, and nearest across lines; lengths of the runs.
    """

    differences: tuple[Values, ...]
    distances: tuple[Values, ...]
    between: Values

    @classmethod
    def of(cls, view: "_View", mirrored: bool) -> "_Around":
        before, after = (3, 2) if mirrored else (2, 3)
        up, down, left, right = (near - view.measured for near in view.around)
        near = (right, left) if mirrored else (left, right)
        above, below, *sides = np.minimum(view.seen, FURTHEST_SEEN).astype(np.float32)
        between = (view.ends[0] * below + view.ends[1] * above) / (above + below) - view.guessed
        differences = (
            *near, np.minimum(up, down), np.maximum(up, down),
            view.expected[before] - view.guessed, view.expected[after] - view.guessed,
            view.ends[before] - view.guessed, view.ends[after] - view.guessed, between, left + right,
        )  # fmt: skip
        distances = (*(sides[::-1] if mirrored else sides), np.minimum(above, below))
        return cls(differences, (*distances, view.windows.width, view.windows.height), between)


@dataclass(frozen=True, slots=True, eq=False)
class _Means:
    """Measured less guessed, ``off``, and its means, each (n,).

    Over windows: ``far`` along the line, ``block`` near in both directions; over the whole ``run``. ``differences``:
    these means and more: near, across lines, the run as a straight function of what was measured, and spreads.
    ``rough``: the rms step to the neighbours in the line, around.
    """

    off: Values
    far: Values
    run: Values
    block: Values
    differences: tuple[Values, ...]
    rough: Values


def _means(view: _View) -> _Means:
    off, measured, guessed = view.off, view.measured, view.guessed
    steps = np.square(measured - view.around[2:]).mean(axis=0)
    sums = view.windows.along([off, off * off, measured, guessed, measured**2, guessed**2, measured * guessed, steps])
    near = sums.mean(NEAR, 0)[0]
    far, square_far, rough = sums.mean(FAR, 0, 1, 7)
    run, square, m, g, mm, gg, mg = sums.mean(None, 0, 1, 2, 3, 4, 5, 6)
    across = view.windows.across([near, off])
    block, tall = across.mean(NEAR, 0)[0], across.mean(FAR, 0)[0]
    slope = np.clip((mg - m * g) / (np.maximum(mm - m * m, 0) + TINY), 0, STEEPEST)
    fitted: Values = (g - guessed + slope * (measured - m)).astype(np.float32, copy=False)
    differences = (
        near, far, run, block, tall, across.mean(None, 1)[0], fitted,
        _root(square - run * run), _root(mm - m * m), _root(gg - g * g), _root(square_far - far * far),
    )  # fmt: skip
    return _Means(off, far, run, block, differences, _root(rough))


def _scan(view: _View, doubt: Values) -> tuple[NDArray[np.float32], bool]:
    """Return what all the holes of the scan have in common, (SCAN_CLUES,), and whether it is to be mirrored.

    Tails point away from the motion of the tip. Where they point left, left and right change places.
    """
    excess = view.off / doubt
    left, right = np.minimum(view.seen[2:], FURTHEST_SEEN).astype(np.float32)
    slope = float(np.mean(np.tanh((view.around[3] - view.around[2]) / (2 * doubt))))
    mirrored = slope > 0
    asymmetry = float(np.mean(np.sign(left - right) * np.tanh(excess))) * (-1 if mirrored else 1)
    rough = float(np.sqrt(np.mean(np.square(view.measured - view.around[2:]))))
    spreads = float(view.measured.std() * view.guessed.std())
    shared = float(np.mean(view.measured * view.guessed) - view.measured.mean() * view.guessed.mean())
    found = (
        np.mean(view.off > 0), np.log10(np.sqrt(np.mean(np.square(view.off))) + 1e-3), shared / (spreads + 1e-6),
        np.log10(view.share + 1e-4), np.mean(np.log(view.windows.width)), asymmetry, -abs(slope),
        np.log10(rough / view.noise + 1e-3), np.mean(np.log(np.minimum(view.seen[:2].min(axis=0), FURTHEST_SEEN))),
        np.log10(view.noise + 1e-5), np.mean(np.clip(excess, -3, 3)), np.mean(np.abs(view.off) < doubt),
    )  # fmt: skip
    return np.array(found, np.float32), mirrored


def _step(heights: Heights, mask: Mask) -> float:
    """Return the rms difference in nm of unmasked neighbours in a line, from every line of a small frame."""
    thin = max(1, mask.shape[0] // 512)
    steps = np.diff(heights[::thin], axis=1)[~(mask[::thin, 1:] | mask[::thin, :-1])]
    return float(np.sqrt(np.mean(np.square(steps)))) if steps.size else 0.0


def _root(square: Values) -> Values:
    return np.sqrt(np.maximum(square, 0))


def _squash(values: NDArray[np.float32]) -> None:
    """Replace values by sign × log(1 + |value|)."""
    size = np.abs(values)
    size += 1
    np.log(size, out=size)
    np.copysign(size, values, out=values)
