"""Things that stand on a sample: domes, threads, caps around seeds, dirt.

Rule: what draws onto ``heights`` changes them in place and only where the body is; what returns heights makes new ones.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from afmd.training.second.samples.fields import between
from afmd.training.second.samples.grid import (
    Grid,
    Heights,
    Pixels,
    Place,
    Window,
    around,
    pixels,
    somewhere,
    turned,
)

Profile = Callable[[Heights], Heights]
"""Height of a thread at a distance from its axis, both in nm."""

NOWHERE = -1e9
CAP_REACH_PX = 90
"""Caps are cut off here even if they reach further, to bound the time."""


@dataclass(frozen=True, slots=True)
class Dome:
    """A hill, ``stretch`` times as long in the direction ``angle`` (rad); ``power``: 0.5 round, 1 a paraboloid."""

    place: Place
    radius_nm: float
    height_nm: float
    power: float = 1.0
    stretch: float = 1.0
    angle: float = 0.0

    def over(self, grid: Grid) -> tuple[Window, Heights] | None:
        """Return where the dome may be, and its heights there; None where it stands off the grid."""
        window = around(grid, self.place, self.radius_nm * max(self.stretch, 1))
        if window is None:
            return None
        along, aside = turned(grid, self.angle, about=self.place, window=window)
        along = along / self.stretch
        inside = np.clip(1 - (along * along + aside * aside) / self.radius_nm**2, 0, 1)
        return window, np.asarray(self.height_nm * inside**self.power)


def heap(grid: Grid, heights: Heights, dome: Dome) -> None:
    """Put a dome onto what is there."""
    if (over := dome.over(grid)) is not None:
        heights[over[0]] += over[1]


def merge(grid: Grid, heights: Heights, dome: Dome) -> None:
    """Let a dome grow from the ground: the higher of it and what is there stays."""
    if (over := dome.over(grid)) is not None:
        heights[over[0]] = np.maximum(heights[over[0]], over[1])


def debris(
    grid: Grid, rng: np.random.Generator, heights: Heights, *, count: int, height_nm: float, radius_nm: float
) -> None:
    """Scatter dirt: single bits, or a few of one size."""
    for _ in range(count):
        radius = between(rng, radius_nm * 0.6, radius_nm * 1.8)
        for _ in range(int(rng.integers(1, 4))):
            place, tall = somewhere(grid, rng), height_nm * rng.uniform(0.3, 1.3)
            power, stretch = rng.choice([0.5, 1.0]), rng.uniform(0.6, 1.6)
            heap(grid, heights, Dome(place, radius, tall, power, stretch, rng.uniform(0, 3)))
            if rng.random() < 0.7:
                break


def lay_thread(
    grid: Grid, heights: Heights, path: tuple[Heights, Heights], profile: Profile, *, reach_nm: float, ride: float
) -> None:
    """Lay a thread along ``path`` (across, down), nm.

    It is ``profile`` high up to ``reach_nm`` from its axis, and rides on the share ``ride`` of what it crosses.
    """
    rows, cols = pixels(grid, *path)
    if rows.size == 0:
        return
    margin = int(np.ceil(reach_nm / min(grid.pitch_nm))) + 1
    top, left = max(rows.min() - margin, 0), max(cols.min() - margin, 0)
    window = slice(top, rows.max() + margin + 1), slice(left, cols.max() + margin + 1)
    ground = heights[window]
    thread = profile(distance_to((rows - top, cols - left), ground.shape, grid.pitch_nm))
    heights[window] = np.where(thread > 0, np.maximum(ground, ground * ride + thread), ground)


def distance_to(seeds: Pixels, shape: tuple[int, ...], pitch_nm: tuple[float, float]) -> Heights:
    """Return each pixel's distance from the nearest seed, nm."""
    return np.asarray(ndimage.distance_transform_edt(_outside(seeds, shape), sampling=pitch_nm))


def nearest(grid: Grid, seeds: Pixels) -> tuple[Heights, Pixels]:
    """Return each pixel's distance from the nearest seed, nm, and which pixel that seed is."""
    distance, index = ndimage.distance_transform_edt(
        _outside(seeds, grid.shape), sampling=grid.pitch_nm, return_indices=True
    )
    return np.asarray(distance), (index[0], index[1])


def _outside(seeds: Pixels, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    outside = np.ones(shape, dtype=bool)
    outside[seeds] = False
    return outside


def caps(grid: Grid, seeds: Pixels, tops: Heights, radius_nm: float) -> Heights:
    """Return the upper hull of paraboloids that hang from ``tops`` (nm) at the seeds, ``radius_nm`` in curvature.

    A paraboloid falls by a sum of one term for each axis, so one axis after the other gives the hull.
    """
    heights = np.full(grid.shape, NOWHERE)
    np.maximum.at(heights, seeds, tops)
    deepest = float(3.0 * (np.max(tops) - np.min(tops) + 1e-9) + 4 * np.max(np.abs(tops)))
    for lines, pitch in ((heights, grid.down_nm), (heights.T, grid.across_nm)):
        _spread(lines, pitch, radius_nm=radius_nm, deepest=deepest)
    return heights


def _spread(lines: Heights, pitch_nm: float, *, radius_nm: float, deepest: float) -> None:
    """Widen every height into a parabola along the first axis, in place."""
    before = lines.copy(order="K")
    for step in range(1, min(len(lines), CAP_REACH_PX)):
        fall = (step * pitch_nm) ** 2 / (2 * radius_nm)
        if fall > deepest:
            break
        np.maximum(lines[step:], before[:-step] - fall, out=lines[step:])
        np.maximum(lines[:-step], before[step:] - fall, out=lines[:-step])


def close_packed(grid: Grid, rng: np.random.Generator, pitch_nm: float, *, jitter: float) -> Pixels:
    """Draw a hexagonal lattice over the whole grid, each site moved by about ``jitter`` of the pitch."""
    angle = rng.uniform(0, np.pi)
    rows, cols = grid.shape
    reach = np.hypot(cols * grid.across_nm, rows * grid.down_nm) / 2 + 2 * pitch_nm
    count = int(reach / pitch_nm) + 2
    column, line = np.meshgrid(np.arange(-count, count + 1), np.arange(-int(count * 1.2), int(count * 1.2) + 1))
    along = ((column + 0.5 * (line & 1)) * pitch_nm).ravel() + rng.uniform(0, pitch_nm)
    aside = (line * pitch_nm * np.sqrt(3) / 2).ravel() + rng.uniform(0, pitch_nm)
    along = along + rng.normal(0, jitter * pitch_nm, along.size)
    aside = aside + rng.normal(0, jitter * pitch_nm, aside.size)
    cos, sin = np.cos(angle), np.sin(angle)
    middle = grid.centre
    return pixels(grid, middle.across + cos * along - sin * aside, middle.down + sin * along + cos * aside)
