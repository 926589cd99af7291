"""One round of the joint fit: on the ground's levels, scanner and level heights together.

Rule: every line's offset is eliminated first (Schur complement), so that what is left to solve has a handful of
unknowns: the shape's powers, the twist, and the heights of all levels but one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.linesystem import Statements, compared, mean_of
from afmd.science.flatten.scanner import Scanner, powers, twisted
from afmd.science.flatten.substrate import Substrate
from afmd.science.flatten.thinned import Floats, Thinned
from afmd.science.robust import median

Doubles = NDArray[np.float64]

RIDGE = 1e-6
"""What no trusted pixel tells stays as it was."""
MOST_ALIKE = 0.98
FEW_LEVELS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """``discord``: (lines, blocks) nm, what the sample pretends to be an offset.

    ``rest``: (lines, columns) nm, heights about their level without the scanner. ``weight``: each pixel's trust.
    ``on_bars``: whether it leaves bars along the lines alone that another fit had undone.
    """

    scanner: Scanner
    discord: Doubles
    rest: Floats
    weight: Floats
    on_bars: bool = False


def refined(frame: Thinned, guess: Scanner, substrate: Substrate, *, twists: bool, known: bool = False) -> Fit:
    """Fit the scanner anew to pixels near a level of what ``guess`` leaves; its twist changes only if it ``twists``.

    ``known``: the levels lie as high as ``substrate`` says; otherwise they are fitted with the scanner.
    """
    rest = guess.off(frame)
    level = substrate.nearest(rest)
    rest -= substrate.levels.astype(np.float32)[level]
    weight = substrate.trust(rest, frame.votes)
    order = len(guess.shape)
    count = 1 if known else len(substrate.levels)
    level = np.zeros_like(level) if known else level
    change = _solved(rest, weight, frame, order, level, count, twists=twists)
    rest -= (powers(frame.across, order) @ change[:order]).astype(np.float32)
    rest -= twisted(change[order], frame.down, frame.across)
    rest -= np.concatenate([[0.0], change[order + 1 :]]).astype(np.float32)[level]
    system = compared(rest, weight, frame.rows)
    system.absolute(_absolute(rest, weight))
    lines, discord = system.solved()
    rest -= lines[:, None].astype(np.float32)
    return Fit(guess.plus(change[:order], lines, float(change[order])), discord, rest, weight)


def _solved(
    rest: Floats, weight: Floats, frame: Thinned, order: int, level: NDArray[np.intp], levels: int, *, twists: bool
) -> Doubles:
    """Return the changes of shape (order), twist (0 unless it ``twists``), and all levels but the first, nm."""
    pulled = weight * rest
    sums = _Sums.of(weight, pulled, frame, level, levels)
    basis, down = powers(frame.across, order), frame.down
    lean = frame.across[:, None]
    narrow = np.hstack([basis, lean]).astype(np.float32)
    along = (weight @ narrow).astype(np.float64)
    coupling = np.hstack([along[:, :order], down[:, None] * along[:, order:], sums.line[:, 1:]])
    columns = sums.column.sum(axis=1)
    fields = np.hstack([basis, lean])
    squares = (fields * columns[:, None]).T @ fields
    turned = (weight @ (narrow * narrow[:, order:])).astype(np.float64)
    squares[order, :order] = squares[:order, order] = down @ turned[:, :order]
    squares[order, order] = down**2 @ turned[:, order]
    cross = np.vstack([basis.T @ sums.column[:, 1:], sums.twist[1:]])
    gram = np.block([[squares, cross], [cross.T, np.diag(sums.line.sum(axis=0)[1:])]])
    drawn = (pulled @ narrow).astype(np.float64)
    pull = np.concatenate([drawn[:, :order].sum(axis=0), down @ drawn[:, order:], sums.pulled[1:]])
    total = sums.line.sum(axis=1)
    total += 1e-3 * median(total) + RIDGE
    schur = gram - (coupling / total[:, None]).T @ coupling
    schur += np.eye(len(schur)) * RIDGE * np.trace(schur) / len(schur)
    drawn_on = pull - coupling.T @ (pulled.sum(axis=1) / total)
    free = np.flatnonzero((np.arange(len(pull)) != order) | twists)
    change = np.zeros(len(pull))
    change[free] = np.linalg.solve(schur[np.ix_(free, free)], drawn_on[free])
    return change


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Sums over the pixels of each level: of weights by ``line`` and by ``column`` (…, levels), of weights times down
    times across (``twist``), and of weighted heights (``pulled``)."""

    line: Doubles
    column: Doubles
    twist: Doubles
    pulled: Doubles

    @classmethod
    def of_few(cls, weight: Floats, pulled: Floats, frame: Thinned, level: NDArray[np.intp], levels: int) -> "_Sums":
        """Return the same from one look at the pixels for each level: faster where levels are few."""
        across = frame.across.astype(np.float32)
        line, column = np.empty((len(weight), levels)), np.empty((len(across), levels))
        leaning, drawn = np.empty((len(weight), levels)), np.empty(levels)
        for number in range(levels):
            here = level == number
            own = weight * here
            line[:, number], column[:, number] = own.sum(axis=1, dtype=np.float64), own.sum(axis=0, dtype=np.float64)
            leaning[:, number] = own @ across
            drawn[number] = np.einsum("ij,ij->", pulled, here.view(np.uint8), dtype=np.float64)
        return cls(line, column, frame.down @ leaning, drawn)

    @classmethod
    def of(cls, weight: Floats, pulled: Floats, frame: Thinned, level: NDArray[np.intp], levels: int) -> "_Sums":
        lines, columns = weight.shape
        if levels == 1:
            nothing = np.zeros(1)
            by_line, by_column = weight.sum(axis=1, dtype=np.float64), weight.sum(axis=0, dtype=np.float64)
            return cls(by_line[:, None], by_column[:, None], nothing, nothing)
        if levels <= FEW_LEVELS:
            return cls.of_few(weight, pulled, frame, level, levels)
        line = (np.arange(lines)[:, None] * levels + level).ravel()
        column = (np.arange(columns)[None, :] * levels + level).ravel()
        by_line = np.bincount(line, weight.ravel(), lines * levels).reshape(lines, levels)
        by_column = np.bincount(column, weight.ravel(), columns * levels)
        leaning = np.bincount(line, (weight * frame.across.astype(np.float32)).ravel(), lines * levels)
        return cls(
            line=by_line.astype(np.float64, copy=False),
            column=np.asarray(by_column.reshape(columns, levels), dtype=np.float64),
            twist=frame.down @ leaning.reshape(lines, levels),
            pulled=np.asarray(np.bincount(level.ravel(), pulled.ravel(), levels), dtype=np.float64),
        )


def _absolute(rest: Floats, weight: Floats) -> Statements:
    """Say where each line lies by its substrate; neighbouring lines err alike on a texture, and count the less."""
    told = mean_of(rest, weight)
    here, there = told.discord[1:], told.discord[:-1]
    alike = float(np.clip((here * there).sum() / max(float((told.discord**2).sum()), 1e-30), 0, MOST_ALIKE))
    return Statements(told.value, told.precision * (1 - alike) / (1 + alike), told.discord)
