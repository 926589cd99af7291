"""Chains: DNA, plasmids, fibres and nanotubes, dense worm-like films."""

import numpy as np

from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Heights, Surface
from afmd.twin.surfaces.shapes import Body, closed, draw_chain, places, rough, stamp, wormlike_chain

LAID_AT_ONCE = 8
"""Rods of a film that do not ride on each other, because they are laid in one go."""


def dna(draw: Draw, grid: Grid) -> Surface:
    """Linear DNA on mica: persistence 50 nm, 0.5-2 nm high, 2-5 nm wide, with bound proteins."""
    return _molecules(draw, grid, loops=False)


def plasmids(draw: Draw, grid: Grid) -> Surface:
    """Closed, partly supercoiled loops."""
    return _molecules(draw, grid, loops=True)


def fibres(draw: Draw, grid: Grid) -> Surface:
    """Stiff fibres or nanotubes that cross over each other."""
    radius = draw.log("radius_share", 0.003, 0.025) * grid.frame_nm
    height = float(np.clip(2 * radius * draw.log("aspect", 0.1, 1.0), 1, 800))
    heights = rough(draw.rng, grid, draw.log("substrate_share", 0.005, 0.1) * height)
    ground = heights.copy()
    persistence = draw.log("persistence_share", 0.3, 20) * grid.frame_nm
    length = draw.log("length_share", 0.3, 3.0) * grid.frame_nm
    for place in places(draw.rng, grid, draw.integer("count", 3, 45)):
        path = wormlike_chain(
            draw.rng, length_nm=length, persistence_nm=persistence, step_nm=max(0.5 * grid.pixel_nm, 0.25 * radius)
        )
        size = np.exp(0.15 * draw.rng.standard_normal())
        path = place + path - path[len(path) // 2]
        draw_chain(heights, grid, path, radius_nm=radius * size, height_nm=height * size, lift=0.8)
    return Surface(heights, heights > ground + 0.1 * height)


def worms(draw: Draw, grid: Grid) -> Surface:
    """A film of short curved rods, one over another."""
    radius = draw.log("radius_share", 0.008, 0.02) * grid.frame_nm
    height = float(np.clip(2 * radius * draw.log("aspect", 0.1, 1.0), 1, 500))
    heights = rough(draw.rng, grid, 0.3 * height)
    length = radius * draw.log("length_over_radius", 8, 30)
    count = min(int(1.2 * np.prod(grid.size_nm) / (length * 2 * radius)), 900)
    step = max(0.5 * grid.pixel_nm, 0.3 * radius)
    for batch in np.array_split(places(draw.rng, grid, count), max(count // LAID_AT_ONCE, 1)):
        rods = [
            place + wormlike_chain(draw.rng, length_nm=length, persistence_nm=length, step_nm=step) for place in batch
        ]
        size = np.exp(0.2 * draw.rng.standard_normal())
        path = np.concatenate(rods)
        draw_chain(heights, grid, path, radius_nm=radius * size, height_nm=height * size, lift=0.35)
    return Surface(heights, np.zeros(grid.shape, dtype=bool))


def _molecules(draw: Draw, grid: Grid, *, loops: bool) -> Surface:
    height, radius = draw.uniform("height_nm", 0.5, 2.2), max(draw.uniform("radius_nm", 1.0, 2.5), 0.75 * grid.pixel_nm)
    heights = rough(draw.rng, grid, draw.log("mica_nm", 0.03, 0.2))
    ground = heights.copy()
    length = draw.log("length_nm", 80, 2500)
    step = 0.45 * min(grid.down_nm, grid.across_nm)
    persistence = draw.uniform("persistence_nm", 35, 60)
    for place in places(draw.rng, grid, _count(draw, grid)):
        own = length * np.exp(0.25 * draw.rng.standard_normal())
        path = wormlike_chain(draw.rng, length_nm=own, persistence_nm=persistence, step_nm=step)
        path = closed(path) if loops else path
        # Ten pixels' worth of beads vary in height together, as salt and adsorption vary along the chain.
        draw_chain(heights, grid, place + path - path.mean(axis=0), radius_nm=radius, height_nm=height, lift=0.7)
    _proteins(draw, grid, heights, height=height)
    return Surface(heights, heights > ground + 0.25 * height)


def _count(draw: Draw, grid: Grid) -> int:
    return int(np.clip(draw.log("per_um2", 3, 60) * np.prod(grid.size_nm) * 1e-6, 2, 80))


def _proteins(draw: Draw, grid: Grid, heights: Heights, *, height: float) -> None:
    count = draw.integer("proteins", 0, 60)
    stamp(
        heights, grid,
        [
            Body(
                down, across, long=size, wide=size * draw.rng.uniform(0.7, 1), angle=draw.rng.uniform(0, 3),
                height=height * draw.rng.uniform(0.5, 3), profile="dome",
            )
            for (down, across), size in zip(places(draw.rng, grid, count), draw.rng.uniform(2.5, 8, count), strict=True)
        ],
    )  # fmt: skip
