"""The sample on the stage. Rule: no real sample is one clean family; what else it carries is drawn here."""

from dataclasses import dataclass

import numpy as np

from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Heights, Mask, Surface, fractal_field, smooth_field, span
from afmd.twin.plan import Plan, Streams
from afmd.twin.surfaces import ALONE, EXACT, FAMILIES
from afmd.twin.surfaces.shapes import Body, places, stamp

MARGIN_SHARE = 0.1
STANDS_OUT = 0.1
"""An overlay's features count where it is at least this share of the relief."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A surface on its grid; heights in nm with mean 0."""

    grid: Grid
    heights: Heights
    feature: Mask


def prepared(streams: Streams, plan: Plan) -> Sample:
    """Draw the frame's width, make the family, and add what every sample carries."""
    draw = streams.draw("sample")
    width = draw.log("frame_nm", *FAMILIES[plan.surface].widths_nm)
    grid = _grid(draw, plan, width)
    surface = FAMILIES[plan.surface].make(streams.draw("surface"), grid)
    if plan.surface not in EXACT and draw.chance("warped", 0.5):
        surface = _warped(draw, grid, surface)
    if draw.chance("overlaid", 0.35):
        surface = _overlaid(draw, streams, grid, surface, below=plan.surface)
    if draw.chance("wavy", 0.5):
        surface = _wavy(draw, grid, surface)
    if draw.chance("dirty", 0.35):
        surface = _dirty(draw, grid, surface)
    surface = _textured(draw, grid, surface)
    return Sample(grid, surface.heights - surface.heights.mean(), surface.feature)


def _grid(draw: Draw, plan: Plan, width_nm: float) -> Grid:
    aspect = draw.choice("pixel_aspect", (1.0, 1.0, 1.0, 1.0, 2.0, 0.5, 1.5))
    across = width_nm / min(plan.rows, plan.cols)
    margins = [max(8, round(MARGIN_SHARE * side)) for side in (plan.rows, plan.cols)]
    return Grid(
        plan.rows + 2 * margins[0], plan.cols + 2 * margins[1], down_nm=across * aspect, across_nm=across,
        margin_rows=margins[0], margin_cols=margins[1],
    )  # fmt: skip


def _warped(draw: Draw, grid: Grid, surface: Surface) -> Surface:
    """Bend all outlines a little: nothing natural is an exact ellipse, line or lattice."""
    length = draw.log("warp_share", 0.02, 0.25) * grid.frame_nm
    by = draw.log("warp_over_length", 0.01, 0.12) * length / grid.pixel_nm
    rows, cols = grid.shape
    down = np.clip(np.arange(rows)[:, None] + by * smooth_field(draw.rng, grid, length), 0, rows - 1.001)
    across = np.clip(np.arange(cols)[None, :] + by * smooth_field(draw.rng, grid, length), 0, cols - 1.001)
    row, col = down.astype(np.int64), across.astype(np.int64)
    below, right = down - row, across - col
    at = row * cols + col
    flat = surface.heights.reshape(-1)
    top = flat[at] * (1 - right) + flat[at + 1] * right
    bottom = flat[at + cols] * (1 - right) + flat[at + cols + 1] * right
    feature = surface.feature.reshape(-1)[np.where(below < 0.5, at, at + cols)]
    return Surface(top * (1 - below) + bottom * below, feature)


def _overlaid(draw: Draw, streams: Streams, grid: Grid, surface: Surface, *, below: str) -> Surface:
    """Another family that is looked at on this scale, on top and lower: particles on terraces, scratches in a film."""
    others = [
        (name, weight)
        for name, weight in streams.recipe.surfaces
        if name not in {below, *ALONE} and FAMILIES[name].widths_nm[0] <= grid.frame_nm <= FAMILIES[name].widths_nm[1]
    ]
    if not others:
        return surface
    name = draw.choice("overlay", *zip(*others, strict=True))
    other = FAMILIES[name].make(streams.draw("overlay"), grid)
    share = draw.log("overlay_share", 0.02, 0.7)
    heights = surface.heights + other.heights * (share * span(surface.heights) / max(span(other.heights), 1e-9))
    return Surface(heights, surface.feature | other.feature if share >= STANDS_OUT else surface.feature)


def _wavy(draw: Draw, grid: Grid, surface: Surface) -> Surface:
    """A substrate that is not flat on the scale of the frame."""
    waves = smooth_field(draw.rng, grid, draw.log("wave_share", 0.25, 1.0) * grid.frame_nm)
    return Surface(surface.heights + draw.log("waviness", 0.01, 0.6) * span(surface.heights) * waves, surface.feature)


def _dirty(draw: Draw, grid: Grid, surface: Surface) -> Surface:
    """A few specks of contamination of any size."""
    count = draw.integer("specks", 1, 25)
    sizes = draw.log("speck_share", 0.006, 0.03) * grid.frame_nm * np.exp(0.5 * draw.rng.standard_normal(count))
    height = draw.log("speck_height_share", 0.05, 1.5) * span(surface.heights)
    bodies = [
        Body(
            down, across, long=size, wide=size * draw.rng.uniform(0.5, 1), angle=draw.rng.uniform(0, 3),
            height=height * draw.rng.uniform(0.3, 1.0), profile=str(draw.rng.choice(["dome", "plate", "paraboloid"])),
        )
        for (down, across), size in zip(places(draw.rng, grid, count), sizes, strict=True)
    ]  # fmt: skip
    heights = surface.heights.copy()
    stamp(heights, grid, bodies)
    return Surface(heights, surface.feature | (heights > surface.heights + STANDS_OUT * span(surface.heights)))


def _textured(draw: Draw, grid: Grid, surface: Surface) -> Surface:
    """A last fine roughness, down to the pixel, so that no facet is mathematically flat."""
    rolloff = draw.log("grain_share", 0.01, 0.2) * grid.frame_nm
    fine = fractal_field(draw.rng, grid, hurst=draw.uniform("grain_hurst", 0.3, 0.9), rolloff_nm=rolloff)
    return Surface(surface.heights + draw.log("grain", 3e-4, 0.015) * span(surface.heights) * fine, surface.feature)
