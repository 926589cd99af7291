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
from afmd.science.flatten.guesses import best_guess, least_width
from afmd.science.flatten.linesystem import Statements, compared, mean_of
from afmd.science.flatten.shrinkage import scanner_part
from afmd.science.flatten.substrate import find_substrate
from afmd.science.flatten.terms import Background, Ground
from afmd.science.flatten.thinned import Floats, Thinned, thinned

Doubles = NDArray[np.float64]

ROUNDS = 3
HIGHEST_ORDER = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Shape coefficients along the line, one offset per line, and what the sample pretends to be an offset."""

    shape: Doubles
    offsets: Doubles
    discord: Doubles


def joint(ground: Ground, params: Params) -> Background:  # noqa: ARG001 one signature for the whole table
    """Fit the scanner's shape along the lines and each line's offset together."""
    order = HIGHEST_ORDER
    frame = thinned(ground)
    if len(frame.rows) < 2 or len(frame.across) <= order:
        raise CannotLevel("joint level", why="fewer than two lines have trusted pixels", mend="Exclude less")
    basis = powers(frame.across, order)
    shape, offsets = best_guess(frame, basis)
    fit = _Fit(shape, offsets, np.zeros((len(offsets), 1)))
    for _ in range(ROUNDS):
        fit, rest, weight = _refined(frame, basis, fit)
    kept = fit.shape * _shape_gain(fit.shape, rest, weight, frame)
    lines = np.interp(np.arange(len(ground.heights)), frame.rows, scanner_part(fit.offsets, fit.discord))
    cols = ground.heights.shape[1]
    along = powers(np.linspace(-1, 1, cols), order) @ kept
    surface = lines[:, None] + along[None, :] + frame.middle_nm
    return Background(surface, direction="row", order=order)


def _refined(frame: Thinned, basis: Doubles, fit: _Fit) -> tuple[_Fit, Floats, Floats]:
    """One round: find the levels of what is flattened so far, then shape and level heights, then offsets."""
    flat = frame.heights - (basis @ fit.shape).astype(np.float32) - fit.offsets[:, None].astype(np.float32)
    substrate = find_substrate(flat, frame.votes, noise=least_width(flat, frame.votes))
    level = substrate.nearest(flat)
    own = substrate.levels.astype(np.float32)[level]
    weight = substrate.trust(flat - own, frame.votes)
    target = frame.heights - fit.offsets[:, None].astype(np.float32) - own
    shape, raised = _shape_and_levels(target, weight, basis, level, len(substrate.levels))
    own += raised.astype(np.float32)[level]
    rest = frame.heights - (basis @ shape).astype(np.float32) - own
    system = compared(rest, weight, fit.offsets, frame.rows)
    system.absolute(_absolute(rest, weight))
    offsets, discord = system.solved()
    return _Fit(shape, offsets, discord), rest - offsets[:, None].astype(np.float32), weight


def _shape_and_levels(
    target: Floats, weight: Floats, basis: Doubles, level: NDArray[np.intp], levels: int
) -> tuple[Doubles, Doubles]:
    """Return shape coefficients and how much each level must be raised (the first by 0), offsets eliminated."""
    order, lines = basis.shape[1], len(target)
    pulled = weight * target
    columns = weight.sum(axis=0, dtype=np.float64)
    size = order + levels - 1
    gram, coupling, pull = np.zeros((size, size)), np.zeros((lines, size)), np.zeros(size)
    gram[:order, :order] = (basis * columns[:, None]).T @ basis
    coupling[:, :order] = weight @ basis.astype(np.float32)
    pull[:order] = basis.T @ pulled.sum(axis=0, dtype=np.float64)
    for number in range(1, levels):
        here = order + number - 1
        member = np.where(level == number, weight, np.float32(0))
        coupling[:, here] = member.sum(axis=1)
        gram[:order, here] = gram[here, :order] = basis.T @ member.sum(axis=0, dtype=np.float64)
        gram[here, here] = coupling[:, here].sum()
        pull[here] = np.einsum("ij,ij->", member, target)
    total = weight.sum(axis=1, dtype=np.float64)
    total += 1e-3 * np.median(total) + 1e-6
    schur = gram - (coupling / total[:, None]).T @ coupling
    schur += np.eye(size) * 1e-6 * np.trace(schur) / size
    found = np.linalg.solve(schur, pull - coupling.T @ (pulled.sum(axis=1) / total))
    return found[:order], np.concatenate([[0.0], found[order:]])


def powers(across: Doubles, order: int) -> Doubles:
    """Return Legendre polynomials 1..``order`` at ``across``, (columns, order); the constant belongs to the lines."""
    return np.asarray(np.polynomial.legendre.legvander(across, order)[:, 1:], dtype=np.float64)


def _absolute(rest: Floats, weight: Floats) -> Statements:
    """Say where each line lies by its substrate; neighbouring lines err alike on a texture, and count the less."""
    told = mean_of(rest, weight)
    here, there = told.discord[1:], told.discord[:-1]
    alike = float(np.clip((here * there).sum() / max(float((told.discord**2).sum()), 1e-30), 0, 0.98))
    return Statements(told.value, told.precision * (1 - alike) / (1 + alike), told.discord)


def _shape_gain(shape: Doubles, rest: Floats, weight: Floats, frame: Thinned) -> Doubles:
    """Return how much of each coefficient is the scanner's: waves that also vary down the frame show the sample's."""
    highest = 7
    down = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(rest)), highest)
    across = np.polynomial.legendre.legvander(frame.across, highest)
    own = down.T @ ((weight * rest) @ across)
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
