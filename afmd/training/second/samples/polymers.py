"""Polymer films: block copolymers, blends, spun films with holes and scratches. Rule: patterns come out of fields."""

import numpy as np

from afmd.training.second.samples.bodies import Dome, debris, heap
from afmd.training.second.samples.fields import (
    band_field,
    between,
    blob_field,
    rough_field,
    smooth_step,
    softened_field,
)
from afmd.training.second.samples.grid import Grid, Heights, Place, Surface, around, somewhere, turned


def block_copolymer(grid: Grid, rng: np.random.Generator) -> Surface:
    """Stripes or dots of one period, in places on a terrace of its own."""
    period = grid.across_nm * rng.uniform(6, 28)
    height = min(rng.uniform(1, 10), 0.3 * period)
    period = max(period, 2.6 * grid.down_nm)
    pattern = band_field(grid, rng, period, width=rng.uniform(0.06, 0.2))
    if rng.random() < 0.65:
        heights = height * 0.5 * np.tanh(pattern * rng.uniform(0.8, 3))
    else:
        heights = height * 0.5 * np.tanh(2 * (pattern - rng.uniform(0.6, 1.2)))
    wavy = height * rng.uniform(0.05, 0.3) * rough_field(grid, rng, period * 4, hurst=0.7)
    heights += wavy + height * 0.04 * rough_field(grid, rng, 2 * grid.across_nm, hurst=0.2)
    if rng.random() < 0.35:
        islands = blob_field(grid, rng, grid.side_nm * rng.uniform(0.05, 0.15))
        heights += period * rng.uniform(0.15, 0.6) * smooth_step(islands - rng.uniform(-0.7, 0.9), 0.25)
    return Surface(heights, None, 0.0)


def polymer_blend(grid: Grid, rng: np.random.Generator) -> Surface:
    """Two phases of their own height; where one of them is rare, the other is its substrate."""
    height, coarse = between(rng, 5, 120), grid.side_nm * rng.uniform(0.02, 0.12)
    blobs = rng.random() < 0.5
    pattern = blob_field(grid, rng, coarse) if blobs else band_field(grid, rng, 4 * coarse, width=0.35)
    level = float(rng.choice([rng.uniform(-0.3, 0.3), rng.uniform(0.8, 1.6)]))
    share = smooth_step(pattern - level, rng.uniform(0.08, 0.7))
    domains = height * share * (1 + rng.uniform(0, 0.25) * np.clip(pattern - level, 0, 3))
    matrix = height * rng.uniform(0.01, 0.06) * rough_field(grid, rng, coarse / 2, hurst=0.6)
    texture = share * height * rng.uniform(0, 0.05) * rough_field(grid, rng, 3 * grid.across_nm, hurst=0.3)
    heights = matrix + domains + texture
    if rng.random() < 0.25:
        collapse = rng.uniform(0.4, 0.8) * height * share
        heights = heights - collapse * smooth_step(pattern - level - 1.2, 0.3)
    return Surface(heights, matrix if level > 0.5 else None, height * 0.6)


def spin_film(grid: Grid, rng: np.random.Generator) -> Surface:
    """A film, the substrate of what reaches through it: holes with rims, and scratches with what they pushed aside."""
    thick = between(rng, 5, 150)
    film = between(rng, 0.2, 2) * rough_field(grid, rng, grid.side_nm * rng.uniform(0.01, 0.1), hurst=0.6)
    if rng.random() < 0.3:
        film = film + thick * 0.03 * rough_field(grid, rng, grid.side_nm, hurst=0.9)
    raised, hole = np.zeros(grid.shape), np.zeros(grid.shape)
    for _ in range(int(rng.choice([0, 3, 10, 40, 120]))):
        _pierce(grid, rng, raised, hole, thick)
    if rng.random() < 0.6:
        for _ in range(int(rng.integers(1, 3))):
            _scratch(grid, rng, raised, hole, thick)
    if rng.random() < 0.5:
        count, tall = int(rng.integers(1, 12)), thick * rng.uniform(0.3, 1.5)
        wide = max(0.012 * grid.side_nm, 2 * grid.across_nm)
        debris(grid, rng, raised, count=count, height_nm=tall, radius_nm=wide)
    if hole.max() < 0.1:
        place = Place(grid.width_nm * rng.uniform(0.3, 0.7), grid.height_nm * rng.uniform(0.3, 0.7))
        heap(grid, hole, Dome(place, grid.side_nm * rng.uniform(0.05, 0.2), 1, 0.3))
    floor = -thick + 0.2 * rough_field(grid, rng, 3 * grid.across_nm, hurst=0.4)
    return Surface((film + raised) * (1 - hole) + hole * floor, film, thick * 0.3)


def _pierce(grid: Grid, rng: np.random.Generator, raised: Heights, hole: Heights, thick_nm: float) -> None:
    """Make a round hole, through the film (1 in ``hole``) or a part of it, with or without a rim."""
    radius = grid.side_nm * between(rng, 0.008, 0.05)
    place = somewhere(grid, rng)
    window = around(grid, place, 2 * radius)
    if window is None:
        return
    away = np.hypot(grid.across[window] - place.across, grid.down[window] - place.down)
    depth = 1 if rng.random() < 0.6 else rng.uniform(0.2, 1)
    inside = 1 - smooth_step(away - radius, max(0.5 * radius, 1.5 * grid.across_nm))
    hole[window] = np.maximum(hole[window], depth * inside)
    rim = np.exp(-(((away - 1.25 * radius) / (0.2 * radius)) ** 2))
    raised[window] += 0.12 * thick_nm * depth * rim * (rng.random() < 0.5)


def _scratch(grid: Grid, rng: np.random.Generator, raised: Heights, hole: Heights, thick_nm: float) -> None:
    """Make a scratch down to the ground, slightly bent, with uneven edges and walls beside it."""
    angle, place = rng.uniform(0, np.pi), somewhere(grid, rng)
    along, aside = turned(grid, angle, about=place)
    away = np.abs(aside + rng.normal(0, 0.03) / grid.side_nm * along**2)
    half = grid.side_nm * rng.uniform(0.01, 0.12)
    edge = grid.side_nm * 0.006 * softened_field(grid, rng, grid.side_nm * 0.04, hurst=0.7, blur_px=2)
    hole[:] = np.maximum(hole, 1 - smooth_step(away - half + edge, 2 * grid.across_nm))
    wall = np.exp(-(((away - 1.15 * half + edge) / (0.12 * half + 1.5 * grid.across_nm)) ** 2))
    tall = thick_nm * rng.uniform(0.1, 1)
    raised += tall * wall * np.clip(1 + rough_field(grid, rng, grid.side_nm * 0.03, hurst=0.5), 0, 3) * 0.6
