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
    result = seen.copy()
    result[scene.grid.margin_rows + start :] = after[scene.grid.margin_rows + start :]
    offsets = np.zeros(scene.shape[0])
    offsets[start:] = draw.log("step_share", 0.02, 0.6) * scene.relief_nm * draw.rng.choice([-1, 1])
    return Spoilt(result, offsets=offsets)


def debris_pickup(draw: Draw, scene: Scene, seen: Heights) -> Spoilt:
    """For some lines the tip carries a particle: blunter and longer, until it drops it."""
    rows = scene.shape[0]
    start = int(draw.uniform("start_share", 0.03, 0.8) * rows)
    stop = min(start + max(3, int(scene.share(draw, "length_share", 0.04, 0.5) * rows)), rows)
    after = np.maximum(seen, _worn(draw, scene))
    if draw.chance("doubled", 0.5):
        after = _with_ghost(draw, scene, after)
    result = seen.copy()
    window = slice(scene.grid.margin_rows + start, scene.grid.margin_rows + stop)
    result[window] = after[window]
    offsets = np.zeros(rows)
    offsets[start:stop] = draw.log("step_share", 0.02, 0.5) * scene.relief_nm
    return Spoilt(result, offsets=offsets)


def smear(draw: Draw, scene: Scene, paths: Heights) -> Spoilt:
    """A sticky tip lags off high places: tails that decay exponentially, on the far side of either pass."""
    length = scene.share(draw, "length_share", 0.01, 0.15) * scene.shape[1]
    start, stop = _rows_touched(draw, scene)
    keep = float(np.exp(-1.0 / max(length, 1.0)))
    sticky = draw.uniform("sticky", 0.3, 1.0)
    result = paths.copy()
    result[0, start:stop] = _tailed(paths[0, start:stop], keep, sticky)
    result[1, start:stop] = _tailed(paths[1, start:stop, ::-1], keep, sticky)[:, ::-1]
    return Spoilt(result)


def _tailed(path: Heights, keep: float, sticky: float) -> Heights:
    """Each fall leaves the share ``sticky`` of itself behind, which fades by ``keep`` a pixel; a rise eats it."""
    steps = np.diff(np.ascontiguousarray(path.T), axis=0)
    falls, rises = np.maximum(-steps, 0) * sticky, np.maximum(steps, 0)
    tail = np.zeros((len(steps) + 1, steps.shape[1]))
    for step in range(len(steps)):
        tail[step + 1] = np.maximum((tail[step] + falls[step]) * keep - rises[step], 0)
    return np.asarray(path + tail.T)


def _rows_touched(draw: Draw, scene: Scene) -> tuple[int, int]:
    """The whole frame, or from some line on."""
    rows = scene.shape[0]
    return (0 if draw.chance("whole_frame", 0.6) else int(draw.uniform("start_share", 0.1, 0.7) * rows)), rows


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

    The apex reaches some pixels to each side where it goes half the relief down.
    """
    reach_px = scene.share(draw, "reach_share", 0.006, 0.07) * scene.shape[1]
    radius = max((reach_px * scene.grid.pixel_nm) ** 2 / scene.relief_nm, 1.5 * scene.tip.radius_nm)
    draw.values["radius_nm"] = round(radius, 3)
    seen = imaged_by(scene.tip.blunter(radius), scene.surface, scene.grid)
    for _ in range(draw.integer("crumbs", 1, 4) if draw.chance("crumbly", 0.85) else 0):
        down, across = draw.rng.normal(0, 0.8 * reach_px, 2)
        lower = draw.rng.uniform(0.0, 0.4) * scene.relief_nm
        seen = np.maximum(seen, shifted(scene.imaged, down, across) - lower)
    return seen
