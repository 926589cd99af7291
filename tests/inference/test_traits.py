"""Traits: without unit, offset or tilt, of one length for every scan, and each group tells what it is there for."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from afmd.inference import planes
from afmd.inference.traits import COUNT, course, echo, flanks, summits, traits, waves
from afmd.inference.traits.values import sampled


def surface(rows: int = 200, cols: int = 240, *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rough = ndimage.gaussian_filter(rng.normal(size=(rows, cols)), 1.5)
    return (10 * rough / rough.std() + rng.normal(0, 0.1, (rows, cols))).astype(np.float32)


def of(heights: np.ndarray, retrace: np.ndarray | None = None) -> np.ndarray:
    return traits(heights, planes.segmenter_planes(heights, retrace))


@pytest.mark.parametrize("shape", [(32, 32), (128, 512), (700, 40)])
@pytest.mark.parametrize("passes", [1, 2])
def test_every_scan_has_as_many_finite_traits(shape, passes):
    heights = surface(*shape)

    found = of(heights, heights + np.float32(0.1) if passes == 2 else None)

    assert found.shape == (COUNT,)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 30


def test_unit_offset_and_tilt_change_no_trait():
    heights = surface()
    other = heights + np.random.default_rng(1).normal(0, 0.2, heights.shape).astype(np.float32)
    ramp = np.linspace(0, 40, heights.shape[1], dtype=np.float32)

    moved = of(heights * 7 + 300, other * 7 - 12)
    tilted = of(heights + ramp, other + ramp)

    np.testing.assert_allclose(moved, of(heights, other), atol=0.05)
    assert np.mean(np.abs(tilted - of(heights, other)) > 0.1) < 0.05  # what is clipped in raw heights may change


def test_a_stamp_has_none():
    assert not of(surface(31, 200)).any()


def test_a_flat_scan_has_traits_too():
    assert np.isfinite(of(np.full((64, 64), 5, np.float32))).all()


def test_a_wave_rises_out_of_its_ring_and_has_no_harmonic():
    heights = surface()
    down, along = np.indices(heights.shape)
    wave = 12 * np.sin(2 * np.pi * (0.9 * along + 0.2 * down) / 17)

    still, rippled = (
        waves.of_planes(planes.segmenter_planes(one.astype(np.float32))) for one in (heights, heights + wave)
    )

    rise, share, harmonic = rippled[18:21]
    assert rise > still[18] + 1
    assert share > 0.2
    assert harmonic < rise - 3


def test_blunted_tops_make_the_curvature_lopsided():
    heights = surface()
    away = np.hypot(*(np.indices((15, 15)) - 7))
    blunt = ndimage.grey_dilation(heights, structure=-0.5 * away**2)

    sharp, worn = (flanks.flanks(one)[10] for one in (heights, blunt.astype(np.float32)))

    assert worn > sharp + 0.3  # ln of the outermost valleys over the outermost tops


@pytest.mark.parametrize(("down", "across"), [(5, 12), (-7, 9)])
def test_a_second_apex_gives_an_echo_at_its_distance_and_a_cliff(down, across):
    rng = np.random.default_rng(3)
    heights = surface()
    ghost = np.maximum(heights, np.roll(heights, (down, across), (0, 1)) - 10)
    seen = echo.echo(ghost + rng.normal(0, 0.1, heights.shape).astype(np.float32))
    plain = echo.echo(heights)

    assert seen.values()[0] > plain.values()[0] + 0.5
    assert seen.lead > max(3, seen.rise / 2)
    assert plain.lead < 3
    assert seen.values()[4] > 1 > plain.values()[4]
    assert (seen.down, seen.across) == (pytest.approx(down, abs=1), pytest.approx(across, abs=1))
    assert seen.cliff.height == pytest.approx(-10, abs=1)


def test_a_lattice_echoes_at_many_distances_and_has_no_cliff():
    row, col = np.mgrid[:240, :240]
    lattice = np.maximum(0, np.sin(2 * np.pi * (row + 0.5 * col) / 20)) * np.maximum(0, np.sin(2 * np.pi * col / 22))
    noise = np.random.default_rng(4).normal(0, 0.01, lattice.shape)
    seen = echo.echo((lattice + noise).astype(np.float32))

    assert seen.rise > 8
    assert seen.lead < seen.rise / 4
    assert seen.cliff.depth < 0.1


def test_a_tip_that_changes_breaks_the_course_of_the_lines():
    heights = surface()
    changed = heights.copy()
    changed[90:] = ndimage.uniform_filter(heights, 7)[90:]

    steady, broken = (course.breaks(planes.segmenter_planes(one), one)[0] for one in (heights, changed))

    assert broken > steady + 0.5


def test_a_start_that_tilts_decays_as_a_drift_does():
    heights = surface()
    rows, cols = heights.shape
    drift = 30 * np.exp(-np.arange(rows) / 12)[:, None] * np.linspace(-1, 1, cols)

    slope, still = (course.drift(one.astype(np.float32))[:8] for one in (heights + drift, heights))

    assert slope.argmax() in (0, 1, 2)
    assert slope.max() > 2 * still.max()


@pytest.mark.parametrize("shape", [(40, 37), (200, 150)])
def test_derivatives_of_a_few_pixels_are_those_of_the_whole_frame(shape):
    image = np.random.default_rng(7).normal(size=shape).astype(np.float32)
    few = [
        sampled(cv2.Laplacian(image, cv2.CV_32F)),
        *(sampled(cv2.Sobel(image, cv2.CV_32F, *order)) for order in ((2, 0), (0, 2), (1, 0), (0, 1))),
    ]

    np.testing.assert_allclose(flanks.derivatives(image), few, atol=1e-5)


def grains(*, seed: int = 0) -> np.ndarray:
    """Return cones of many widths and heights with a little noise, (200, 200)."""
    rng, (down, along) = np.random.default_rng(seed), np.indices((200, 200))
    tops = np.zeros((200, 200))
    for _ in range(150):
        away = np.hypot(down - rng.uniform(0, 200), along - rng.uniform(0, 200))
        tops = np.maximum(tops, rng.uniform(0.3, 1) * np.maximum(0, 1 - away / rng.uniform(3, 12)))
    return tops + rng.normal(0, 0.01, tops.shape)


def gaps_of_falls(image: np.ndarray) -> np.ndarray:
    """Return the gaps between percentiles of the falls around summits: (5, mean and least direction, distances)."""
    return summits.summits((image / image.std()).astype(np.float32))[:40].reshape(5, 2, -1)


def test_under_a_blunt_tip_the_surface_falls_alike_around_all_summits():
    surface = grains()
    away = np.hypot(*(np.indices((19, 19)) - 9))
    blunt = ndimage.grey_dilation(surface, structure=-0.15 * np.maximum(0, away - 4))
    deepest_to_deep, deep_to_usual, mean = 0, 2, 0

    sharp, worn = (gaps_of_falls(one) for one in (surface, blunt))

    assert (worn[deepest_to_deep, mean] < sharp[deepest_to_deep, mean]).all()
    assert (worn[deep_to_usual, mean] < 0.3 * sharp[deep_to_usual, mean]).all()


def test_a_second_apex_keeps_the_surface_up_in_one_direction():
    surface = grains()
    doubled = np.maximum(surface, np.roll(surface, (-4, 8), (0, 1)) - 0.15)
    usual_to_shallow, mean, least, nine_px = 4, 0, 1, summits.DISTANCES_PX.index(9)

    alone, ghosted = (gaps_of_falls(one)[usual_to_shallow, :, nine_px] for one in (surface, doubled))

    assert ghosted[mean] - ghosted[least] > alone[mean] - alone[least] + 1.5


@pytest.mark.parametrize("shape", [(32, 200), (64, 64)])
def test_where_summits_are_few_nothing_is_told_of_them(shape):
    ramp = np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)

    assert not summits.summits(ramp).any()
