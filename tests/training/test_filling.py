"""The network that weighs evidence: what it learns from, and that what is written is what was learnt."""

from dataclasses import replace

import numpy as np
import pytest

from afmd.science.inpaint import coefficients
from afmd.science.inpaint.clues import Clues
from afmd.science.inpaint.evidence import shapes
from afmd.science.inpaint.kriging import kriged
from afmd.science.inpaint.numbers import unpacked
from afmd.science.inpaint.passes import laid
from afmd.science.inpaint.sigma import standard_deviation
from afmd.training.filling import (
    OFTEN,
    PIXELS,
    Spoilt,
    drawn,
    fitted,
    heard,
    holes,
    picked,
    strange,
    widened,
    written,
)  # fmt: skip


def scan(seed=0, shape=(96, 120), kind="smear"):
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1, shape).cumsum(axis=0).cumsum(axis=1).astype(np.float32)
    mask = holes(shape, rng)
    heights = np.where(mask, truth + 100, truth).astype(np.float32)
    return Spoilt(heights, truth, mask, np.roll(truth, 1, axis=1) + 7, kind)


def sized(spoilt, size):
    return replace(spoilt, heights=size * spoilt.heights, truth=size * spoilt.truth, other=size * spoilt.other)


@pytest.mark.parametrize("seed", range(6))
def test_strange_holes_leave_the_rest_of_the_scan(seed):
    truth = scan().truth

    made = strange(scan(), np.random.default_rng(seed))

    np.testing.assert_array_equal(made.heights[~made.mask], truth[~made.mask])
    assert made.mask.any()
    assert np.isfinite(made.heights).all()


@pytest.mark.parametrize(("kind", "signs"), [("spike", {-1, 1}), ("parachute", {1})])
def test_only_artefacts_that_hang_on_nothing_seen_go_either_way(kind, signs):
    rng, seen = np.random.default_rng(0), set()

    for _ in range(12):
        one = next(drawn(scan(kind=kind), rng))
        seen.add(int(np.sign(np.median(one.candidates[:, 1] - one.wanted))))

    assert seen == signs


def test_every_strange_content_has_its_share():
    assert OFTEN.sum() == pytest.approx(1)
    assert (OFTEN > 0).all()


def test_the_truth_to_learn_is_relative_to_kriging_and_in_the_surface_s_spread():
    one, two = (
        next(drawn(sized(scan(), size), np.random.default_rng(0))) for size in (np.float32(1), np.float32(1000))
    )

    assert len(one.wanted) <= PIXELS
    np.testing.assert_allclose(two.wanted, one.wanted, atol=1e-3)
    assert two.rms == pytest.approx(one.rms, rel=1e-3)


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    return [sample for seed in range(3) for sample in drawn(scan(seed), rng)]


def test_what_is_written_is_what_was_learnt(samples):
    one, both = (fitted(samples, steps=12, passes=passes) for passes in (False, True))
    module: dict[str, str] = {}
    exec(written(one, both), module)

    for name, passes, arrays in (("ONE_PASS", False, one), ("BOTH_PASSES", True, both)):
        assert tuple(array.shape for array in arrays) == shapes(passes=passes)
        for array, back in zip(arrays, unpacked(module[name], shapes(passes=passes)), strict=True):
            np.testing.assert_allclose(back, array, rtol=1e-3, atol=1e-3)


def test_a_network_of_one_pass_hears_what_a_scan_of_one_pass_tells():
    heights, mask = scan().heights, scan().mask
    guess = kriged(heights, mask)
    alone = Clues(heights, mask, guess=guess, sigma=standard_deviation(guess))
    guess = kriged(heights, mask, laid(heights, scan().other, mask))
    with_other = Clues(heights, mask, guess=guess, sigma=standard_deviation(guess))

    whole = np.concatenate([with_other.pixels(slice(None))[:, 0], with_other.scan])

    np.testing.assert_array_equal(
        whole[heard(passes=False)], np.concatenate([alone.pixels(slice(None))[:, 0], alone.scan])
    )
    assert heard(passes=True).all()


@pytest.mark.parametrize(("text", "passes"), [(coefficients.ONE_PASS, False), (coefficients.BOTH_PASSES, True)])
def test_the_coefficients_in_use_have_the_network_s_shape(text, passes):
    assert all(np.isfinite(array).all() for array in unpacked(text, shapes(passes=passes)))


def test_new_intervals_leave_the_heights_as_they_are(samples):
    old = fitted(samples, steps=4, passes=False)

    new = widened(samples, old, steps=4, passes=False)

    for before, after in zip(old[:-2], new[:-2], strict=True):
        np.testing.assert_array_equal(after, before)
    for before, after in zip(old[-2:], new[-2:], strict=True):
        np.testing.assert_array_equal(after[:-1], before[:-1])
        assert (after[-1] != before[-1]).any()


def test_rare_holes_are_all_learnt_from_and_the_scan_s_shares_are_kept():
    classes = np.repeat([0, 3], [5, 4000])

    at, share, even = picked(classes, np.random.default_rng(0))

    assert len(np.unique(at)) == len(at) == PIXELS
    assert set(range(5)) <= set(at.tolist())
    assert share.sum() == pytest.approx(1)
    assert share[classes[at] == 0].sum() == pytest.approx(5 / 4005)
    for own in (0, 3):
        assert even[classes[at] == own].sum() == pytest.approx(1, rel=1e-5)
