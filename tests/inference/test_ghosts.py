"""A second apex draws ghosts, and they are found where they lie; what repeats itself by nature has none."""

import numpy as np
import pytest
from scipy import ndimage

from afmd.inference import planes
from afmd.inference.ghosts import ghosts_in
from afmd.inference.traits import traits


def islands(shape=(240, 250)) -> np.ndarray:
    rng = np.random.default_rng(11)
    heights = np.zeros(shape)
    heights[tuple(rng.integers(side, size=60) for side in shape)] = 3000 * rng.uniform(0.6, 1.4, 60)
    return ndimage.gaussian_filter(heights, 4) + rng.normal(0, 0.1, shape)


def found_in(heights: np.ndarray) -> np.ndarray | None:
    native = planes.segmenter_planes(heights.astype(np.float32))
    return ghosts_in(native, traits(heights.astype(np.float32), native))


@pytest.mark.parametrize(("down", "across"), [(6, 13), (-8, 10)])
def test_ghosts_are_found_where_a_second_apex_drew_them(down, across):
    heights = islands()
    again = np.roll(heights, (down, across), (0, 1)) - 6.0
    row = np.arange(240)[:, None]
    tilted = np.maximum(heights, again) + 0.02 * row + 0.3 * np.random.default_rng(1).standard_normal((240, 1))
    truth = (again > heights + 1)[10:-10, 15:-15]

    found = found_in(tilted)

    assert found is not None
    found = found[10:-10, 15:-15]
    assert (found & truth).sum() > 0.6 * (found | truth).sum()
    assert (found & (heights > again + 1)[10:-10, 15:-15]).mean() < 0.002


def test_a_good_surface_has_no_ghosts():
    assert found_in(islands()) is None


def test_a_lattice_has_no_ghosts():
    row, col = np.mgrid[:240, :240]
    lattice = np.maximum(0, np.sin(2 * np.pi * (row + 0.5 * col) / 20)) * np.maximum(0, np.sin(2 * np.pi * col / 22))

    assert found_in(10 * lattice + np.random.default_rng(4).normal(0, 0.1, lattice.shape)) is None


@pytest.mark.parametrize("seed", [10, 18, 30])
def test_straight_walls_have_no_ghosts(seed):
    rng = np.random.default_rng(seed)
    period, col = rng.uniform(60, 100), np.arange(256) * np.ones((256, 1))
    bars = np.where((col + rng.uniform(0, period)) % period < rng.uniform(0.3, 0.7) * period, 100.0, 0.0)
    texture = ndimage.gaussian_filter(rng.standard_normal(bars.shape), 6)
    walls = ndimage.gaussian_filter1d(bars, 2.1) + 0.6 * texture / texture.std()

    assert found_in(walls + rng.normal(0, 0.2, walls.shape)) is None


def test_a_stamp_has_no_ghosts():
    assert found_in(np.random.default_rng(5).standard_normal((20, 20))) is None
