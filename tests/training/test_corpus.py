"""The cache: whole files, found again, one folder for each recipe."""

import numpy as np
import pytest

from afmd.training import corpus as rooms
from afmd.training.config import EVALUATION_FROM, VALIDATION_FROM
from afmd.training.corpus import gather, open_example, simulate
from afmd.twin import EVALUATION, TRAINING


def test_a_stored_scan_is_the_simulated_one(training):
    entry = training[3]
    stored, made = open_example(entry), simulate(entry.seed, "training")

    np.testing.assert_array_equal(stored.heights, made.heights)
    np.testing.assert_array_equal(stored.retrace, made.retrace)
    np.testing.assert_array_equal(stored.artifact, made.artifact)
    np.testing.assert_array_equal(stored.feature, made.feature)
    assert (stored.label, stored.kinds, stored.surface) == (made.label, made.kinds, made.surface)


def test_what_exists_is_not_made_again(corpus, training, monkeypatch):
    monkeypatch.setattr(rooms, "simulate", lambda *_: 1 / 0)

    assert gather(corpus, "training", 12, recipe="training") == training


def test_a_file_lost_is_made_again(corpus, training):
    before = training[0].file.read_bytes()
    training[0].file.unlink()

    gather(corpus, "training", 1, recipe="training")

    assert training[0].file.read_bytes() == before


def test_a_file_that_could_not_be_written_leaves_nothing_and_keeps_what_was_there(tmp_path):
    file = tmp_path / "kept.npy"
    file.write_bytes(b"before")

    def full(temporary):
        temporary.write_bytes(b"half")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        rooms.replace(file, full)
    assert [one.name for one in tmp_path.iterdir()] == ["kept.npy"]
    assert file.read_bytes() == b"before"


def test_the_parts_take_seeds_from_ranges_that_never_meet(training, validation):
    assert {entry.seed for entry in training} == set(range(12))
    assert {entry.seed for entry in validation} == set(range(VALIDATION_FROM, VALIDATION_FROM + 4))
    assert EVALUATION_FROM > VALIDATION_FROM


def test_evaluation_draws_surfaces_that_training_never_does():
    assert not {name for name, _ in EVALUATION.surfaces} & {name for name, _ in TRAINING.surfaces}
