"""Wires and particles laid down from a liquid. Rule: their own size sets their lengths, the frame where they lie."""

from functools import partial

import numpy as np

from afmd.training.second.samples.bodies import caps, close_packed, debris, distance_to, lay_thread
from afmd.training.second.samples.fields import between, blob_field, rough_field
from afmd.training.second.samples.grid import Grid, Heights, Mask, Pixels, Surface, somewhere

DENSITY = {"mono": -0.9, "multi": -0.2, "clusters": 0.8, "sparse": 1.9}
"""Particles stay where a field of standard deviation 1 is above this."""
TUBE_PIXEL_NM = 12
"""Nobody looks for a nanotube with larger pixels."""


def nanowires(grid: Grid, rng: np.random.Generator) -> Surface:
    """Nanotubes, thin and bent, or wires, thick and straight, across each other."""
    tubes = grid.across_nm < TUBE_PIXEL_NM and rng.random() < 0.7
    radius = rng.uniform(0.6, 4) if tubes else min(rng.uniform(15, 60), 6 * grid.across_nm)
    roughness = rng.uniform(0.1, 0.3) if tubes else rng.uniform(0.3, 2)
    substrate = roughness * rough_field(grid, rng, max(30, 3 * grid.across_nm), hurst=0.4)
    wires = np.zeros(grid.shape)
    for _ in range(int(between(rng, 2, 35))):
        _lay_wire(grid, rng, wires, radius * rng.uniform(0.75, 1.25), bend=(0.5, 1.0) if tubes else (0.08, 0.05))
    heights = substrate + wires
    if rng.random() < 0.6:
        count, tall = int(rng.integers(1, 30)), 2 * radius * rng.uniform(0.3, 1.3)
        debris(grid, rng, heights, count=count, height_nm=tall, radius_nm=max(radius, 1.5 * grid.across_nm))
    return Surface(heights, substrate, 1.4 * radius)


def _lay_wire(
    grid: Grid, rng: np.random.Generator, heights: Heights, radius_nm: float, *, bend: tuple[float, float]
) -> None:
    """Lay one wire; ``bend``: how strong its curvature and the change of it are, over the frame."""
    width = max(radius_nm, 0.75 * grid.across_nm)
    length, angle = grid.side_nm * rng.uniform(0.25, 2.5), rng.uniform(0, np.pi)
    along = np.arange(-length / 2, length / 2, 0.5 * grid.across_nm)
    curved, twisted = rng.normal(0, bend[0]) / grid.side_nm, rng.normal(0, bend[1]) / grid.side_nm**2
    aside = curved * along**2 + twisted * along**3
    place = somewhere(grid, rng)
    cos, sin = np.cos(angle), np.sin(angle)
    path = place.across + cos * along - sin * aside, place.down + sin * along + cos * aside
    lay_thread(grid, heights, path, partial(_round, radius_nm, width), reach_nm=2 * width, ride=0.8)


def _round(radius_nm: float, width_nm: float, distance: Heights) -> Heights:
    """A wire's upper side: twice its radius high, and ``width_nm`` wide where pixels are coarser than the wire."""
    inside = np.clip(1 - (distance / width_nm) ** 2 * 0.98, 0, 1)
    return np.asarray(2 * radius_nm * np.sqrt(inside) * (distance < width_nm))


def nanoparticles(grid: Grid, rng: np.random.Generator) -> Surface:
    """Spheres, nearly close packed: a layer, clusters, a few, or in places up to three layers."""
    diameter = max(rng.uniform(5, 30) * grid.across_nm, 3 * grid.down_nm)
    roughness = min(0.03 * diameter, rng.uniform(0.15, 1.5))
    substrate = roughness * rough_field(grid, rng, 6 * grid.across_nm, hurst=0.4)
    seeds, tops = _spheres(grid, rng, diameter)
    radius = diameter / 2
    away = distance_to(seeds, grid.shape, grid.pitch_nm)
    particles = np.maximum(caps(grid, seeds, tops, radius * rng.uniform(0.7, 1.0)), 0.0)
    heights = substrate + np.where(away < radius * 1.05, particles, 0)
    if rng.random() < 0.3:
        debris(grid, rng, heights, count=int(rng.integers(1, 4)), height_nm=diameter * 2, radius_nm=diameter)
    return Surface(heights, substrate, diameter * 0.8)


def _spheres(grid: Grid, rng: np.random.Generator, diameter_nm: float) -> tuple[Pixels, Heights]:
    """Draw where spheres stand and how high they reach, nm."""
    pitch, jitter = diameter_nm * rng.uniform(1.0, 1.12), rng.uniform(0.02, 0.12)
    rows, cols = close_packed(grid, rng, pitch, jitter=jitter)
    mode = rng.choice(["mono", "clusters", "sparse", "multi"])
    crowd = blob_field(grid, rng, diameter_nm * rng.uniform(1.5, 6))[rows, cols]
    level = DENSITY[mode] + rng.normal(0, 0.25)
    kept: Mask = crowd > level
    if mode == "mono":
        kept &= rng.random(crowd.size) > 0.02
    if kept.sum() < 2:
        kept = crowd >= np.sort(crowd)[-3]
    rows, cols, crowd = rows[kept], cols[kept], crowd[kept]
    tops = diameter_nm * np.clip(rng.normal(1, rng.uniform(0.02, 0.15), rows.size), 0.5, 1.6)
    if mode == "multi":
        tops = tops + 0.8 * diameter_nm * (crowd > level + 1.0) + 0.8 * diameter_nm * (crowd > level + 1.7)
    return (rows, cols), tops
