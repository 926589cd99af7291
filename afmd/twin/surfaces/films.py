"""Films and textures: blends, lamellae, spherulites, islands and holes, membranes, fractals, bare mica."""

import numpy as np
from scipy import ndimage

from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Mask, Surface, band_field, fractal_field, minority, smooth_field
from afmd.twin.surfaces.shapes import Body, apart, places, rough, stamp


def blend(draw: Draw, grid: Grid) -> Surface:
    """A polymer blend after spinodal decomposition: two phases with their own height and texture."""
    period = draw.log("period_share", 0.04, 0.35) * grid.frame_nm
    height = draw.log("height_nm", 1.5, 200)
    pattern = band_field(draw.rng, grid, period_nm=period, width=draw.uniform("disorder", 0.1, 0.45))
    level = draw.uniform("asymmetry", -0.9, 0.9)
    share = 0.5 + 0.5 * np.tanh((pattern - level) * draw.log("sharpness", 1.5, 15))
    heights = height * share * (1 if draw.chance("minority_up", 0.5) else -1)
    fine = fractal_field(draw.rng, grid, hurst=0.6, rolloff_nm=0.2 * period)
    heights += height * draw.log("texture", 0.01, 0.15) * fine * (0.4 + share)
    return Surface(heights, minority(share > 0.5))


def lamellae(draw: Draw, grid: Grid) -> Surface:
    """A block copolymer's fingerprint, or edge-on lamellae."""
    period = draw.log("period_share", 0.015, 0.08) * grid.frame_nm
    height = float(np.clip(period * draw.log("aspect", 0.03, 0.4), 1, 100))
    pattern = np.tanh(band_field(draw.rng, grid, period_nm=period, width=draw.uniform("disorder", 0.06, 0.2)) * 1.5)
    heights = 0.5 * height * pattern + height * draw.uniform("waviness", 0, 2) * smooth_field(
        draw.rng, grid, 6 * period
    )
    heights += rough(draw.rng, grid, height * draw.log("texture", 0.01, 0.1))
    return Surface(heights, np.zeros(grid.shape, dtype=bool))


def wrinkles(draw: Draw, grid: Grid) -> Surface:
    """A stiff skin on a soft ground that buckled, mostly along one direction, in places folded."""
    period = draw.log("period_share", 0.02, 0.25) * grid.frame_nm
    heading = draw.uniform("direction_deg", 0, 180) * np.pi / 180 - np.pi / 2, draw.log("spread_rad", 0.06, 0.8)
    waves = band_field(draw.rng, grid, period_nm=period, width=draw.uniform("disorder", 0.08, 0.35), heading=heading)
    sharp = draw.uniform("folded", 0.0, 0.8)
    waves = waves + sharp * np.maximum(waves, 0) ** 2
    return Surface(_height(draw, period) * waves, np.zeros(grid.shape, dtype=bool))


def pores(draw: Draw, grid: Grid) -> Surface:
    """A porous film: round holes, ordered or not, of one size or many, with raised rims."""
    radius = draw.log("radius_share", 0.008, 0.06) * grid.frame_nm
    depth = _height(draw, 2 * radius)
    room = draw.log("spacing", 2.1, 6.0) * radius
    spots = apart(places(draw.rng, grid, int(np.clip(4 * np.prod(grid.size_nm) / room**2, 20, 4000))), room)
    sizes = radius * np.exp(draw.log("size_spread", 0.03, 0.4) * draw.rng.standard_normal(len(spots)))
    profile = draw.choice("shape", ("plate", "dome", "paraboloid", "cylinder"))
    holes, rims = np.zeros(grid.shape), np.zeros(grid.shape)
    stamp(holes, grid, [Body(d, a, s, s, 0.0, depth, profile) for (d, a), s in zip(spots, sizes, strict=True)])
    stamp(rims, grid, [Body(d, a, 1.4 * s, 1.4 * s, 0.0, 1.0, "dome") for (d, a), s in zip(spots, sizes, strict=True)])
    rim = depth * draw.log("rim", 0.005, 0.2)
    heights = rim * rims - holes + rough(draw.rng, grid, depth * draw.log("texture", 0.01, 0.1))
    return Surface(heights, holes > 0.2 * depth)


def flakes(draw: Draw, grid: Grid) -> Surface:
    """Exfoliated sheets: large plates with straight edges, one over another, with folds and bubbles."""
    layer = draw.log("layer_nm", 0.4, 30)
    heights = rough(draw.rng, grid, layer * draw.log("texture", 0.02, 0.3))
    covered = np.zeros(grid.shape, dtype=bool)
    for down, across in places(draw.rng, grid, draw.integer("count", 1, 7)):
        plate = _polygon(draw, grid, (down, across), draw.rng.uniform(0.15, 0.7) * grid.frame_nm)
        heights += layer * draw.rng.integers(1, 5) * ndimage.gaussian_filter(plate.astype(np.float64), 0.6)
        covered |= plate
    for _ in range(draw.integer("folds", 0, 5)):
        angle, at = draw.rng.uniform(0, np.pi), places(draw.rng, grid, 1)[0]
        away = (grid.down() - at[0]) * np.cos(angle) + (grid.across() - at[1]) * np.sin(angle)
        fold = np.exp(-((away / (draw.rng.uniform(0.004, 0.015) * grid.frame_nm)) ** 2))
        heights += layer * draw.rng.uniform(0.5, 3) * fold * covered
    stamp(heights, grid, _specks(draw, grid, draw.integer("bubbles", 0, 30), 4 * layer))
    return Surface(heights, minority(covered))


def _polygon(draw: Draw, grid: Grid, centre: tuple[float, float], radius_nm: float) -> Mask:
    """A random convex plate: the common part of some half planes."""
    inside = np.ones(grid.shape, dtype=bool)
    turn = draw.rng.uniform(0, 2 * np.pi)
    sides = int(draw.rng.integers(3, 8))
    for side in range(sides):
        angle = turn + 2 * np.pi * side / sides + draw.rng.normal(0, 0.2)
        away = (grid.down() - centre[0]) * np.sin(angle) + (grid.across() - centre[1]) * np.cos(angle)
        inside &= away < radius_nm * draw.rng.uniform(0.4, 1.0)
    return inside


def _height(draw: Draw, width_nm: float) -> float:
    return float(np.clip(width_nm * draw.log("aspect", 0.02, 0.4), 1, 800))


def spherulites(draw: Draw, grid: Grid) -> Surface:
    """Radial crystals that meet in straight walls, some banded in rings."""
    height = draw.log("height_nm", 5, 300)
    spots = places(draw.rng, grid, draw.integer("count", 2, 14))
    seeds = np.ones(grid.shape, dtype=bool)
    seeds[tuple((spots / (grid.down_nm, grid.across_nm)).astype(int).T)] = False
    distance, (row, col) = ndimage.distance_transform_edt(
        seeds, sampling=(grid.down_nm, grid.across_nm), return_indices=True
    )
    angle = np.arctan2(grid.down() - row * grid.down_nm, grid.across() - col * grid.across_nm)
    wave = draw.log("rays", 20, 90) * angle + 2.5 * fractal_field(
        draw.rng, grid, hurst=0.8, rolloff_nm=0.2 * grid.frame_nm
    )
    heights = 0.15 * height * np.sin(wave) * np.clip(distance / (0.1 * grid.frame_nm), 0, 1)
    heights += height * np.exp(-((distance / (0.35 * grid.frame_nm)) ** 2))
    if draw.chance("banded", 0.5):
        heights += 0.2 * height * np.sin(2 * np.pi * distance / (draw.log("band_share", 0.04, 0.12) * grid.frame_nm))
    heights += rough(draw.rng, grid, 0.08 * height)
    return Surface(heights, np.zeros(grid.shape, dtype=bool))


def film(draw: Draw, grid: Grid) -> Surface:
    """A thin film with holes, or islands: one to three layers with sharp or rounded edges."""
    height = draw.log("layer_nm", 1.0, 80)
    heights = rough(draw.rng, grid, height * draw.log("texture", 0.01, 0.12))
    shape = fractal_field(
        draw.rng,
        grid,
        hurst=draw.uniform("hurst", 0.7, 1.3),
        rolloff_nm=draw.log("island_share", 0.06, 0.4) * grid.frame_nm,
    )
    level = draw.uniform("level", -1.2, 1.2)
    blur = draw.log("edge_px", 0.3, 3.0)
    covered = np.zeros(grid.shape)
    for layer in range(draw.integer("layers", 1, 3)):
        covered += ndimage.gaussian_filter((shape > level + 0.8 * layer).astype(np.float64), blur)
    heights += height * covered
    return Surface(heights, minority(covered > 0.5))


def patches(draw: Draw, grid: Grid) -> Surface:
    """Lipid bilayer patches, 4-6 nm, with smaller domains and membrane proteins."""
    height = draw.uniform("bilayer_nm", 3.6, 6.5)
    shape = smooth_field(draw.rng, grid, draw.log("patch_share", 0.06, 0.3) * grid.frame_nm)
    covered = shape > draw.uniform("level", -0.6, 1.2)
    domains = covered & (smooth_field(draw.rng, grid, 0.04 * grid.frame_nm) > draw.uniform("domain_level", 0.6, 2.0))
    heights = height * ndimage.gaussian_filter(covered.astype(np.float64), draw.log("edge_px", 0.4, 1.5))
    heights += 0.25 * height * ndimage.gaussian_filter(domains.astype(np.float64), 0.7)
    heights += rough(draw.rng, grid, draw.log("mica_nm", 0.03, 0.25))
    proteins = draw.integer("proteins", 0, 120)
    stamp(heights, grid, _specks(draw, grid, proteins, height))
    return Surface(heights, minority(covered))


def fractal(draw: Draw, grid: Grid) -> Surface:
    """A self-affine rough surface, Gaussian or with the peaks worn off."""
    rms = draw.log("rms_share", 0.0005, 0.03) * grid.frame_nm
    heights = fractal_field(
        draw.rng,
        grid,
        hurst=draw.uniform("hurst", 0.4, 0.95),
        rolloff_nm=draw.log("rolloff_share", 0.03, 0.7) * grid.frame_nm,
    )
    worn = draw.uniform("wear", -0.6, 0.6)
    heights = heights + worn * heights * np.abs(heights) / 2
    return Surface(np.clip(rms, 0.3, 800) * heights, np.zeros(grid.shape, dtype=bool))


def mica(draw: Draw, grid: Grid) -> Surface:
    """Nearly nothing: a flat crystal with a little contamination."""
    heights = rough(draw.rng, grid, draw.log("mica_nm", 0.03, 0.3))
    ground = heights.copy()
    height = draw.log("dirt_nm", 0.8, 15)
    stamp(heights, grid, _specks(draw, grid, draw.integer("dirt", 3, 150), height))
    return Surface(heights, heights > ground + 0.2 * height)


def _specks(draw: Draw, grid: Grid, count: int, height: float) -> list[Body]:
    sizes = draw.log("speck_share", 0.006, 0.015) * grid.frame_nm * np.exp(0.4 * draw.rng.standard_normal(count))
    return [
        Body(
            down, across, long=size, wide=size * draw.rng.uniform(0.6, 1), angle=draw.rng.uniform(0, 3),
            height=height * draw.rng.uniform(0.2, 1), profile="dome",
        )
        for (down, across), size in zip(places(draw.rng, grid, count), sizes, strict=True)
    ]  # fmt: skip
