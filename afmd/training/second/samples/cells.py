"""Cells on glass: spread ones, bacteria, red blood cells. Rule: the higher of two cells is what is seen."""

import numpy as np

from afmd.training.second.samples.bodies import debris, lay_thread
from afmd.training.second.samples.fields import band_field, rough_field
from afmd.training.second.samples.grid import Grid, Heights, Place, Surface, somewhere, turned

THIN_NM, ROUND_NM = 60, 150
"""The least height: at most about the first for spread cells, which run out thin, the second for all others."""


def cells(grid: Grid, rng: np.random.Generator) -> Surface:
    """A few cells of one sort on a glass that is not quite flat, with dirt."""
    glass = rng.uniform(1, 4) * rough_field(grid, rng, 5 * grid.across_nm, hurst=0.4)
    substrate = glass + rng.uniform(0, 6) * rough_field(grid, rng, grid.side_nm, hurst=0.9)
    mode = rng.choice(["adherent", "bacteria", "rbc"], p=[0.6, 0.2, 0.2])
    bodies, least = np.zeros(grid.shape), float(ROUND_NM)
    if mode == "adherent":
        tall = [_spread(grid, rng, bodies) for _ in range(int(rng.integers(1, 4)))]
        least = min(0.12 * min(tall), THIN_NM) * 0.8
    else:
        for _ in range(int(rng.integers(2, 10))):
            place, angle = somewhere(grid, rng), rng.uniform(0, np.pi)
            body = (_bacterium if mode == "bacteria" else _blood_cell)(grid, rng, place, angle)
            skin = 1 + 0.02 * rough_field(grid, rng, 5 * grid.across_nm, hurst=0.5)
            bodies[:] = np.maximum(bodies, body * skin)
    heights = substrate + bodies
    count, dirt = int(rng.integers(0, 40)), rng.uniform(10, 80)
    debris(grid, rng, heights, count=count, height_nm=dirt, radius_nm=4 * grid.across_nm)
    return Surface(heights, substrate, least)


def _spread(grid: Grid, rng: np.random.Generator, bodies: Heights) -> float:
    """Let a cell spread onto ``bodies``, with the threads it holds on by; return its height, nm."""
    place = Place(rng.uniform(0.0, 1) * grid.width_nm, rng.uniform(0, 1) * grid.height_nm)
    radius, height = grid.side_nm * rng.uniform(0.18, 0.42), rng.uniform(250, 1700)
    heading, edge = _outline(grid, rng, place, radius)
    out = np.hypot(grid.across - place.across, grid.down - place.down) / edge
    out = out + 0.03 * rough_field(grid, rng, 0.1 * grid.side_nm, hurst=0.6)
    cell = _body(grid, rng, out, height)
    if rng.random() < 0.6:
        aside = turned(grid, heading, about=place)[1] / (grid.side_nm * rng.uniform(0.008, 0.02))
        fibres = np.clip(np.sin(aside + rough_field(grid, rng, 0.4 * grid.side_nm, hurst=0.9)), 0, 1)
        cell += (out < 0.95) * 0.04 * height * fibres
    skin = rough_field(grid, rng, 5 * grid.across_nm, hurst=0.5)
    cell += (out < 1) * 0.02 * height * skin * np.clip(1 - out, 0, 1)
    bodies[:] = np.maximum(bodies, np.clip(cell, 0, None))
    for _ in range(int(rng.choice([0, 4, 15]))):
        _lay_filopodium(grid, rng, bodies, place, radius_nm=radius, height_nm=height)
    return height


def _outline(grid: Grid, rng: np.random.Generator, place: Place, radius_nm: float) -> tuple[float, Heights]:
    """Draw the cell's heading (rad) and how far it reaches in the direction of each pixel, nm."""
    angle = np.arctan2(grid.down - place.down, grid.across - place.across)
    heading = rng.uniform(0, 6.3)
    edge = radius_nm * np.ones(grid.shape)
    edge *= 1 + rng.uniform(0.1, 0.5) * np.cos(2 * (angle - heading))
    for lobes in range(3, 8):
        strength = rng.normal(0, 0.5 / lobes)
        edge *= 1 + strength * np.cos(lobes * angle + rng.uniform(0, 6.3)) * 0.6
    if rng.random() < 0.5:
        off = (angle - heading + np.pi) % (2 * np.pi) - np.pi
        edge *= 1 + rng.uniform(0.5, 2) * np.exp(-((off / 0.25) ** 2))
    return heading, np.clip(edge, 0.25 * radius_nm, 3 * radius_nm)


def _body(grid: Grid, rng: np.random.Generator, out: Heights, height_nm: float) -> Heights:
    """Return a thin sheet with a body on it, nm; ``out``: 0 in the cell's middle, 1 at its edge."""
    sheet = height_nm * rng.uniform(0.12, 0.35) * np.sqrt(np.clip(1 - out, 0, 1))
    body = height_nm * np.clip(1 - (out / rng.uniform(0.5, 0.9)) ** 2, 0, 1) ** rng.uniform(1, 1.8)
    return np.asarray((sheet + body) * (1 + 0.04 * band_field(grid, rng, grid.side_nm * 0.03, width=0.4)))


def _lay_filopodium(
    grid: Grid, rng: np.random.Generator, bodies: Heights, place: Place, *, radius_nm: float, height_nm: float
) -> None:
    angle = rng.uniform(0, 6.3)
    along = np.linspace(0.8, rng.uniform(1.1, 1.6), 200) * radius_nm
    path = place.across + np.cos(angle) * along, place.down + np.sin(angle) * along

    def profile(distance: Heights) -> Heights:
        tall = rng.uniform(0.03, 0.08) * height_nm
        return np.asarray(tall * np.clip(1 - distance / (2 * grid.across_nm), 0, 1))

    lay_thread(grid, bodies, path, profile, reach_nm=3 * grid.across_nm, ride=0.9)


def _bacterium(grid: Grid, rng: np.random.Generator, place: Place, angle: float) -> Heights:
    """Return a rod with round ends, slightly bent, nm."""
    along, aside = turned(grid, angle, about=place)
    radius = grid.side_nm * rng.uniform(0.035, 0.06)
    length, height = radius * rng.uniform(2, 5), rng.uniform(200, 600)
    beyond = np.maximum(np.abs(along) - length / 2, 0)
    away = np.hypot(beyond, aside + 0.15 / length * along * along)
    return np.asarray(height * np.sqrt(np.clip(1 - (away / radius) ** 2, 0, 1)))


def _blood_cell(grid: Grid, rng: np.random.Generator, place: Place, angle: float) -> Heights:
    """Return a disc with a hollow, nm."""
    along, aside = turned(grid, angle, about=place)
    radius, height = grid.side_nm * rng.uniform(0.12, 0.2), rng.uniform(400, 1200)
    out = np.hypot(along, aside * rng.uniform(1, 1.15)) / radius
    return np.asarray(height * np.sqrt(np.clip(1 - out**2, 0, 1)) * (0.45 + 0.9 * out**2))
