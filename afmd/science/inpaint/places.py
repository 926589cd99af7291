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
_LEVEL = np.append(0, _NEAREST).astype(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """The four edges of each of n pixels, the nearer of each axis first: vertical near, far, horizontal near, far.

    ``distance``: int32 (4, n) px, ``NONE`` where hidden. ``sign``: int8 (4, n), the way to it along its axis.
    """

    distance: Reach
    sign: NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Every kind of place from which the same edges are seen.

    ``edges``: numbers of the seen edges. ``cluster``: points at each of them. ``members``: which of the n pixels are
    here. ``kind``: for each member, its kind. ``step``: px, for each kind. ``offsets``: int64 (kinds, points, 2), the
    points as (down, across) from the pixel. ``weights``: float32 (kinds, points), sum 1. ``variance``: for each kind
    that of the prediction's error over the surface's own. ``spread``: the expected variance of the points, likewise.
    """

    edges: tuple[int, ...]
    cluster: tuple[tuple[int, int], ...]
    members: NDArray[np.intp]
    kind: NDArray[np.intp]
    step: NDArray[np.int64]
    offsets: NDArray[np.int64]
    weights: NDArray[np.float32]
    variance: NDArray[np.float32]
    spread: NDArray[np.float32]


def nearer_first(seen: Reach) -> Edges:
    """Return the edges of each pixel, from its distances up, down, left, right."""
    distance, sign = np.empty_like(seen), np.empty(seen.shape, dtype=np.int8)
    for axis in (0, 2):
        swap = seen[axis] > seen[axis + 1]
        distance[axis] = np.minimum(seen[axis], seen[axis + 1])
        distance[axis + 1] = np.maximum(seen[axis], seen[axis + 1])
        sign[axis] = np.where(swap, 1, -1)
        sign[axis + 1] = -sign[axis]
    nearest = np.minimum(distance[0], distance[2])
    distance[distance > RATIO * nearest] = NONE
    return Edges(distance, sign)


def longest_lag(edges: Edges) -> int:
    """Return the furthest apart that two points of these pixels' clusters can be, px."""
    there = edges.distance[edges.distance < NONE]
    furthest = min(int(there.max(initial=1)), int(DISTANCES[-1]))
    return 2 * (furthest + 2 * int(_STEPS[_LEVEL[furthest]]))


def places(edges: Edges, covariance: Covariance) -> Iterator[Places]:
    """Yield the places of every pixel that sees data, with their weights."""
    level = np.where(edges.distance < NONE, _LEVEL[np.minimum(edges.distance, DISTANCES[-1])], _HIDDEN)
    key = level[0] | level[1] << 4 | level[2] << 8 | level[3] << 12
    count = np.bincount(key, minlength=1 << 16)
    kinds = np.flatnonzero(count)
    levels = kinds[:, None] >> np.array([0, 4, 8, 12]) & 15
    pattern = (levels < _HIDDEN) @ np.array([1, 2, 4, 8])
    number = np.zeros(1 << 16, dtype=np.intp)
    number[kinds] = np.arange(len(kinds))
    own = number[key]
    for seen in np.unique(pattern[pattern > 0]):
        here = np.flatnonzero(pattern == seen)
        members = np.flatnonzero(pattern[own] == seen)
        local = np.zeros(len(kinds), dtype=np.intp)
        local[here] = np.arange(len(here))
        numbers = tuple(edge for edge in range(4) if seen >> edge & 1)
        yield _weighted(numbers, levels[here], members, local[own[members]], covariance)


def _weighted(
    edges: tuple[int, ...],
    levels: NDArray[np.int64],
    members: NDArray[np.intp],
    kind: NDArray[np.intp],
    covariance: Covariance,
) -> Places:
    cluster = LONG_CLUSTER if len(edges) < 3 else SHORT_CLUSTER
    step = _STEPS[levels.min(axis=1)]
    offsets = _offsets(edges, DISTANCES[levels[:, edges]], step, cluster)
    among = covariance.between(
        offsets[:, :, None, 0] - offsets[:, None, :, 0], offsets[:, :, None, 1] - offsets[:, None, :, 1]
    )
    weights, variance = _ordinary(among, covariance.between(offsets[..., 0], offsets[..., 1]))
    spread = 1 - among.mean(axis=(1, 2))
    return Places(
        edges, cluster, members, kind, step, offsets, weights.astype(np.float32),
        variance.astype(np.float32), spread.astype(np.float32),
    )  # fmt: skip


def _offsets(
    edges: tuple[int, ...],
    distance: NDArray[np.int64],
    step: NDArray[np.int64],
    cluster: tuple[tuple[int, int], ...],
) -> NDArray[np.int64]:
    """Return the points of each kind, the near edge of each axis upwards or leftwards."""
    away, aside = np.array(cluster).T
    offsets = np.empty((len(step), len(edges), len(cluster), 2), dtype=np.int64)
    for column, edge in enumerate(edges):
        out = distance[:, column, None] + away * step[:, None]
        offsets[:, column, :, edge // 2] = -out if edge in (0, 2) else out
        offsets[:, column, :, 1 - edge // 2] = aside * step[:, None]
    return offsets.reshape(len(step), -1, 2)


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
