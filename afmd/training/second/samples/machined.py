"""What was worked on: metal, polished or broken, and lithography. Rule: cuts are straight, over the whole frame."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy import ndimage

from afmd.training.second.samples.bodies import debris, nearest
from afmd.training.second.samples.fields import between, rough_field, smooth_step, softened_field
from afmd.training.second.samples.grid import Grid, Heights, Surface, scattered, somewhere, turned

RELIEF = {"polished": 0.15, "ground": 0.4, "fracture": 1, "grains": 0.1}
"""Roughness without scratches, as a share of the deepest."""
SCRATCHES = {"polished": 30, "ground": 120, "fracture": 0, "grains": 12}
ENDLESS_NM = 1e9


def metal(grid: Grid, rng: np.random.Generator) -> Surface:
    """Metal, polished, ground, broken or etched until its grains show."""
    depth = min(between(rng, 8, 300), 0.08 * grid.side_nm)
    mode = rng.choice(["polished", "ground", "fracture", "grains"])
    length, hurst = grid.side_nm * rng.uniform(0.2, 0.8), rng.uniform(0.6, 0.95)
    heights = rough_field(grid, rng, length, hurst=hurst) * depth * RELIEF[mode]
    way = rng.uniform(0, np.pi)
    for _ in range(int(SCRATCHES[mode] * rng.uniform(0.4, 1.2))):
        same_way = mode == "ground" or rng.random() < 0.4
        angle = way + rng.normal(0, 0.05) if same_way else rng.uniform(0, np.pi)
        _scratch(grid, rng, heights, angle, depth_nm=depth, most=(0.03, 0.4) if mode == "ground" else (0.015, 0.8))
    if mode == "grains" or rng.random() < 0.2:
        heights = ndimage.gaussian_filter(_faceted(grid, rng, heights, depth), 0.8)
    heights += depth * rng.uniform(0.004, 0.03) * rough_field(grid, rng, 3 * grid.across_nm, hurst=0.4)
    return Surface(heights, None, 0.0)


def _scratch(
    grid: Grid, rng: np.random.Generator, heights: Heights, angle: float, *, depth_nm: float, most: tuple[float, float]
) -> None:
    """Cut a groove with walls; ``most``: its width as a share of the frame, its depth as a share of ``depth_nm``."""
    place = somewhere(grid, rng)
    width = max(grid.across_nm * 0.9, grid.side_nm * between(rng, 0.002, most[0]))
    depth = depth_nm * between(rng, 0.05, most[1])
    away = turned(grid, angle, about=place)[1] / width
    near = np.abs(away) < 4
    away = away[near]
    wall = rng.uniform(0, 0.5) * np.exp(-(((np.abs(away) - 1.9) / 0.7) ** 2))
    heights[near] += depth * (-np.exp(-(away**2)) + wall)


def _faceted(grid: Grid, rng: np.random.Generator, heights: Heights, depth_nm: float) -> Heights:
    """Return ``heights`` divided into grains, each moved and tilted by its own amount."""
    _, seed = nearest(grid, scattered(grid, rng, int(rng.integers(6, 60))))
    level = depth_nm * rng.normal(0, 0.4, grid.shape)
    tilt = rng.normal(0, 0.8, grid.shape) * depth_nm / grid.side_nm
    return np.asarray(heights + level[seed] + tilt[seed] * (grid.across - grid.across[seed]))


def litho(grid: Grid, rng: np.random.Generator) -> Surface:
    """Resist or etched silicon: steps of one height with rough edges, some with fences along them."""
    height = min(between(rng, 20, 1500), 0.25 * grid.side_nm, 40 * grid.across_nm)
    substrate = max(0.3, 0.004 * height) * rough_field(grid, rng, 6 * grid.across_nm, hurst=0.4)
    angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.04)
    edge = grid.across_nm * rng.choice([0, 0.4, 0.9])
    edge = edge * softened_field(grid, rng, grid.side_nm * 0.03, hurst=0.7, blur_px=2.5)
    along, aside = turned(grid, angle, about=grid.centre)
    drawn = MASKS[rng.choice(list(MASKS))](grid, rng, along + edge, aside + edge)
    resist = smooth_step(drawn, max(height * rng.uniform(0.05, 0.6), grid.across_nm))
    heights = substrate + rng.choice([-1, -1, 1]) * height * resist
    if rng.random() < 0.3:
        heights = heights + 0.08 * height * np.exp(-((drawn / (2.5 * grid.across_nm)) ** 2))
    if rng.random() < 0.5:
        count, tall = int(rng.integers(1, 20)), height * rng.uniform(0.1, 0.8)
        wide = max(0.012 * grid.side_nm, 2 * grid.across_nm)
        debris(grid, rng, heights, count=count, height_nm=tall, radius_nm=wide)
    return Surface(heights, substrate, height)


def _bar(along: Heights, aside: Heights, middle: tuple[float, float], half: tuple[float, float]) -> Heights:
    return np.minimum(half[0] - np.abs(along - middle[0]), half[1] - np.abs(aside - middle[1]))


def _trench(grid: Grid, rng: np.random.Generator, along: Heights, aside: Heights) -> Heights:
    middle = rng.normal(0, 0.15) * grid.side_nm, 0.0
    return _bar(along, aside, middle, (grid.side_nm * rng.uniform(0.03, 0.25), ENDLESS_NM))


def _lines(grid: Grid, rng: np.random.Generator, along: Heights, aside: Heights) -> Heights:
    period = grid.side_nm * rng.uniform(0.1, 0.35)
    half = period * rng.uniform(0.2, 0.35), grid.side_nm * 0.7
    drawn = np.full(grid.shape, -ENDLESS_NM)
    for line in range(int(rng.integers(1, 5))):
        middle = (line - 1.5) * period, rng.choice([0, 0.6]) * grid.side_nm
        drawn = np.maximum(drawn, _bar(along, aside, middle, half))
    return drawn


def _vias(grid: Grid, rng: np.random.Generator, along: Heights, aside: Heights) -> Heights:
    period = grid.side_nm * rng.uniform(0.15, 0.5)
    offset = (((axis + 50 * period) % period) - period / 2 for axis in (along, aside))
    return np.asarray(period * rng.uniform(0.15, 0.3) - np.hypot(*offset))


def _layout(grid: Grid, rng: np.random.Generator, along: Heights, aside: Heights) -> Heights:
    drawn, narrow, wide = np.full(grid.shape, -ENDLESS_NM), (0.03, 0.08), (0.1, 0.4)
    for _ in range(int(rng.integers(3, 10))):
        shares = (narrow, wide) if rng.random() < 0.5 else (wide, narrow)
        middle = rng.uniform(-0.5, 0.5) * grid.width_nm, rng.uniform(-0.5, 0.5) * grid.height_nm
        half = grid.side_nm * rng.uniform(*shares[0]), grid.side_nm * rng.uniform(*shares[1])
        drawn = np.maximum(drawn, _bar(along, aside, middle, half))
    return drawn


def _edge(grid: Grid, rng: np.random.Generator, along: Heights, _: Heights) -> Heights:
    return np.asarray(along - rng.normal(0, 0.2) * grid.side_nm)


MASKS: Mapping[str, Callable[[Grid, np.random.Generator, Heights, Heights], Heights]] = MappingProxyType(
    {"trench": _trench, "lines": _lines, "vias": _vias, "layout": _layout, "edge": _edge}
)
"""Distance from the drawn edge, nm, positive inside, from positions along and aside of the layout, nm."""
