"""Crystals: gold grains, atomic terraces, hillocks. Rule: what grew from seeds is the hull of caps around them."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from afmd.training.second.samples.bodies import Dome, caps, merge
from afmd.training.second.samples.fields import between, blob_field, rough_field, softened_field
from afmd.training.second.samples.grid import Grid, Heights, Surface, around, scattered, somewhere, turned

STEPS_NM = (0.2, 0.235, 0.3, 0.34, 0.4, 0.5, 0.65, 1.0, 1.5)


def gold_grains(grid: Grid, rng: np.random.Generator) -> Surface:
    """A film of round grains, some with a few large ones on top."""
    size = rng.uniform(4, 30) * max(grid.across_nm, grid.down_nm * 0.7)
    count = int(np.clip(grid.area_nm2 / size**2, 30, 12000))
    height = size * rng.uniform(0.06, 0.25)
    radius = size**2 / (8 * height) * 1.4
    heights = caps(grid, scattered(grid, rng, count), height * rng.normal(0, 0.5, count), radius)
    heights = np.maximum(heights, -3.5 * height)
    if rng.random() < 0.3:
        few = max(3, count // 150)
        large = caps(grid, scattered(grid, rng, few), height * rng.uniform(1, 3, few), radius * 2)
        heights = np.maximum(heights, large)
    wavy = height * rng.uniform(0, 0.9) * rough_field(grid, rng, size * rng.uniform(3, 12), hurst=0.8)
    return Surface(ndimage.gaussian_filter(heights, 0.7) + wavy, None, 0.0)


def terraces(grid: Grid, rng: np.random.Generator) -> Surface:
    """Atomic steps of one height, with islands and pits one step deep."""
    step = float(rng.choice(STEPS_NM))
    heights = step * np.floor(_staircase(grid, rng))
    if rng.random() < 0.4:
        heights += step * (blob_field(grid, rng, grid.side_nm * 0.02) > rng.uniform(1.6, 2.5))
    if rng.random() < 0.3:
        heights -= step * (blob_field(grid, rng, grid.side_nm * 0.01) > rng.uniform(1.8, 2.6))
    heights = ndimage.gaussian_filter(heights, rng.uniform(0.3, 1))
    heights = heights + step * rng.uniform(0.01, 0.12) * rough_field(grid, rng, 3 * grid.across_nm, hurst=0.3)
    return Surface(heights, None, 0.0)


def _staircase(grid: Grid, rng: np.random.Generator) -> Heights:
    """Return the slope that steps divide, in steps: even, bunched, with screw dislocations or around one."""
    count, angle, side = between(rng, 1.5, 18), rng.uniform(0, 2 * np.pi), grid.side_nm
    slope = turned(grid, angle, about=grid.centre)[0] / side
    bend = rng.uniform(0.05, 0.5)
    wavy = softened_field(grid, rng, side * rng.uniform(0.1, 0.5), hurst=0.85, blur_px=rng.uniform(1, 6))
    phase = count * slope + bend * wavy * (1 if count > 3 else 0.5)
    mode = rng.choice(["vicinal", "bunched", "screw", "spiral"])
    if mode == "bunched":
        bunch, period = rng.uniform(0.4, 1.6), 2 * np.pi * slope * rng.uniform(1, 3)
        phase = phase + bunch * np.sin(period + 1.5 * softened_field(grid, rng, side * 0.5, hurst=0.9))
    elif mode == "screw":
        for _ in range(int(rng.integers(1, 5))):
            sign = rng.choice([-1, 1])
            down = grid.down - rng.uniform(0, grid.height_nm)
            phase = phase + sign * np.arctan2(down, grid.across - rng.uniform(0, grid.width_nm)) / (2 * np.pi)
    elif mode == "spiral":
        phase = _spiral(grid, rng, count)
    return np.asarray(phase)


def _spiral(grid: Grid, rng: np.random.Generator, count: float) -> Heights:
    across = grid.across - rng.uniform(0.2, 0.8) * grid.width_nm
    down = grid.down - rng.uniform(0.2, 0.8) * grid.height_nm
    away = np.hypot(across, down) / grid.side_nm
    phase = -count * away + rng.choice([-1, 1, 2]) * np.arctan2(down, across) / (2 * np.pi)
    wavy = rng.uniform(0.02, 0.2) * softened_field(grid, rng, grid.side_nm * 0.2, hurst=0.8)
    return np.asarray(phase + wavy)


def hillocks(grid: Grid, rng: np.random.Generator) -> Surface:
    """Domes, cones, pyramids or plates that stand out of a grainy film."""
    size = rng.uniform(4, 9) * grid.across_nm
    count = int(np.clip(grid.area_nm2 / size**2, 50, 9000))
    grain = between(rng, 0.3, 6)
    substrate = _grainy(grid, rng, count, grain, radius_nm=size**2 / (8 * grain))
    hills, height = np.zeros(grid.shape), grain * between(rng, 5, 40)
    kind = rng.choice(["dome", "cone", "pyramid", "plate"])
    for _ in range(int(between(rng, 3, 80))):
        radius = grid.side_nm * between(rng, 0.012, 0.06)
        tall = min(height * rng.uniform(0.4, 1.4), 1.2 * radius)
        hill = Dome(somewhere(grid, rng), radius, tall)
        if kind == "dome":
            power, stretch = rng.uniform(0.6, 1.5), rng.uniform(0.7, 1.5)
            merge(grid, hills, replace(hill, power=power, stretch=stretch, angle=rng.uniform(0, 3)))
        else:
            _merge_crystal(grid, hills, hill, kind)
    return Surface(substrate + hills, substrate, max(height * 0.3, 2 * grain))


def _grainy(grid: Grid, rng: np.random.Generator, count: int, grain_nm: float, *, radius_nm: float) -> Heights:
    """Return a film of grains around zero, nm."""
    film = caps(grid, scattered(grid, rng, count), grain_nm * rng.normal(0, 0.6, count), radius_nm)
    film = ndimage.gaussian_filter(np.maximum(film, -3 * grain_nm), 0.6)
    film = film + grain_nm * rng.uniform(0, 0.6) * rough_field(grid, rng, grid.side_nm * 0.2, hurst=0.8)
    return np.asarray(film - np.median(film))


def _merge_crystal(grid: Grid, hills: Heights, base: Dome, kind: str) -> None:
    """Let a cone, a pyramid of six sides or a cut one grow on the base of a dome, onto ``hills``."""
    window = around(grid, base.place, 1.5 * base.radius_nm)
    if window is None:
        return
    across, down = grid.across[window] - base.place.across, grid.down[window] - base.place.down
    if kind == "cone":
        away = np.hypot(across, down)
    else:
        facets = np.abs(across), np.abs(0.5 * across + 0.866 * down), np.abs(0.5 * across - 0.866 * down)
        away = np.maximum.reduce(facets)
    hill = base.height_nm * np.clip(1 - away / base.radius_nm, 0, 1)
    if kind == "plate":
        hill = np.minimum(hill, 0.3 * base.height_nm)
    hills[window] = np.maximum(hills[window], hill)
