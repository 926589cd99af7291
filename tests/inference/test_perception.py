"""A scan is looked at once, by whoever asks first."""

import gc

import numpy as np
import pytest

from afmd.domain.scan import Scan
from afmd.inference import load_manifest
from afmd.inference.perception import KEPT, Perception
from afmd.inference.sessions import Session


class Counting(Session):
    """A session that counts its runs."""

    runs = 0

    def all(self, batch):
        self.runs += 1
        return super().all(batch)


@pytest.fixture
def session(weights):
    return Counting(load_manifest(weights).model("segmenter"), threads=1)


def scan(seed: int = 0, rows: int = 64) -> Scan:
    return Scan.from_heights(np.random.default_rng(seed).normal(size=(rows, 64)), pixel_nm=1.0)


def test_what_the_classifier_saw_the_segmenter_takes(session):
    perception, one = Perception(session), scan()

    seen = perception.look(one)

    assert perception.take(one) is seen
    assert session.runs == 1


def test_what_was_taken_is_gone(session):
    perception, one = Perception(session), scan()
    perception.look(one)
    perception.take(one)

    perception.take(one)

    assert session.runs == 2


def test_another_scan_of_the_same_heights_is_looked_at_anew(session):
    perception = Perception(session)
    perception.look(scan(0))

    np.testing.assert_array_equal(perception.take(scan(0)).logits, perception.see(scan(0)).logits)
    assert session.runs == 3


def test_the_opposite_pass_is_part_of_the_scan(session):
    perception, one = Perception(session), scan()
    both = Scan(name="", heights=one.heights, pixel_nm=one.pixel_nm, retrace=scan(1).heights)
    perception.look(one)

    taken = perception.take(both)

    assert session.runs == 2
    assert not np.array_equal(taken.logits, perception.see(one).logits)


def test_nothing_outlives_its_scan_and_no_more_than_a_few_are_kept(session):
    perception = Perception(session)
    for seed in range(3):
        perception.look(scan(seed))
    gc.collect()
    assert not perception._kept

    held = [scan(seed) for seed in range(KEPT + 3)]
    for one in held:
        perception.look(one)

    assert len(perception._kept) == KEPT


def test_the_summary_of_many_tiles_joins_means_and_largest_values(session):
    seen = Perception(session).see(scan(0, rows=700))

    assert session.runs == 2
    assert seen.summary.ndim == 1
    assert np.isfinite(seen.summary).all()
    assert seen.summary[:4].sum() == pytest.approx(1, abs=1e-4)
