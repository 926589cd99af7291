"""Molecules on mica: DNA as it is spread or folded, and patches of membrane.

Rule: heights are those of the molecules, whatever the pixel; only widths give way to coarse pixels.
"""

from functools import partial

import numpy as np
from scipy import ndimage

from afmd.training.second.samples.bodies import Dome, heap, lay_thread
from afmd.training.second.samples.fields import between, blob_field, rough_field
from afmd.training.second.samples.grid import Grid, Heights, Surface, around, somewhere, turned

DNA_LEAST_NM = 0.8
STRANDS = ("plasmid", "linear", "mixed")
TILES = ("origami", "triangle")
TILE_REACH_NM = 90


def dna(grid: Grid, rng: np.random.Generator) -> Surface:
    """Plasmids, linear strands or origami, with proteins and salt between them."""
    mica = rng.uniform(0.03, 0.09)
    substrate = mica * rough_field(grid, rng, max(rng.uniform(5, 40), 2 * grid.across_nm), hurst=0.3)
    molecules, height = np.zeros(grid.shape), rng.uniform(0.8, 2.0)
    mode = rng.choice(["plasmid", "linear", "origami", "triangle", "mixed"])
    if mode in STRANDS:
        for _ in range(int(rng.integers(1, 14))):
            _lay_strand(grid, rng, molecules, mode, height)
        if rng.random() < 0.5:
            for _ in range(int(rng.integers(3, 30))):
                heap(grid, molecules, Dome(somewhere(grid, rng), rng.uniform(4, 9), rng.uniform(2, 6), 0.6))
    if mode in TILES or rng.random() < 0.1:
        _lay_tiles(grid, rng, molecules, mode)
    return Surface(substrate + molecules, substrate, DNA_LEAST_NM)


def _lay_strand(grid: Grid, rng: np.random.Generator, heights: Heights, mode: str, height_nm: float) -> None:
    length, persistence = min(between(rng, 200, 2000), 6 * grid.side_nm), rng.uniform(30, 60)
    closed = mode == "plasmid" or (mode == "mixed" and rng.random() < 0.5)
    across, down = _chain(rng, length, persistence, step_nm=max(0.5 * grid.across_nm, 1.0), closed=closed)
    width = max(1.4, 0.8 * grid.across_nm)
    path = across + rng.uniform(0, grid.width_nm), down + rng.uniform(0, grid.height_nm)
    lay_thread(grid, heights, path, partial(_strand, height_nm, width), reach_nm=3 * width, ride=0.7)


def _strand(height_nm: float, width_nm: float, distance: Heights) -> Heights:
    return np.asarray(height_nm * np.sqrt(np.clip(1 - (distance / (1.6 * width_nm)) ** 2, 0, 1)))


def _chain(
    rng: np.random.Generator, length_nm: float, persistence_nm: float, *, step_nm: float, closed: bool
) -> tuple[Heights, Heights]:
    """Draw a worm-like chain around the origin, (across, down) nm.

    A closed one turns once around, either way; what its ends miss each other by is spread along it.
    """
    count = max(12, int(length_nm / step_nm))
    share = np.linspace(0, 1, count)
    angle = np.cumsum(rng.normal(0, np.sqrt(step_nm / persistence_nm), count)) + rng.uniform(0, 6.3)
    if closed:
        angle = angle - share * (angle[-1] - angle[0] - 2 * np.pi * rng.choice([1, -1]))
    across, down = np.cumsum(np.cos(angle)) * step_nm, np.cumsum(np.sin(angle)) * step_nm
    if closed:
        across = across - share * (across[-1] - across[0])
        down = down - share * (down[-1] - down[0])
    return across - across.mean(), down - down.mean()


def _lay_tiles(grid: Grid, rng: np.random.Generator, heights: Heights, mode: str) -> None:
    """Lay origami and loose staples onto ``heights``."""
    height = rng.uniform(1.6, 2.2)
    shape = _triangle if mode == "triangle" else _rectangle
    area = grid.width_nm * grid.height_nm
    for _ in range(int(np.clip(area / (100 * 100) * rng.uniform(0.1, 0.5), 1, 60))):
        place, angle = somewhere(grid, rng), rng.uniform(0, 2 * np.pi)
        window = around(grid, place, TILE_REACH_NM)
        if window is None:
            continue
        tile = shape(*turned(grid, angle, about=place, window=window), height)
        below = heights[window]
        heights[window] = np.maximum(below, np.where((below > 0.3) & (tile > 0.3), below * 0.9 + tile, tile))
    for _ in range(int(rng.integers(0, 80))):
        heap(grid, heights, Dome(somewhere(grid, rng), rng.uniform(2, 4), rng.uniform(0.3, 0.9), 0.7))


def _rectangle(along: Heights, aside: Heights, height_nm: float) -> Heights:
    """A tile of 90 by 66 nm with a seam."""
    tile = (np.abs(along) < 45) & (np.abs(aside) < 33)
    return np.asarray(height_nm * tile - 0.5 * height_nm * tile * (np.abs(aside) < 1.5) * (np.abs(along) < 25))


def _triangle(along: Heights, aside: Heights, height_nm: float) -> Heights:
    """Three bars around an opening."""
    out = np.maximum.reduce([-aside, 0.866 * along + 0.5 * aside, -0.866 * along + 0.5 * aside])
    return np.asarray(height_nm * ((out < 36) & (out > 13)).astype(float))


def lipid(grid: Grid, rng: np.random.Generator) -> Surface:
    """Bilayer patches with holes and domains, some vesicles still whole."""
    substrate = rng.uniform(0.05, 0.15) * rough_field(grid, rng, 40 + 2 * grid.across_nm, hurst=0.4)
    height = rng.uniform(3.8, 5.6)
    shape = blob_field(grid, rng, grid.side_nm * rng.uniform(0.03, 0.15))
    shape = shape + 0.15 * rough_field(grid, rng, grid.side_nm / 12, hurst=0.6)
    covered = shape > np.quantile(shape, 1 - rng.uniform(0.08, 0.8))
    if rng.random() < 0.5:
        covered &= ~(blob_field(grid, rng, grid.side_nm * 0.015) > rng.uniform(2, 2.8))
    bilayer = height * covered
    if rng.random() < 0.5:
        domains = blob_field(grid, rng, grid.side_nm * rng.uniform(0.01, 0.05))
        bilayer = bilayer + rng.uniform(0.7, 1.3) * covered * (domains > rng.uniform(0.2, 1.4))
    bilayer = ndimage.gaussian_filter(bilayer, min(3 / grid.across_nm + 0.4, 2))
    heights = substrate + bilayer + 0.08 * covered * rough_field(grid, rng, 2 * grid.across_nm + 10, hurst=0.3)
    for _ in range(int(rng.choice([0, 0, 2, 8, 20]))):
        radius = max(rng.uniform(15, 60), 2 * grid.across_nm)
        heap(grid, heights, Dome(somewhere(grid, rng), radius, rng.uniform(8, 40), 0.7))
    return Surface(heights, substrate, height)
