"""One simulated scan: repeatable, in sensible units, and true about itself."""

import hashlib
import json
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from afmd.domain.findings import Label
from afmd.domain.scan import Direction
from afmd.errors import InvalidInput
from afmd.twin import EVALUATION, EVERYTHING, KINDS, SURFACES, TRAINING, gallery, simulate

SHAPE = (128, 128)
CLEAN = replace(EVERYTHING, good=1.0, blemish=0.0)


def test_the_same_seed_is_the_same_scan():
    one, two = simulate(7, shape=(96, 128)), simulate(7, shape=(96, 128))

    np.testing.assert_array_equal(one.scan.heights, two.scan.heights)
    np.testing.assert_array_equal(one.artifact, two.artifact)
    assert one.parameters == two.parameters


def test_another_seed_is_another_scan():
    assert not np.array_equal(simulate(1, shape=(64, 64)).scan.heights, simulate(2, shape=(64, 64)).scan.heights)


def test_every_array_has_the_scan_s_shape_and_is_finite():
    one = simulate(3, shape=(70, 130))

    for values in (one.truth, one.imaged, one.scan.heights, one.scan.retrace, one.error, one.displacement):
        assert values.shape == (70, 130)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
    assert one.artifact.shape == one.feature.shape == (70, 130)


def test_parameters_can_be_written_as_json():
    assert json.loads(json.dumps(simulate(5, shape=(64, 64)).parameters))["seed"] == 5


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_with_minus_without_is_the_displacement_and_the_mask_is_where_it_is_large(kind):
    for seed in (11, 12):
        spoilt = simulate(seed, shape=SHAPE, recipe=EVERYTHING.only(kind))
        clean = simulate(seed, shape=SHAPE, recipe=CLEAN)
        lsb = spoilt.parameters["lsb_nm"] + clean.parameters["lsb_nm"]
        raw = [one.scan.heights.astype(np.float64) - one.background for one in (spoilt, clean)]
        changed = raw[0] - raw[1]
        rounding = lsb + 1e-6 * max(np.ptp(spoilt.scan.heights), np.ptp(spoilt.background))

        assert np.abs(changed - spoilt.displacement).max() <= rounding
        assert np.abs(changed[~spoilt.artifact]).max(initial=0.0) <= spoilt.parameters["threshold_nm"] + rounding


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_leads_to_its_class_and_is_seen_when_severe(kind):
    recipe = replace(EVERYTHING.only(kind), severity=(0.6, 1.0))
    found = [simulate(seed, shape=SHAPE, recipe=recipe) for seed in range(5)]

    assert {one.label for one in found} <= {KINDS[kind], Label.GOOD}
    assert any(one.visible and one.kinds == (kind,) and one.label is KINDS[kind] for one in found)


def test_a_scan_without_faults_is_good_everywhere():
    for seed in range(4):
        one = simulate(seed, shape=SHAPE, recipe=CLEAN)

        assert (one.label, one.kinds, one.visible, one.severity) == (Label.GOOD, (), False, 0.0)
        assert not one.artifact.any()
        assert not one.displacement.any()


def test_a_blemish_is_a_real_fault_too_small_to_spoil_the_scan():
    recipe = replace(EVERYTHING.all_good(), blemish=1.0)
    found = [simulate(seed, shape=(256, 256), recipe=recipe) for seed in range(12)]

    assert {one.label for one in found} == {Label.GOOD}
    assert max(one.artifact.mean() for one in found) < 0.001
    assert sum(one.artifact.any() for one in found) >= 8


def test_the_same_scan_comes_out_of_another_process():
    told = (
        "import hashlib, afmd.twin as t; print(hashlib.sha256(t.simulate(21, shape=(64, 96)).scan.heights).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.strip()

    assert other == hashlib.sha256(simulate(21, shape=(64, 96)).scan.heights).hexdigest()


def test_where_two_classes_meet_the_more_salient_one_gives_the_label():
    recipe = replace(EVERYTHING, good=0.0, companion=1.0, kinds=(("ripple", 1.0), ("scar", 1.0)), severity=(0.7, 1.0))
    one = next(one for one in (simulate(s, shape=SHAPE, recipe=recipe) for s in range(40)) if len(one.kinds) == 2)

    assert one.label is KINDS[one.kinds[0]]
    alone = [simulate(0, shape=SHAPE, recipe=recipe.only(kind)).artifact.mean() for kind in ("ripple", "scar")]
    assert alone[0] > alone[1]


def test_the_own_pass_shows_things_where_they_are():
    recipe = CLEAN.on("hex_grating", "particles")
    for direction in Direction:
        one = next(
            one
            for one in (simulate(s, shape=SHAPE, recipe=recipe) for s in range(40))
            if one.scan.direction is direction and one.parameters["microscope"]["integral"] > 0.6
        )
        seen = one.scan.heights - one.background
        misfit = [float(np.std(seen[:, 8:-8] - one.imaged[:, 8 + by : 120 + by])) for by in range(-8, 9)]
        assert abs(int(np.argmin(misfit)) - 8) <= 1


def test_imaged_lies_on_or_above_the_truth():
    one = simulate(9, shape=SHAPE)

    assert (one.imaged - one.truth).min() >= -1e-3 * np.ptp(one.truth)


def test_channels_hold_both_passes_error_and_phase():
    scan = simulate(2, shape=SHAPE).scan
    own, other, error, phase = scan.channels

    assert {own.direction, other.direction} == set(Direction)
    assert (own.unit, error.unit, phase.unit) == ("nm", "V", "°")
    np.testing.assert_array_equal(own.values, scan.heights)
    np.testing.assert_array_equal(other.values, scan.retrace)


def test_heights_stand_on_the_steps_of_the_converter():
    one = simulate(4, shape=SHAPE, recipe=replace(CLEAN, surfaces=(("particles", 1.0),)))
    steps = one.scan.heights / one.parameters["lsb_nm"]

    assert np.abs(steps - np.round(steps)).max() < 1e-6 * np.abs(steps).max() + 1e-3


def test_a_kind_left_out_never_comes_back_as_a_blemish():
    recipe = replace(EVERYTHING.without("spike"), good=1.0, blemish=1.0)
    plans = [simulate(seed, shape=(48, 48), recipe=recipe).parameters["plan"] for seed in range(12)]

    assert {plan["blemish"] for plan in plans} == {"scar"}


def test_training_and_evaluation_share_no_surface():
    own, other = {name for name, _ in TRAINING.surfaces}, {name for name, _ in EVALUATION.surfaces}

    assert not own & other
    assert own | other == set(SURFACES)


def test_training_and_evaluation_share_no_parameter_range():
    for low, high in TRAINING.bands:
        assert all(high <= other_low or low >= other_high for other_low, other_high in EVALUATION.bands)


def test_recipes_travel_to_worker_processes():
    assert pickle.loads(pickle.dumps(TRAINING)) == TRAINING
    assert hash(TRAINING) != hash(EVALUATION)


def test_a_gallery_is_arrays_alone():
    tiles = gallery(range(2), shape=(64, 64))

    assert [tile.raw.shape for tile in tiles] == [(64, 64)] * 2
    assert abs(float(tiles[0].levelled.mean())) < 1e-3 * max(float(np.ptp(tiles[0].levelled)), 1e-6)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: simulate(0, shape=(8, 256)), "shape"),
        (lambda: simulate(-1), "seed"),
        (lambda: EVERYTHING.only("gremlins"), "kinds"),
        (lambda: EVERYTHING.on("moon"), "surfaces"),
    ],
)
def test_what_cannot_be_simulated_is_refused_by_name(call, field):
    with pytest.raises(InvalidInput) as refused:
        call()
    assert refused.value.field == field
