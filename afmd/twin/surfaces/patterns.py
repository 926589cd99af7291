"""Made things: calibration gratings and polished, scratched metal."""

import numpy as np

from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Heights, Surface, fractal_field, smooth_field
from afmd.twin.surfaces.shapes import Body, places, rough, stamp

ALIGNED = 0.05
"""What is left of a grating's angle where somebody has turned the sample to lie along the frame."""


def hex_grating(draw: Draw, grid: Grid) -> Surface:
    """Bumps or pits on a hexagonal lattice; now and then one is missing."""
    pitch = draw.log("pitch_share", 0.03, 0.2) * grid.frame_nm
    height = float(np.clip(pitch * draw.log("aspect", 0.02, 0.4), 5, 1500))
    a, b = _lattice(draw, grid, pitch, row_ratio=np.sqrt(3) / 2)
    offset = np.where(np.floor(b).astype(int) % 2 == 1, 0.5, 0.0)
    u, v = (a + offset) % 1 - 0.5, (b % 1 - 0.5) * np.sqrt(3) / 2
    distance = np.hypot(u, v) / draw.uniform("bump_share", 0.22, 0.46)
    share = np.sqrt(np.maximum(1 - distance ** draw.choice("roundness", (2, 4, 8)), 0))
    share = np.where(_missing(draw, np.floor(a + offset), np.floor(b)), 0, share)
    return _raised(draw, grid, share, height)


def square_grating(draw: Draw, grid: Grid) -> Surface:
    """Square or round pits or posts on a square lattice."""
    pitch = draw.log("pitch_share", 0.06, 0.35) * grid.frame_nm
    height = float(np.clip(pitch * draw.log("aspect", 0.005, 0.15), 5, 1000))
    a, b = _lattice(draw, grid, pitch, row_ratio=1.0)
    u, v = np.abs(a % 1 - 0.5), np.abs(b % 1 - 0.5)
    across = np.hypot(u, v) if draw.chance("round", 0.3) else np.maximum(u, v)
    wall = draw.log("wall_share", 0.01, 0.08)
    share = np.clip((draw.uniform("duty", 0.18, 0.4) - across) / wall + 0.5, 0, 1)
    return _raised(draw, grid, share, height)


def line_grating(draw: Draw, grid: Grid) -> Surface:
    """Lines with vertical, sloped or sinusoidal walls, at any angle, often along one of the frame's sides."""
    pitch = draw.log("pitch_share", 0.04, 0.4) * grid.frame_nm
    height = float(np.clip(pitch * draw.log("aspect", 0.01, 0.3), 3, 1500))
    a, _ = _lattice(draw, grid, pitch, row_ratio=1.0)
    wave = a + 0.003 * smooth_field(draw.rng, grid, 0.05 * grid.frame_nm)
    if draw.chance("sinusoidal", 0.12):
        share = 0.5 + 0.5 * np.sin(2 * np.pi * wave)
    else:
        wall = draw.log("wall_share", 0.01, 0.15)
        share = np.clip((draw.uniform("duty", 0.15, 0.35) - np.abs(wave % 1 - 0.5)) / wall + 0.5, 0, 1)
    return _raised(draw, grid, share, height)


def scratches(draw: Draw, grid: Grid) -> Surface:
    """A polished surface: grooves with rims, mostly in one or two directions, and embedded grit."""
    depth = draw.log("depth_nm", 1.0, 150)
    heights = (
        depth
        * draw.log("texture", 0.05, 0.5)
        * fractal_field(draw.rng, grid, hurst=0.7, rolloff_nm=0.2 * grid.frame_nm)
    )
    main, spread = draw.uniform("direction_deg", 0, 180) * np.pi / 180, draw.log("disorder_rad", 0.02, 1.5)
    width = draw.log("width_share", 0.004, 0.03) * grid.frame_nm
    grooves = np.zeros(grid.shape)
    for down, across in places(draw.rng, grid, draw.integer("count", 6, 50)):
        angle = main + spread * draw.rng.standard_normal()
        away = (grid.down() - down) * np.cos(angle) - (grid.across() - across) * np.sin(angle)
        size = np.exp(0.6 * draw.rng.standard_normal())
        distance = (away / (width * size)) ** 2
        grooves += depth * size * draw.rng.uniform(0.2, 1) * np.exp(-distance) * (0.6 * distance - 1)
    feature = grooves < -0.5 * depth
    heights += grooves
    return Surface(heights, feature)


def _lattice(draw: Draw, grid: Grid, pitch: float, *, row_ratio: float) -> tuple[Heights, Heights]:
    off_axis = draw.uniform("angle_deg", -45, 45) * (ALIGNED if draw.chance("aligned", 0.35) else 1.0)
    angle = (off_axis + 90 * draw.chance("along_lines", 0.5)) * np.pi / 180
    down, across = grid.down(), grid.across()
    a = (across * np.cos(angle) + down * np.sin(angle)) / pitch
    b = (down * np.cos(angle) - across * np.sin(angle)) / (pitch * row_ratio)
    return a + draw.rng.random() + 100, b + draw.rng.random() + 100


def _missing(draw: Draw, a: Heights, b: Heights) -> Heights:
    """A reproducible coin for each lattice cell."""
    few = draw.log("missing_share", 1e-4, 0.02)
    hashed = np.modf(np.abs(np.sin(a * 12.9898 + b * 78.233) * 43758.5453))[0]
    return np.asarray(hashed < few)


def _raised(draw: Draw, grid: Grid, share: Heights, height: float) -> Surface:
    feature = share > 0.3
    if draw.chance("inverted", 0.45):
        share = -share
    heights = height * share + rough(draw.rng, grid, height * draw.log("texture", 0.002, 0.05))
    dirt = draw.integer("dirt", 0, 12)
    bodies = [
        Body(down, across, size, size, 0.0, height * draw.rng.uniform(0.1, 0.8), "dome")
        for (down, across), size in zip(
            places(draw.rng, grid, dirt), draw.rng.uniform(0.006, 0.02, dirt) * grid.frame_nm, strict=True
        )
    ]
    before = heights.copy()
    stamp(heights, grid, bodies)
    return Surface(heights, feature | (heights > before + 0.1 * height))
