"""Bodies on a flat substrate: loose, heaped, close-packed, and the primitives of tip-deconvolution studies."""

import numpy as np

from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Heights, Surface, smooth_field
from afmd.twin.surfaces.shapes import Body, apart, places, rough, stamp

SHAPES = ("sphere", "dome", "plate", "paraboloid", "hexagon", "pyramid")


def particles(draw: Draw, grid: Grid) -> Surface:
    """Loose particles, some touching."""
    radius = draw.log("radius_share", 0.006, 0.08) * grid.frame_nm
    count = int(np.clip(draw.log("coverage", 0.005, 0.35) * np.prod(grid.size_nm) / (np.pi * radius**2), 4, 900))
    height = _height(draw, grid, 2 * radius)
    spots = places(draw.rng, grid, count)
    if draw.chance("apart", 0.5):
        spots = apart(spots, 1.8 * radius)
    return _standing(draw, grid, _bodies(draw, spots, radius, height), height)


def aggregates(draw: Draw, grid: Grid) -> Surface:
    """Particles heaped where they met: a few heaps, and strays between."""
    radius = draw.log("radius_share", 0.006, 0.03) * grid.frame_nm
    height = _height(draw, grid, 2 * radius)
    crowd = smooth_field(draw.rng, grid, draw.log("heap_share", 0.08, 0.4) * grid.frame_nm)
    spots = places(draw.rng, grid, int(np.clip(0.8 * np.prod(grid.size_nm) / radius**2, 50, 2500)))
    at = tuple((spots / (grid.down_nm, grid.across_nm)).astype(int).T)
    odds = 1 / (1 + np.exp(-(crowd[at] - draw.uniform("sparseness", 0.4, 1.6)) * 6)) + draw.log("strays", 0.002, 0.05)
    spots = spots[draw.rng.random(len(spots)) < odds]
    return _standing(draw, grid, _bodies(draw, spots, radius, height), height, sink=draw.uniform("sink", 0.2, 0.7))


def monolayer(draw: Draw, grid: Grid) -> Surface:
    """A dense layer of particles or globules: no bare substrate."""
    radius = draw.log("radius_share", 0.012, 0.07) * grid.frame_nm
    height = _height(draw, grid, 2 * radius)
    spots = apart(places(draw.rng, grid, int(np.clip(3 * np.prod(grid.size_nm) / radius**2, 100, 6000))), 1.5 * radius)
    heights = rough(draw.rng, grid, 0.1 * height)
    heights += draw.uniform("waviness", 0.0, 1.5) * height * smooth_field(draw.rng, grid, 0.2 * grid.frame_nm)
    stamp(heights, grid, _bodies(draw, spots, radius, height))
    return Surface(heights, np.zeros(grid.shape, dtype=bool))


def primitives(draw: Draw, grid: Grid) -> Surface:
    """Domes, cuboids, prisms and cylinders, 16-20 nm wide and 14-22 nm high."""
    kind = draw.choice("shape", ("dome", "cuboid", "prism", "cylinder", "mixed"))
    spots = apart(places(draw.rng, grid, int(np.prod(grid.size_nm) / draw.log("area_each_nm2", 1000, 6000))), 24)
    heights = rough(draw.rng, grid, draw.log("substrate_nm", 0.03, 0.4))
    bodies = [
        Body(
            down=down, across=across, long=draw.rng.uniform(8, 10), wide=draw.rng.uniform(8, 10),
            angle=draw.rng.uniform(0, np.pi), height=draw.rng.uniform(14, 22),
            profile=kind if kind != "mixed" else str(draw.rng.choice(["dome", "cuboid", "prism", "cylinder"])),
        )
        for down, across in spots
    ]  # fmt: skip
    ground = heights.copy()
    stamp(heights, grid, bodies)
    return Surface(heights, heights > ground + 1)


def _height(draw: Draw, grid: Grid, width_nm: float) -> float:
    """Round particles are as high as wide; drops and proteins are flatter; none is over 1.5 µm."""
    del grid
    return float(np.clip(width_nm * draw.log("aspect", 0.04, 1.0), 0.8, 1500))


def _bodies(draw: Draw, spots: Heights, radius: float, height: float) -> list[Body]:
    shape = draw.choice("shape", (*SHAPES, "mixed"))
    spread = draw.log("size_spread", 0.03, 0.5)
    longer = draw.log("elongation", 1.0, 3.0)
    sizes = np.exp(spread * draw.rng.standard_normal(len(spots)))
    return [
        Body(
            down=down, across=across, long=radius * size * longer, wide=radius * size,
            angle=draw.rng.uniform(0, np.pi), height=height * size,
            profile=shape if shape != "mixed" else str(draw.rng.choice(SHAPES)),
        )
        for (down, across), size in zip(spots, sizes, strict=True)
    ]  # fmt: skip


def _standing(draw: Draw, grid: Grid, bodies: list[Body], height: float, *, sink: float = 0.6) -> Surface:
    heights = rough(draw.rng, grid, draw.log("substrate_share", 0.003, 0.08) * height)
    ground = heights.copy()
    stamp(heights, grid, bodies, sink=sink)
    return Surface(heights, heights > ground + 0.08 * height)
