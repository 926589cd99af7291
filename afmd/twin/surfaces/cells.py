"""Living things, up to micrometres high."""

import numpy as np
from scipy import ndimage, special

from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Heights, Surface, fractal_field
from afmd.twin.surfaces.shapes import Body, draw_chain, places, rough, stamp, wormlike_chain


def cells(draw: Draw, grid: Grid) -> Surface:
    """Spread cells: a flat lamella, a nucleus, a cortex texture; sometimes only part of one is in view."""
    height = draw.log("height_share", 0.01, 0.12) * grid.frame_nm
    height = float(np.clip(height, 20, 4500))
    body, nuclei = np.zeros(grid.shape), np.zeros(grid.shape)
    radius = draw.log("radius_share", 0.1, 0.5) * grid.frame_nm
    for place in places(draw.rng, grid, draw.integer("count", 1, 6)):
        own = radius * np.exp(0.2 * draw.rng.standard_normal())
        distance = _outline(draw, grid, place, own)
        lamella = special.expit((1 - distance) * 14)
        np.maximum(body, lamella * (0.25 + 0.75 * np.exp(-((distance / 0.7) ** 2))), out=body)
        np.maximum(nuclei, np.exp(-(((distance / draw.rng.uniform(0.25, 0.45)) ** 2) ** 1.5)), out=nuclei)
    texture = fractal_field(draw.rng, grid, hurst=0.7, rolloff_nm=0.15 * radius)
    heights = height * (0.6 * body + draw.uniform("nucleus", 0.0, 0.5) * nuclei)
    heights += height * draw.log("texture", 0.005, 0.06) * texture * np.minimum(body * 3, 1)
    heights += rough(draw.rng, grid, height * draw.log("substrate_share", 0.001, 0.015))
    return Surface(heights, ndimage.binary_opening(body > 0.08))


def bacteria(draw: Draw, grid: Grid) -> Surface:
    """Rods with round ends, alone or side by side, with threads between them."""
    radius = draw.log("radius_share", 0.015, 0.07) * grid.frame_nm
    height = float(np.clip(2 * radius * draw.log("aspect", 0.2, 1.0), 30, 1200))
    heights = rough(draw.rng, grid, height * draw.log("substrate_share", 0.003, 0.05))
    ground = heights.copy()
    spots = places(draw.rng, grid, draw.integer("count", 3, 60))
    for place in places(draw.rng, grid, draw.integer("threads", 0, 12)):
        step = max(0.5 * grid.pixel_nm, 0.04 * radius)
        path = wormlike_chain(draw.rng, length_nm=12 * radius, persistence_nm=3 * radius, step_nm=step)
        draw_chain(heights, grid, place + path, radius_nm=max(0.12 * radius, grid.pixel_nm), height_nm=0.08 * height)
    together = draw.uniform("direction_deg", 0, 180) * np.pi / 180
    spread = draw.log("disorder_rad", 0.05, 2.0)
    bodies = [
        Body(
            down, across, long=radius * draw.rng.uniform(1.8, 4.0), wide=radius * draw.rng.uniform(0.9, 1.1),
            angle=together + spread * draw.rng.standard_normal(), height=height * draw.rng.uniform(0.8, 1.1),
            profile="capsule",
        )
        for down, across in spots
    ]  # fmt: skip
    stamp(heights, grid, bodies, sink=0.5)
    skin = fractal_field(draw.rng, grid, hurst=0.5, rolloff_nm=0.3 * radius)
    heights += draw.log("texture", 0.003, 0.04) * height * skin * (heights > ground + 0.2 * height)
    return Surface(heights, heights > ground + 0.1 * height)


def _outline(draw: Draw, grid: Grid, place: Heights, radius: float) -> Heights:
    """Distance from the centre over the distance of the outline in that direction."""
    down, across = grid.down() - place[0], grid.across() - place[1]
    angle = np.arctan2(down, across)
    edge = np.ones(grid.shape)
    for order in range(1, 6):
        edge += 0.35 / order * draw.rng.standard_normal() * np.cos(order * angle + draw.rng.uniform(0, 2 * np.pi))
    return np.asarray(np.hypot(down, across) / (radius * np.maximum(edge, 0.3)))
