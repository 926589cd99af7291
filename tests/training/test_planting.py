"""Planted faults: the mask holds what was moved, the label is of what was planted, and a seed is a scan."""

import numpy as np
import pytest

from afmd.domain.findings import Label
from afmd.training.config import load
from afmd.training.planting import FAULTS, Bed, Dice, plant
from afmd.training.supply import supplied
from afmd.twin import KINDS, TRAINING, simulate


@pytest.fixture(scope="module")
def clean():
    return simulate(3, shape=(96, 128), recipe=TRAINING.all_good().on("particles"))


@pytest.fixture(scope="module")
def planted(clean):
    return [plant(clean, seed) for seed in range(60)]


def passes_of(scan):
    return np.stack([scan.heights, scan.heights if scan.retrace is None else scan.retrace]).astype(np.float64)


def test_the_same_seed_plants_the_same(clean):
    one, two = plant(clean, 5), plant(clean, 5)

    np.testing.assert_array_equal(one.heights, two.heights)
    np.testing.assert_array_equal(one.artifact, two.artifact)


def test_a_label_is_the_class_of_its_leading_kind_and_good_means_untouched(planted):
    assert {one.label for one in planted} >= {Label.GOOD, Label.NOT_TRACKING, Label.IMAGING_ARTIFACT}
    for one in planted:
        assert one.label is (KINDS[one.kinds[0]] if one.kinds else Label.GOOD)
        assert one.label is not Label.GOOD or one.artifact.mean() < 1e-3
        assert np.isfinite(one.heights).all()


@pytest.mark.parametrize("kind", FAULTS)
def test_what_is_planted_moves_pixels_in_most_draws(clean, kind):
    bed = Bed.of(clean, way=1)
    passes = passes_of(clean.scan)
    before = passes.copy()
    moved = [np.abs(FAULTS[kind](Dice(seed), bed, passes).passes[0] - passes[0]).max() for seed in range(10)]

    assert np.median(moved) > bed.threshold
    np.testing.assert_array_equal(passes, before)


@pytest.mark.parametrize("kind", ["parachute", "smear"])
def test_tails_lie_behind_what_each_pass_meets(clean, kind):
    bed = Bed.of(clean, way=1)
    box = np.zeros((2, 40, 100))
    box[:, :, 40:60] = clean.parameters["relief_nm"]
    moved = [FAULTS[kind](Dice(seed), bed, box).passes - box for seed in range(10)]
    mean = np.mean(np.maximum(moved, 0), axis=(0, 2))

    assert mean[0, 60:80].mean() > 5 * mean[0, 20:40].mean()
    assert mean[1, 20:40].mean() > 5 * mean[1, 60:80].mean()


def test_a_configuration_gets_its_planted_scans_beside_the_others(corpus, tmp_path):
    file = tmp_path / "one.toml"
    file.write_text('name = "x"\nmodel = "segmenter"\n[corpus]\ntraining = 4\nvalidation = 2\nplanted = 2\n')
    configuration = load(file)
    training, validation = (supplied(configuration, part, folder=corpus) for part in ("training", "validation"))

    assert (len(training), len(validation)) == (6, 3)
    assert len({entry.seed for entry in training}) == 6
