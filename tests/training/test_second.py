"""The second microscope: a scan is its seed, the mask holds what was moved, and the rest is background and noise."""

import numpy as np
import pytest

from afmd.domain.findings import Label
from afmd.training.config import Corpus, Training
from afmd.training.corpus import SECOND, simulate
from afmd.training.second import scan
from afmd.training.second.faults import FAULTS, TIP_FAULTS, some_kinds
from afmd.training.second.instrument import Instrument
from afmd.training.second.microscope import INSTRUMENT, STREAM, spoil
from afmd.training.second.noise import heard
from afmd.training.second.tips import Tip, dilated
from afmd.training.supply import supplied
from afmd.twin import KINDS

SMALL = 47
"""Seed of a scan of few pixels with a retrace."""


@pytest.fixture(scope="module")
def scans():
    return {seed: scan(seed) for seed in range(24)}


def mounted(seed):
    """What `scan` has under the tip for this seed."""
    return Instrument.mounted(np.random.default_rng([STREAM, seed, INSTRUMENT]))


@pytest.fixture(scope="module")
def instrument():
    return mounted(SMALL)


def left_of(heights, order=3):
    """What a fit to each line leaves."""
    along = np.vander(np.linspace(-1, 1, heights.shape[1]), order + 1)
    return heights - (heights @ np.linalg.pinv(along).T) @ along.T


def test_the_same_seed_records_the_same(scans):
    again = scan(5)

    np.testing.assert_array_equal(again.heights, scans[5].heights)
    np.testing.assert_array_equal(again.artifact, scans[5].artifact)
    assert again.kinds == scans[5].kinds
    assert scans[4].heights.shape != again.heights.shape or (scans[4].heights != again.heights).any()


def test_arrays_are_of_one_shape_and_finite(scans):
    for one in scans.values():
        assert (one.heights.dtype, one.truth.dtype) == (np.float32, np.float64)
        assert (one.artifact.dtype, one.feature.dtype) == (bool, bool)
        assert one.heights.shape == one.truth.shape == one.artifact.shape == one.feature.shape
        assert np.isfinite(one.heights).all()
        assert np.isfinite(one.truth).all()
        assert one.retrace is None or (one.retrace.shape, one.retrace.dtype) == (one.heights.shape, np.float32)
        assert all(0.5 <= pitch <= 100 for pitch in one.pixel_nm)
        assert one.surface.startswith("second_")
    assert {one.retrace is None for one in scans.values()} == {True, False}


def test_a_label_is_the_class_of_the_leading_kind_and_a_good_scan_has_an_empty_mask(scans):
    for one in scans.values():
        good = not one.kinds
        assert one.label is (Label.GOOD if good else KINDS[one.kinds[0]])
        assert one.artifact.any() != good
        assert one.severity == (0.0 if good else 1.0 if one.visible else 0.2)
        assert not one.visible or one.artifact.mean() >= 0.01
    assert {one.label for one in scans.values()} == set(Label)


def test_heights_of_a_good_scan_less_the_truth_are_smooth_lines_and_noise(scans):
    good = [one for one in scans.values() if one.label is Label.GOOD]
    assert good
    for one in good:
        left = left_of(one.heights - one.truth)
        assert left.std() < 0.15 * np.ptp(one.truth)
        assert abs(np.corrcoef(left.ravel(), one.truth.ravel())[0, 1]) < 0.1


def test_a_spoilt_scan_lies_farther_from_the_truth_inside_its_mask(scans):
    spoilt = [seed for seed, one in scans.items() if one.kinds]
    for seed in spoilt[:10]:
        one, instrument = scans[seed], mounted(seed)
        if not instrument.levels_lines:
            away = np.abs(one.heights - one.truth - instrument.background.trace)
            assert np.median(away[one.artifact]) > 2 * np.median(away[~one.artifact])


@pytest.mark.parametrize("kind", FAULTS)
def test_each_kind_moves_pixels_and_is_known_to_the_first_microscope(instrument, kind):
    spoilt = [spoil(instrument, (kind,), (1.0,), (seed,)) for seed in range(5)]

    assert kind in KINDS
    assert np.median([one.share for one in spoilt]) > 0.002
    for one in spoilt:
        np.testing.assert_array_equal(one.artifact, one.moved[0])
        assert (np.abs(one.change[one.artifact]) > instrument.threshold_nm).all()
        assert one.passes.retrace.shape == one.passes.trace.shape


def test_every_kind_is_drawn_and_no_scan_has_two_tips():
    drawn = [some_kinds(np.random.default_rng(seed)) for seed in range(400)]

    assert {kind for kinds in drawn for kind in kinds} == set(FAULTS)
    assert {len(kinds) for kinds in drawn} == {0, 1, 2}
    assert all(len(set(kinds)) == len(kinds) for kinds in drawn)
    assert all(sum(kind in TIP_FAULTS for kind in kinds) < 2 for kinds in drawn)


def test_a_tip_that_comes_down_late_only_raises_heights(instrument):
    assert spoil(instrument, ("parachute",), (1.0,), (1,)).change.min() > -1e-9


def test_nothing_is_written_beyond_the_end_of_the_range(instrument):
    passes = spoil(instrument, ("saturation",), (1.0,), (1,)).passes
    trace, _ = instrument.written(np.random.default_rng(1), passes)
    step = np.ptp(trace) * 1e-3

    assert passes.limits[0] - step <= trace.min()
    assert trace.max() <= passes.limits[1] + step


def test_a_tip_leaves_flat_ground_alone_and_shows_itself_on_a_needle():
    flat = np.zeros((41, 41))
    needle = flat.copy()
    needle[20, 20] = 50.0
    tip = Tip(radius_nm=4.0, front_deg=40.0, back_deg=15.0)
    image = dilated(needle, tip, down_nm=2.0, across_nm=2.0)

    assert not dilated(flat, tip, down_nm=2.0, across_nm=2.0).any()
    assert (image >= needle).all()
    assert image[20, 20] == 50.0
    assert (np.diff(image[20, 20:]) <= 0).all()
    assert image[20, 20:].sum() > 1.5 * image[20, :21].sum()


def test_lines_of_noise_scatter_about_nothing():
    for seed in range(12):
        noise = heard(np.random.default_rng(seed), (128, 192), 10.0)

        assert noise.trace.shape == noise.retrace.shape == (128, 192)
        assert 0.3 * noise.fast_nm < noise.spread_nm < 2 * noise.fast_nm
        np.testing.assert_allclose(noise.trace.mean(axis=1), 0, atol=1e-9 * noise.fast_nm)


def test_noise_stays_from_pixel_to_pixel_as_on_measured_scans_and_swells_from_line_to_line():
    lines = [heard(np.random.default_rng(seed), (128, 192), 10.0).trace for seed in range(40)]
    steps = [trace[:, 1:] - trace[:, :-1] for trace in lines]
    kept = [np.mean(trace[:, 1:] * trace[:, :-1]) / trace.var() for trace in lines]
    swell = [np.log(step.std(axis=1)).std() for step in steps]

    assert np.median(kept) > 0.6
    assert min(kept) < 0.5
    assert np.percentile(swell, 90) > 0.12
    assert min(swell) < 0.1


def test_the_corpus_holds_its_scans_under_a_recipe_of_their_own(scans):
    seed = next(seed for seed, one in scans.items() if one.kinds and one.feature.any())
    example, one = simulate(seed, SECOND), scans[seed]

    np.testing.assert_array_equal(example.heights, one.heights)
    np.testing.assert_array_equal(example.artifact, one.artifact)
    np.testing.assert_array_equal(example.feature, one.feature)
    assert (example.seed, example.label, example.kinds, example.surface) == (seed, one.label, one.kinds, one.surface)
    assert (example.visible, example.severity) == (one.visible, one.severity)


def test_a_configuration_gets_its_scans_beside_the_first_microscopes(corpus):
    configuration = Training(name="tiny", model="classifier", corpus=Corpus(training=4, validation=2, second=2))

    training, validation = (supplied(configuration, part, folder=corpus) for part in ("training", "validation"))

    assert (len(training), len(validation)) == (6, 3)
    assert [entry.surface.startswith("second_") for entry in training] == [False] * 4 + [True] * 2
    assert [entry.surface.startswith("second_") for entry in validation] == [False] * 2 + [True]
