"""Kinds of places in a hole, and the kriging weights of each.

Rule: pixels that see data at the same distances are of one kind and share their weights, so that a whole frame needs
only some hundred small systems of equations.

Data stand at up to four edges of a hole: up, down, left, right. At each seen edge a small cluster of points is used,
wider for wider holes. An edge more than ``RATIO`` times further than the nearest is hidden behind it and left out. The
covariance is even along both axes, so the nearer edge of each axis may be called first; that quarters the kinds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.science.inpaint.covariance import Covariance
from afmd.science.inpaint.gaps import NONE, Reach

DISTANCES = np.array([1, 2, 3, 4, 6, 9, 13, 20, 32, 50, 80])
"""Distances in px that have weights of their own; others take those of the nearest by ratio, longer ones the last."""
RATIO = 4
LONG_CLUSTER = ((0, -2), (0, -1), (0, 0), (0, 1), (0, 2), (1, 0), (2, 0))
SHORT_CLUSTER = ((0, -1), (0, 0), (0, 1), (1, 0), (2, 0))
"""Points at an edge: (steps away from the hole, steps along the edge). The short one where over two edges are seen."""
WIDEST_STEP = 16
RIDGE = 3e-4

_HIDDEN = len(DISTANCES)
_STEPS = np.clip(np.round(DISTANCES / 3), 1, WIDEST_STEP).astype(np.int64)
_NEAREST = np.abs(np.log(np.arange(1, DISTANCES[-1] + 1))[:, None] - np.log(DISTANCES)).argmin(axis=1)
_LEVEL = np.append(0, _NEAREST).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """The four edges of each of n pixels, the nearer of each axis first: vertical near, far, horizontal near, far.

    ``distance``: int32 (4, n) px. ``sign``: int8 (4, n), the way to it along its axis. ``level``: uint8 (4, n), which
    of ``DISTANCES`` stands for the distance; their count where the edge is hidden.
    """

    distance: Reach
    sign: NDArray[np.int8]
    level: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Every kind of place from which the same edges are seen.

    ``edges``: numbers of the seen edges. ``members``: which of the n pixels are here. ``kind``: for each member, its
    kind. ``beside``: int64 (2, points, kinds) px, the points as (down, across) from the middle of their edge, edge by
    edge. ``weights``: float32 (points, kinds), sum 1. ``variance``: for each kind that of the prediction's error over
    the surface's own. ``spread``: the expected variance of the points, likewise.
    """

    edges: tuple[int, ...]
    members: NDArray[np.intp]
    kind: NDArray[np.intp]
    beside: NDArray[np.int64]
    weights: NDArray[np.float32]
    variance: NDArray[np.float32]
    spread: NDArray[np.float32]


def nearer_first(seen: Reach) -> Edges:
    """Return the edges of each pixel, from its distances up, down, left, right."""
    distance, sign = np.empty_like(seen), np.empty(seen.shape, dtype=np.int8)
    for axis in (0, 2):
        swap = seen[axis] > seen[axis + 1]
        np.minimum(seen[axis], seen[axis + 1], out=distance[axis])
        np.maximum(seen[axis], seen[axis + 1], out=distance[axis + 1])
        np.multiply(swap.view(np.int8), np.int8(2), out=sign[axis])
        sign[axis] -= np.int8(1)
        np.negative(sign[axis], out=sign[axis + 1])
    hidden = distance > RATIO * np.minimum(distance[0], distance[2])
    hidden |= distance == NONE
    level = _LEVEL.take(np.minimum(distance, DISTANCES[-1], dtype=np.int32))
    np.copyto(level, np.uint8(_HIDDEN), where=hidden)
    return Edges(distance, sign, level)


def longest_lag(edges: Edges) -> int:
    """Return the furthest apart that two points of these pixels' clusters can be, px."""
    furthest = int(np.max(edges.level, initial=0, where=edges.level < _HIDDEN))
    return 2 * int(DISTANCES[furthest] + 2 * _STEPS[furthest])


def places(edges: Edges, covariance: Covariance) -> Iterator[Places]:
    """Yield the places of every pixel that sees data, with their weights."""
    level = edges.level.astype(np.uint16)
    key = level[0] | level[1] << 4 | level[2] << 8 | level[3] << 12
    kinds = np.flatnonzero(np.bincount(key, minlength=1 << 16))
    levels = kinds[:, None] >> np.array([0, 4, 8, 12]) & 15
    pattern = ((levels < _HIDDEN) @ np.array([1, 2, 4, 8])).astype(np.uint8)
    patterns = np.zeros(1 << 16, dtype=np.uint8)
    patterns[kinds] = pattern
    of_pixel = patterns.take(key)
    members = np.split(np.argsort(of_pixel, kind="stable"), np.cumsum(np.bincount(of_pixel, minlength=16))[:-1])
    number = np.zeros(1 << 16, dtype=np.intp)
    for seen in np.unique(pattern[pattern > 0]):
        here = np.flatnonzero(pattern == seen)
        number[kinds[here]] = np.arange(here.size)
        numbers = tuple(edge for edge in range(4) if seen >> edge & 1)
        yield _weighted(numbers, levels[here], members[seen], number.take(key.take(members[seen])), covariance)


def _weighted(
    edges: tuple[int, ...],
    levels: NDArray[np.int64],
    members: NDArray[np.intp],
    kind: NDArray[np.intp],
    covariance: Covariance,
) -> Places:
    cluster = LONG_CLUSTER if len(edges) < 3 else SHORT_CLUSTER
    beside = _beside(edges, _STEPS[levels.min(axis=1)], cluster)
    offsets = beside + np.repeat(_middles(edges, DISTANCES[levels[:, edges]]), len(cluster), axis=1)
    down, across = offsets.transpose(0, 2, 1)
    among = covariance.between(down[:, :, None] - down[:, None], across[:, :, None] - across[:, None])
    weights, variance = _ordinary(among, covariance.between(down, across))
    spread = 1 - among.mean(axis=(1, 2))
    return Places(
        edges, members, kind, beside, np.ascontiguousarray(weights.T, np.float32),
        variance.astype(np.float32), spread.astype(np.float32),
    )  # fmt: skip


def _beside(edges: tuple[int, ...], step: NDArray[np.int64], cluster: tuple[tuple[int, int], ...]) -> NDArray[np.int64]:
    """Return the points of each kind from the middles of their edges, the near edge of each axis up or left."""
    away, aside = np.array(cluster).T
    points = np.empty((2, len(edges), len(cluster), len(step)), dtype=np.int64)
    for column, edge in enumerate(edges):
        points[edge // 2, column] = (away if edge % 2 else -away)[:, None] * step
        points[1 - edge // 2, column] = aside[:, None] * step
    return points.reshape(2, -1, len(step))


def _middles(edges: tuple[int, ...], distance: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the middles of the seen edges from the pixel, (2, edges, kinds)."""
    middles = np.zeros((2, len(edges), len(distance)), dtype=np.int64)
    for column, edge in enumerate(edges):
        middles[edge // 2, column] = distance[:, column] if edge % 2 else -distance[:, column]
    return middles


def _ordinary(among: NDArray[np.float64], to: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ordinary kriging weights and error variances, from the correlations among points and to the pixel."""
    system = among.copy()
    diagonal = np.arange(system.shape[1])
    system[:, diagonal, diagonal] += RIDGE
    solved = np.linalg.solve(system, np.stack([to, np.ones_like(to)], axis=-1))
    simple, one = solved[..., 0], solved[..., 1]
    lagrange = (1 - simple.sum(axis=1)) / one.sum(axis=1)
    weights = simple + lagrange[:, None] * one
    return weights, np.maximum(1 - (weights * to).sum(axis=1) + lagrange, 0)
