"""The tip was not on the surface, or moved what lay on it. Rule: these are events in time, so the retrace does not
repeat them (it mirrors tails and shows its own streaks).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from afmd.twin.artifacts.scene import Scene, Spoilt
from afmd.twin.draw import Draw
from afmd.twin.grid import Heights
from afmd.twin.servo import Loop


def lost_lines(draw: Draw, scene: Scene, paths: Heights) -> Spoilt:
    """Lines, or long parts of them, in which the tip hangs above or is pressed into the surface and flips between."""
    rows = scene.shape[0]
    result = paths.copy()
    height = scene.amplitude(draw)
    faithful = draw.uniform("faithful", 0.0, 0.8)
    thick = draw.log("thickness_lines", 1, 4)
    for first in _lines(draw, rows, max(1, int(scene.share(draw, "lines_share", 0.006, 0.15) * rows / thick))):
        for row in range(first, min(first + 1 + int(draw.rng.exponential(thick - 1)), rows)):
            for way in (0, 1):
                _lose(draw, result[way, row], height=height, faithful=faithful)
    return Spoilt(result)


def lift_off(draw: Draw, scene: Scene, paths: Heights) -> Spoilt:
    """For some lines the tip flies, or touches now and then: the recorded height wanders above the surface."""
    rows, cols = paths.shape[1:]
    result = paths.copy()
    count = max(2, int(scene.share(draw, "lines_share", 0.015, 0.35) * rows))
    start = int(draw.uniform("start_share", 0.0, 0.98) * (rows - count))
    level = float(np.quantile(paths[0, start : start + count], draw.uniform("level_quantile", 0.4, 1.0)))
    height, faithful = scene.amplitude(draw), draw.uniform("faithful", 0.0, 0.6)
    left = draw.uniform("from_share", -0.6, 0.6) * cols + _walk(draw, count) * draw.log("ragged", 0.03, 0.5) * cols
    width = draw.log("width_share", 0.2, 2.0) * cols + _walk(draw, count) * 0.2 * cols
    across = np.arange(cols)[None, :]
    inside = (across >= left[:, None]) & (across < (left + width)[:, None])
    streaky = draw.log("streaky", 0.02, 0.4) * height
    wander = draw.log("wander", 0.03, 0.4) * height
    for way in (0, 1):
        block = result[way, start : start + count]
        flies = level + height + _wander(draw, count, cols) * wander
        flies = flies + streaky * draw.rng.standard_normal((count, 1)) + faithful * (block - level)
        np.copyto(block, np.maximum(block, flies), where=inside)
    return Spoilt(result)


def jump(draw: Draw, scene: Scene, paths: Heights) -> Spoilt:
    """The z zero slips for a while, from the middle of one line to the middle of another."""
    rows, cols = paths.shape[1:]
    result = paths.copy()
    height = scene.amplitude(draw)
    count = max(1, int(scene.share(draw, "jumps_per_frame", 0.8, 12)))
    for start in np.sort(draw.rng.random(count)) * rows * 2 * cols:
        length = draw.rng.exponential(1.0) * draw.log("length_lines", 0.7, 6) * 2 * cols
        _add_in_time(
            result, int(start), int(start + length), height * draw.rng.normal(1, 0.2) * draw.rng.choice([-1, 1])
        )
    return Spoilt(result)


def parachute(draw: Draw, scene: Scene, loop: Loop) -> Loop:
    """Behind steep falls the tip comes down at its constant rate, integral gain × (A0 - A_set): too slow here."""
    tail = scene.share(draw, "tail_share", 0.035, 0.6) * scene.shape[1]
    rate = np.where(scene.gate(draw, whole=0.6) > 0.5, np.minimum(scene.relief_nm / tail, loop.falls_nm), loop.falls_nm)
    integral = loop.integral * draw.log("integral_share", 0.3, 1.0)
    return replace(loop, integral=integral, free_nm=rate / integral)


def scar(draw: Draw, scene: Scene, paths: Heights) -> Spoilt:
    """Short streaks along a line: the tip sticks or skips, mostly at a steep place, and comes back."""
    rows = paths.shape[1]
    result = paths.copy()
    height, up = scene.amplitude(draw), draw.uniform("up_share", 0.5, 1.0)
    length = draw.log("length_share", 0.012, 0.2) * scene.shape[1]
    count = max(2, int(scene.share(draw, "scars_per_line", 0.04, 2.0) * rows))
    thick = draw.log("thickness_lines", 1.0, 2.5)
    for way in (0, 1):
        for row, col in _steep_places(draw, paths[way], count):
            own = max(2, int(length * draw.rng.exponential(1.0)))
            tall = height * np.exp(0.4 * draw.rng.standard_normal()) * (1 if draw.rng.random() < up else -1)
            bottom = min(row + 1 + int(draw.rng.exponential(thick - 0.9)), rows)
            _streak(result[way, row:bottom], col, own, tall, away=1 if way == 0 else -1, flat=draw.rng.random())
    return Spoilt(result)


def drag(draw: Draw, scene: Scene, paths: Heights) -> Spoilt:
    """Something loose is pushed along: ragged streaks over several lines behind it, and below it is gone."""
    rows = paths.shape[1]
    result = paths.copy()
    height = scene.amplitude(draw)
    length = draw.log("length_share", 0.06, 0.5) * scene.shape[1]
    lines = draw.log("lines_each", 3, 16)
    gone = draw.uniform("gone", 0.0, 1.0)
    places = _steep_places(draw, paths[0], max(1, int(scene.share(draw, "pieces", 2.0, 40))))
    for row, col in places:
        bottom = min(row + 1 + int(draw.rng.exponential(lines)), rows)
        if draw.rng.random() < gone:
            _remove(draw, scene, result, row=row, col=col)
        for at in range(row, bottom):
            if draw.rng.random() < 0.85:
                _pushed(draw, result[:, at : at + 1], col + int(draw.rng.normal(0, 2)), length, height)
    return Spoilt(result)


def _pushed(draw: Draw, line: Heights, col: int, length: float, height: float) -> None:
    for way, away in ((0, 1), (1, -1)):
        own, tall = max(2, int(length * draw.rng.exponential(1.0))), height * draw.rng.uniform(0.3, 1.0)
        _streak(line[way], col, own, tall, away=away, flat=0.15)


def _remove(draw: Draw, scene: Scene, paths: Heights, *, row: int, col: int) -> None:
    """From this line on the rest of the feature at ``col`` is missing: the ground runs straight through below it."""
    cols = paths.shape[2]
    feature = scene.grid.row_cropped(scene.feature)
    half = int(draw.rng.uniform(0.02, 0.08) * cols)
    left, right = max(col - half, 0), min(col + half, cols - 1)
    bottom = min(row + 2 * half, paths.shape[1])
    window = paths[:, row:bottom, left:right]
    share = np.linspace(0, 1, right - left)
    ground = window[..., :1] * (1 - share) + window[..., -1:] * share
    np.copyto(window, np.minimum(window, ground), where=feature[row:bottom, left:right])


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


def _lines(draw: Draw, rows: int, count: int) -> NDArray[np.int64]:
    """Line numbers, often in clusters: trouble seldom comes alone."""
    centre = draw.rng.random() * rows
    clustered = draw.rng.normal(centre, draw.log("cluster_share", 0.02, 0.4) * rows, count)
    even = draw.rng.random(count) * rows
    picked = np.where(draw.rng.random(count) < draw.uniform("clustered", 0.0, 1.0), clustered, even)
    return np.unique(np.mod(picked, rows).astype(np.int64))


def _lose(draw: Draw, line: Heights, *, height: float, faithful: float) -> None:
    cols = len(line)
    flips = np.sort(draw.rng.random(draw.rng.poisson(2.0)))
    edges = np.concatenate([[0.0], flips, [1.0]]) * cols
    level = float(np.median(line))
    for left, right in zip(edges[:-1].astype(int), edges[1:].astype(int), strict=True):
        state = draw.rng.choice([-1.0, 0.0, 1.0], p=[0.4, 0.2, 0.4])
        if state and right > left:
            part = line[left:right]
            part[:] = level + faithful * (part - level) + state * height * draw.rng.uniform(0.6, 1.2)


def _walk(draw: Draw, count: int) -> NDArray[np.float64]:
    """A random walk of unit spread."""
    return np.asarray(np.cumsum(draw.rng.standard_normal(count)) / np.sqrt(count))


def _wander(draw: Draw, rows: int, cols: int) -> Heights:
    walk = _walk(draw, rows)[:, None]
    phase = draw.rng.random((rows, 1)) * 0.5 + draw.rng.random()
    return np.asarray(walk + np.sin(2 * np.pi * (np.arange(cols)[None, :] / cols * draw.rng.uniform(0.3, 2) + phase)))


def _add_in_time(paths: Heights, start: int, stop: int, height: float) -> None:
    """Raise everything recorded between two moments, counted in pixels: line after line, there and back."""
    _, rows, cols = paths.shape
    for row in range(start // (2 * cols), min(stop // (2 * cols) + 1, rows)):
        begin, end = max(start - row * 2 * cols, 0), min(stop - row * 2 * cols, 2 * cols)
        paths[0, row, min(begin, cols) : min(end, cols)] += height
        back = slice(2 * cols - max(end, cols), 2 * cols - max(begin, cols))
        paths[1, row, back] += height


def _steep_places(draw: Draw, path: Heights, count: int) -> NDArray[np.int64]:
    """Half of them anywhere, half where the surface is steepest: (count, 2) rows, columns."""
    rows, cols = path.shape
    tries = 8
    row = draw.rng.integers(0, rows, (count, tries))
    col = draw.rng.integers(1, cols - 1, (count, tries))
    rise = np.abs(path[row, col + 1] - path[row, col - 1])
    best = np.where(draw.rng.random(count) < 0.5, np.argmax(rise, axis=1), 0)
    every = np.arange(count)
    return np.stack([row[every, best], col[every, best]], axis=1)


def _streak(block: Heights, col: int, length: int, height: float, *, away: int, flat: float) -> None:
    """Raise ``block`` from ``col`` on, away in the direction of motion: a plateau over ``flat`` of it, then a decay."""
    cols = block.shape[1]
    index = col + away * np.arange(length)
    index = index[(index >= 0) & (index < cols)]
    along = np.arange(len(index)) / length
    block[:, index] += height * np.where(along < flat, 1.0, np.exp(-3.0 * (along - flat) / max(1 - flat, 0.05)))
