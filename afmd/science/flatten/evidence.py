"""What lines tell about each other: robust differences between lines, and a banded system that weighs them all.

Rule: every statement comes with its precision, measured from how far parts of the line contradict each other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from afmd.science.robust import narrow_sigma, tukey

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

BLOCKS = 8
LAGS = (1, 3, 8)
SHORTH = 0.35
"""The densest this share of a line's pixels is where its location is first sought."""


@dataclass(frozen=True, slots=True, eq=False)
class Statements:
    """Robust location of many lines at once.

    ``value``: (lines,) nm. ``precision``: (lines,), 1 / nm². ``discord``: (lines, BLOCKS) nm, what each part of the
    line adds to the value's error; the sum over a line is about 0.
    """

    value: Doubles
    precision: Doubles
    discord: Doubles


class LineSystem:
    """Least squares for one number per line, from differences between lines and from absolute statements.

    The unknowns of all discords are solved with the same matrix: they show what the sample itself pretends.
    """

    def __init__(self, lines: int, *, reach: int) -> None:
        self._lines, self._reach = lines, reach
        self._band = np.zeros((reach + 1, lines))
        self._pull = np.zeros((lines, 1 + BLOCKS))

    def difference(self, lag: int, told: Statements) -> None:
        """Say that line i + lag minus line i is ``told`` (lines - lag of them)."""
        upper = np.arange(self._lines - lag)
        self._band[self._reach, upper] += told.precision
        self._band[self._reach, upper + lag] += told.precision
        self._band[self._reach - lag, upper + lag] -= told.precision
        pull = told.precision[:, None] * np.column_stack([told.value, told.discord])
        self._pull[lag:] += pull
        self._pull[:-lag] -= pull

    def absolute(self, told: Statements) -> None:
        """Say what each line's number is."""
        self._band[self._reach] += told.precision
        self._pull += told.precision[:, None] * np.column_stack([told.value, told.discord])

    def solved(self) -> tuple[Doubles, Doubles]:
        """Return the (lines,) numbers and what each block contributed to their error, (lines, BLOCKS)."""
        band = self._band.copy()
        band[self._reach] += 1e-9 * band[self._reach].max() + np.finfo(float).tiny
        solution = solveh_banded(band, self._pull)
        return solution[:, 0], solution[:, 1:]

    def copy(self) -> "LineSystem":
        """Return a system that can be told more without changing this one."""
        twin = LineSystem(self._lines, reach=self._reach)
        twin._band, twin._pull = self._band.copy(), self._pull.copy()
        return twin


def differences(heights: Floats, votes: Floats, rows: NDArray[np.intp]) -> tuple[LineSystem, Doubles]:
    """Compare each line with its neighbours near and less near.

    A longer lag starts from what the shorter ones said, so that a staircase of terraces does not fool it.
    Returns the system and the offsets that it alone gives.
    """
    lags = [lag for lag in LAGS if lag < len(heights)]
    system = LineSystem(len(heights), reach=max(lags))
    offsets = np.zeros(len(heights))
    for lag in lags:
        rest = heights - offsets[:, None].astype(np.float32)
        step = rest[lag:] - rest[:-lag]
        both = votes[lag:] * votes[:-lag]
        start = shorth(step, both) if lag == lags[0] else np.zeros(len(step), dtype=np.float32)
        told = located(step, both, start=start, wide=3.0 if lag == lags[0] else 1.5)
        apart = lag * (rows[lag:] - rows[:-lag])
        system.difference(
            lag, Statements(told.value + offsets[lag:] - offsets[:-lag], told.precision / apart, told.discord)
        )
        offsets = system.solved()[0]
    return system, offsets


def shorth(values: Floats, votes: Floats) -> Floats:
    """Return the middle of each line's densest third: its most frequent value, roughly; 0 for a line without votes."""
    ranked = np.sort(np.where(votes > 0, values, np.float32(np.inf)), axis=1)
    count = np.count_nonzero(votes, axis=1)
    span = np.maximum((SHORTH * count).astype(np.intp), 1)[:, None]
    place = np.arange(ranked.shape[1])[None, :]
    last = np.minimum(place + span, ranked.shape[1] - 1)
    with np.errstate(invalid="ignore"):
        width = np.take_along_axis(ranked, last, axis=1) - ranked
    width[(place + span >= count[:, None]) | ~np.isfinite(width)] = np.inf
    first = width.argmin(axis=1)
    line = np.arange(len(values))
    middle = ranked[line, np.minimum(first + span[:, 0] // 2, np.maximum(count - 1, 0))]
    return np.where(count > 0, middle, np.float32(0)).astype(np.float32)


def located(values: Floats, votes: Floats, *, start: Floats, wide: float) -> Statements:
    """Return each line's robust location: Tukey's biweight, from ``wide`` times the core's width down to it."""
    value = start.copy()
    core = narrow_sigma((values - value[:, None])[votes > 0])
    sigma = wide * core
    for _ in range(4):
        rest = values - value[:, None]
        weight = tukey(rest, sigma=sigma)
        weight *= votes
        total = weight.sum(axis=1)
        value += np.einsum("ij,ij->i", weight, rest) / np.maximum(total, np.float32(1e-6))
        sigma = max(core, sigma / 1.6)
    rest = values - value[:, None]
    weight = tukey(rest, sigma=core)
    weight *= votes
    return weighed(value, rest, weight)


def weighed(value: Floats, rest: Floats, weight: Floats) -> Statements:
    """Turn lines' locations, residuals and weights into statements with their precision."""
    total = weight.sum(axis=1, dtype=np.float64)
    edges = np.linspace(0, rest.shape[1], BLOCKS + 1).astype(np.intp)[:-1]
    parts = np.add.reduceat(weight * rest, edges, axis=1).astype(np.float64)
    discord = BLOCKS * parts / np.maximum(total, 1e-6)[:, None]
    error = float(np.median((discord**2).mean(axis=1))) / BLOCKS
    floor = 1e-12 * float(np.mean(rest.astype(np.float64) ** 2)) + np.finfo(np.float32).tiny
    precision = total / max(float(np.median(total)), 1e-6) / (error + floor)
    return Statements(value.astype(np.float64), precision, discord)
