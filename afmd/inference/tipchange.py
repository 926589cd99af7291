"""Which lines another tip drew. Rule: a tip changes between two lines, and what it draws differs from there on.

Each line is told in numbers without unit, offset or tilt: how rough it is at several distances, how high it stands,
how it bends, how far it is from the lines before. A small network looks along all lines of the frame at once and says
of each how likely its tip was a worn or a dirty one. A look at neighbouring pixels cannot say so: what is smooth there
is told only by what is rough elsewhere.
"""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import Backend
from afmd.errors import ModelError
from afmd.inference import planes
from afmd.inference.manifest import Model
from afmd.inference.sessions import shared_session
from afmd.inference.traits import FEWEST_PX, surface
from afmd.inference.traits.values import medians, quantiles, spread

Lines = NDArray[np.float32]

RECIPE: Final = 1
"""Counts up with every change of meaning below; weights name the recipe they were trained on."""
COLUMNS: Final = 256
"""As many of the middle ones are looked at."""
NUMBERS: Final = 24
CHANNELS: Final = 4 * NUMBERS + 3
LARGEST: Final = 12.0
BETWEEN: Final = (15, 17, 19, 20, 22)
"""Numbers of what lies between a line and the one before."""
SIGNED: Final = (19, 20, 22)
"""Numbers of them that change their sign with the frame's direction."""
_LAGS = (1, 2, 4, 8, 16)
_GAPS = (1, 2, 3, 6)
_SCALES_PX = (1, 3)
_PERCENTS = (5, 50, 95, 99.5)
_FLOOR = 1e-4
_FAR = 4.0
_ENDS = (3, 97)
"""Percentiles of the lines that stand for the least and the surest."""


class Limits(NamedTuple):
    """From where on lines are called: mean log odds of a band, and by how much they stand over those of the rest."""

    sure: float
    contrast: float


class TipChange:
    """Looks along the lines of a scan; safe from any thread."""

    def __init__(self, model: Model, *, threads: int = 1) -> None:
        if model.role != "tipchange" or model.recipe != RECIPE or len(model.cuts) != len(Limits._fields):
            why = f"it is a {model.role} of recipe {model.recipe}, and this afmd wants a tipchange of recipe {RECIPE}"
            raise ModelError(f"weights {model.file}", why=why, mend="Take weights and afmd of one version")
        self.backend = Backend(model.name, model.sha256)
        self.limits = Limits(*model.cuts)
        self._session = shared_session(model, threads=threads)

    def changed(self, native: planes.Plane) -> NDArray[np.bool_] | None:
        """Return True for lines that another tip drew, bool (rows,), or None where there is none, or for a stamp.

        ``native``: `planes.segmenter_planes`, (planes, rows, cols).
        """
        if min(native.shape[1:]) < FEWEST_PX:
            return None
        called = bands(self._session.run(told(line_numbers(native))[None])[0], self.limits)
        return called if called.any() else None


def bands(odds: Lines, limits: Limits) -> NDArray[np.bool_]:
    """Return True for the lines that another tip drew, bool (rows,), from their log odds (rows,).

    They must stand out: where all lines are alike doubtful, it is the sample that is so. Of the bands that do, those
    are called whose lines are sure in the mean.
    """
    low, high = np.percentile(odds, _ENDS)
    called: NDArray[np.bool_] = odds > (low + high) / 2
    ends = np.flatnonzero(np.diff(called, prepend=False, append=False))
    for first, stop in zip(ends[::2], ends[1::2], strict=True):
        called[first:stop] = high - low >= limits.contrast and odds[first:stop].mean() >= limits.sure
    return called


def told(numbers: Lines) -> Lines:
    """Return what the network is told of every line, float32 (``CHANNELS``, rows), of `line_numbers`.

    Of each number: how far it is from the frame's median, as it is and in spreads, and the frame's median and spread
    themselves; then where the line lies.
    """
    rows = numbers.shape[1]
    usual = medians(numbers).astype(np.float32)[:, None]
    apart = numbers - usual
    width = np.float32(planes.MAD_TO_SIGMA) * medians(np.abs(apart)).astype(np.float32)[:, None] + np.float32(0.05)
    from_start = np.log1p(np.arange(rows, dtype=np.float32))
    whole = [np.broadcast_to(one, numbers.shape) for one in (np.clip(usual, -6, 6) / 3, np.log(width) / 2)]
    place = [from_start - 4, from_start[::-1] - 4, np.full(rows, np.log(rows / 256), np.float32)]
    every = (np.clip(apart, -_FAR, _FAR), np.arcsinh(apart / width) / 2, *whole, np.stack(place))
    return np.asarray(np.concatenate(every), np.float32)


def line_numbers(native: planes.Plane) -> Lines:
    """Return ``NUMBERS`` numbers of each line, float32 (``NUMBERS``, rows), none beyond ±``LARGEST``.

    Logarithms of: the mean difference at five distances along the line, its standard deviation, its height over and
    depth under its median, its highest points. Curvature at two scales: its mean, mean cube, and logarithm of its mean
    size. Logarithm of the mean difference of lines one to six apart. Step to the line before, in usual steps and in
    relief; the line's level; noise and step as the planes tell them. Not how the passes differ: both have one tip.
    """
    start = max(0, (native.shape[2] - COLUMNS) // 2)
    window = (slice(None), slice(start, start + COLUMNS))
    heights = surface(native, window)
    heights /= np.float32(heights.std() + 1e-9)
    low, middle, high, highest = quantiles(heights[:, ::2], _PERCENTS).T.astype(np.float32)
    relief = np.sinh(native[planes.RELIEF][:, start : start + COLUMNS : 4])
    level = (medians(relief) / (relief.std() + 1e-9)).astype(np.float32)
    step = np.diff(level, prepend=level[0])
    numbers = (
        *(_ln(np.abs(heights[:, lag:] - heights[:, :-lag]).mean(axis=1)) for lag in _LAGS),
        _ln(heights.std(axis=1)), *(_ln(one, 1e-3) for one in (high - middle, middle - low, highest - middle)),
        *_bends(heights), *_gaps(heights - middle[:, None]),
        np.arcsinh(step / (float(medians(np.abs(step))) + _FLOOR)), np.arcsinh(10 * step), level - level.mean(),
        native[planes.ROW_STEP, :, 0], native[planes.ROW_NOISE, :, 0],
    )  # fmt: skip
    return np.asarray(np.clip(np.stack(numbers), -LARGEST, LARGEST), np.float32)


def _bends(heights: Lines) -> list[Lines]:
    found: list[Lines] = []
    for scale in _SCALES_PX:
        bend = cv2.Laplacian(cv2.GaussianBlur(heights, (0, 0), scale), cv2.CV_32F)
        bend = np.tanh(bend / np.float32(3 * spread(bend)))
        found += [bend.mean(axis=1), (bend * bend * bend).mean(axis=1), _ln(np.abs(bend).mean(axis=1), 1e-3)]
    return found


def _gaps(heights: Lines) -> list[Lines]:
    """Return ln of the mean difference between the lines so far apart around each line, for every gap."""
    found: list[Lines] = []
    for gap in _GAPS:
        apart = np.abs(heights[gap:] - heights[:-gap]).mean(axis=1)
        found.append(_ln(np.pad(apart, (gap - gap // 2, gap // 2), mode="edge")))
    return found


def _ln(values: Lines, floor: float = _FLOOR) -> Lines:
    return np.asarray(np.log(np.maximum(values, 0) + np.float32(floor)))
