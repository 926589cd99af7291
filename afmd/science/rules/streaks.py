"""Streaks along the fast axis: whatever begins with a step from one line to the next and ends with the step back.

Rule: a real edge is seen by several lines, because the tip rounds it; a step that no neighbouring pair of lines shares
was made by the instrument. So only lonely steps count, only if they are undone within a share of the frame, and only if
what lies between them stands off the level that most lines around have.

Lost lines, lift-off, jumps of the z zero, scars and dragged debris are all found by this one rule, of either sign and
of any thickness up to ``THICKEST_SHARE`` of the frame.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.science.robust import SIGMA_PER_MAD, mad_sigma, row_medians

Plane = NDArray[np.float32]
Index = NDArray[np.intp]

RUNS = (5, 15, 45)
"""Lengths in px over which a step is averaged along the line: short ones for scars, long ones for faint lines."""
LEAST_STEP = 3.0
LONELY = 0.5
"""A step counts where its neighbours above and below reach, with the same sign, at most this share of it."""
LOCAL_WEIGHT = 0.5
LOCAL_LINES = 31
THINNED = 8
OFFSET_LIMIT = 4.0
OFFSET_SAMPLE = 256
THICKEST_SHARE = 1 / 6
STEPS_AHEAD = 10
UNDONE = 0.65
"""A streak ends where the steps since its start add up to at most this share of their largest sum."""
STANDS_OFF = 0.3
STILL_THERE = 0.5
SEEN = 3.0
"""A step of so many σ of the sharp ones would be seen there."""
THIN = 10.0
"""A streak thicker than so many lines needs twice the steps."""
THICKNESSES = (2, 5, 12, 30)
LONGER = 2
"""A streak is so many times longer than the thickest of its class, in lines; what is not, is no streak."""
AROUND_LINES = 31
SAMPLE = 10_000
_OCTAVE = 16
_FLOOR = 2.0**-4


def streaks(steps: Plane) -> Plane:
    """Return how strongly each pixel's streak begins and ends, in σ of such steps, float32 (rows, cols); 0 outside.

    ``steps``: from ``line_steps``, one line fewer than the frame. A frame of less than three lines has no streaks.
    """
    result = np.zeros((steps.shape[0] + 1, steps.shape[1]), dtype=np.float32)
    if len(result) < 3:
        return result
    steps = _without_hits(steps)
    sharp = averaged(steps, RUNS[0])
    seen_from = SEEN * sampled_sigma(sharp)
    if seen_from == 0:
        return result
    for run in RUNS:
        mean = sharp.copy() if run == RUNS[0] else averaged(steps, run)
        _raise_streaks(result, mean, sharp=sharp, seen_from=seen_from)
    return result


def _raise_streaks(result: Plane, mean: Plane, *, sharp: Plane, seen_from: float) -> None:
    """Raise ``result`` to the strength of the streaks in averaged steps, which change, ended by sharp ones."""
    rows = len(mean) + 1
    sigma = np.float32(sampled_sigma(mean))
    if sigma == 0:
        return
    mean /= sigma
    found = _Steps.found(mean).ended_by(sharp, sigma=sigma, seen_from=seen_from / float(sigma))
    bands = found.bands(thickest=max(3, round(rows * THICKEST_SHARE)), lines=rows)
    bands = bands.standing_off(mean)
    thickness = bands.bottom - bands.top
    for above, most in pairwise((0, *THICKNESSES, rows)):
        bands.where((thickness > above) & (thickness <= most)).painted(result, longer=LONGER * most)


def line_steps(heights: Plane) -> Plane:
    """Return each line less the one above it, less the lines' own offset; (rows - 1, cols).

    Offsets are the median of a line's steps, but at most ``OFFSET_LIMIT`` σ from the usual one: the jump of a whole
    line is no offset.
    """
    steps = np.diff(heights, axis=0)
    offset = row_medians(steps[:, :: max(1, steps.shape[1] // OFFSET_SAMPLE)])
    usual, limit = np.median(offset), OFFSET_LIMIT * mad_sigma(offset)
    steps -= np.clip(offset, usual - limit, usual + limit).astype(np.float32)[:, None]
    return steps


def averaged(steps: Plane, run: int) -> Plane:
    """Return the mean of each pixel's step and those beside it, over ``run`` px along the line."""
    mean: Plane = np.empty_like(steps)
    cv2.blur(steps, (min(run, steps.shape[1]), 1), dst=mean, borderType=cv2.BORDER_REPLICATE)
    return mean


def _without_hits(steps: Plane) -> Plane:
    """Return each step as the median of itself and the two beside it: a mean of five would draw a single hit wide."""
    result = steps.copy()
    left, here, right = steps[:, :-2], steps[:, 1:-1], steps[:, 2:]
    if left.size:
        least, most = cv2.min(left, right), cv2.max(left, right)
        result[:, 1:-1] = cv2.max(least, cv2.min(most, here))
    return result


def sampled_sigma(values: Plane) -> float:
    """Return the robust σ of an evenly spread sample."""
    flat = values.reshape(-1)
    return mad_sigma(flat[:: max(1, flat.size // SAMPLE)])


@dataclass(frozen=True, slots=True, eq=False)
class _Bands:
    """Pieces of columns between two steps: rows ``top`` to ``bottom`` (past the last) of column ``col``.

    ``rise``: how far the piece stands off, in σ. ``strength``: of the weaker of its two steps, in local σ.
    """

    col: Index
    top: Index
    bottom: Index
    rise: Plane
    strength: Plane

    def standing_off(self, mean: Plane) -> "_Bands":
        """Return the bands that stand off the median level of the lines around them, as far as their steps say.

        ``mean``: the averaged steps; their running sum is the level.
        """
        used, column = np.unique(self.col, return_inverse=True)
        rows = mean.shape[0] + 1
        level = np.zeros((len(used), rows), dtype=np.float32)  # a column's levels side by side, for they are read so
        np.cumsum(mean[:, used].T, axis=1, out=level[:, 1:])
        flat, first = level.reshape(-1), column * rows
        wide = np.minimum(np.maximum(AROUND_LINES, 3 * (self.bottom - self.top)), rows - 1)
        middle = (self.top + self.bottom) // 2
        start = np.clip(middle - wide // 2, 0, rows - 1 - wide)
        lines = (np.arange(rows)[:, None] * np.arange(AROUND_LINES) // (AROUND_LINES - 1))[wide]
        lines += (first + start)[:, None]
        upward = np.sign(self.rise)
        beyond = (flat[first + middle] - np.float32(STANDS_OFF) * self.rise) * upward
        reached = flat[lines] * upward[:, None] <= beyond[:, None]  # by more than half of them, so by their median
        return self.where(np.count_nonzero(reached, axis=1) > AROUND_LINES // 2)

    def less_if_thick(self) -> "_Bands":
        """Return the bands, weaker the thicker they are: of many lines, some two begin and end like a streak."""
        thin = np.float32(THIN) / (np.float32(THIN) + (self.bottom - self.top - 1).astype(np.float32))
        return _Bands(self.col, self.top, self.bottom, self.rise, self.strength * thin)

    def where(self, keep: NDArray[np.bool_]) -> "_Bands":
        """Return some of the bands."""
        return _Bands(self.col[keep], self.top[keep], self.bottom[keep], self.rise[keep], self.strength[keep])

    def painted(self, plane: Plane, *, longer: int) -> None:
        """Raise ``plane`` to the bands' strength where they stand side by side for at least ``longer`` px."""
        if self.col.size == 0:
            return
        length = self.bottom - self.top
        first = np.repeat(np.cumsum(length) - length, length)
        row = np.repeat(self.top, length) + np.arange(length.sum()) - first
        place = row * plane.shape[1] + np.repeat(self.col, length)
        order = np.argsort(place)
        place, strength = place[order], np.repeat(self.strength, length)[order]
        keep = _in_long_runs(place, plane.shape[1], min(longer, plane.shape[1]))
        np.maximum.at(plane.reshape(-1), place[keep], strength[keep])


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """The lonely steps, column by column from the top: between lines ``row`` and ``row`` + 1.

    ``size``: in σ of the frame. ``strength``: its size in σ of the surroundings.
    """

    col: Index
    row: Index
    size: Plane
    strength: Plane

    @classmethod
    def found(cls, mean: Plane) -> "_Steps":
        """Return the steps that are large for their surroundings and that no neighbouring pair of lines shares."""
        size, cols = np.abs(mean), mean.shape[1]
        place = np.flatnonzero(size > np.float32(LEAST_STEP))  # local σ is never below that of the frame
        usual = _weighed_usual(size).reshape(-1)[place]
        strength: Plane = np.divide(size.reshape(-1)[place], local_scale(usual), dtype=np.float32)
        keep = np.flatnonzero(strength > np.float32(LEAST_STEP))
        place, strength = place[keep], strength[keep]
        keep = np.flatnonzero(~(_shared(mean, place, -cols) | _shared(mean, place, cols)))
        row, col = np.divmod(place[keep], cols)
        order = np.argsort(col * len(mean) + row)
        row, col = row[order], col[order]
        return cls(col, row, mean[row, col], strength[keep[order]])

    def ended_by(self, sharp: Plane, *, sigma: np.float32, seen_from: float) -> "_Steps":
        """Return the steps less those that averaging drew past the end of their streak.

        ``sharp``: the same steps over a few px, to be counted in the same ``sigma``; a step of ``seen_from`` or more
        would be seen there.
        """
        here = sharp[self.row, self.col] / sigma * np.sign(self.size)
        stay = (np.abs(self.size) < seen_from) | (here >= np.float32(STILL_THERE) * np.abs(self.size))
        return _Steps(self.col[stay], self.row[stay], self.size[stay], self.strength[stay])

    def bands(self, *, thickest: int, lines: int) -> _Bands:
        """Return every piece of a column after whose first step the next few add up to nothing."""
        start: Index = np.arange(len(self.col) - 1)  # of the pieces that have not ended
        total, peak = self.size[:-1], np.abs(self.size[:-1])
        found: list[_Bands] = []
        for ahead in range(1, STEPS_AHEAD + 1):
            last = np.minimum(start + ahead, len(self.col) - 1)  # whose own pieces ended before
            near = (self.col[last] == self.col[start]) & (self.row[last] - self.row[start] <= thickest)
            near &= last == start + ahead
            start, last, peak = start[near], last[near], peak[near]
            total = total[near] + self.size[last]
            closes = np.abs(total) <= UNDONE * peak
            found.append(self._between(start[closes], last[closes], peak[closes]))
            start, total, peak = start[~closes], total[~closes], peak[~closes]
            np.maximum(peak, np.abs(total), out=peak)
        return _joined(*found, *self._at_border(thickest=thickest, lines=lines)).less_if_thick()

    def _between(self, start: Index, last: Index, peak: Plane) -> _Bands:
        """Return the pieces between two steps each, as strong as the weaker; ``peak``: how far they stand off."""
        return _Bands(
            self.col[start], self.row[start] + 1, self.row[last] + 1, np.sign(self.size[start]) * peak,
            np.minimum(self.strength[start], self.strength[last]),
        )  # fmt: skip

    def _at_border(self, *, thickest: int, lines: int) -> tuple[_Bands, _Bands]:
        """Return what lies above each column's first step and below its last, where that is near the border.

        Only one of the two steps is seen: it counts half.
        """
        change = np.flatnonzero(np.diff(self.col, prepend=-1, append=-1))
        first, last = change[:-1], change[1:] - 1
        first = first[self.row[first] < thickest]
        last = last[lines - 1 - self.row[last] <= thickest]
        above = _Bands(
            self.col[first],
            np.zeros_like(first),
            self.row[first] + 1,
            -self.size[first],
            self.strength[first] * np.float32(0.5),
        )
        below = _Bands(
            self.col[last],
            self.row[last] + 1,
            np.full_like(last, lines),
            self.size[last],
            self.strength[last] * np.float32(0.5),
        )
        return above, below


def _shared(mean: Plane, place: Index, away: int) -> NDArray[np.bool_]:
    """Return True for steps that the pair of lines ``away`` px on shares: of the same sign, and not much smaller.

    ``place``: in the flat frame. ``away``: the length of a line, or less than nothing for the pair before.
    """
    flat, neighbour = mean.reshape(-1), place + away
    inside = (neighbour >= 0) & (neighbour < flat.size)
    own, other = flat[place], flat[np.where(inside, neighbour, place)]
    return np.asarray(inside & (own * other > 0) & (np.abs(other) >= np.float32(LONELY) * np.abs(own)))


def _in_long_runs(place: Index, cols: int, length: int) -> NDArray[np.bool_]:
    """Return True where sorted flat indices, some twice, lie in a run along a line of at least ``length`` px."""
    gap = place[1:] - place[:-1]
    breaks = np.flatnonzero((gap > 1) | ((gap == 1) & (place[1:] % cols == 0))) + 1
    starts, ends = np.append(0, breaks), np.append(breaks, place.size)
    reach = place[ends - 1] - place[starts] + 1
    return np.repeat(reach >= length, ends - starts)


def _joined(*parts: _Bands) -> _Bands:
    names = ("col", "top", "bottom", "rise", "strength")
    return _Bands(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def local_scale(weighed: Plane) -> Plane:
    """Return by how much steps must be larger here than on quiet ground: 1 there, more where large steps are usual.

    ``weighed``: ``LOCAL_WEIGHT`` times the usual step here, in σ of the frame.
    """
    return np.asarray(np.sqrt(1 + np.square(weighed)))


def _weighed_usual(size: Plane) -> Plane:
    """Return ``LOCAL_WEIGHT`` times the local median of step sizes as a σ, over some lines and px of a thinned frame.

    In 1/16 octaves and bytes, for which a median over a wide window costs no more than over a narrow one.
    """
    rows, cols = size.shape
    small = cv2.resize(size, (max(1, cols // THINNED), rows), interpolation=cv2.INTER_AREA).reshape(rows, -1)
    octaves = np.log2(np.maximum(small, np.float32(_FLOOR))) - np.float32(np.log2(_FLOOR))
    median = cv2.medianBlur((octaves * _OCTAVE).clip(0, 255).astype(np.uint8), LOCAL_LINES)
    table = (LOCAL_WEIGHT * SIGMA_PER_MAD * _FLOOR * 2.0 ** (np.arange(256) / _OCTAVE)).astype(np.float32)
    return np.asarray(cv2.resize(table[median], (cols, rows), interpolation=cv2.INTER_LINEAR)).reshape(rows, cols)
