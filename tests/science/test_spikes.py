"""Despiking: what stands out of its own window, not out of the frame."""

import numpy as np
import pytest

import afmd
from afmd.science.mask import spikes


def rough(rows=96, cols=128, seed=1):
    """Flat ground with 0.1 nm noise on the left that turns into grains of 20 nm on the right."""
    rng = np.random.default_rng(seed)
    heights = rng.normal(0, 0.1, (rows, cols))
    r, c = np.mgrid[:rows, :cols]
    heights += 10 * np.sin(r / 3.0) * np.cos(c / 3.0) * np.clip((c - cols / 2) / 20, 0, 1)
    return heights.astype(np.float32)


def test_a_spike_is_found_on_flat_ground_and_on_rough():
    heights = rough()
    heights[20, 20] += 3
    heights[50, 100] += 150

    found = spikes(heights, win=5, lam=8.0)

    assert found[20, 20]
    assert found[50, 100]


def test_the_edges_of_grains_are_no_spikes():
    assert spikes(rough(), win=5, lam=8.0).mean() < 0.001


@pytest.mark.parametrize("win", [3, 5, 9])
def test_a_higher_lam_never_finds_more(win):
    heights = rough(seed=2)
    low, high = (spikes(heights, win=win, lam=lam) for lam in (3.0, 6.0))

    assert low.any()
    assert not (high & ~low).any()


def test_spikes_do_not_depend_on_the_unit_of_height():
    heights = rough(seed=3)

    np.testing.assert_array_equal(spikes(heights, win=5, lam=4.0), spikes(heights * 1024, win=5, lam=4.0))


def test_lam_0_finds_nothing():
    assert not spikes(rough(), win=5, lam=0.0).any()


def test_real_textures_are_not_taken_for_spikes(scans_dir):
    for name in ("pet.000", "5.011", "di-1.di"):
        assert spikes(afmd.read(scans_dir / "images" / name).heights, win=5, lam=8.0).mean() < 0.02, name
