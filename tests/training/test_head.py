"""The head learns from summaries, and looking is done once."""

import numpy as np
import pytest
import torch

from afmd.inference import load_manifest
from afmd.inference.perception import shared_perception
from afmd.training import head as heads
from afmd.training.config import ClassifierNet
from afmd.training.head import labels_of, summaries_of, train_head
from afmd.training.seal import seal
from afmd.training.train import train


@pytest.fixture
def head(classifier):
    rule = classifier.optimiser.model_copy(update={"steps": 200, "batch": 32, "learning_rate": 1e-2})
    return classifier.model_copy(update={"classifier": ClassifierNet(kind="head", width=16), "optimiser": rule})


def test_a_head_learns_what_the_summaries_tell(head):
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=400)
    summaries = (np.eye(4)[labels] * 50 + rng.normal(0, 5, (400, 4)) + 1000).astype(np.float32)

    trained = train_head(head, summaries, labels, np.eye(4, dtype=np.float32)[labels], weights=np.ones(400, np.float32))

    with torch.no_grad():
        answers, present = (said.numpy().argmax(axis=1) for said in trained(torch.from_numpy(summaries)))
    assert (answers == labels).mean() > 0.95
    assert (present == labels).mean() > 0.95


def test_the_same_seed_makes_the_same_head(head):
    rng = np.random.default_rng(0)
    summaries, labels = rng.normal(size=(50, 6)).astype(np.float32), rng.integers(4, size=50)

    alike, natures = np.ones(50, np.float32), np.zeros((50, 4), np.float32)

    one, other = (train_head(head, summaries, labels, natures, weights=alike).state_dict() for _ in range(2))

    assert all((one[name] == other[name]).all() for name in one)


def test_a_scan_of_no_weight_teaches_nothing(head):
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=400)
    summaries = (np.eye(4)[labels] * 50 + rng.normal(0, 5, (400, 4))).astype(np.float32)
    lied = np.arange(400) >= 200
    weights = np.where(lied, 0, 1).astype(np.float32)

    told = np.where(lied, (labels + 1) % 4, labels)

    trained = train_head(head, summaries, told, np.eye(4, dtype=np.float32)[told], weights=weights)

    with torch.no_grad():
        answers = trained(torch.from_numpy(summaries))[0].numpy().argmax(axis=1)
    assert (answers == labels).mean() > 0.95


def test_what_was_looked_at_is_kept(segmenter, tmp_path, training, validation, monkeypatch):
    train(segmenter, run=tmp_path / "run", training=training, validation=validation, say=lambda _: None)
    seal(segmenter, tmp_path / "run", tmp_path / "weights", validation=validation, command="train")
    upon = load_manifest(tmp_path / "weights").model("segmenter")
    first = summaries_of(upon, validation)
    monkeypatch.setattr(heads, "shared_perception", lambda *_: 1 / 0)

    again = summaries_of(upon, validation)

    np.testing.assert_array_equal(first, again)
    assert len(first) == len(labels_of(validation)) == len(validation)
    scan = heads.seen_as(validation[0])
    np.testing.assert_array_equal(first[0], shared_perception(upon).see(scan).summary)
