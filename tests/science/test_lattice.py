import numpy as np
import pytest
import scenes

from afmd.domain.params import Params
from afmd.science.flatten import level
from afmd.science.flatten.lattice import lies_askew, without_lattices_wave
from afmd.science.flatten.waves import strongest


def rounded(rows, cols, *, down, across, radius, depth):
    """Rows of round bumps, or holes where the depth is below 0, along the lines; nm."""
    i, j = np.indices((rows, cols))
    away = np.hypot((i + down / 3) % down - down / 2, (j + across / 3) % across - across / 2)
    return depth * np.clip(1.25 * (1 - away / radius), 0, 1)


@pytest.mark.parametrize("depth", [-30, 60])
@pytest.mark.parametrize("shape", [(128, 128), (256, 128)])
def test_the_ground_between_rows_of_rounded_holes_and_posts_stays_level(depth, shape):
    rng = np.random.default_rng(3)
    truth = rounded(*shape, down=shape[0] / 5, across=26, radius=11.5 * shape[0] / 128, depth=depth)
    heights = truth + scenes.scanner(rng, shape, relief=30, offsets=0.005, walk=0.002) + rng.normal(0, 0.3, shape)

    rest = level(heights, pixel_nm=2.0, params=Params(level="joint")).heights

    assert scenes.rms_error(rest, truth) < 0.05 * abs(depth)


def test_offsets_that_swing_with_a_lattice_are_the_samples():
    flat = rounded(200, 160, down=20, across=20, radius=9, depth=10).astype(np.float32)
    lines = np.arange(200)
    drift = 0.01 * lines
    offsets = drift + flat.mean(axis=1, dtype=np.float64)

    left = without_lattices_wave(offsets, flat, at=lines, length=200)

    assert np.ptp(left - drift) < 0.2 * np.ptp(offsets - drift)


@pytest.mark.parametrize("period", [14, 27])
def test_offsets_that_swing_by_themselves_stay_the_scanners(period):
    flat = rounded(200, 160, down=20, across=20, radius=9, depth=10).astype(np.float32)
    lines = np.arange(200)
    offsets = np.sin(2 * np.pi * lines / period)

    left = without_lattices_wave(offsets, flat, at=lines, length=200)

    assert left is offsets


@pytest.mark.parametrize("cols", [2, 5, 16])
def test_narrow_frames_are_looked_at_without_harm(cols):
    flat = rounded(200, cols, down=20, across=20, radius=9, depth=10).astype(np.float32)
    lines = np.arange(200)

    left = without_lattices_wave(np.sin(lines / 3), flat, at=lines, length=200)

    assert np.isfinite(left).all()


def blazed(shape, *, periods, askew, height):
    """A blazed grating whose grooves run along the lines, turned by so many periods over the frame's width; nm."""
    y, x = np.meshgrid(*(np.linspace(0, 1, side) for side in shape), indexing="ij")
    return height * ((periods * y + askew * x) % 1.0)


@pytest.mark.parametrize("askew", [0.12, 0.25])
@pytest.mark.parametrize("seed", range(2))
def test_a_blazed_grating_a_little_askew_of_the_lines_keeps_its_grooves(seed, askew):
    rng = np.random.default_rng(seed)
    truth = blazed((256, 256), periods=14, askew=askew, height=60)
    heights = truth + scenes.scanner(rng, truth.shape, relief=150, offsets=0.002, walk=0.0005)

    rest = level(heights + rng.normal(0, 0.4, truth.shape), pixel_nm=20.0, params=Params()).heights

    assert scenes.rms_error(rest, truth) < 0.15 * 60


def test_a_wave_along_the_lines_that_lies_askew_is_a_grating():
    rng = np.random.default_rng(3)
    y, x = np.meshgrid(*(np.linspace(0, 1, 256) for _ in range(2)), indexing="ij")
    square, askew = (20 * np.sin(2 * np.pi * (9.6 * x + turn * y)) + rng.normal(0, 0.5, x.shape) for turn in (0, 0.4))
    wave = strongest(np.arange(256.0), square.mean(axis=0), axis=1, length=256)

    assert lies_askew(np.float32(askew.T), wave, np.arange(256.0), 256)
    assert not lies_askew(np.float32(square.T), wave, np.arange(256.0), 256)
