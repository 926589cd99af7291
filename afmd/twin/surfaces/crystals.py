"""Crystals: vicinal and spiral terraces, stacked plates, polycrystalline grains."""

import numpy as np

from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Heights, Surface, fractal_field, smooth_field
from afmd.twin.surfaces.shapes import Body, places, rough, stamp
from afmd.twin.tip import parabolic_caps


def terraces(draw: Draw, grid: Grid) -> Surface:
    """Vicinal terraces with wandering steps, some bunched, some with pits and islands."""
    angle = draw.uniform("direction_deg", 0, 360) * np.pi / 180
    along = grid.down() * np.sin(angle) + grid.across() * np.cos(angle)
    width = draw.log("terrace_share", 0.04, 0.5) * grid.frame_nm
    phase = along / width + draw.log("meander", 0.02, 0.8) * _meander(draw, grid)
    return _stepped(draw, grid, phase)


def spiral(draw: Draw, grid: Grid) -> Surface:
    """Growth spirals around screw dislocations."""
    width = draw.log("terrace_share", 0.03, 0.15) * grid.frame_nm
    phase = draw.log("meander", 0.02, 0.3) * _meander(draw, grid)
    centres = places(draw.rng, grid, draw.integer("dislocations", 1, 4))
    distance = np.full(grid.shape, np.inf)
    for down, across in centres:
        sides, here = grid.down() - down, grid.across() - across
        turn = np.arctan2(sides, here) / (2 * np.pi) * draw.rng.choice([-1, 1])
        distance = np.minimum(distance, np.hypot(sides, here) / width)
        phase = phase + turn
    return _stepped(draw, grid, phase - distance)


def crystals(draw: Draw, grid: Grid) -> Surface:
    """Stacked elongated plates that share a direction, as in a terraced organic film."""
    height = draw.log("plate_nm", 1.0, 60)
    long = draw.log("length_share", 0.08, 0.35) * grid.frame_nm
    angle, spread = draw.uniform("direction_deg", 0, 180) * np.pi / 180, draw.log("disorder_rad", 0.02, 1.5)
    shape = draw.choice("shape", ("hexagon", "triangle", "cuboid", "plate"))
    heights = rough(draw.rng, grid, 0.05 * height) + height * 2 * smooth_field(draw.rng, grid, 0.3 * grid.frame_nm)
    slenderness = draw.log("elongation", 1.0, 5.0)
    count = int(np.clip(draw.log("layers", 0.6, 5) * np.prod(grid.size_nm) * slenderness / (3 * long**2), 6, 500))
    sizes = np.exp(0.3 * draw.rng.standard_normal(count))
    bodies = [
        Body(down, across, long * s, long * s / slenderness, angle + spread * draw.rng.standard_normal(), height, shape)
        for (down, across), s in zip(places(draw.rng, grid, count), sizes, strict=True)
    ]
    stamp(heights, grid, bodies)
    return Surface(heights, np.zeros(grid.shape, dtype=bool))


def grains(draw: Draw, grid: Grid) -> Surface:
    """A polycrystalline film: rounded grains that meet in grooves (the upper envelope of caps on random seeds)."""
    size = draw.log("grain_share", 0.015, 0.12) * grid.frame_nm
    relief = float(np.clip(size * draw.log("aspect", 0.03, 0.5), 1, 600))
    seeds = np.full(grid.shape, -np.inf)
    spots = places(draw.rng, grid, max(int(1.1 * np.prod(grid.size_nm) / size**2), 8))
    rows, cols = (np.minimum(spots / (grid.down_nm, grid.across_nm), np.array(grid.shape) - 1)).astype(int).T
    seeds[rows, cols] = relief * draw.log("unevenness", 0.1, 1.0) * draw.rng.standard_normal(len(spots))
    heights = parabolic_caps(seeds, grid, radius_nm=size**2 / (2 * relief))
    heights += relief * draw.log("texture", 0.005, 0.15) * fractal_field(draw.rng, grid, hurst=0.5, rolloff_nm=size)
    heights += relief * draw.uniform("waviness", 0.0, 1.0) * smooth_field(draw.rng, grid, 4 * size)
    return Surface(heights, np.zeros(grid.shape, dtype=bool))


def _meander(draw: Draw, grid: Grid) -> Heights:
    return fractal_field(draw.rng, grid, hurst=0.7, rolloff_nm=draw.log("meander_share", 0.1, 0.6) * grid.frame_nm)


def _stepped(draw: Draw, grid: Grid, phase: Heights) -> Surface:
    step = draw.choice("step_nm", (0.25, 0.34, 0.6, 1.0, 2.0, 5.0)) * draw.log("steps_bunched", 1.0, 6.0)
    whole = np.floor(phase)
    part = phase - whole
    edge = draw.log("edge_share", 0.01, 0.08)
    ramp = np.clip((part - 1 + edge) / edge, 0, 1)
    heights = step * (whole + ramp * draw.uniform("sharpness", 0.8, 1.0))
    if draw.chance("islands", 0.4):
        spots = smooth_field(draw.rng, grid, draw.log("island_share", 0.01, 0.05) * grid.frame_nm)
        level = draw.uniform("island_level", 1.6, 2.4)
        heights = heights + step * (spots > level) - step * (spots < -level)
    heights = heights + rough(draw.rng, grid, step * draw.log("texture", 0.02, 0.2))
    return Surface(heights, np.zeros(grid.shape, dtype=bool))
