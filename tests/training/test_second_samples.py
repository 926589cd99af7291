"""The second microscope's samples: sound arrays, a seed is a surface, and bare ground is the substrate."""

import numpy as np
import pytest

from afmd.training.second.samples import SAMPLES, Grid

SEEDS = range(3)
SUNKEN = {"spin_film", "grating2d", "litho"}
"""Kinds with holes, pits or trenches."""


def grid_of(kind, *, rows=48, cols=64, stretch=1.0):
    sample = SAMPLES[kind]
    pixel_nm = float(np.sqrt(sample.least_pixel_nm * sample.most_pixel_nm))
    return Grid.of(rows, cols, across_nm=pixel_nm, down_nm=stretch * pixel_nm, pad=8)


def made(kind, seed, **grid):
    return SAMPLES[kind].make(grid_of(kind, **grid), np.random.default_rng(seed))


def on_substrate():
    return [kind for kind in SAMPLES if any(made(kind, seed).substrate is not None for seed in SEEDS)]


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("grid", [{"rows": 64}, {"rows": 96, "cols": 40, "stretch": 0.5}, {"stretch": 2.0}])
def test_a_surface_is_finite_and_fills_the_padded_grid(kind, grid):
    for seed in SEEDS:
        surface = made(kind, seed, **grid)

        for heights in (surface.heights, surface.substrate):
            if heights is not None:
                assert heights.shape == grid_of(kind, **grid).shape
                assert heights.dtype == np.float64
                assert np.isfinite(heights).all()
        assert np.ptp(surface.heights) > 0


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_seed_is_a_surface_and_another_seed_another(kind):
    one, again, other = made(kind, 1), made(kind, 1), made(kind, 2)

    np.testing.assert_array_equal(one.heights, again.heights)
    assert not np.array_equal(one.heights, other.heights)


@pytest.mark.parametrize("kind", on_substrate())
def test_what_stands_stands_on_the_substrate_and_what_is_bare_is_the_substrate(kind):
    for seed in SEEDS:
        surface = made(kind, seed)
        if surface.substrate is None:
            continue
        above = surface.heights - surface.substrate

        assert kind in SUNKEN or above.min() >= -1e-9
        assert np.abs(above).max() > 0.4 * surface.least_height_nm > 0
        if kind != "flakes":  # a flake may fill the frame
            assert np.abs(above).min() < 0.05 * surface.least_height_nm


def test_places_count_from_the_first_pixel_of_the_frame():
    grid = Grid.of(20, 30, across_nm=2.0, down_nm=5.0, pad=4)

    assert (grid.across[4, 4], grid.down[4, 4]) == (0, 0)
    assert (grid.across[-1, -1], grid.down[-1, -1]) == (2.0 * 33, 5.0 * 23)
    assert (grid.width_nm, grid.height_nm, grid.side_nm, grid.shape) == (60, 100, 60, (28, 38))
