"""One number for each line, from statements about lines and about differences between them.

Rule: every statement comes with its precision, measured from how far parts of the line contradict each other.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from afmd.science.robust import TINY, middle, narrow_sigma, tukey

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

BLOCKS = 8
LAGS = (1, 6)
SILENT = 1e-6
"""How much less than usual it counts that neighbouring lines lie alike for no other reason."""
SAMPLED = 30_000
SOLVABLE = 1e-12
"""Least share of the greatest precision that each line needs, so that the system can be solved in float64."""
SURE_NM = 1e-6
"""No line is known better than this."""
SHARP = 3.0
"""Tukey's cut-off, in σ, where a bias counts more than efficiency."""


@dataclass(frozen=True, slots=True, eq=False)
class Statements:
    """What many lines say.

    ``value``: (lines,) nm. ``precision``: (lines,), 1 / nm². ``discord``: (lines, BLOCKS) nm, what each part of the
    line adds to the value's error; its mean over a line is about 0.
    """

    value: Doubles
    precision: Doubles
    discord: Doubles


def mean_of(values: Floats, weight: Floats) -> Statements:
    """Return each line's weighted mean; a line without weight says 0 with precision 0."""
    belongs = _blocks(values.shape[1])
    held = (weight @ belongs).astype(np.float64)
    pulled = ((values * weight) @ belongs).astype(np.float64)
    total = held.sum(axis=1)
    value = pulled.sum(axis=1) / np.maximum(total, 1e-6)
    discord = (pulled - held * value[:, None]) * (BLOCKS / np.maximum(total, 1e-6))[:, None]
    squares = (discord**2).mean(axis=1)
    error = middle(squares[total > 0]) / BLOCKS if total.any() else 0.0
    precision = total / max(float(total.mean()), 1e-6) / (error + SURE_NM**2)
    return Statements(value, precision, discord)


@lru_cache(maxsize=16)
def _blocks(columns: int) -> Floats:
    """Return (columns, BLOCKS), 1 where a column belongs to a block."""
    belongs = np.arange(columns)[:, None] * BLOCKS // columns == np.arange(BLOCKS)[None, :]
    return np.asarray(belongs, dtype=np.float32)


class LineSystem:
    """Banded least squares. The discords are solved with the same matrix: they show what the sample pretends."""

    def __init__(self, lines: int, *, reach: int) -> None:
        self._lines, self._reach = lines, min(reach, lines - 1)
        self._band = np.zeros((self._reach + 1, lines))
        self._pull = np.zeros((lines, 1 + BLOCKS))

    def difference(self, lag: int, rows: NDArray[np.intp], told: Statements) -> None:
        """Say that line i + lag minus line i is ``told`` (lines - lag of them); the further apart, the less it counts.

        ``rows``: where the lines are in the frame.
        """
        precision = told.precision / (lag * (rows[lag:] - rows[:-lag]))
        upper = np.arange(self._lines - lag)
        self._band[self._reach, upper] += precision
        self._band[self._reach, upper + lag] += precision
        self._band[self._reach - lag, upper + lag] -= precision
        pull = precision[:, None] * np.column_stack([told.value, told.discord])
        self._pull[lag:] += pull
        self._pull[:-lag] -= pull

    def absolute(self, told: Statements) -> None:
        """Say what each line's number is."""
        self._band[self._reach] += told.precision
        self._pull += told.precision[:, None] * np.column_stack([told.value, told.discord])

    def solved(self) -> tuple[Doubles, Doubles]:
        """Return the (lines,) numbers and what each block contributed to their error, (lines, BLOCKS).

        A line of which nothing is said lies between its neighbours.
        """
        least = SILENT * max(middle(self._band[self._reach]), TINY)
        self._band[self._reach, 1:] += least
        self._band[self._reach, :-1] += least
        self._band[self._reach - 1, 1:] -= least
        self._band[self._reach] += SOLVABLE * max(float(self._band[self._reach].max()), TINY)
        solution = solveh_banded(self._band, self._pull, check_finite=False)
        return solution[:, 0], solution[:, 1:]


def compared(rest: Floats, weight: Floats, rows: NDArray[np.intp]) -> LineSystem:
    """Compare each line with its neighbours near and less near, where both are trusted ground.

    ``rest``: heights about their own level, nm, without the offsets known so far. ``weight``: each pixel's trust.
    """
    system = LineSystem(len(rest), reach=max(LAGS))
    for lag in LAGS:
        if lag < len(rest):
            system.difference(lag, rows, mean_of(*steps_down(rest, weight, lag)))
    return system


def steps_down(rest: Floats, weight: Floats, lag: int) -> tuple[Floats, Floats]:
    """Return height differences of pixels ``lag`` lines apart, and their weight: 0 where they stand far out."""
    step = rest[lag:] - rest[:-lag]
    both = weight[lag:] * weight[:-lag]
    both *= tukey(step, sigma=narrow_sigma(step, both), cutoff=SHARP)
    return step, both


def sigma_down(flat: Floats, votes: Floats, lag: int) -> float:
    """Return σ of the differences of pixels ``lag`` lines apart, nm, from a sample of the lines."""
    lag, every = min(lag, len(flat) - 1), max(1, flat.size // SAMPLED)
    top, bottom = slice(None, -lag, every), slice(lag, None, every)
    return narrow_sigma(flat[bottom] - flat[top], votes[bottom] * votes[top])


def sigma_across(flat: Floats, votes: Floats, lag: int) -> float:
    """Return σ of the differences of pixels ``lag`` columns apart, nm, from a sample of the lines."""
    lag, every = min(lag, flat.shape[1] - 1), max(1, flat.size // SAMPLED)
    some, trust = flat[::every], votes[::every]
    return narrow_sigma(some[:, lag:] - some[:, :-lag], trust[:, lag:] * trust[:, :-lag])
