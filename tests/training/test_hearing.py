"""Cuts and trust: what is shy is heard, what guesses is not, and a belief in the whole scan moves the cut."""

import numpy as np
import pytest

from afmd.inference.manifest import NEVER
from afmd.inference.networks import NATURES, surest
from afmd.training.hearing import TRUSTS, Looked, fitted_hearing
from afmd.training.natures import NATURES as KINDS_OF_NATURES

COUNT = 900


def looked(logits: np.ndarray, truth: np.ndarray, odds: np.ndarray | None = None) -> Looked:
    belief = np.zeros(len(NATURES), np.float32) if odds is None else odds
    return Looked(logits.astype(np.float32), truth, belief, sound=not truth.any())


def test_training_and_inference_order_the_natures_alike():
    assert tuple(KINDS_OF_NATURES) == NATURES


def test_a_shy_output_is_heard_and_one_that_guesses_is_not():
    rng = np.random.default_rng(3)
    scans = []
    for _ in range(12):
        truth = rng.random(COUNT) < 0.1
        logits = np.full((4, COUNT), -8.0)
        logits[0] = np.where(truth, -1.0, -4.0)
        logits[2] = rng.normal(0, 1, COUNT)
        scans.append(looked(logits, truth))

    cuts = fitted_hearing(scans).cuts

    called = [surest(one.logits, np.array(cuts, np.float32)) > 0 for one in scans]
    assert all(np.array_equal(found, one.truth) for found, one in zip(called, scans, strict=True))
    assert cuts[2] == NEVER


@pytest.fixture
def rippled() -> list[Looked]:
    """Half the scans are rippled all over, which no pixel shows but the belief does."""
    rng = np.random.default_rng(5)
    scans = []
    for number in range(40):
        ripple = number % 2 == 0
        logits = np.full((4, COUNT), -9.0)
        logits[2] = rng.normal(-2, 1, COUNT)
        odds = np.array([0, 0, 3.0 if ripple else -3.0, 0], np.float32)
        scans.append(looked(logits, np.full(COUNT, ripple), odds))
    return scans


def test_a_belief_that_is_right_is_trusted(rippled):
    alone, heard = fitted_hearing(rippled), fitted_hearing(rippled, trusts=TRUSTS)

    assert alone.score < 0.1
    assert heard.score > 0.45  # half of the scans are good, where nothing called is 0
    assert heard.trust[2] > 0
    assert heard.trust[0] == heard.trust[1] == heard.trust[3] == 0


def test_a_belief_that_knows_nothing_is_not_trusted(rippled):
    rng = np.random.default_rng(6)
    blind = [Looked(one.logits, one.truth, rng.normal(0, 3, 4).astype(np.float32), one.sound) for one in rippled]

    assert fitted_hearing(blind, trusts=TRUSTS).score < 0.2  # by chance alone, of 40 scans


def test_what_no_pixel_shows_is_taken_to_cover_the_frame_where_the_belief_is_strong(rippled):
    unseen = [Looked(np.full_like(one.logits, -25.0), one.truth, one.odds, one.sound) for one in rippled]

    heard = fitted_hearing(unseen, trusts=TRUSTS)

    assert -3 < heard.whole < 3
    assert fitted_hearing(unseen).whole == NEVER
