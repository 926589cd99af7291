"""Calibration gratings of one and of two periods. Rule: a pattern is given in periods, and scaled to nm at the end."""

import numpy as np

from afmd.training.second.samples.bodies import debris
from afmd.training.second.samples.fields import between, rough_field, smooth_step
from afmd.training.second.samples.grid import Grid, Heights, Mask, Surface, turned

Axes = tuple[Heights, Heights]
"""Something along and aside of the lattice."""

MISSING = 0.03
"""Share of marks that are missing where some are."""
HEXAGONAL = 0.866
"""Distance of lines over distance of marks in a hexagonal lattice."""


def grating1d(grid: Grid, rng: np.random.Generator) -> Surface:
    """Ridges of one period: walled, rounded, triangular or holographic."""
    period = min(max(rng.uniform(10, 90) * grid.across_nm, 6 * grid.down_nm), grid.side_nm * 1.2)
    height = min(between(rng, 15, 600), 0.6 * period)
    upright, lying, any_way = rng.normal(0, 0.06), np.pi / 2 + rng.normal(0, 0.06), rng.uniform(0, np.pi)
    angle = float(rng.choice([upright, lying, any_way], p=[0.3, 0.25, 0.45]))
    uneven = rng.uniform(0, 0.012) * rough_field(grid, rng, period * 2, hurst=0.5)
    phase = turned(grid, angle)[0] / period + uneven + rng.random()
    ridges = _ridges(rng, phase, pixel=grid.across_nm / period)
    substrate = height * rng.uniform(0.003, 0.02) * rough_field(grid, rng, 6 * grid.across_nm, hurst=0.4)
    heights = substrate + height * ridges
    if rng.random() < 0.5:
        _soil(grid, rng, heights, period, height, most=25)
    return Surface(heights, substrate, height)


def _ridges(rng: np.random.Generator, phase: Heights, *, pixel: float) -> Heights:
    """Return the ridges' profile, 0..1; ``phase`` and ``pixel`` in periods."""
    edge, duty = max(rng.uniform(0.02, 0.3), pixel), rng.uniform(0.3, 0.7)
    inside = duty / 2 - np.abs((phase % 1.0) - 0.5)
    profile = smooth_step(inside, edge) if rng.random() < 0.6 else np.clip(inside / edge + 0.5, 0, 1)
    if rng.random() < 0.12:
        profile = np.abs((phase % 1) - 0.5) * 2
    elif rng.random() < 0.1:
        profile = 0.5 + 0.5 * np.cos(2 * np.pi * phase)
    return np.asarray(profile)


def grating2d(grid: Grid, rng: np.random.Generator) -> Surface:
    """Pillars or pits in a square or a hexagonal lattice: square, round or domed, some missing."""
    period = min(max(rng.uniform(14, 110) * grid.across_nm, 8 * grid.down_nm), grid.side_nm * 0.8)
    height = min(between(rng, 10, 500), 0.5 * period)
    hexagonal = rng.random() < 0.3
    angle = float(rng.choice([rng.normal(0, 0.05), rng.uniform(0, np.pi)]))
    along, aside = turned(grid, angle)
    along, aside = along + rng.uniform(0, period), aside + rng.uniform(0, period)
    offset, number = _hexagons(along, aside, period) if hexagonal else _squares(along, aside, period)
    marks = _marks(grid, rng, offset, period, hexagonal=hexagonal)
    if rng.random() < 0.3:
        marks = marks * ~_missing(*number)
    substrate = height * rng.uniform(0.003, 0.02) * rough_field(grid, rng, 6 * grid.across_nm, hurst=0.4)
    heights = substrate + rng.choice([-1, 1]) * height * marks
    if rng.random() < 0.5:
        _soil(grid, rng, heights, period, height, most=20)
    return Surface(heights, substrate, height)


def _marks(grid: Grid, rng: np.random.Generator, offset: Axes, period_nm: float, *, hexagonal: bool) -> Heights:
    """Return the marks' profile, 0..1; ``offset``: from the middle of the mark, in periods."""
    along, aside = offset
    half = rng.uniform(0.18, 0.36)
    square = rng.random() < 0.5 and not hexagonal
    inside = np.minimum(half - np.abs(along), half - np.abs(aside)) if square else half - np.hypot(along, aside)
    marks = smooth_step(inside * period_nm, max(rng.uniform(0.03, 0.25) * period_nm, grid.across_nm))
    if rng.random() < 0.25:
        marks = np.clip(1 - (np.hypot(along, aside) / 0.45) ** 2, 0, 1)
    return marks


def _squares(along: Heights, aside: Heights, period_nm: float) -> tuple[Axes, Axes]:
    """Return the offset from the middle of the cell, in periods, and the cell's number, along and aside each."""
    along, aside = along / period_nm, aside / period_nm
    return (along % 1 - 0.5, aside % 1 - 0.5), (np.floor(along), np.floor(aside))


def _hexagons(along: Heights, aside: Heights, period_nm: float) -> tuple[Axes, Axes]:
    """The same where every other line is moved by half a period."""
    line = aside / (period_nm * HEXAGONAL)
    number = np.floor(line)
    along = along / period_nm + 0.5 * (number % 2)
    return ((along % 1) - 0.5, (line - number - 0.5) * HEXAGONAL), (np.floor(along), number)


def _missing(along: Heights, aside: Heights) -> Mask:
    """Which marks are missing: a hash of their numbers, so that a mark is missing as a whole."""
    return np.asarray((np.sin(along * 12.9898 + aside * 78.233) * 43758.5453) % 1 < MISSING)


def _soil(
    grid: Grid, rng: np.random.Generator, heights: Heights, period_nm: float, height_nm: float, *, most: int
) -> None:
    count, tall = int(rng.integers(1, most)), height_nm * rng.uniform(0.2, 1)
    wide = max(0.06 * period_nm, 2.5 * grid.across_nm)
    debris(grid, rng, heights, count=count, height_nm=tall, radius_nm=wide)
