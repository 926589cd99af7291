"""What orders itself: porous alumina, collagen fibrils. Rule: one period sets all lengths, and neighbours differ."""

import numpy as np

from afmd.training.second.samples.bodies import close_packed, nearest
from afmd.training.second.samples.fields import blob_field, rough_field, smooth_step
from afmd.training.second.samples.grid import Grid, Heights, Surface, turned


def porous_alumina(grid: Grid, rng: np.random.Generator) -> Surface:
    """Pores in a hexagonal order, each between walls that rise where three pores meet."""
    period = max(rng.uniform(9, 32) * grid.across_nm, 6 * grid.down_nm)
    away, pore = nearest(grid, close_packed(grid, rng, period, jitter=rng.uniform(0.03, 0.2)))
    depth, radius = period * rng.uniform(0.1, 0.8), period * rng.uniform(0.18, 0.33)
    own = rng.uniform(0.6, 1.2, grid.shape)[pore]
    wall = smooth_step(away - radius * (0.6 + 0.4 * own), max(0.25 * radius, grid.across_nm))
    heights = -depth * own * (1 - wall) + depth * rng.uniform(0.05, 0.3) * (away / (0.55 * period)) ** 2
    wavy = depth * rng.uniform(0.0, 0.35) * rough_field(grid, rng, period * 4, hurst=0.7)
    heights += wavy + depth * 0.02 * rough_field(grid, rng, 3 * grid.across_nm, hurst=0.3)
    return Surface(heights, None, 0.0)


def collagen(grid: Grid, rng: np.random.Generator) -> Surface:
    """Fibrils side by side, banded along their length, some lying across the others."""
    width = max(grid.across_nm * rng.uniform(8, 25), 4 * grid.down_nm)
    band, height = width * rng.uniform(0.5, 1.0), width * rng.uniform(0.1, 0.35)
    heights, way = np.full(grid.shape, -height), rng.uniform(0, np.pi)
    for layer in range(2):
        angle = way + rng.normal(0, 0.4) * layer
        fibrils, own = _fibrils(grid, rng, angle, (width, band, height), layer=layer)
        if layer:
            fibrils = np.where(own > rng.uniform(0.5, 0.9), fibrils + 0.7 * height, -9 * height)
        heights = np.maximum(heights, fibrils)
    wavy = 0.1 * height * rough_field(grid, rng, 4 * width, hurst=0.8)
    heights += wavy + 0.02 * height * rough_field(grid, rng, 2 * grid.across_nm, hurst=0.3)
    return Surface(heights, None, 0.0)


def _fibrils(
    grid: Grid, rng: np.random.Generator, angle: float, sizes_nm: tuple[float, float, float], *, layer: int
) -> tuple[Heights, Heights]:
    """Return one layer's heights, nm, and each fibril's own number, 0..1, a hash of its place.

    ``sizes_nm``: a fibril's width, the length of its bands, its height.
    """
    width, band, height = sizes_nm
    strength, length = grid.side_nm * rng.uniform(0.02, 0.06), grid.side_nm * rng.uniform(0.15, 0.4)
    bend = strength * blob_field(grid, rng, length)
    along, aside = turned(grid, angle)
    aside = aside + bend
    number = np.floor(aside / width)
    off = aside / width - number - 0.5
    own = np.sin(number * 12.9898 + layer) * 43758.5453
    own = own - np.floor(own)
    banded = 1 + 0.12 * np.sin(2 * np.pi * (along / band + own))
    fibrils = height * np.sqrt(np.clip(1 - (2 * off) ** 2, 0, 1)) * banded + height * (own - 0.5) * 0.8
    return np.asarray(fibrils), np.asarray(own)
