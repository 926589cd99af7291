"""Least-squares polynomials: over the whole frame (plane, poly) and line by line (paper A's Smart Flatten).

Rule: Legendre polynomials on [-1, 1], so that an order-5 fit over 4096 pixels is as well conditioned as a plane.
"""

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from afmd.domain.params import Params
from afmd.errors import CannotLevel
from afmd.science.flatten.terms import Background, Ground
from afmd.science.robust import bridged

DIRECTIONS = {"row": ("row",), "column": ("column",), "both": ("row", "column")}


def plane(ground: Ground, params: Params) -> Background:  # noqa: ARG001 one signature for the whole table
    """Fit one plane by least squares."""
    return Background(frame_polynomial(ground, order=1), order=1)


def poly(ground: Ground, params: Params) -> Background:
    """Fit one polynomial of total order ``order`` by least squares (NanoScope's and Gwyddion's polynomial level)."""
    return Background(frame_polynomial(ground, order=params.order), order=params.order)


def smart(ground: Ground, params: Params) -> Background:
    """Fit a polynomial of ``order`` to each line's trusted pixels (paper A, section 2.4, Smart Flatten).

    ``direction`` ``auto`` fits along the axis on which the mean plane is steeper. A line with too few trusted pixels
    takes its polynomial from the nearest lines on both sides.
    """
    direction = dominant_slope(ground) if params.direction == "auto" else params.direction
    surface = np.zeros(ground.heights.shape)
    for axis in DIRECTIONS[direction]:
        rest = ground.without(surface)
        surface += _each_row(rest, params.order) if axis == "row" else _each_row(rest.turned(), params.order).T
    return Background(surface, direction=direction, order=params.order)


def dominant_slope(ground: Ground) -> str:
    """Return ``row`` or ``column``: the axis along which the mean plane rises more per nm."""
    slope_down, slope_across = plane_slopes(ground)
    return "row" if abs(slope_across) >= abs(slope_down) else "column"


def plane_slopes(ground: Ground) -> tuple[float, float]:
    """Return the mean plane's slope (down, across) in nm per nm."""
    rows, cols = ground.heights.shape
    coefficients = _frame_fit(ground, 1)
    return (
        float(coefficients[1, 0]) * 2 / max(rows - 1, 1) / ground.pixel_nm[0],
        float(coefficients[0, 1]) * 2 / max(cols - 1, 1) / ground.pixel_nm[1],
    )


def frame_polynomial(ground: Ground, *, order: int) -> NDArray[np.float64]:
    """Return the polynomial of total ``order`` nearest the trusted heights, (rows, cols) nm. Raises ``CannotLevel``."""
    rows, cols = ground.heights.shape
    return np.asarray(basis(rows, order) @ _frame_fit(ground, order) @ basis(cols, order).T)


def basis(count: int, order: int) -> NDArray[np.float64]:
    """Return Legendre polynomials 0..``order`` at ``count`` equal steps over [-1, 1], (count, order + 1)."""
    return np.asarray(legendre.legvander(np.linspace(-1.0, 1.0, count), order), dtype=np.float64)


def _frame_fit(ground: Ground, order: int) -> NDArray[np.float64]:
    """Return the coefficients [power down, power across] of the nearest polynomial of total ``order``."""
    rows, cols = ground.heights.shape
    down, across = basis(rows, order), basis(cols, order)
    powers = [(p, q) for p in range(order + 1) for q in range(order + 1 - p)]
    p, q = np.array([a for a, _ in powers]), np.array([b for _, b in powers])
    if ground.trusted is None and ground.weights is None:
        return _solved_separable(ground.heights, down, across, (p, q))
    votes = ground.votes()
    moments = _products(down).T @ (votes @ _products(across).astype(np.float32)).astype(np.float64)
    n = order + 1
    gram = moments.reshape(n, n, n, n)[p[:, None], p[None, :], q[:, None], q[None, :]]
    pull = (down.T @ ((votes * ground.heights) @ across))[p, q]
    coefficients = np.zeros((n, n))
    coefficients[p, q] = _solved(gram, pull, needed=len(powers), trusted=int(np.count_nonzero(votes)))
    return coefficients


def _solved_separable(
    heights: NDArray[np.float32],
    down: NDArray[np.float64],
    across: NDArray[np.float64],
    powers: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> NDArray[np.float64]:
    """Solve the fit in which every pixel votes alike: its normal matrix is a product of two small ones."""
    p, q = powers
    gram = (down.T @ down)[p[:, None], p] * (across.T @ across)[q[:, None], q]
    pull = (down.T @ (heights @ across))[p, q]
    coefficients = np.zeros((down.shape[1], across.shape[1]))
    coefficients[p, q] = _solved(gram, pull, needed=len(p), trusted=heights.size)
    return coefficients


def _solved(gram: NDArray[np.float64], pull: NDArray[np.float64], *, needed: int, trusted: int) -> NDArray[np.float64]:
    """Solve normal equations, or raise ``CannotLevel`` when the trusted pixels do not fix every coefficient."""
    scale = np.sqrt(np.maximum(np.diag(gram), np.finfo(float).tiny))
    scaled = gram / scale / scale[:, None]
    if trusted < needed or np.linalg.cond(scaled) > 1e10:
        raise CannotLevel(
            "level", why=f"{trusted} trusted pixels cannot fix {needed} coefficients",
            mend="Scan again, level with a lower order, or exclude less",
        )  # fmt: skip
    return np.asarray(np.linalg.solve(scaled, pull / scale) / scale)


def _products(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return every product of two columns, (count, n * n)."""
    return (columns[:, :, None] * columns[:, None, :]).reshape(len(columns), -1)


def _each_row(ground: Ground, order: int) -> NDArray[np.float64]:
    """Return each row's own polynomial, (rows, cols) nm. Raises ``CannotLevel`` when no row can be fitted."""
    across = basis(ground.heights.shape[1], order)
    n = order + 1
    votes = ground.votes().astype(np.float64)
    gram = (votes @ _products(across)).reshape(-1, n, n)
    pull = (votes * ground.heights) @ across
    sound = _fit_for_lines(gram, np.count_nonzero(votes, axis=1))
    if not sound.any():
        raise CannotLevel(
            "level", why=f"no line has trusted pixels that fix {n} coefficients",
            mend="Scan again, level with a lower order, or exclude less",
        )  # fmt: skip
    coefficients = np.full((len(gram), n), np.nan)
    coefficients[sound] = np.linalg.solve(gram[sound], pull[sound][..., None])[..., 0]
    return np.asarray(np.apply_along_axis(bridged, 0, coefficients) @ across.T)


def _fit_for_lines(gram: NDArray[np.float64], trusted: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which lines' pixels fix all coefficients: enough of them, and spread well enough."""
    n = gram.shape[1]
    values = np.linalg.eigvalsh(gram)
    return np.asarray((trusted >= n) & (values[:, 0] > 1e-6 * values[:, -1]))
