"""Samples put together from bodies, wires, branches, steps and edges, with everything about them drawn.

Rule: shapes come from formulas with random coefficients, not from a list, and sizes run over decades in one frame.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Heights, Mask, Surface, fractal_field, minority, normalised, smooth_field
from afmd.twin.surfaces.procedural import nowhere, relief, stretched_field, turned
from afmd.twin.surfaces.shapes import Body, places, rough, under

STANDS_OUT = 0.08
"""What departs from its ground by this share of the bodies' height is a feature."""

Points = NDArray[np.float64]


def bodies(draw: Draw, grid: Grid) -> Surface:
    """Bumps, rings, craters and stars of any size, raised or sunk, that overlap by the higher, the sum or the lower."""
    largest = draw.log("size_share", 0.03, 0.3) * grid.frame_nm
    count = int(np.clip(draw.log("coverage", 0.03, 2.0) * np.prod(grid.size_nm) / largest**2, 3, 120))
    sizes = largest * np.maximum(draw.log("decades", 0.06, 0.9) ** draw.rng.random(count), 0.02)
    height, power = relief(draw, largest), draw.uniform("height_power", 0.0, 1.5)
    profile, join = draw.choice("profile", (*RADIAL, "mixed")), draw.choice("join", ("higher", "sum", "lower"))
    sunk = draw.choice("sunk", (0.0, 0.0, 0.5, 1.0))
    lobes, depth = draw.integer("lobes", 0, 6), draw.log("lobe_depth", 0.01, 0.45)
    relief_nm = np.zeros(grid.shape)
    for (down, across), size in zip(places(draw.rng, grid, count), sizes, strict=True):
        shape = RADIAL[profile if profile != "mixed" else str(draw.rng.choice(list(RADIAL)))]
        own = height * (size / largest) ** power * (-1 if draw.rng.random() < sunk else 1)
        body = Body(down, across, size, size * draw.rng.uniform(0.4, 1), draw.rng.uniform(0, np.pi), own, "")
        _put(relief_nm, grid, body, (shape, lobes, depth, join))
    ground = rough(draw.rng, grid, height * draw.log("texture", 0.003, 0.12))
    out = np.abs(relief_nm) > STANDS_OUT * np.abs(relief_nm).max()
    return Surface(ground + relief_nm, out if out.mean() < 0.7 else nowhere(grid))


def wires(draw: Draw, grid: Grid) -> Surface:
    """Straight and bent wires, ribs or trenches of many widths and sections, that cross over or into each other."""
    width = draw.log("width_share", 0.004, 0.05) * grid.frame_nm
    height, spread = relief(draw, 2 * width), draw.log("width_spread", 0.05, 1.0)
    angle, disorder = draw.uniform("direction_deg", 0, 180) * np.pi / 180, draw.log("disorder_rad", 0.05, 3.0)
    steep, curved = draw.log("steepness", 0.3, 4.0), draw.log("bend", 0.05, 4.0)
    added = draw.chance("added", 0.4)
    total = np.zeros(grid.shape)
    for place in places(draw.rng, grid, draw.integer("count", 2, 16)):
        half = max(width * np.exp(spread * draw.rng.standard_normal()), grid.pixel_nm)
        long = draw.rng.uniform(0.1, 1.5) * grid.frame_nm
        away = _arc(grid, place, angle + disorder * draw.rng.standard_normal(), draw.rng.normal(0, curved), long)
        own = np.maximum(1 - (away / half) ** 2, 0) ** (1 / steep) * draw.rng.uniform(0.4, 1)
        total = total + own if added else np.maximum(total, own)
    sign = -1 if draw.chance("trenches", 0.25) else 1
    texture = draw.log("texture", 0.005, 0.15) * fractal_field(draw.rng, grid, hurst=0.6, rolloff_nm=6 * width)
    return Surface(height * (sign * total + texture), total > STANDS_OUT)


def dendrites(draw: Draw, grid: Grid) -> Surface:
    """Branched clusters: arms from a few centres, side arms at one angle or at any, thick or thin."""
    reach = draw.log("reach_share", 0.12, 0.8) * grid.frame_nm
    trunks = _trunks(draw, grid, reach)
    points, ratio = [trunks], draw.uniform("side_ratio", 0.35, 0.7)
    for _ in range(draw.integer("generations", 1, 3)):
        trunks = _side_arms(draw, trunks, ratio)
        points.append(trunks)
    drawn = _drawn(grid, points)
    away = ndimage.distance_transform_edt(~drawn, sampling=(grid.down_nm, grid.across_nm))
    width = np.maximum(draw.log("width_share", 0.002, 0.016) * grid.frame_nm, 1.2 * grid.pixel_nm)
    width = width * np.exp(draw.uniform("unevenness", 0.0, 0.5) * smooth_field(draw.rng, grid, 0.05 * grid.frame_nm))
    share = np.maximum(1 - (away / width) ** 2, 0) ** draw.log("roundness", 0.15, 2.0)
    height = relief(draw, 2 * float(width.mean()))
    share = share * np.exp(0.3 * smooth_field(draw.rng, grid, 0.3 * reach))
    ground = rough(draw.rng, grid, draw.log("texture", 0.005, 0.15))
    return Surface(height * (ground + share), minority(share > STANDS_OUT))


def slopes(draw: Draw, grid: Grid) -> Surface:
    """A large bent ground, such as a lens, a bead, a bead's foot, a saddle, with a fine texture on it."""
    high = draw.log("height_share", 0.004, 0.1) * grid.frame_nm
    angle = draw.uniform("direction_deg", 0, 180) * np.pi / 180
    (down_nm, across_nm), (at_down, at_across) = grid.size_nm, draw.rng.uniform(0.2, 0.8, 2)
    u, v = turned(grid.down() - at_down * down_nm, grid.across() - at_across * across_nm, angle)
    size = draw.log("size", 0.3, 2.0) * grid.frame_nm
    ground = GROUNDS[draw.choice("ground", tuple(GROUNDS))](u / size, v / size * draw.uniform("stretch", 0.4, 1.0))
    texture = stretched_field(draw, grid, shares=(0.005, 0.08))
    if draw.chance("bumps", 0.5):
        texture = normalised(np.maximum(texture, draw.uniform("bump_level", -0.5, 1.5)))
    heights = ground / np.ptp(ground) + draw.log("texture", 0.008, 0.25) * texture
    return Surface(float(np.clip(high, 1, 3000)) * heights, nowhere(grid))


def bunches(draw: Draw, grid: Grid) -> Surface:
    """A staircase whose steps differ in height and distance, up or down, crowd together and wander."""
    angle = draw.uniform("direction_deg", 0, 360) * np.pi / 180
    width = draw.log("spacing_share", 0.01, 0.2) * grid.frame_nm
    wander = draw.log("wander", 0.3, 5.0) * width * stretched_field(draw, grid, shares=(0.05, 0.4))
    along = grid.down() * np.sin(angle) + grid.across() * np.cos(angle) + wander
    low, high = float(along.min()), float(along.max())
    gaps = width * np.exp(draw.log("crowding", 0.2, 1.6) * draw.rng.standard_normal(int(4 * (high - low) / width) + 8))
    at = low + np.cumsum(gaps)
    edge = np.minimum(draw.log("edge_share", 0.01, 0.6) * width, 0.9 * gaps)
    steps = np.exp(draw.log("height_spread", 0.1, 1.0) * draw.rng.standard_normal(len(at)))
    steps *= np.where(draw.rng.random(len(at)) < draw.choice("downward", (0.0, 0.0, 0.2, 0.5)), -1, 1)
    level = np.concatenate(([0.0], np.cumsum(steps)))
    ramps = np.stack([at - edge, at], axis=1), np.stack([level[:-1], level[1:]], axis=1)
    stairs = np.interp(along, ramps[0].reshape(-1), ramps[1].reshape(-1))
    unit = float(np.clip(draw.log("step_nm", 0.2, 40), 0.2, 0.5 * width))
    return Surface(unit * (stairs + rough(draw.rng, grid, draw.log("texture", 0.02, 0.4))), nowhere(grid))


def mesas(draw: Draw, grid: Grid) -> Surface:
    """Nearly nothing but one to three large things: an edge, a corner, a strip, a disc, a ring; walls of any slope."""
    high = np.zeros(grid.shape)
    wall = draw.log("wall_share", 0.0008, 0.06) * grid.frame_nm
    ragged = draw.log("ragged", 0.0005, 0.04) * grid.frame_nm
    for _ in range(draw.integer("count", 1, 3)):
        away = _outline(draw, grid) + ragged * fractal_field(draw.rng, grid, hurst=0.9, rolloff_nm=0.2 * grid.frame_nm)
        part = special.expit(np.clip(away / wall, -60, 60)) * draw.rng.uniform(0.3, 1)
        high = np.maximum(high, part) if draw.rng.random() < 0.6 else high + part
    sign = -1 if draw.chance("sunk", 0.4) else 1
    height = relief(draw, 0.1 * grid.frame_nm)
    heights = height * sign * high + rough(draw.rng, grid, height * draw.log("texture", 0.002, 0.15))
    return Surface(heights, minority(high > 0.15))


def _put(total: Heights, grid: Grid, body: Body, how: tuple[Callable[[Heights], Heights], int, float, str]) -> None:
    """Join one body to ``total`` in place; ``how``: radial profile, lobes and their depth, and the way to join."""
    profile, lobes, depth, join = how
    window = under(grid, body, 1.6 * body.long)
    if window is None:
        return
    rows, cols = window
    down = (np.arange(rows.start, rows.stop) * grid.down_nm - body.down)[:, None]
    across = (np.arange(cols.start, cols.stop) * grid.across_nm - body.across)[None, :]
    u, v = turned(down, across, body.angle)
    u, v = u / body.long, v / body.wide
    radius = np.hypot(u, v)
    if lobes > 1:
        radius = radius / (1 + depth * np.cos(lobes * np.arctan2(v, u)))
    patch, own = total[rows, cols], body.height * profile(radius)
    if join == "sum":
        patch += own
    else:
        pick = np.maximum if join == "higher" else np.minimum
        patch[...] = np.where(own == 0, patch, np.where(patch == 0, own, pick(patch, own)))


def _arc(grid: Grid, place: Points, angle: float, bend: float, long_nm: float) -> Heights:
    """Distance in nm from an arc of curvature ``bend`` per frame, infinite beyond its length's ends."""
    along, beside = turned(grid.down() - place[0], grid.across() - place[1], angle)
    radius = grid.frame_nm / (bend if abs(bend) > 1e-3 else 1e-3)
    away = np.hypot(along, beside - radius) - abs(radius)
    within = (np.abs(along) < long_nm / 2) & (beside * np.sign(radius) < abs(radius))
    return np.where(within, away, np.inf)


def _trunks(draw: Draw, grid: Grid, reach: float) -> Points:
    """Arms (n, points, 2) in nm that leave some centres evenly and wander."""
    arms, wander = draw.integer("arms", 1, 7), draw.log("wander", 0.02, 0.5)
    centres = places(draw.rng, grid, draw.integer("clusters", 1, 9))
    turn = draw.rng.uniform(0, 2 * np.pi, (len(centres), 1)) + 2 * np.pi * np.arange(arms) / arms
    length = reach * np.exp(0.25 * draw.rng.standard_normal(turn.size))
    return _walks(draw, np.repeat(centres, arms, axis=0), turn.reshape(-1), length, wander)


def _side_arms(draw: Draw, trunks: Points, ratio: float) -> Points:
    """From points along ``trunks``, shorter ones to both sides, the shorter the nearer to the tip."""
    each = int(np.clip(400 / len(trunks), 2, draw.integer("sides", 3, 14)))
    at = draw.rng.random((len(trunks), each)) * 0.9
    node = (at * (trunks.shape[1] - 2)).astype(np.intp)
    rows = np.arange(len(trunks))[:, None]
    start, ahead = trunks[rows, node], trunks[rows, node + 1] - trunks[rows, node]
    spread = np.radians(draw.uniform("branching_deg", 30, 95)) * draw.rng.choice([-1, 1], at.shape)
    spread = spread + draw.uniform("loose", 0.0, 0.4) * draw.rng.standard_normal(at.shape)
    turn = np.arctan2(ahead[..., 0], ahead[..., 1]) + spread
    length = ratio * np.hypot(*(trunks[:, -1] - trunks[:, 0]).T)[:, None] * (1 - at)
    return _walks(draw, start.reshape(-1, 2), turn.reshape(-1), length.reshape(-1), 0.1)


def _walks(draw: Draw, start: Points, turn: Points, length: Points, wander: float) -> Points:
    count = 24
    angle = turn[:, None] + wander * np.cumsum(draw.rng.standard_normal((len(start), count)), axis=1)
    steps = np.stack([np.sin(angle), np.cos(angle)], axis=-1) * (length / count)[:, None, None]
    return np.concatenate([start[:, None], start[:, None] + np.cumsum(steps, axis=1)], axis=1)


def _drawn(grid: Grid, arms: list[Points]) -> Mask:
    """The pixels on these polylines."""
    drawn = np.zeros(grid.shape, dtype=bool)
    for paths in arms:
        ends = paths / (grid.down_nm, grid.across_nm)
        longest = float(np.abs(np.diff(ends, axis=1)).max())
        for part in np.linspace(0, 1, int(np.ceil(longest)) + 1)[:-1]:
            row, col = np.rint(ends[:, :-1] * (1 - part) + ends[:, 1:] * part).astype(np.intp).reshape(-1, 2).T
            seen = (row >= 0) & (row < grid.rows) & (col >= 0) & (col < grid.cols)
            drawn[row[seen], col[seen]] = True
    return drawn


def _outline(draw: Draw, grid: Grid) -> Heights:
    """Distance in nm into a large shape, negative outside."""
    kind, angle = str(draw.rng.choice(["edge", "corner", "strip", "disc", "ring"])), draw.rng.uniform(0, 2 * np.pi)
    at = draw.rng.uniform(0.25, 0.75, 2) * grid.size_nm
    u, v = turned(grid.down() - at[0], grid.across() - at[1], angle)
    size = draw.log("size_share", 0.06, 0.4) * grid.frame_nm
    away = np.hypot(u, v * draw.rng.uniform(1, 2))
    shapes = {
        "edge": u, "corner": np.minimum(u, v), "strip": size / 2 - np.abs(u), "disc": size - away,
        "ring": size * draw.rng.uniform(0.1, 0.5) - np.abs(away - size),
    }  # fmt: skip
    return shapes[kind]


def _crater(radius: Heights) -> Heights:
    inside = radius**2 - 1
    rim = 0.5 * np.exp(-(((radius - 1.05) / 0.18) ** 2)) * (radius < 1.6)
    return np.asarray(np.where(radius < 1, inside, 0) + rim)


RADIAL: Mapping[str, Callable[[Heights], Heights]] = MappingProxyType(
    {
        "dome": lambda r: np.sqrt(np.maximum(1 - r**2, 0)),
        "bell": lambda r: np.maximum(np.exp(-4 * r**2) - 0.0183, 0),
        "cone": lambda r: np.maximum(1 - r, 0),
        "spire": lambda r: np.maximum(1 - np.sqrt(r), 0),
        "table": lambda r: np.clip(4 * (1 - r), 0, 1),
        "ring": lambda r: np.maximum(1 - ((r - 0.75) / 0.25) ** 2, 0),
        "saucer": lambda r: np.where(r < 1, 0.35 + 0.65 * r**4, 0),
        "target": lambda r: np.where(r < 1, (1 - r) * (0.6 + 0.4 * np.cos(15 * r)), 0),
        "crater": _crater,
    }
)
"""Height, 1 for the body's, over distance from the centre, 1 at its rim; nought beyond 1.6."""

GROUNDS: Mapping[str, Callable[[Heights, Heights], Heights]] = MappingProxyType(
    {
        "lens": lambda u, v: -(u**2) - v**2,
        "trough": lambda u, v: u**2 + 0.05 * v,
        "saddle": lambda u, v: u**2 - v**2,
        "bead": lambda u, v: np.sqrt(np.maximum(0.16 - u**2 - v**2, 0)) / 0.4,
        "shoulder": lambda u, v: np.tanh(4 * u) + 0.1 * v,
        "hollow": lambda u, v: -np.exp(-4 * (u**2 + v**2)),
        "twisted": lambda u, v: u**3 + u * v + 0.5 * v**2,
    }
)
"""Shapes of a large ground, over the frame's width."""
