"""Small known surfaces and scanners, so that a test can ask how near the truth a method comes. Lengths in nm."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Surface = NDArray[np.float64]
SIDE = 256


def substrate(rng: np.random.Generator, shape: tuple[int, int], *, rms: float, length: float) -> Surface:
    """Gaussian roughness with a correlation length in pixels."""
    rough = ndimage.gaussian_filter(rng.normal(size=shape), length, mode="wrap")
    return rms * rough / rough.std()


def particles(rng: np.random.Generator, shape: tuple[int, int]) -> Surface:
    """Spheres of 20–60 nm on a smooth ground, about a quarter covered."""
    down, across = np.indices(shape)
    surface = substrate(rng, shape, rms=0.5, length=2)
    for _ in range(max(1, shape[0] * shape[1] // 2200)):
        radius = rng.uniform(8, 20)
        row, col = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        square = radius**2 - (down - row) ** 2 - (across - col) ** 2
        surface = np.maximum(surface, np.where(square > 0, radius + np.sqrt(np.maximum(square, 0)), -np.inf))
    return surface


def dna(rng: np.random.Generator, shape: tuple[int, int]) -> Surface:
    """Worm-like threads 2 nm high on mica."""
    drawn = np.zeros(shape)
    for _ in range(12):
        turn = np.cumsum(rng.normal(0, 0.08, 600)) + rng.uniform(0, 2 * np.pi)
        row = np.cumsum(np.sin(turn)) + rng.uniform(0, shape[0])
        col = np.cumsum(np.cos(turn)) + rng.uniform(0, shape[1])
        inside = (row >= 0) & (row < shape[0] - 1) & (col >= 0) & (col < shape[1] - 1)
        drawn[row[inside].astype(int), col[inside].astype(int)] = 1
    thick = np.minimum(ndimage.gaussian_filter(drawn, 2.0) * 6, 1)
    return 2.0 * thick + substrate(rng, shape, rms=0.12, length=2)


def terraces(rng: np.random.Generator, shape: tuple[int, int]) -> Surface:
    """A vicinal crystal: five terraces of 3 nm steps with wavy edges, at any angle."""
    down, across = np.indices(shape)
    angle = rng.uniform(0, np.pi)
    along = np.cos(angle) * down / shape[0] + np.sin(angle) * across / shape[1]
    wavy = along + 0.03 * substrate(rng, shape, rms=1, length=20)
    return 3.0 * np.floor(5 * wavy) + substrate(rng, shape, rms=0.1, length=2)


def grating(
    rng: np.random.Generator, shape: tuple[int, int], *, angle: float | None = None, periods: int = 8
) -> Surface:
    """A calibration grating: 100 nm steps, ``periods`` across."""
    down, across = np.indices(shape)
    turn = rng.uniform(0, np.pi) if angle is None else angle
    phase = periods * (np.sin(turn) * down / shape[0] + np.cos(turn) * across / shape[1]) + rng.uniform()
    edges = np.clip((np.abs((phase % 1) - 0.5) - 0.25) * 320 / periods, -0.5, 0.5) + 0.5
    return 100.0 * edges + substrate(rng, shape, rms=0.8, length=2)


def grains(rng: np.random.Generator, shape: tuple[int, int]) -> Surface:
    """Closely packed domes, no ground left."""
    seeds = np.zeros(shape, dtype=bool)
    count = shape[0] * shape[1] // 250
    seeds[rng.integers(0, shape[0], count), rng.integers(0, shape[1], count)] = True
    distance, nearest = ndimage.distance_transform_edt(~seeds, return_indices=True)
    tall = rng.uniform(15, 30, shape)[tuple(nearest)]
    return tall - 0.03 * distance**2 * tall / 10


def fractal(rng: np.random.Generator, shape: tuple[int, int]) -> Surface:
    """Self-affine, Hurst 0.75, rolled off at a quarter of the frame, 5 nm rms."""
    q = np.hypot(np.fft.fftfreq(shape[0])[:, None] * shape[0], np.fft.rfftfreq(shape[1])[None, :] * shape[1])
    amplitude = np.maximum(q, 4.0) ** -1.75
    rough = np.fft.irfft2(np.fft.rfft2(rng.normal(size=shape)) * amplitude, s=shape)
    return 5.0 * (rough - rough.mean()) / rough.std()


def cells(rng: np.random.Generator, shape: tuple[int, int]) -> Surface:
    """Three wide domes of about 800 nm on glass, a third covered."""
    down, across = np.indices(shape)
    surface = substrate(rng, shape, rms=3, length=3)
    for _ in range(3):
        row, col = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        across_axis, down_axis = rng.uniform(0.12, 0.25, 2) * shape[0]
        bulge = 1 - ((down - row) / down_axis) ** 2 - ((across - col) / across_axis) ** 2
        surface = np.maximum(surface, rng.uniform(500, 1000) * np.clip(bulge, 0, 1) ** 0.7 + surface)
    return surface


KINDS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Surface]] = {
    "particles": particles,
    "dna": dna,
    "terraces": terraces,
    "grating": grating,
    "grains": grains,
    "fractal": fractal,
    "cells": cells,
}


def scanner(
    rng: np.random.Generator, shape: tuple[int, int], *, relief: float, tilt: float = 3, bow: float = 0.5,
    offsets: float = 0.1, walk: float = 0.02,
) -> Surface:  # fmt: skip
    """Tilt, bow and one offset for each line; sizes as shares of the relief over the frame."""
    down, across = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])[None, :]
    a, b, c, d, e = rng.uniform(-1, 1, 5)
    smooth = tilt * (a * down + b * across) + bow * (c * down**2 + d * across**2 + 0.3 * e * down * across)
    lines = offsets * rng.normal(size=shape[0]) + walk * np.cumsum(rng.normal(size=shape[0]))
    return relief * (smooth / 2 + lines[:, None])


def rms_error(levelled: NDArray[np.floating], truth: Surface, *, outside: NDArray[np.bool_] | None = None) -> float:
    """Rms distance from the truth, in nm, after removal of the mean difference only."""
    error = levelled - truth if outside is None else (levelled - truth)[~outside]
    return float(error.std())
