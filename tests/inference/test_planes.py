"""Planes depend on the surface alone: not on unit, offset or tilt."""

import numpy as np
import pytest

from afmd.inference import planes


def surface(rows: int = 150, cols: int = 200, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    bumps = sum(
        np.exp(-((np.arange(rows)[:, None] - r) ** 2 + (np.arange(cols) - c) ** 2) / 60.0)
        for r, c in rng.uniform(0, (rows, cols), (12, 2))
    )
    return (8 * bumps + rng.normal(0, 0.2, (rows, cols))).astype(np.float32)


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 1e4])
def test_the_unit_of_height_does_not_matter(factor):
    one, other = surface(), surface(seed=1)

    scaled = planes.segmenter_planes(one * np.float32(factor), other * np.float32(factor))

    np.testing.assert_allclose(scaled, planes.segmenter_planes(one, other), atol=2e-4)


def test_offset_and_tilt_do_not_matter():
    heights = surface()
    ramp = 120 + 0.3 * np.arange(150)[:, None] - 0.2 * np.arange(200)

    tilted = planes.segmenter_planes((heights + ramp).astype(np.float32))

    np.testing.assert_allclose(tilted, planes.segmenter_planes(heights), atol=5e-3)


def test_a_line_one_pixel_high_stands_out_in_the_native_and_in_the_pooled_planes():
    heights = surface(1024, 300)
    heights[601, 40:260] += 12

    native = planes.segmenter_planes(heights)
    pooled = planes.pooled(native)

    assert native[planes.SCAR, 601, 40:260].mean() > 3 * np.abs(native[planes.SCAR]).mean()
    streaks = pooled[1].mean(axis=1)
    assert streaks.argmax() == 601 * 224 // 1024


def test_a_line_offset_vanishes_from_aligned_and_shows_in_row_step():
    heights = surface()
    heights[70:] += 50

    native = planes.segmenter_planes(heights)

    assert np.abs(native[planes.ROW_STEP, :, 0]).argmax() == 70
    clean = planes.segmenter_planes(surface())
    assert np.abs(native[planes.ALIGNED] - clean[planes.ALIGNED]).mean() < 0.1


def test_bow_drift_and_line_offsets_do_not_bend_the_flat_plane_and_particles_stand_on_it():
    rng = np.random.default_rng(4)
    heights = surface(seed=3)
    across, down = np.linspace(-1, 1, 200), np.linspace(-1, 1, 150)[:, None]
    scanner = 30 * across**2 - 12 * across**3 + 20 * down + 9 * np.exp(-4 * (down + 1)) + rng.normal(0, 2, (150, 1))

    flat = np.sinh(planes.segmenter_planes((heights + scanner).astype(np.float32))[planes.FLAT])
    ground, tops = heights < 1, heights > 4

    assert np.abs(np.median(flat[ground])) < 0.5 * np.percentile(np.abs(flat[ground]), 90)
    assert np.percentile(flat[tops], 5) > 2 * np.percentile(flat[ground], 95)


def test_the_shortest_half_of_a_known_set():
    assert planes.shortest_half(np.array([0.0, 1.0, 2.0, 10.0, 11.0, 50.0, 90.0])) == (5.0, 5.0)
    assert planes.shortest_half(np.array([3.0, 3.0, 3.0, 3.0])) == (3.0, 1.0)


def test_a_noisy_line_shows_in_row_noise():
    heights = surface()
    heights[33] += np.random.default_rng(5).normal(0, 3, 200).astype(np.float32)

    assert planes.segmenter_planes(heights)[planes.ROW_NOISE, :, 0].argmax() == 33


def test_without_the_opposite_pass_its_planes_are_empty():
    native = planes.segmenter_planes(surface())

    assert not native[planes.PASS_DIFFERENCE].any()
    assert not native[planes.PASS_PRESENT].any()


def test_equal_passes_differ_nowhere_and_a_spoilt_one_does():
    heights = surface()
    spoilt = heights.copy()
    spoilt[20, 30:60] += 9

    assert np.abs(planes.segmenter_planes(heights, heights)[planes.PASS_DIFFERENCE]).max() < 1e-3
    difference = planes.segmenter_planes(spoilt, heights)[planes.PASS_DIFFERENCE]
    assert np.abs(difference[20, 30:60]).min() > 5 * np.median(np.abs(difference))


@pytest.mark.parametrize("shape", [(2, 2), (3, 700), (128, 1024), (486, 768)])
def test_any_shape_gives_finite_planes_of_its_own_shape(shape):
    heights = np.random.default_rng(1).normal(size=shape).astype(np.float32)

    native = planes.segmenter_planes(heights)

    assert native.shape == (len(planes.NAMES), *shape)
    assert native.dtype == np.float32
    assert np.isfinite(native).all()
    assert planes.classifier_planes(heights).shape == (3, 224, 224)


def test_a_flat_scan_gives_zeros_not_nan():
    assert not planes.segmenter_planes(np.full((40, 30), 7, np.float32)).any()


def test_the_median_of_five_rows_is_the_median():
    level = np.random.default_rng(2).normal(size=(30, 20)).astype(np.float32)
    padded = np.pad(level, ((2, 2), (0, 0)), mode="edge")
    stacked = np.stack([padded[i : i + 30] for i in range(5)])

    np.testing.assert_array_equal(planes.median_of_five_rows(level), np.median(stacked, axis=0))


@pytest.mark.parametrize("side", [100, 224, 300, 1000])
def test_pooling_keeps_the_largest_and_the_mean(side):
    plane = np.random.default_rng(3).normal(size=(side, side)).astype(np.float32)

    assert planes.pool(plane, np.maximum).max() == plane.max()
    if side >= 224:
        edges = np.arange(224) * side // 224
        assert planes.pool(plane, np.add)[0, 0] == pytest.approx(plane[: edges[1], : edges[1]].mean(), abs=1e-5)


def test_the_scan_itself_is_left_as_it_was():
    heights = surface()
    heights.flags.writeable = False
    before = heights.copy()

    planes.segmenter_planes(heights, heights)

    np.testing.assert_array_equal(heights, before)


@pytest.mark.parametrize("shift", [-14, 0, 6])
def test_passes_that_lie_apart_are_registered_before_they_are_compared(shift):
    heights = surface(cols=260)
    trace, retrace = heights[:, 30:230], heights[:, 30 + shift : 230 + shift]

    found = planes.registered(retrace, trace)

    np.testing.assert_array_equal(found[:, 20:-20], trace[:, 20:-20])


def test_passes_that_lie_further_apart_at_the_ends_of_a_line_are_registered_too():
    heights = surface(cols=300)
    across = np.linspace(-1, 1, 240)
    at = np.arange(240) + 30 + 6 * across**2 - 2
    retrace = np.stack([np.interp(at, np.arange(300), line) for line in heights]).astype(np.float32)
    trace = heights[:, 30:270]

    left = np.abs(planes.registered(retrace, trace) - trace)[:, 20:-20].mean()

    by_one_shift = [np.abs(np.roll(retrace, shift, axis=1) - trace)[:, 20:-20].mean() for shift in range(-9, 10)]
    assert left < 0.5 * min(by_one_shift)


def test_lines_that_lie_higher_in_one_pass_are_no_difference_of_the_passes():
    heights = surface()
    raised = heights + np.linspace(-1, 1, len(heights), dtype=np.float32)[:, None] ** 3

    difference = planes.segmenter_planes(raised, heights)[planes.PASS_DIFFERENCE]

    assert np.abs(np.median(difference, axis=1)).max() < 1e-3


@pytest.mark.parametrize("cols", [2, 3, 7, 8, 20])
def test_passes_of_a_few_columns_are_compared_too(cols):
    heights = surface(cols=cols)

    assert np.abs(planes.segmenter_planes(heights, heights)[planes.PASS_DIFFERENCE]).max() < 1e-3
