"""Surfaces for tip deconvolution. Rule: a kind is a function of (draw, grid, size) to heights in nm.

The first six kinds are paper B's virtual data (its figures 2 and 3).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Heights, fractal_field, smooth_field
from afmd.twin.surfaces.shapes import Body, apart, draw_chain, places, rough, stamp, wormlike_chain

PLATES = ("cuboid", "triangle", "cylinder", "hexagon")
MISC = ("dome", "cuboid", "triangle", "prism", "cylinder")
ANY = (*MISC, "hexagon", "sphere", "ellipsoid", "paraboloid", "cone", "pyramid", "capsule", "plate")


@dataclass(frozen=True, slots=True)
class Size:
    """Lateral size of bodies in nm from one edge to the other, and heights in nm; both uniform."""

    wide_nm: tuple[float, float] = (16.0, 20.0)
    high_nm: tuple[float, float] = (14.0, 22.0)
    paper: bool = True
    """True: the published data, bodies apart on flat ground; False: whatever else lies on samples, too."""


def bodies(draw: Draw, grid: Grid, size: Size, *, profiles: tuple[str, ...]) -> Heights:
    """Loose bodies, each of one of ``profiles``; in the published data apart on flat ground."""
    heights = np.zeros(grid.shape) if size.paper else _ground(draw, grid, size)
    widest = size.wide_nm[1]
    gap = widest * (draw.uniform("gap", 1.8, 2.6) if size.paper else draw.log("gap", 0.5, 3.0))
    spots = apart(places(draw.rng, grid, int(2 * np.prod(grid.size_nm) / gap**2) + 4), gap)
    turned = draw.chance("turned", 0.6)
    stamp(heights, grid, [_body(draw, at, size, profiles, turned=turned) for at in spots], sink=0.0)
    return heights


def fractal(draw: Draw, grid: Grid, size: Size) -> Heights:
    """An isotropic self-affine surface: published with 5 nm rms; roll-off and Hurst exponent as its figures suggest."""
    if size.paper:
        rms, rolloff = 5.0, draw.uniform("rolloff_nm", 70, 110)
    else:
        rolloff = size.wide_nm[1] * draw.log("rolloff", 1.0, 6.0)
        rms = rolloff * draw.log("rms", 0.02, 0.09)
    return rms * fractal_field(draw.rng, grid, hurst=draw.uniform("hurst", 0.65, 0.85), rolloff_nm=rolloff)


def fibres(draw: Draw, grid: Grid, size: Size) -> Heights:
    """Worm-like chains that cross."""
    heights = _ground(draw, grid, size)
    for _ in range(draw.integer("chains", 2, 8)):
        radius = 0.5 * draw.rng.uniform(*size.wide_nm)
        length = 3.0 * max(grid.size_nm)
        persistence = radius * float(np.exp(draw.rng.uniform(np.log(3), np.log(40))))
        path = wormlike_chain(draw.rng, length_nm=length, persistence_nm=persistence, step_nm=0.7 * grid.pixel_nm)
        start = places(draw.rng, grid, 1)[0]
        draw_chain(
            heights, grid, path + start, radius_nm=radius, height_nm=draw.rng.uniform(0.6, 1.6) * radius, lift=0.7
        )
    return heights


def steps(draw: Draw, grid: Grid, size: Size) -> Heights:
    """Terraces, a grating, or trenches: walls of any steepness between levels."""
    angle = draw.rng.uniform(0, np.pi) * draw.chance("oblique", 0.6)
    along = grid.down() * np.cos(angle) + grid.across() * np.sin(angle)
    along = along + draw.log("waver", 0.01, 1.5) * size.wide_nm[1] * smooth_field(draw.rng, grid, 1.5 * size.wide_nm[1])
    period = size.wide_nm[1] * draw.log("period", 0.8, 4.0)
    high = draw.rng.uniform(*size.high_nm) * draw.log("share", 0.3, 1.2)
    wall = max(draw.log("wall", 0.02, 0.6) * period, 1e-3)
    phase = np.mod(along, period)
    if draw.chance("stairs", 0.3):
        heights = high * (np.floor(along / period) + np.clip((phase - period + wall) / wall, 0, 1)) * 0.5
    else:
        width = draw.uniform("duty", 0.2, 0.7) * period
        heights = high * np.clip(np.minimum(phase, width - phase) / wall + 0.5, 0, 1)
    return np.asarray(heights + rough(draw.rng, grid, draw.log("rough_nm", 0.002, 0.03) * high))


def pits(draw: Draw, grid: Grid, size: Size) -> Heights:
    """Holes of any profile in a flat or rough film."""
    holes = bodies(draw, grid, Size(size.wide_nm, size.high_nm, paper=False), profiles=ANY)
    return np.asarray(-draw.uniform("depth", 0.2, 1.0) * holes)


def grains(draw: Draw, grid: Grid, size: Size) -> Heights:
    """A dense layer of round or faceted bodies: no bare ground."""
    heights = _ground(draw, grid, size)
    gap = size.wide_nm[1] * draw.uniform("gap", 0.45, 0.8)
    spots = apart(places(draw.rng, grid, int(2.5 * np.prod(grid.size_nm) / gap**2) + 4), gap)
    profiles = ("dome", "sphere", "ellipsoid", "paraboloid", "capsule", "pyramid", "hexagon", "plate")
    chosen = (draw.choice("shape", profiles),) if draw.chance("alike", 0.6) else profiles
    stamp(heights, grid, [_body(draw, at, size, chosen, turned=True) for at in spots], sink=1.0)
    return heights


Kind = Callable[[Draw, Grid, Size], Heights]
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "domes": partial(bodies, profiles=("dome",)),
        "cuboids": partial(bodies, profiles=("cuboid",)),
        "prisms": partial(bodies, profiles=("triangle", "prism")),
        "cylinders": partial(bodies, profiles=("cylinder",)),
        "misc": partial(bodies, profiles=MISC),
        "fractal": fractal,
        "plates": partial(bodies, profiles=PLATES),
        "spheres": partial(bodies, profiles=("sphere", "ellipsoid")),
        "any": partial(bodies, profiles=ANY),
        "fibres": fibres,
        "steps": steps,
        "pits": pits,
        "grains": grains,
    }
)
PAPER_KINDS = ("domes", "cuboids", "prisms", "cylinders", "misc", "fractal")


def _ground(draw: Draw, grid: Grid, size: Size) -> Heights:
    """Flat, rough, wavy or sloping ground."""
    rms = draw.log("ground", 0.0005, 0.08) * size.high_nm[1]
    heights = rough(draw.rng, grid, rms)
    if draw.chance("sloping", 0.3):
        tilt = draw.rng.normal(0, 0.15, 2)
        heights = heights + tilt[0] * grid.down() + tilt[1] * grid.across()
    if draw.chance("wavy", 0.2):
        heights = heights + 0.3 * size.high_nm[1] * smooth_field(draw.rng, grid, 2.5 * size.wide_nm[1])
    return heights


def _body(draw: Draw, at: Heights, size: Size, profiles: tuple[str, ...], *, turned: bool) -> Body:
    rng = draw.rng
    profile = str(rng.choice(profiles))
    long, wide = 0.5 * rng.uniform(*size.wide_nm, 2)
    high = rng.uniform(*size.high_nm)
    if profile in {"sphere", "triangle", "cylinder", "hexagon"} and rng.random() < 0.8:
        wide = long
    if profile == "sphere" and not size.paper:
        high = 2 * min(long, wide)
    if profile == "ellipsoid":
        profile, high = "sphere", high * rng.uniform(0.5, 1.0)
    angle = rng.uniform(0, np.pi) if turned else 0.0
    return Body(float(at[0]), float(at[1]), float(long), float(wide), float(angle), float(high), profile)
