"""Bodies and chains put onto a raster. Rule: only the pixels under a body are touched, and the higher body wins."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from afmd.twin.grid import Grid, Heights, fractal_field

Profile = Callable[[Heights, Heights], Heights]


@dataclass(frozen=True, slots=True)
class Body:
    """A body at (down, across) nm with half axes (long, wide) nm, turned by ``angle`` rad, ``height`` nm high."""

    down: float
    across: float
    long: float
    wide: float
    angle: float
    height: float
    profile: str


def stamp(heights: Heights, grid: Grid, bodies: Iterable[Body], *, sink: float = 0.0) -> None:
    """Put bodies onto ``heights`` in place.

    A body stands on the highest ground under its centre; ``sink`` is the share of that ground height it ignores.
    """
    for body in bodies:
        reach = max(body.long, body.wide) * np.sqrt(2)
        window = under(grid, body, reach)
        if window is None:
            continue
        rows, cols = window
        down = (np.arange(rows.start, rows.stop) * grid.down_nm - body.down)[:, None]
        across = (np.arange(cols.start, cols.stop) * grid.across_nm - body.across)[None, :]
        cos, sin = np.cos(body.angle), np.sin(body.angle)
        share = PROFILES[body.profile]((across * cos + down * sin) / body.long, (down * cos - across * sin) / body.wide)
        patch = heights[rows, cols]
        foot = (1 - sink) * patch[patch.shape[0] // 2, patch.shape[1] // 2]
        np.maximum(patch, np.where(share > 0, foot + share * body.height, -np.inf), out=patch)


def draw_chain(
    heights: Heights, grid: Grid, path: NDArray[np.float64], *, radius_nm: float, height_nm: float, lift: float = 0.0
) -> None:
    """Lay a chain of points (n, 2), in nm as (down, across), onto ``heights`` in place.

    Its cross-section is a half ellipse of half width ``radius_nm``. ``lift``: the share of the ground below that the
    chain rides on (a stiff fibre bridges, a soft chain follows).
    """
    rows, cols = grid.shape
    span = [int(np.ceil(radius_nm / pitch)) for pitch in (grid.down_nm, grid.across_nm)]
    offsets = np.stack(np.meshgrid(*(np.arange(-s, s + 1) for s in span), indexing="ij"), axis=-1).reshape(-1, 2)
    centre = np.rint(path / (grid.down_nm, grid.across_nm)).astype(np.int64)
    pixel = centre[:, None, :] + offsets[None, :, :]
    away = pixel * (grid.down_nm, grid.across_nm) - path[:, None, :]
    share = 1 - (away**2).sum(axis=-1) / radius_nm**2
    inside = (share > 0) & (pixel >= 0).all(axis=-1) & (pixel < (rows, cols)).all(axis=-1)
    ground = heights[np.clip(centre[:, 0], 0, rows - 1), np.clip(centre[:, 1], 0, cols - 1)] * lift
    value = (ground[:, None] + height_nm * np.sqrt(np.maximum(share, 0)))[inside]
    np.maximum.at(heights.reshape(-1), (pixel[..., 0] * cols + pixel[..., 1])[inside], value)


def wormlike_chain(
    rng: np.random.Generator, *, length_nm: float, persistence_nm: float, step_nm: float
) -> NDArray[np.float64]:
    """A worm-like chain in two dimensions from the origin (Rivetti, Guthold & Bustamante 1996), shape (n, 2) nm."""
    count = max(int(length_nm / step_nm), 2)
    angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.standard_normal(count)) * np.sqrt(step_nm / persistence_nm)
    steps: NDArray[np.float64] = np.stack([np.sin(angle), np.cos(angle)], axis=1) * step_nm
    return np.cumsum(steps, axis=0)


def closed(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same chain with its ends brought together, the misfit spread along it."""
    return np.asarray(path - np.linspace(0, 1, len(path))[:, None] * (path[-1] - path[0]))


def places(rng: np.random.Generator, grid: Grid, count: int) -> NDArray[np.float64]:
    """Uniform positions in nm, (count, 2)."""
    return rng.random((count, 2)) * grid.size_nm


def apart(points: NDArray[np.float64], distance_nm: float) -> NDArray[np.float64]:
    """The points that keep at least ``distance_nm`` from all kept before them, in order."""
    kept: list[NDArray[np.float64]] = []
    cell: dict[tuple[int, int], list[NDArray[np.float64]]] = {}
    for point in points:
        at = int(point[0] // distance_nm), int(point[1] // distance_nm)
        near = (q for i in (-1, 0, 1) for j in (-1, 0, 1) for q in cell.get((at[0] + i, at[1] + j), ()))
        if all((point[0] - q[0]) ** 2 + (point[1] - q[1]) ** 2 >= distance_nm**2 for q in near):
            kept.append(point)
            cell.setdefault(at, []).append(point)
    return np.array(kept).reshape(-1, 2)


def rough(rng: np.random.Generator, grid: Grid, rms_nm: float) -> Heights:
    """A substrate's own roughness."""
    return rms_nm * fractal_field(rng, grid, hurst=0.6, rolloff_nm=grid.frame_nm / 8)


def under(grid: Grid, body: Body, reach: float) -> tuple[slice, slice] | None:
    """The rows and columns within ``reach`` nm of a body's centre, or None where it lies wholly outside."""
    top, bottom = (body.down - reach) / grid.down_nm, (body.down + reach) / grid.down_nm
    left, right = (body.across - reach) / grid.across_nm, (body.across + reach) / grid.across_nm
    rows = slice(max(int(np.ceil(top)), 0), min(int(bottom) + 1, grid.rows))
    cols = slice(max(int(np.ceil(left)), 0), min(int(right) + 1, grid.cols))
    return (rows, cols) if rows.start < rows.stop and cols.start < cols.stop else None


def _dome(u: Heights, v: Heights) -> Heights:
    return np.asarray(np.sqrt(np.maximum(1 - u**2 - v**2, 0)))


def _sphere(u: Heights, v: Heights) -> Heights:
    """Seen from above a whole sphere is a dome on a wall: the upper half starts at half the height."""
    inside = 1 - u**2 - v**2
    return np.where(inside > 0, 0.5 + 0.5 * np.sqrt(np.maximum(inside, 0)), 0)


def _paraboloid(u: Heights, v: Heights) -> Heights:
    return np.asarray(np.maximum(1 - u**2 - v**2, 0))


def _cone(u: Heights, v: Heights) -> Heights:
    return np.asarray(np.maximum(1 - np.hypot(u, v), 0))


def _cylinder(u: Heights, v: Heights) -> Heights:
    return np.asarray(u**2 + v**2 < 1, dtype=np.float64)


def _cuboid(u: Heights, v: Heights) -> Heights:
    return np.asarray(np.maximum(np.abs(u), np.abs(v)) < 1, dtype=np.float64)


def _prism(u: Heights, v: Heights) -> Heights:
    """A ridge roof along the long axis."""
    return np.where(np.abs(u) < 1, np.maximum(1 - np.abs(v), 0), 0)


def _triangle(u: Heights, v: Heights) -> Heights:
    """A flat plate with three sides."""
    height = np.maximum(np.maximum(-v * 2, np.sqrt(3) * u + v), -np.sqrt(3) * u + v)
    return np.asarray(height < 1, dtype=np.float64)


def _hexagon(u: Heights, v: Heights) -> Heights:
    """A flat plate with six sides and slightly bevelled edges."""
    out = np.maximum(np.abs(u), np.maximum(np.abs(u / 2 + v * np.sqrt(3) / 2), np.abs(u / 2 - v * np.sqrt(3) / 2)))
    return np.asarray(np.clip((1 - out) * 12, 0, 1))


def _pyramid(u: Heights, v: Heights) -> Heights:
    """Four facets, cut at the top."""
    return np.clip(1.4 * (1 - np.maximum(np.abs(u), np.abs(v))), 0, 1)


def _capsule(u: Heights, v: Heights) -> Heights:
    """A rod with round ends."""
    return np.asarray(np.sqrt(np.maximum(1 - u**4 - v**2, 0)))


def _plate(u: Heights, v: Heights) -> Heights:
    """A lens with a flat top and round edges."""
    return np.asarray(np.sqrt(np.maximum(1 - (u**2 + v**2) ** 3, 0)))


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "dome": _dome, "sphere": _sphere, "paraboloid": _paraboloid, "cone": _cone, "cylinder": _cylinder,
        "cuboid": _cuboid, "prism": _prism, "triangle": _triangle, "hexagon": _hexagon, "pyramid": _pyramid,
        "plate": _plate, "capsule": _capsule,
    }
)  # fmt: skip
