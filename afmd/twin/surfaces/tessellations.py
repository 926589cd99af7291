"""Surfaces that are divided into cells. Rule: all come from one division (Worley 1996), and differ in what fills it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Heights, Surface, fractal_field, minority, smooth_field
from afmd.twin.surfaces.procedural import nowhere, relief, turned

Single = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A division of the frame; lengths in units of one cell.

    ``own``: the cell's number, 0..``count`` - 1. ``down``, ``across``: from its seed. ``wall``: distance to the
    nearest wall. ``length_nm``: one unit. All arrays have the grid's shape.
    """

    own: NDArray[np.intp]
    count: int
    down: Single
    across: Single
    wall: Single
    length_nm: float

    def each(self, values: NDArray[np.float64]) -> Heights:
        """Give every pixel its cell's value, of shape (count,)."""
        return values[self.own]


def mosaic(draw: Draw, grid: Grid) -> Surface:
    """Cells of their own height, tilt and rounding, that meet in steps, grooves or ridges."""
    cells = divided(draw, grid, shares=(0.03, 0.3))
    uneven, tilt, dome = (draw.log(name, 0.03, 1.0) for name in ("uneven", "tilt", "rounding"))
    across, down, level = draw.rng.standard_normal((3, cells.count))
    heights = uneven * cells.each(level) + tilt * (cells.each(across) * cells.across + cells.each(down) * cells.down)
    heights += dome * np.sqrt(np.minimum(cells.wall, 0.5))
    seam = np.exp(-((cells.wall / draw.log("seam_width", 0.01, 0.1)) ** 2))
    heights += draw.log("seam", 0.02, 1.0) * seam * draw.rng.choice([-1, -1, 1])
    heights += draw.log("texture", 0.003, 0.15) * fractal_field(
        draw.rng, grid, hurst=draw.uniform("hurst", 0.3, 1.0), rolloff_nm=0.4 * cells.length_nm
    )
    return Surface(0.4 * relief(draw, cells.length_nm) * heights, nowhere(grid))


def cracks(draw: Draw, grid: Grid) -> Surface:
    """A skin that dried or strained and tore: plates that curl at their rims, gaps of uneven width and depth."""
    cells = divided(draw, grid, shares=(0.06, 0.5))
    rate = smooth_field(draw.rng, grid, draw.log("uneven_share", 0.1, 0.5) * grid.frame_nm)
    width = draw.log("gap", 0.008, 0.07) * np.exp(0.5 * rate) - draw.log("healed", 0.0005, 0.015)
    wall = draw.log("wall", 0.1, 1.0) * np.maximum(width, 1e-3)
    gap = special.expit(np.clip((width - cells.wall) / wall * 4, -60, 60))
    curl = np.exp(-cells.wall / draw.log("curl_width", 0.04, 0.3)) * draw.log("curl", 0.02, 1.0)
    level = cells.each(draw.rng.standard_normal(cells.count)) * draw.log("uneven", 0.01, 0.4)
    texture = draw.log("texture", 0.005, 0.1) * fractal_field(
        draw.rng, grid, hurst=draw.uniform("hurst", 0.3, 1.0), rolloff_nm=cells.length_nm
    )
    heights = (curl + level + texture) * (1 - gap) - gap
    return Surface(relief(draw, 0.3 * cells.length_nm) * heights, (gap > 0.4) & (width > 0))


def foam(draw: Draw, grid: Grid) -> Surface:
    """Bubbles cut open: bowls of uneven depth between thin walls, some still closed by a dome."""
    cells = divided(draw, grid, shares=(0.03, 0.25))
    wall = draw.log("wall", 0.02, 0.25)
    inside = np.clip((cells.wall - 0.3 * wall) / 0.5, 0, 1)
    bowl = 1 - (1 - inside) ** draw.log("steepness", 1.2, 5.0)
    depth = np.exp(draw.log("size_spread", 0.05, 0.8) * draw.rng.standard_normal(cells.count))
    depth[draw.rng.random(cells.count) < draw.log("closed", 0.005, 0.5)] *= -0.6
    lip = draw.log("lip", 0.02, 0.5) * np.exp(-((cells.wall / wall) ** 2))
    heights = lip - cells.each(depth) * bowl
    return Surface(relief(draw, cells.length_nm) * heights, nowhere(grid))


def membrane(draw: Draw, grid: Grid) -> Surface:
    """A net of bars that fork, around round or angular openings; some openings are blocked."""
    cells = divided(draw, grid, shares=(0.03, 0.25))
    bar = draw.uniform("bar", 0.06, 0.3) * np.exp(0.15 * smooth_field(draw.rng, grid, 0.3 * grid.frame_nm))
    away = np.hypot(cells.down, cells.across)
    roundness = draw.uniform("roundness", 0.0, 1.0)
    inside = (1 - roundness) * (cells.wall - bar) + roundness * np.minimum(0.5 - bar - away, cells.wall - 0.03)
    opening = special.expit(np.clip(inside / draw.log("wall", 0.01, 0.1), -60, 60))
    opening *= cells.each((draw.rng.random(cells.count) > draw.log("blocked", 0.005, 0.3)).astype(np.float64))
    rim = np.exp(-((inside / 0.08) ** 2)) * draw.log("rim", 0.005, 0.3)
    fine = fractal_field(draw.rng, grid, hurst=0.6, rolloff_nm=0.3 * cells.length_nm)
    heights = rim - opening + draw.log("texture", 0.005, 0.1) * fine
    return Surface(relief(draw, cells.length_nm) * heights, minority(opening > 0.5))


def divided(draw: Draw, grid: Grid, *, shares: tuple[float, float]) -> Cells:
    """Divide the frame into cells whose size lies within ``shares`` of it: drawn order, stretch, direction and bend.

    Seeds lie one in each brick of a turned and bent wall, so that a pixel's two nearest are among nine; Worley, A
    cellular texture basis function, SIGGRAPH 1996.
    """
    length, stretch = draw.log("cell_share", *shares) * grid.frame_nm, draw.log("stretch", 0.9, 3.0)
    reach = draw.uniform("bend_length", 0.5, 2.0)
    angle = draw.rng.uniform(0, np.pi)
    across, down = turned(grid.down(), grid.across(), angle)
    bent = draw.log("bend", 0.02, 0.3) * reach * smooth_field(draw.rng, grid, reach * length)
    down = down / length * np.sqrt(stretch) + bent
    across = across / length / np.sqrt(stretch) + bent[::-1, ::-1]
    down, across = down - np.floor(down.min()) + 1, across - np.floor(across.min()) + 2
    place = (across + 1j * down).astype(np.complex64)
    return nearest_cells(draw.rng, place, jitter=draw.log("jitter", 0.25, 1.0), length_nm=length)


def nearest_cells(rng: np.random.Generator, place: NDArray[np.complex64], *, jitter: float, length_nm: float) -> Cells:
    """Find each pixel's two nearest seeds.

    ``place``: across + i down of each pixel, in cells, from 2 + i on. ``jitter``: 0, the seeds lie in a regular brick
    bond; 1, anywhere in their bricks.
    """
    rows, cols = int(place.imag.max()) + 2, int(place.real.max()) + 2
    brick = np.indices((rows, cols)) + jitter * (rng.random((2, rows, cols)) - 0.5)
    seeds = (brick[1] + 1j * brick[0] + (0.5 + 0.5j)).astype(np.complex64)
    seeds[1::2] += 0.5
    seeds = seeds.reshape(-1)
    row = place.imag.astype(np.intp)
    home = row * cols + (place.real - 0.5 * (row % 2)).astype(np.intp)
    first, second = np.full(row.shape, np.inf, np.float32), np.full(row.shape, np.inf, np.float32)
    own, other = home, home
    for step in (0, -1, 1, -cols, cols, -cols - 1, -cols + 1, cols - 1, cols + 1):
        at = home + step
        offset = place - seeds.take(at)
        away = offset.real**2 + offset.imag**2
        nearer, between = away < first, away < second
        other = np.where(nearer, own, np.where(between, at, other))
        second = np.where(nearer, first, np.where(between, away, second))
        own, first = np.where(nearer, at, own), np.minimum(first, away)
    nearest = seeds[own]
    wall = (second - first) / (2 * np.maximum(np.abs(nearest - seeds[other]), 1e-6))
    return Cells(own, rows * cols, (place - nearest).imag, (place - nearest).real, wall, length_nm)
