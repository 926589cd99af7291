"""One simulated scan: repeatable, in sensible units, and true about itself."""

import json

import numpy as np
import pytest

from afmd.domain.findings import Label
from afmd.errors import InvalidInput
from afmd.twin import EVALUATION, EVERYTHING, KINDS, SURFACES, TRAINING, simulate


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
def test_a_kind_leads_to_its_class(kind):
    recipe = EVERYTHING.only(kind)
    labels = [simulate(seed, shape=(128, 128), recipe=recipe).label for seed in range(4)]

    assert set(labels) <= {KINDS[kind], Label.GOOD}
    assert KINDS[kind] in labels


def test_training_and_evaluation_share_no_surface():
    own, other = {name for name, _ in TRAINING.surfaces}, {name for name, _ in EVALUATION.surfaces}

    assert not own & other
    assert own | other == set(SURFACES)


def test_a_shape_out_of_range_is_refused():
    with pytest.raises(InvalidInput, match="32"):
        simulate(0, shape=(8, 256))
