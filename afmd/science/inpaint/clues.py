"""What the heights measured inside a hole say, pixel by pixel: the clues that ``evidence`` weighs.

Rule: every clue is a ratio of heights or a count of pixels, so that neither unit nor frame size matters; and mirror
images give the same clues.

Artefacts seldom erase the surface: a slipped zero keeps its shape, a burst of noise its slow part, a tail behind a
falling edge is an upper bound. So what was measured is compared with what kriging expects, over windows of several
lengths along the line and across the lines, and with how the whole scan is spoilt. Where the other pass was recorded,
what it saw there is compared with both in the same way: its tails lie on the other side.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.science.inpaint.gaps import NONE, Heights, Mask
from afmd.science.inpaint.kriging import Kriged, Values
from afmd.science.inpaint.windows import Windows

NEAR, FAR = 2, 8
"""Half widths in px of the windows over which differences are averaged."""
FURTHEST_SEEN = 1000
STEPS = 1 << 17
"""About so many pixels tell the noise."""
LEAST_SHARE = 0.02
"""Of the surface's spread: what counts as uncertain even where kriging is sure."""
TINY = np.float32(1e-6)
STEEPEST = np.float32(1.5)
"""How much higher than measured the surface may be, where a run is fitted to the guess."""
ROUGH = np.float32(1e-3)
MARGIN = 0.5
"""Of the data's range: how far beyond it a candidate may lie."""
MOST_DOUBTS = 300
"""A difference of more doubts than this tells no more."""
CANDIDATES, PASS_CANDIDATES = 8, 4
DIFFERENCES, PASS_DIFFERENCES = 23, 11
PIXEL_CLUES, SCAN_CLUES, PASS_SCAN_CLUES = DIFFERENCES + 8, 12, 6

Clue = list[Values]


class Clues:
    """The clues of n masked pixels, in row-major order; heights in units of ``unit_nm`` and relative to kriging's.

    ``scan``: float32, what all pixels share. ``doubt``: float32 (n,), how unsure kriging is. ``passes``: whether the
    other pass is heard; its clues and candidates come after the others.
    """

    def __init__(self, heights: Heights, mask: Mask, *, guess: Kriged, sigma: Values) -> None:
        """Gather from ``heights``, float32 (rows, cols) nm, as measured, also where ``mask`` is True.

        ``guess``: kriging's prediction; its surface must not be flat. ``sigma``: float32 (n,) nm, its standard
        deviation.
        """
        self.unit_nm = float(np.sqrt(guess.covariance.variance))
        self.passes = guess.beside is not None
        self.doubt = np.hypot(sigma / np.float32(self.unit_nm), np.float32(LEAST_SHARE))
        view = _View(heights, mask, guess, self.unit_nm)
        self.scan, mirrored = _scan(view, self.doubt)
        around, means = _Around.of(view, mirrored), _means(view)
        self._noise, self._rough = np.float32(view.noise), means.rough
        self._distances = around.distances
        self._lowest, self._highest = view.lowest, view.highest
        self._differences = [view.off, *around.differences, *means.differences, view.bent]
        self._candidates = [
            view.off, view.off - means.far, view.off - means.run, means.far, means.block, around.between, view.bent,
        ]  # fmt: skip
        if view.other is not None:
            differences, candidates, scan = _of_passes(view, view.other, self.doubt)
            self._differences += differences
            self._candidates += candidates
            self.scan = np.concatenate([self.scan, scan])

    def pixels(self, part: slice) -> NDArray[np.float32]:
        """Return the clues of some pixels, float32 (clues, size of the part)."""
        doubt, count = self.doubt[part], len(self._differences)
        found = np.empty((count + PIXEL_CLUES - DIFFERENCES, doubt.size), np.float32)
        relative, absolute = found[:count], found[count:]
        for row, values in enumerate(self._differences):
            relative[row] = values[part]
        relative /= doubt
        _squash(relative)
        np.divide(self._rough[part], self._noise, out=absolute[0])
        absolute[0] += ROUGH
        for row, values in enumerate(self._distances, start=1):
            absolute[row] = values[part]
        absolute[6] = doubt
        np.divide(self._noise, doubt, out=absolute[7])
        np.log(absolute, out=absolute)
        return found

    def candidates(self, part: slice) -> NDArray[np.float32]:
        """Return heights that some pixels may have, float32 (candidates, size of the part), kriging's own (0) first."""
        found = np.empty((1 + len(self._candidates), self.doubt[part].size), np.float32)
        found[0] = 0
        for row, values in enumerate(self._candidates, start=1):
            np.clip(values[part], self._lowest[part], self._highest[part], out=found[row])
        return found


class _View:
    """The masked pixels and what stands around them, in units of the surface's spread.

    ``measured``, ``guessed``: (n,). ``off``: measured less guessed. ``steps``: (n,) each, up, down, left, right, to the
    neighbours as measured; ``expected``: left and right, of the guess. ``ends``: (4, n), the data in these directions
    less guessed; 0 where there are none. ``bent``: (n,), the thin plate less guessed. ``lowest``, ``highest``: (n,),
    how far from the guess the surface may lie: within the data's range and a margin. ``noise``: the rms step between
    unmasked neighbours in a line. ``other``: what the other pass has, less guessed, and how unevenly it lies there.
    """

    def __init__(self, heights: Heights, mask: Mask, guess: Kriged, unit: float) -> None:
        pixels, flat = guess.pixels, heights.reshape(-1)
        rows, cols = pixels.shape
        scale, middle = np.float32(1 / unit), np.float32(np.mean(guess.filled.values))
        whole = flat.copy()
        whole[pixels.at] = guess.filled.values
        raw = flat.take(pixels.at)
        self.known = np.isfinite(raw)
        if not self.known.all():
            flat = np.where(np.isfinite(flat), flat, whole)
            raw = flat.take(pixels.at)
        self.guessed, self.measured = (guess.filled.values - middle) * scale, (raw - middle) * scale
        self.off = self.measured - self.guessed
        self.beside = (
            pixels.at - cols * (pixels.row > 0), pixels.at + cols * (pixels.row < rows - 1),
            pixels.at - (pixels.col > 0), pixels.at + (pixels.col < cols - 1),
        )  # fmt: skip
        self.steps = [(flat.take(there) - raw) * scale for there in self.beside]
        self.expected = [(whole.take(there) - guess.filled.values) * scale for there in self.beside[2:]]
        self.ends = np.empty((4, raw.size), np.float32)
        for end, seen, unit_step in zip(self.ends, pixels.seen, (-cols, cols, -1, 1), strict=True):
            there = np.where(seen < NONE, seen, 0) * np.intp(unit_step)
            np.multiply(whole.take(pixels.at + there) - guess.filled.values, scale, out=end)
        self.seen, self.share = pixels.seen, raw.size / (rows * cols)
        self.lines, self.columns = Windows(pixels.lines), Windows(pixels.columns)
        self.bent = (guess.bent - guess.filled.values) * scale
        low, high, *_ = cv2.minMaxLoc(heights, mask=(~mask).view(np.uint8))
        beyond = MARGIN * (high - low)
        self.lowest = np.minimum((np.float32(low - beyond) - guess.filled.values) * scale, 0)
        self.highest = np.maximum((np.float32(high + beyond) - guess.filled.values) * scale, 0)
        self.noise = _step(heights, mask) * float(scale) + float(TINY)
        self.other: tuple[Values, Values] | None = None
        if guess.beside is not None:
            apart = guess.beside.apart * scale
            self.other = (guess.beside.values - guess.filled.values) * scale, apart


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
        turn = -1 if mirrored else 1
        up, down, left, right = view.steps
        above, below, *sides = np.minimum(view.seen, FURTHEST_SEEN).astype(np.float32)
        between = (view.ends[0] * below + view.ends[1] * above) / (above + below)
        differences = (
            *(left, right)[::turn], np.minimum(up, down), np.maximum(up, down), *view.expected[::turn],
            *view.ends[2:][::turn], between, left + right,
        )  # fmt: skip
        distances = (*sides[::turn], np.minimum(above, below), view.lines.lengths(), view.columns.lengths())
        return cls(differences, distances, between)


@dataclass(frozen=True, slots=True, eq=False)
class _Means:
    """Means of what was measured less guessed, each (n,).

    Over windows: ``far`` along the line, ``block`` near in both directions; over the whole ``run``. ``differences``:
    these means and more: near, across lines, the run as a straight function of what was measured, and spreads.
    ``rough``: the rms step to the neighbours in the line, around.
    """

    far: Values
    run: Values
    block: Values
    differences: tuple[Values, ...]
    rough: Values


def _means(view: _View) -> _Means:
    off, measured, guessed, lines = view.off, view.measured, view.guessed, view.lines
    near, far = lines.near(off, NEAR, FAR)
    (square_far,) = lines.near(np.square(off), FAR)
    (rough,) = lines.near((np.square(view.steps[2]) + np.square(view.steps[3])) / 2, FAR)
    m, g, mm, gg, mg = lines.whole([measured, guessed, measured**2, guessed**2, measured * guessed])
    mm, gg, mg = np.maximum(mm - m * m, 0), np.maximum(gg - g * g, 0), mg - m * g
    slope: Values = np.clip(mg / (mm + TINY), np.float32(0), STEEPEST)
    run = lines.spread(m - g)
    fitted: Values = lines.spread(g - slope * m) + lines.spread(slope) * measured - guessed
    (block,), (tall,) = view.columns.near(near, NEAR), view.columns.near(off, FAR)
    differences = (
        near, far, run, block, tall, view.columns.spread(view.columns.whole([off])[0]), fitted,
        lines.spread(_root(mm + gg - 2 * mg)), lines.spread(_root(mm)), lines.spread(_root(gg)),
        _root(square_far - far * far),
    )  # fmt: skip
    return _Means(far, run, block, differences, _root(rough))


def _of_passes(view: _View, other: tuple[Values, Values], doubt: Values) -> tuple[Clue, Clue, NDArray[np.float32]]:
    """Return the other pass's differences, candidates and what all pixels share of it."""
    seen, apart = other
    near, far = view.lines.near(seen, NEAR, FAR)
    run = view.lines.spread(view.lines.whole([seen])[0])
    (block,), (tall,) = view.columns.near(near, NEAR), view.columns.near(seen, FAR)
    lower, between = np.minimum(view.off, seen), view.off - seen
    whole = view.columns.spread(view.columns.whole([seen])[0])
    (uneven,) = view.lines.near(np.square(between), NEAR)
    differences = [seen, between, near, far, run, block, tall, whole, lower, apart, _root(uneven)]
    excess, size = seen / doubt, float(np.sqrt(np.mean(np.square(seen))))
    shared = float(np.mean(view.off * seen)) / (float(np.sqrt(np.mean(np.square(view.off)))) * size + 1e-6)
    scan = (
        np.mean(np.abs(seen) < doubt), np.mean(np.clip(excess, -3, 3)), shared, np.log10(size + 1e-3),
        np.log10(np.sqrt(np.mean(np.square(between))) + 1e-3), np.log10(float(np.mean(apart / doubt)) + 1e-3),
    )  # fmt: skip
    return differences, [seen, seen - run, seen - far, lower], np.array(scan, np.float32)


def _scan(view: _View, doubt: Values) -> tuple[NDArray[np.float32], bool]:
    """Return what all the holes of the scan have in common, (SCAN_CLUES,), and whether it is to be mirrored.

    Tails point away from the motion of the tip. Where they point left, left and right change places.
    """
    excess = view.off / doubt
    left, right = np.minimum(view.seen[2:], FURTHEST_SEEN).astype(np.float32)
    slope = float(np.mean(np.tanh((view.steps[3] - view.steps[2]) / (2 * doubt))))
    mirrored = slope > 0
    asymmetry = float(np.mean(np.sign(left - right) * np.tanh(excess))) * (-1 if mirrored else 1)
    rough = float(np.sqrt(np.mean((np.square(view.steps[2]) + np.square(view.steps[3])) / 2)))
    spreads = float(view.measured.std() * view.guessed.std())
    shared = float(np.mean(view.measured * view.guessed) - view.measured.mean() * view.guessed.mean())
    found = (
        np.mean(view.off > 0), np.log10(np.sqrt(np.mean(np.square(view.off))) + 1e-3), shared / (spreads + 1e-6),
        np.log10(view.share + 1e-4), np.mean(np.log(view.lines.lengths())), asymmetry, -abs(slope),
        np.log10(rough / view.noise + 1e-3), np.mean(np.log(np.minimum(view.seen[:2].min(axis=0), FURTHEST_SEEN))),
        np.log10(view.noise + 1e-5), np.mean(np.clip(excess, -3, 3)), np.mean(np.abs(view.off) < doubt),
    )  # fmt: skip
    return np.array(found, np.float32), mirrored


def _step(heights: Heights, mask: Mask) -> float:
    """Return the rms difference in nm of unmasked neighbours in a line, from some lines of a large frame."""
    some = slice(None, None, -(-mask.size // STEPS))
    spoilt, steps = mask[some], np.diff(heights[some], axis=1)
    steps = steps[~(spoilt[:, 1:] | spoilt[:, :-1])]
    return float(np.sqrt(np.mean(np.square(steps)))) if steps.size else 0.0


def _root(square: Values) -> Values:
    return np.sqrt(np.maximum(square, 0))


def _squash(values: NDArray[np.float32]) -> None:
    """Replace values by sign × log(1 + |value|), up to ``MOST_DOUBTS``."""
    size = np.abs(values)
    np.minimum(size, MOST_DOUBTS, out=size)
    size += 1
    np.log(size, out=size)
    np.copysign(size, values, out=values)
