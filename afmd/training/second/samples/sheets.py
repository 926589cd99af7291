"""Layered crystals peeled onto a chip. Rule: edges are straight cleavage, and all steps are whole layers."""

import numpy as np

from afmd.training.second.samples.bodies import Dome, debris, heap
from afmd.training.second.samples.fields import between, rough_field, softened_field
from afmd.training.second.samples.grid import Grid, Heights, Mask, Pixels, Place, Surface, turned

LAYERS_NM = (0.335, 0.65, 0.8)
"""Graphene, molybdenum disulphide, graphene oxide."""
THICKEST_NM, THINNEST_NM = 20, 0.4
NO_HEIGHT_YET_NM = 99.0
CONFORMING_NM = 6.0
"""Roughness shows e times less through a sheet that much thicker, down to the share that always shows."""


def flakes(grid: Grid, rng: np.random.Generator) -> Surface:
    """A few flakes, of one layer or many, with steps, folds, wrinkles, bubbles and dirt."""
    roughness = rng.uniform(0.08, 0.3)
    substrate = roughness * rough_field(grid, rng, max(rng.uniform(15, 60), 2 * grid.across_nm), hurst=0.4)
    sheets, least = _stack(grid, rng)
    covered = sheets > 0
    raised = np.zeros(grid.shape)
    if covered.mean() > 0.02:
        rows, cols = np.nonzero(covered)
        for _ in range(int(rng.choice([0, 0, 1, 2, 3]))):
            place = _one_of(grid, rng, (rows, cols))
            raised += _fold(grid, rng, place, 2 * float(np.median(sheets[covered])))
        for _ in range(int(rng.choice([0, 0, 3, 10, 25]))):
            place, radius = _one_of(grid, rng, (rows, cols)), grid.side_nm * between(rng, 0.008, 0.05)
            heap(grid, raised, Dome(place, radius, radius * rng.uniform(0.05, 0.12), 1.2))
    sheets = sheets + raised * covered
    conforming = np.exp(-sheets / CONFORMING_NM)
    heights = substrate * (0.35 + 0.65 * conforming) + sheets
    if rng.random() < 0.5:
        count, tall = int(rng.integers(2, 40)), rng.uniform(1, 8)
        wide = max(2 * grid.across_nm, 0.008 * grid.side_nm)
        debris(grid, rng, heights, count=count, height_nm=tall, radius_nm=wide)
    return Surface(heights, substrate, least)


def _stack(grid: Grid, rng: np.random.Generator) -> tuple[Heights, float]:
    """Return sheets over a flat ground, and the height of the thinnest, nm."""
    layer, gap = float(rng.choice(LAYERS_NM)), rng.uniform(0.0, 0.5)
    warp = softened_field(grid, rng, grid.side_nm / 4, hurst=0.9, blur_px=rng.uniform(0.3, 4))
    warp = warp * grid.side_nm * rng.choice([0, 0.004, 0.02])
    heights, least = np.zeros(grid.shape), NO_HEIGHT_YET_NM
    for _ in range(int(rng.integers(1, 5))):
        centre = _centre(grid, rng)
        radius = grid.side_nm * between(rng, 0.15, 0.9)
        stray = 0.12 if rng.random() < 0.7 else 0.5
        inside = _cleaved(grid, rng, centre, radius, stray=stray) + warp > 0
        count = max(1, int(between(rng, 1, 20))) if rng.random() < 0.7 else 1
        thick = max(min(count * layer + gap, THICKEST_NM), THINNEST_NM)
        least = min(least, thick)
        heights = np.maximum(heights, thick * inside)
        for _ in range(int(rng.integers(0, 3))):
            beside = Place(centre.across + rng.normal(0, 0.4) * radius, centre.down + rng.normal(0, 0.4) * radius)
            step = _cleaved(grid, rng, beside, radius * rng.uniform(0.2, 0.7)) + 0.5 * warp > 0
            heights = heights + layer * int(rng.integers(1, 4)) * (step & inside)
    return heights, least


def _centre(grid: Grid, rng: np.random.Generator) -> Place:
    """Draw where a flake lies; some reach into the frame only from its sides."""
    place = Place(rng.uniform(-0.1, 1.1) * grid.width_nm, rng.uniform(-0.1, 1.1) * grid.height_nm)
    if rng.random() < 0.35:
        place = place._replace(across=float(rng.choice([-0.15, 1.15]) * grid.width_nm))
    return place


def _cleaved(grid: Grid, rng: np.random.Generator, centre: Place, radius_nm: float, *, stray: float = 0.12) -> Heights:
    """Return the distance from the nearest edge of a polygon, nm, positive inside.

    Its edges lie at angles of 60 degrees to each other, about ``stray`` rad off.
    """
    count = int(rng.integers(3, 7))
    first = rng.uniform(0, 2 * np.pi)
    angles = first + (np.arange(6) * np.pi / 3)[rng.permutation(6)[:count]] + rng.normal(0, stray, count)
    distance = np.full(grid.shape, 1e9)
    for angle in angles:
        edge = radius_nm * rng.uniform(0.35, 1.0)
        distance = np.minimum(distance, edge - turned(grid, angle, about=centre)[0])
    return distance


def _one_of(grid: Grid, rng: np.random.Generator, places: Pixels) -> Place:
    one = rng.integers(places[0].size)
    at = places[0][one], places[1][one]
    return Place(float(grid.across[at]), float(grid.down[at]))


def _fold(grid: Grid, rng: np.random.Generator, place: Place, doubled_nm: float) -> Heights:
    """Return what a fold (a flap turned over, two sheets higher) or a wrinkle adds, nm."""
    along, aside = turned(grid, rng.uniform(0, np.pi), about=place)
    length = grid.side_nm * rng.uniform(0.1, 0.6)
    here: Mask = np.abs(along) < length
    if rng.random() < 0.5:
        width = grid.side_nm * rng.uniform(0.02, 0.08)
        return np.asarray(doubled_nm * ((np.abs(aside) < width * (1 - 0.6 * along / length)) & here))
    width = max(1.5 * grid.across_nm, grid.side_nm * rng.uniform(0.004, 0.012))
    aside = aside + 0.05 * length * np.sin(along / length * 4)
    return np.asarray(rng.uniform(2, 12) * np.exp(-((aside / width) ** 2)) * here)
