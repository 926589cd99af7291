"""Edges and bars of the sample that run along the lines, and slips of the scanner that look like them."""

import numpy as np
import pytest
import scenes

import afmd
from afmd.domain.params import Params
from afmd.science.flatten import bars_in, level

SIDE = 256
STEP_NM = 40.0


def wavy_edge(rng: np.random.Generator, *, at: float, swing: float) -> np.ndarray:
    """True behind an edge along the lines."""
    course = at + swing * np.sin(np.linspace(0, 9, SIDE)) + swing * scenes.substrate(rng, (1, SIDE), rms=0.3, length=6)
    return np.arange(SIDE)[:, None] > course


def scanned(rng: np.random.Generator, surface: np.ndarray) -> np.ndarray:
    own = scenes.scanner(rng, surface.shape, relief=150, offsets=0.002, walk=0.001)
    return surface + own + rng.normal(0, 0.2, surface.shape)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("swing", [2.0, 5.0])
def test_a_film_that_ends_along_the_lines_keeps_its_thickness(seed, swing):
    rng = np.random.default_rng(seed)
    film = wavy_edge(rng, at=rng.uniform(90, 160), swing=swing) * STEP_NM
    film += scenes.substrate(rng, film.shape, rms=0.4, length=2)

    flat = level(scanned(rng, film), pixel_nm=4.0, params=Params()).heights

    thickness = np.median(flat[200:]) - np.median(flat[:50])
    assert thickness == pytest.approx(STEP_NM, rel=0.05)


def test_a_film_is_kept_where_masks_leave_its_edge_out():
    rng = np.random.default_rng(5)
    film = wavy_edge(rng, at=120, swing=3) * STEP_NM + scenes.substrate(rng, (SIDE, SIDE), rms=0.4, length=2)
    spoilt = np.zeros(film.shape, dtype=bool)
    spoilt[112:129] = True

    flat = level(scanned(rng, film), pixel_nm=4.0, ground=~spoilt, spoilt=spoilt, params=Params()).heights

    assert np.median(flat[200:]) - np.median(flat[:50]) == pytest.approx(STEP_NM, rel=0.05)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("col", [0, 90])
def test_a_slip_of_the_scanner_is_still_undone(seed, col):
    """Between two lines, or within one, on a flat ground and on one with particles."""
    rng = np.random.default_rng(seed)
    surface = scenes.particles(rng, (SIDE, SIDE)) if seed % 2 else scenes.substrate(rng, (SIDE, SIDE), rms=2, length=4)
    slip = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) >= 120 * SIDE + col

    flat = level(scanned(rng, surface + STEP_NM * slip), pixel_nm=4.0, params=Params()).heights

    assert abs(np.median(flat[150:200]) - np.median(flat[50:100])) < 0.05 * STEP_NM


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lines", [6, 12, 18])
def test_two_slips_that_part_a_line_each_are_no_flank(seed, lines):
    rng = np.random.default_rng(seed)
    surface = scenes.substrate(rng, (SIDE, SIDE), rms=2, length=4)
    pixel = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    slips = 1.0 * (pixel >= 150 * SIDE + 100) + 0.8 * (pixel >= (150 + lines) * SIDE + 160)

    flat = level(scanned(rng, surface + STEP_NM * slips), pixel_nm=4.0, params=Params()).heights

    assert abs(np.median(flat[200:]) - np.median(flat[:100])) < 0.05 * STEP_NM


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lines", [4, 9])
def test_a_straight_edge_that_rises_over_some_lines_is_no_slip(seed, lines):
    rng = np.random.default_rng(seed)
    film = STEP_NM * np.clip((np.arange(SIDE)[:, None] - rng.uniform(100, 150)) / lines, 0, 1)
    film = film + scenes.substrate(rng, (SIDE, SIDE), rms=0.4, length=2)

    flat = level(scanned(rng, film), pixel_nm=4.0, params=Params()).heights

    assert np.median(flat[200:]) - np.median(flat[:50]) == pytest.approx(STEP_NM, rel=0.05)


def bars(rng: np.random.Generator, *, periods: int = 6) -> np.ndarray:
    """A grating of 30 nm whose lines run along the scan's, with wavy edges."""
    course = np.arange(SIDE)[:, None] + 1.5 * scenes.substrate(rng, (1, SIDE), rms=1, length=8)
    raised = (course * periods / SIDE) % 1 < 0.4
    return 30.0 * raised + scenes.substrate(rng, (SIDE, SIDE), rms=0.3, length=2)


@pytest.mark.parametrize("seed", range(3))
def test_bars_along_the_lines_are_seen_with_their_edges(seed):
    rng = np.random.default_rng(seed)

    sound = bars_in(np.float32(scanned(rng, bars(rng))))

    assert sound is not None
    assert sound.mean() > 0.97


@pytest.mark.parametrize("offsets", [0.002, 0.01])
@pytest.mark.parametrize("seed", range(1, 3))
def test_bars_a_degree_askew_are_kept_whatever_masks_take_for_features(seed, offsets):
    rng = np.random.default_rng(seed)
    course = np.arange(SIDE)[:, None] + np.linspace(0, 4, SIDE) + scenes.substrate(rng, (1, SIDE), rms=0.5, length=8)
    raised = (course * 7 / SIDE) % 1 < 0.4
    own = scenes.scanner(rng, raised.shape, relief=150, offsets=offsets, walk=0.001)
    heights = 30 * raised + scenes.substrate(rng, raised.shape, rms=0.3, length=2) + own

    for masks in ({}, {"ground": ~raised, "feature": raised}):
        flat = level(heights, pixel_nm=4.0, params=Params(), **masks).heights

        assert np.median(flat[raised]) - np.median(flat[~raised]) == pytest.approx(30, rel=0.05)


@pytest.mark.parametrize("surface", ["particles", "terraces", "grains", "fractal"])
def test_other_surfaces_have_no_bars(surface):
    rng = np.random.default_rng(1)

    assert bars_in(np.float32(scanned(rng, getattr(scenes, surface)(rng, (SIDE, SIDE))))) is None


def test_what_stands_out_of_bars_is_not_sound():
    rng = np.random.default_rng(2)
    heights = scanned(rng, bars(rng))
    heights[60:63, 40:200] += 70

    sound = bars_in(np.float32(heights))

    assert sound is not None
    assert not sound[60:63, 45:195].any()


@pytest.mark.parametrize("seed", range(3))
def test_a_grating_along_the_lines_is_neither_filled_nor_called_lost(seed):
    rng = np.random.default_rng(seed)
    truth = bars(rng)
    scan = afmd.Scan.from_heights(scanned(rng, truth), pixel_nm=4.0)

    restored = afmd.restore(scan)

    assert restored.touched.mean() < 0.01
    assert scenes.rms_error(restored.restored, truth) < 1.5
    assert restored.label is afmd.Label.GOOD
