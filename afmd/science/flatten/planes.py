"""Planes that are not the mean plane: through the largest facet, and through three points."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from afmd.domain.params import Params
from afmd.errors import CannotLevel, InvalidInput
from afmd.science.flatten.polynomials import plane_slopes
from afmd.science.flatten.terms import Background, Ground

FACET_ROUNDS = 60
FACET_SHARPNESS = 20.0
"""Weight of a facet is exp(-sharpness · slope² / mean slope²)."""
MOST_FACETS = 150_000
"""About so many are looked at; of a larger frame, evenly spread ones."""

_POINT = re.compile(r"\s*(\d+)\s*,\s*(\d+)\s*")


def facet(ground: Ground, params: Params) -> Background:  # noqa: ARG001 one signature for the whole table
    """Make the most frequent local slope horizontal: right for terraces and gratings, wrong for rough surfaces.

    Each 2 × 2 pixels are a facet; those nearly level already weigh more and more, round after round.
    """
    down, across = _facet_slopes(ground)
    tilt = np.array(plane_slopes(ground))
    for _ in range(FACET_ROUNDS):
        rest_down, rest_across = down - tilt[0], across - tilt[1]
        steepness = rest_down**2 + rest_across**2
        spread = float(steepness.mean()) / FACET_SHARPNESS
        if spread <= np.finfo(np.float32).tiny:
            break
        weight = np.exp(-steepness / spread)
        total = float(weight.sum())
        if total <= np.finfo(np.float32).tiny:
            break
        step = np.array([float((weight * rest_down).sum()), float((weight * rest_across).sum())]) / total
        tilt += step
        if np.abs(step).max() < 1e-7 * np.sqrt(spread):
            break
    return Background(_tilted(ground, tilt), order=1)


def _facet_slopes(ground: Ground) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the slopes (down, across) in nm per nm of the 2 × 2 facets that are trusted as a whole.

    Of a great many, evenly spread ones are taken.
    """
    every = max(1, round(np.sqrt(ground.heights.size / MOST_FACETS)))
    a, b, c, d = (part.astype(np.float64) for part in _corners(ground.heights, every))
    down, across = (c + d - a - b) / (2 * ground.pixel_nm[0]), (b + d - a - c) / (2 * ground.pixel_nm[1])
    if ground.trusted is None:
        return down.ravel(), across.ravel()
    whole = np.logical_and.reduce(_corners(ground.trusted, every))
    if not whole.any():
        raise CannotLevel(
            "facet level", why="no four neighbouring pixels are trusted", mend="Scan again, or exclude less"
        )
    return down[whole], across[whole]


def _corners(values: NDArray[Any], every: int) -> list[NDArray[Any]]:
    """Return the corners of each facet, or of every so many down and across: upper left, upper right, lower ones."""
    return [values[top : top - 1 or None : every, left : left - 1 or None : every] for top in (0, 1) for left in (0, 1)]


def three_point(ground: Ground, params: Params) -> Background:
    """Put the plane through three points to zero; each point is the mean over ``point_radius`` pixels around it.

    ``points`` names them as ``row,col; row,col; row,col``; empty takes three places near the corners.
    """
    places = _places(params.points, ground.heights.shape)
    radius = min(params.point_radius, (min(ground.heights.shape) - 1) // 4)
    points = np.array([_around(ground, place, radius) for place in places])
    system, heights = np.column_stack([points[:, :2], np.ones(3)]), points[:, 2]
    if abs(np.linalg.det(system)) < 0.5:
        raise InvalidInput(
            f"points {places}", why="they lie on one line", mend="Name three corners of a triangle", field="points"
        )
    per_row, per_col, base = np.linalg.solve(system, heights)
    rows, cols = ground.heights.shape
    return Background(base + per_row * np.arange(rows)[:, None] + per_col * np.arange(cols)[None, :], order=1)


def _places(points: str, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return three (row, col), as named or near three corners. Raises ``InvalidInput``."""
    rows, cols = shape
    if not points.strip():
        low_row, low_col, high_row, high_col = rows // 8, cols // 8, rows - 1 - rows // 8, cols - 1 - cols // 8
        return [(low_row, low_col), (low_row, high_col), (high_row, (low_col + high_col) // 2)]
    found = [_POINT.fullmatch(part) for part in points.split(";")]
    places = [(int(match[1]), int(match[2])) for match in found if match]
    if len(places) != 3 or len(found) != 3 or any(r >= rows or c >= cols for r, c in places):
        raise InvalidInput(
            f"points {points!r}", why=f"they are not three pixels of a frame of {rows} × {cols}",
            mend="Write row,col; row,col; row,col", field="points",
        )  # fmt: skip
    return places


def _around(ground: Ground, place: tuple[int, int], radius: int) -> tuple[float, float, float]:
    """Return mean row, column and height of the trusted pixels within ``radius`` of a place. Raises ``CannotLevel``."""
    row, col = place
    window = slice(max(row - radius, 0), row + radius + 1), slice(max(col - radius, 0), col + radius + 1)
    heights = ground.heights[window]
    rows, cols = np.nonzero(np.ones(heights.shape) if ground.trusted is None else ground.trusted[window])
    if rows.size == 0:
        raise CannotLevel(
            "three-point level", why=f"no pixel around row {row}, column {col} is trusted", mend="Name another point"
        )
    mean_height = float(heights[rows, cols].mean(dtype=np.float64))
    return window[0].start + float(rows.mean()), window[1].start + float(cols.mean()), mean_height


def _tilted(ground: Ground, tilt: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the plane of a slope (down, across) whose mean over the trusted heights is theirs."""
    rows, cols = ground.heights.shape
    surface = (
        tilt[0] * ground.pixel_nm[0] * np.arange(rows)[:, None]
        + tilt[1] * ground.pixel_nm[1] * np.arange(cols)[None, :]
    )
    rest = ground.heights - surface
    return np.asarray(surface + (rest.mean() if ground.trusted is None else rest[ground.trusted].mean()))
