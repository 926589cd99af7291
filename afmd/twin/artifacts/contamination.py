"""The tip is the fault. Rule: it acts on the surface before the raster, so trace and retrace agree."""

import numpy as np

from afmd.twin.artifacts.scene import Scene, Spoilt
from afmd.twin.draw import Draw
from afmd.twin.grid import Heights
from afmd.twin.tip import imaged_by, shifted


def double_tip(draw: Draw, scene: Scene, seen: Heights) -> Spoilt:
    """A second apex: max(s, shifted s - d). Ghosts of high features stand beside them, all in one direction."""
    return Spoilt(_with_ghost(draw, scene, seen))


def blunt_tip(draw: Draw, scene: Scene, seen: Heights) -> Spoilt:
    """A worn or loaded apex: everything high is wider, narrow gaps close."""
    return Spoilt(np.maximum(seen, _worn(draw, scene)))


def tip_change(draw: Draw, scene: Scene, seen: Heights) -> Spoilt:
    """In mid-scan the apex breaks or picks something up for good: another tip, and another zero, from that line on."""
    start = int(draw.uniform("start_share", 0.08, 0.85) * scene.shape[0])
    after = _with_ghost(draw, scene, seen) if draw.chance("doubled", 0.5) else np.maximum(seen, _worn(draw, scene))
    return _for_some_lines(draw, scene, seen, after, slice(start, scene.shape[0]))


def debris_pickup(draw: Draw, scene: Scene, seen: Heights) -> Spoilt:
    """For some lines the tip carries a particle: blunter and longer, until it drops it."""
    rows = scene.shape[0]
    start = int(draw.uniform("start_share", 0.03, 0.8) * rows)
    stop = min(start + max(3, int(scene.share(draw, "length_share", 0.04, 0.5) * rows)), rows)
    after = np.maximum(seen, _worn(draw, scene))
    if draw.chance("doubled", 0.5):
        after = _with_ghost(draw, scene, after)
    return _for_some_lines(draw, scene, seen, after, slice(start, stop))


def _for_some_lines(draw: Draw, scene: Scene, seen: Heights, after: Heights, lines: slice) -> Spoilt:
    """Another tip within ``lines``; its zero differs by about as much as its picture does: an offset of the lines."""
    window = slice(scene.grid.margin_rows + lines.start, scene.grid.margin_rows + lines.stop)
    result = seen.copy()
    result[window] = after[window]
    offsets = np.zeros(scene.shape[0])
    typical = float(np.quantile(after[window] - seen[window], 0.9))
    offsets[lines] = draw.log("step_over_change", 0.05, 2.0) * typical * draw.rng.choice([-1, 1])
    return Spoilt(result, offsets=offsets)


def _with_ghost(draw: Draw, scene: Scene, seen: Heights) -> Heights:
    """The second apex stands so much higher that it wins on a drawn share of the frame, or on its features alone."""
    reach = 0.8 * min(scene.grid.margin_rows, scene.grid.margin_cols)
    distance = max(draw.log("ghost_share", 0.12, 1.0) * reach, 2.0)
    angle = draw.uniform("ghost_direction_deg", 0, 360) * np.pi / 180
    ghost = shifted(seen, distance * np.sin(angle), distance * np.cos(angle))
    share = scene.share(draw, "touched_share", 0.01, 0.4)
    lower = max(float(np.quantile(scene.grid.cropped(ghost - seen), 1 - share)), 0.0)
    draw.values["ghost_lower_nm"] = round(lower, 4)
    return np.maximum(seen, ghost - lower)


def _worn(draw: Draw, scene: Scene) -> Heights:
    """The surface imaged by a worn apex, and by the crumbs that stick to it: every feature shows the same shape.

    The apex reaches some pixels to each side where it goes half the relief down, or ends in a flat face as wide.
    """
    reach_px = scene.share(draw, "reach_share", 0.006, 0.07) * scene.shape[1]
    if draw.chance("flaked", 0.4):
        return _flaked(draw, scene, reach_px)
    radius = max((reach_px * scene.grid.pixel_nm) ** 2 / scene.relief_nm, 1.5 * scene.tip.radius_nm)
    draw.values["radius_nm"] = round(radius, 3)
    seen = imaged_by(scene.tip.blunter(radius), scene.surface, scene.grid)
    for _ in range(draw.integer("crumbs", 1, 4) if draw.chance("crumbly", 0.85) else 0):
        down, across = draw.rng.normal(0, 0.8 * reach_px, 2)
        lower = draw.rng.uniform(0.0, 0.4) * scene.relief_nm
        seen = np.maximum(seen, shifted(scene.imaged, down, across) - lower)
    return seen


def _flaked(draw: Draw, scene: Scene, reach_px: float) -> Heights:
    """The surface imaged by a broken apex: a flat face with straight edges, more or less tilted.

    A face with parallel edges is a sum of segments (a zonotope), so that dilating by one after the other is exact.
    """
    edges = draw.integer("edges", 2, 4)
    tilt = draw.uniform("face_tilt", 0.0, 0.4) * scene.relief_nm / max(2 * reach_px, 1.0)
    steepest = draw.uniform("face_direction_deg", 0, 360) * np.pi / 180
    seen = scene.imaged
    for angle in draw.rng.uniform(0, np.pi, edges):
        length = 2 * reach_px / edges * draw.rng.uniform(0.5, 1.5)
        seen = _swept(seen, np.sin(angle), np.cos(angle), length, drop=tilt * abs(np.cos(angle - steepest)))
    return seen


def _swept(heights: Heights, down: float, across: float, length_px: float, *, drop: float) -> Heights:
    """Return the highest of all that lies within ``length_px`` one way, less ``drop`` nm for each pixel."""
    swept = 0
    while swept < round(length_px):
        step = min(swept + 1, round(length_px) - swept)
        heights = np.maximum(heights, shifted(heights, round(step * down), round(step * across)) - step * drop)
        swept += step
    return heights
