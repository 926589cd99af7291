"""Pictures of many scans at once, as arrays. Rule: nothing here draws; whoever draws decides on colours and files."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.twin.grid import Heights
from afmd.twin.microscope import Simulated, simulate
from afmd.twin.recipe import TRAINING, Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One scan for show: ``raw`` and ``levelled`` heights in nm (rows, cols), its mask, and a line of text."""

    title: str
    raw: NDArray[np.float32]
    levelled: NDArray[np.float32]
    artifact: NDArray[np.bool_]
    simulated: Simulated


def gallery(seeds: range, *, shape: tuple[int, int] | None = (256, 256), recipe: Recipe = TRAINING) -> tuple[Tile, ...]:
    """Simulate one scan for each seed and level it by its best plane."""
    return tuple(_tile(simulate(seed, shape=shape, recipe=recipe)) for seed in seeds)


def _tile(one: Simulated) -> Tile:
    surface = one.parameters["plan"]["surface"]
    title = f"{one.label.value}: {', '.join(one.kinds) or 'good'} on {surface}"
    return Tile(title, one.scan.heights, plane_levelled(one.scan.heights), one.artifact, one)


def plane_levelled(heights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return heights minus their least-squares plane, nm."""
    rows, cols = heights.shape
    values: Heights = heights - heights.mean(dtype=np.float64)
    down, across = np.linspace(-1, 1, rows), np.linspace(-1, 1, cols)
    slope_down = (values.mean(axis=1) @ down) / (down @ down)
    slope_across = (values.mean(axis=0) @ across) / (across @ across)
    return np.asarray(values - slope_down * down[:, None] - slope_across * across[None, :], dtype=np.float32)
