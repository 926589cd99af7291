"""The scanner as one smooth shape and one offset for each line, found together on trusted substrate.

height(i, j) = level of the ground + shape(j) + offset(i) + sample's own roughness, where the ground may lie on several
levels (terraces, gratings) and features stand out of it. Everything is a robust weighted least squares: differences
inside lines give a first shape, differences between lines first offsets; the levels then show in the height
distribution, and shape, level heights and offsets are solved together, the offsets eliminated line by line (Schur
complement), so that the system to solve has a handful of unknowns.

Rule: what the sample itself explains stays in the heights (see ``shrinkage``).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.domain.params import Params
from afmd.errors import CannotLevel
from afmd.science.flatten.guesses import Guess, best_guess, least_width
from afmd.science.flatten.linesystem import Statements, compared, mean_of
from afmd.science.flatten.shrinkage import scanner_part
from afmd.science.flatten.substrate import Substrate, find_substrate
from afmd.science.flatten.terms import Background, Ground
from afmd.science.flatten.thinned import Floats, Thinned, thinned

Doubles = NDArray[np.float64]

ROUNDS = 2
HIGHEST_ORDER = 3


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """``shape``: coefficients along the line, nm. ``offsets``: (lines,) nm.

    ``discord``: (lines, blocks) nm, what the sample pretends to be an offset. ``rest``: (lines, columns) nm, heights
    about their level without the scanner. ``weight``: each pixel's trust.
    """

    shape: Doubles
    offsets: Doubles
    discord: Doubles
    rest: Floats
    weight: Floats


def joint(ground: Ground, params: Params) -> Background:  # noqa: ARG001 one signature for the whole table
    """Fit the scanner's shape along the lines and each line's offset together."""
    frame = thinned(ground)
    order = min(HIGHEST_ORDER, len(frame.across) - 1)
    _enough(frame, needed=order + 2)
    basis = powers(frame.across, order)
    guess, substrate = best_guess(frame, basis)
    fit = refined(frame, basis, guess, substrate)
    for _ in range(ROUNDS - 1):
        flat = frame.heights - (basis @ fit.shape).astype(np.float32) - fit.offsets[:, None].astype(np.float32)
        substrate = find_substrate(flat, frame.votes, noise=least_width(flat, frame))
        fit = refined(frame, basis, Guess(fit.shape, fit.offsets), substrate)
    kept = fit.shape * _shape_gain(fit, frame)
    lines = np.interp(np.arange(len(ground.heights)), frame.rows, scanner_part(fit.offsets, fit.discord))
    along = powers(np.linspace(-1, 1, ground.heights.shape[1]), order) @ kept
    surface = lines[:, None].astype(np.float32) + along[None, :].astype(np.float32)
    return Background(surface, base_nm=frame.middle_nm, direction="row", order=order)


def _enough(frame: Thinned, *, needed: int) -> None:
    """Raise ``CannotLevel`` unless two lines, and ``needed`` pixels, are trusted."""
    trusted = int(np.count_nonzero(frame.votes))
    if len(frame.rows) < 2 or trusted < needed:
        raise CannotLevel(
            "joint level", why=f"{trusted} trusted pixels in {len(frame.rows)} lines cannot fix its unknowns",
            mend="Scan again, or exclude less",
        )  # fmt: skip


def refined(frame: Thinned, basis: Doubles, guess: Guess, substrate: Substrate) -> Fit:
    """One round: shape and level heights on what the guess leaves on the substrate's levels, then offsets."""
    offsets = guess.offsets[:, None].astype(np.float32)
    target = frame.heights - offsets
    flat = target - (basis @ guess.shape).astype(np.float32)
    level = substrate.nearest(flat)
    own = substrate.levels.astype(np.float32)[level]
    weight = substrate.trust(flat - own, frame.votes)
    target -= own
    shape, raised = _shape_and_levels(target, weight, basis, level, len(substrate.levels))
    target -= (basis @ shape).astype(np.float32)
    target -= raised.astype(np.float32)[level]
    system = compared(target, weight, frame.rows)
    system.absolute(_absolute(target, weight))
    change, discord = system.solved()
    target -= change[:, None].astype(np.float32)
    return Fit(shape, guess.offsets + change, discord, target, weight)


def _shape_and_levels(
    target: Floats, weight: Floats, basis: Doubles, level: NDArray[np.intp], levels: int
) -> tuple[Doubles, Doubles]:
    """Return shape coefficients and how much each level must be raised (the first by 0), offsets eliminated."""
    order = basis.shape[1]
    pulled = weight * target
    by_line, by_column, by_level = _sums_by_level(weight, pulled, level, levels)
    narrow = basis.astype(np.float32)
    coupling = np.hstack([weight @ narrow, by_line[:, 1:]])
    cross = basis.T @ by_column[:, 1:]
    gram = np.block(
        [[(basis * by_column.sum(axis=1)[:, None]).T @ basis, cross], [cross.T, np.diag(by_line.sum(axis=0)[1:])]]
    )
    pull = np.concatenate([(pulled @ narrow).sum(axis=0, dtype=np.float64), by_level[1:]])
    total = by_line.sum(axis=1)
    total += 1e-3 * np.median(total) + 1e-6
    schur = gram - (coupling / total[:, None]).T @ coupling
    schur += np.eye(len(schur)) * 1e-6 * np.trace(schur) / len(schur)
    found = np.linalg.solve(schur, pull - coupling.T @ (pulled.sum(axis=1) / total))
    return found[:order], np.concatenate([[0.0], found[order:]])


def _sums_by_level(
    weight: Floats, pulled: Floats, level: NDArray[np.intp], levels: int
) -> tuple[Doubles, Doubles, Doubles]:
    """Return sums of ``weight`` for each line and level, each column and level, and of ``pulled`` for each level."""
    lines, columns = weight.shape
    if levels == 1:
        across = weight.sum(axis=0, dtype=np.float64)
        return weight.sum(axis=1, dtype=np.float64)[:, None], across[:, None], np.zeros(1)
    flat = weight.ravel()
    line = (np.arange(lines)[:, None] * levels + level).ravel()
    column = (np.arange(columns)[None, :] * levels + level).ravel()
    return (
        _counted(line, flat, lines * levels).reshape(lines, levels),
        _counted(column, flat, columns * levels).reshape(columns, levels),
        _counted(level.ravel(), pulled.ravel(), levels),
    )


def _counted(place: NDArray[np.intp], weight: Floats, size: int) -> Doubles:
    return np.bincount(place, weight, size).astype(np.float64, copy=False)


def powers(across: Doubles, order: int) -> Doubles:
    """Return Legendre polynomials 1..``order`` at ``across``, (columns, order); the constant belongs to the lines."""
    return np.asarray(np.polynomial.legendre.legvander(across, order)[:, 1:], dtype=np.float64)


def _absolute(rest: Floats, weight: Floats) -> Statements:
    """Say where each line lies by its substrate; neighbouring lines err alike on a texture, and count the less."""
    told = mean_of(rest, weight)
    here, there = told.discord[1:], told.discord[:-1]
    alike = float(np.clip((here * there).sum() / max(float((told.discord**2).sum()), 1e-30), 0, 0.98))
    return Statements(told.value, told.precision * (1 - alike) / (1 + alike), told.discord)


def _shape_gain(fit: Fit, frame: Thinned) -> Doubles:
    """Return how much of each coefficient is the scanner's: waves that also vary down the frame show the sample's."""
    shape, rest, weight = fit.shape, fit.rest, fit.weight
    highest = 7
    down = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(rest)), highest)
    across = np.polynomial.legendre.legvander(frame.across, highest)
    own = down.T @ ((weight * rest) @ across.astype(np.float32))
    norm = (down**2).T @ (weight @ (across**2).astype(np.float32))
    mean_square = 1 / (2 * np.arange(highest + 1) + 1)
    power = (own / np.maximum(norm, 1e-9)) ** 2 * mean_square[:, None] * mean_square[None, :]
    p, q = np.indices(power.shape)
    gain = np.ones(len(shape))
    for number in range(2, len(shape) + 1):
        alike = (p >= 1) & (q >= 1) & (np.abs(p + q - number - 0.5) <= 1)
        sample = 2 * float(power[alike].mean())
        gain[number - 1] = max(0.0, 1 - sample / max(shape[number - 1] ** 2 * mean_square[number], 1e-30))
    return gain
