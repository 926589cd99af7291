"""Batches follow from seed and step; changes keep picture and answer together."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from afmd.domain.findings import Label
from afmd.inference import planes
from afmd.training import batches
from afmd.training.corpus import ARTIFACT, Example


def example(rows: int = 40, cols: int = 60) -> Example:
    rng = np.random.default_rng(0)
    heights = rng.normal(size=(rows, cols)).astype(np.float32)
    targets = np.zeros((rows, cols), np.uint8)
    targets[5, 10:20] = ARTIFACT
    heights[5, 10:20] = 99
    return Example(1, heights, heights.copy(), targets, Label.NOT_TRACKING, ("scar",), visible=True, severity=0.5)


def test_a_batch_is_a_function_of_seed_and_step(segmenter, training):
    one, again, other = (batches.segmenter_batch(training, segmenter, step) for step in (7, 7, 8))

    assert torch.equal(one.planes, again.planes)
    assert torch.equal(one.answers, again.answers)
    assert one.planes.shape != other.planes.shape or not torch.equal(one.planes, other.planes)


def test_crops_have_a_configured_shape(segmenter, training):
    shapes = {tuple(batches.segmenter_batch(training, segmenter, step).planes.shape[2:]) for step in range(8)}

    assert shapes == {(64, 64), (32, 128)}


def test_planes_that_find_no_room_on_the_disk_are_the_same_and_not_kept(training, tmp_path, monkeypatch):
    entry = replace(training[0], file=tmp_path / training[0].file.name)
    shutil.copy(training[0].file, entry.file)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=batches.SPARE_BYTES - 1))

    made = batches.prepared(entry)

    assert list(tmp_path.iterdir()) == [entry.file]
    np.testing.assert_array_equal(made, batches.prepared(training[0]))
    monkeypatch.undo()
    np.testing.assert_array_equal(made, batches.prepared(entry))
    assert len(list(tmp_path.iterdir())) == 2


def test_the_classifier_sees_every_class_equally_often(classifier, training):
    batch = batches.classifier_batch(training, classifier, 0)
    present = {entry.label for entry in training}

    assert batch.planes.shape[1:] == (3, 224, 224)
    assert {batches.LABELS[i] for i in batch.answers.tolist()} == present


@pytest.mark.parametrize("seed", range(6))
def test_mirroring_takes_the_mask_along(seed):
    turned = batches.varied(example(), np.random.default_rng(seed), retrace_dropout=0)

    np.testing.assert_array_equal(turned.heights == 99, turned.artifact)
    assert turned.retrace is not None
    np.testing.assert_array_equal(turned.heights, turned.retrace)
    assert turned.heights.shape == (40, 60)


def test_the_opposite_pass_is_withheld_as_often_as_told():
    rng = np.random.default_rng(0)
    kept = [batches.varied(example(), rng, retrace_dropout=0.5).retrace is not None for _ in range(400)]

    assert 0.4 < np.mean(kept) < 0.6


def test_a_crop_asked_to_hold_the_fault_holds_it():
    artifact = np.zeros((500, 700), bool)
    artifact[480, 30] = True
    rng = np.random.default_rng(0)
    held = [artifact[batches.crop_window(artifact, (64, 64), rng)].any() for _ in range(100)]

    assert np.mean(held) > 0.3


def test_jitter_leaves_the_presence_flag_alone():
    image = np.ones((len(planes.NAMES), 4, 4), np.float32)

    jittered = batches.jittered(image, np.random.default_rng(0))

    assert (jittered[planes.PASS_PRESENT] == 1).all()
    assert not (jittered[planes.DOWN] == 1).any()


def test_the_published_input_is_one_grey_plane_three_times():
    grey = batches.grey_planes(example().heights)

    assert grey.shape == (3, 224, 224)
    np.testing.assert_array_equal(grey[0], grey[2])


@pytest.mark.parametrize(("down", "across"), [(True, False), (False, True), (True, True)])
def test_mirrored_planes_are_the_planes_of_the_mirrored_scan(down, across):
    one = example()
    turn = (slice(None, None, -1 if down else 1), slice(None, None, -1 if across else 1))
    wanted = planes.segmenter_planes(one.heights[turn].copy(), one.retrace[turn].copy())

    found = batches.mirrored(planes.segmenter_planes(one.heights, one.retrace), down=down, across=across)

    assert np.abs(found - wanted).mean() < 0.05 * np.abs(wanted).mean()
