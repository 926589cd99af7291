"""The network that weighs evidence: what it learns from, and that what is written is what was learnt."""

import numpy as np
import pytest

from afmd.science.inpaint import coefficients
from afmd.science.inpaint.evidence import SHAPES
from afmd.science.inpaint.numbers import unpacked
from afmd.training.filling import OFTEN, PIXELS, Spoilt, drawn, fitted, holes, strange, written


def scan(seed=0, shape=(96, 120)):
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1, shape).cumsum(axis=0).cumsum(axis=1).astype(np.float32)
    mask = holes(shape, rng)
    return Spoilt(np.where(mask, truth + 100, truth).astype(np.float32), truth, mask)


@pytest.mark.parametrize("seed", range(6))
def test_strange_holes_leave_the_rest_of_the_scan(seed):
    truth = scan().truth

    made = strange(truth, np.random.default_rng(seed))

    np.testing.assert_array_equal(made.heights[~made.mask], truth[~made.mask])
    assert made.mask.any()
    assert np.isfinite(made.heights).all()


def test_every_strange_content_has_its_share():
    assert OFTEN.sum() == pytest.approx(1)
    assert (OFTEN > 0).all()


def test_the_truth_to_learn_is_relative_to_kriging_and_in_the_surface_s_spread():
    one, two = (
        next(drawn(Spoilt(size * scan().heights, size * scan().truth, scan().mask), np.random.default_rng(0)))
        for size in (np.float32(1), np.float32(1000))
    )

    assert len(one.wanted) <= PIXELS
    np.testing.assert_allclose(two.wanted, one.wanted, atol=1e-3)
    assert two.rms == pytest.approx(one.rms, rel=1e-3)


def test_what_is_written_is_what_was_learnt():
    rng = np.random.default_rng(0)
    samples = [sample for seed in range(3) for sample in drawn(scan(seed), rng)]

    arrays = fitted(samples, steps=12)
    module: dict[str, str] = {}
    exec(written(arrays), module)

    assert [array.shape for array in arrays] == list(SHAPES)
    for array, back in zip(arrays, unpacked(module["NETWORK"], SHAPES), strict=True):
        np.testing.assert_allclose(back, array, rtol=1e-3, atol=1e-3)


def test_the_coefficients_in_use_have_the_network_s_shape():
    assert all(np.isfinite(array).all() for array in unpacked(coefficients.NETWORK, SHAPES))
