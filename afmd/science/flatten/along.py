"""The scanner's shape along the fast axis, sought first in differences between pixels of the same line.

Rule: start with close pixels, whose differences no terrace edge spoils often, and go to wider ones from there.
"""

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from afmd.science.flatten.evidence import shorth
from afmd.science.flatten.thinned import Floats, Thinned
from afmd.science.robust import narrow_sigma, tukey

Doubles = NDArray[np.float64]

LAG_SHARES = (1 / 64, 1 / 32)
FIRST_ROUNDS, FURTHER_ROUNDS = 5, 2


def powers(across: Doubles, order: int) -> Doubles:
    """Return Legendre polynomials 1..``order`` at ``across``, (columns, order); the constant belongs to the lines."""
    return np.asarray(legendre.legvander(across, order)[:, 1:], dtype=np.float64)


def shape_from_differences(frame: Thinned, order: int) -> Doubles:
    """Return the coefficients (order,) of the scanner's shape along the line, in nm."""
    basis = powers(frame.across, order)
    columns = len(frame.across)
    coefficients = np.zeros(order)
    for number, share in enumerate(LAG_SHARES):
        lag = min(max(1, round(share * columns)), columns - 1)
        step = frame.heights[:, lag:] - frame.heights[:, :-lag]
        both = frame.votes[:, lag:] * frame.votes[:, :-lag]
        slopes = basis[lag:] - basis[:-lag]
        if number == 0:
            coefficients[0] = _densest(step, both) / slopes[0, 0]
        rest = step - (slopes @ coefficients).astype(np.float32)
        sigma = narrow_sigma(rest[both > 0]) * (4 if number == 0 else 1)
        for turn in range(FIRST_ROUNDS if number == 0 else FURTHER_ROUNDS):
            free = 1 if number == 0 and turn < 2 else order
            weight = tukey(rest, sigma=sigma)
            weight *= both
            coefficients[:free] += _solved(weight, rest, slopes[:, :free])
            rest = step - (slopes @ coefficients).astype(np.float32)
            sigma = max(narrow_sigma(rest[both > 0]), sigma / 2)
    return coefficients


def _densest(values: Floats, votes: Floats) -> float:
    """Return the most frequent value of the whole array."""
    spread = values[votes > 0]
    spread = spread[:: max(1, spread.size // 20_000)][None, :]
    return float(shorth(spread, np.ones_like(spread))[0])


def _solved(weight: Floats, rest: Floats, slopes: Doubles) -> Doubles:
    """Return the least-squares change of the coefficients; every line has the same design, so columns are summed."""
    total = weight.sum(axis=0, dtype=np.float64)
    pull = np.einsum("ij,ij->j", weight, rest).astype(np.float64)
    gram = (slopes * total[:, None]).T @ slopes
    gram += np.eye(len(gram)) * (1e-9 * np.trace(gram) + np.finfo(float).tiny)
    return np.asarray(np.linalg.solve(gram, slopes.T @ pull))
