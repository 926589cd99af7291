"""Losses against cases done by hand."""

import math

import pytest
import torch

from afmd.training.losses import class_cells, dice_pictures, faults_by_nature, features, focal_classes


def test_without_focus_it_is_cross_entropy():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    wanted = (math.log(1 + math.exp(-2)) + math.log(1 + math.e)) / 2

    assert float(focal_classes(logits, torch.tensor([0, 0]), focus=0, smoothing=0)) == pytest.approx(wanted)


def test_focus_weighs_by_the_missing_probability():
    logits = torch.log(torch.tensor([[0.8, 0.2]]))

    found = float(focal_classes(logits, torch.tensor([0]), focus=2, smoothing=0))

    assert found == pytest.approx(0.2**2 * -math.log(0.8), rel=1e-5)


NATURES = 4


def weighed(logits: torch.Tensor, artifact: torch.Tensor, *, nature: int = 0, faint: float = 1.0) -> float:
    """The loss of faults of one nature in pictures of 32 × 32; ``logits`` as the network gives them."""
    weights = torch.where(artifact > 0, faint, 1.0)
    natures = torch.full((len(artifact),), nature)
    return float(faults_by_nature(logits, artifact, natures=natures, weights=weights, focus=1))


def spoilt(rows: int) -> torch.Tensor:
    artifact = torch.zeros(1, 32, 32)
    artifact[:, :rows] = 1
    return artifact


def called(artifact: torch.Tensor, *, by: int) -> torch.Tensor:
    """Logits of one sure output that calls just these pixels, while all others call none."""
    logits = torch.full((len(artifact), NATURES, *artifact.shape[1:]), -12.0)
    logits[:, by] = torch.where(artifact > 0, 12.0, -12.0)
    return logits


def test_a_thin_scar_weighs_as_much_as_a_wide_band():
    def missed(rows: int) -> float:
        targets = spoilt(rows)
        return float(dice_pictures(torch.full_like(targets, -12.0), targets, counts=torch.tensor([True])))

    assert missed(1) == pytest.approx(1 - 1 / 33, abs=1e-3)
    assert missed(16) == pytest.approx(missed(1), abs=0.05)


def test_a_sound_picture_called_sound_costs_nothing():
    sound = torch.zeros(2, 32, 32)

    assert weighed(torch.full((2, NATURES, 32, 32), -20.0), sound, nature=-1) < 1e-6
    assert float(features(torch.full_like(sound, -20.0), sound, focus=1)) < 1e-6


def test_a_fault_belongs_to_the_output_of_its_nature():
    artifact = spoilt(8)

    assert weighed(called(artifact, by=2), artifact, nature=2) < 1e-3
    assert weighed(called(artifact, by=1), artifact, nature=2) > 10


def test_where_faults_are_mixed_any_output_may_call_them_and_none_may_call_sound_pixels():
    artifact = spoilt(8)
    everywhere = called(torch.ones_like(artifact), by=3)

    assert weighed(called(artifact, by=1), artifact, nature=-1) < 1e-3
    assert weighed(called(artifact, by=3), artifact, nature=-1) < 1e-3
    assert weighed(everywhere, artifact, nature=-1) > 10


def test_a_fault_that_nobody_sees_hardly_counts():
    artifact = spoilt(8)
    missed = torch.full((1, NATURES, 32, 32), -12.0)

    assert weighed(missed, artifact, faint=0.2) < 0.25 * weighed(missed, artifact)


def test_a_cell_is_of_the_class_of_any_spoilt_pixel_in_it():
    classes = torch.zeros(1, 8, 8)
    classes[0, 1, 6] = 3
    right = torch.full((1, 4, 2, 2), -20.0)
    right[0, 0] = 20
    right[0, :, 0, 1] = torch.tensor([-20.0, -20.0, -20.0, 20.0])
    wrong = right.roll(1, dims=3)

    assert float(class_cells(right, classes)) < 1e-3
    assert float(class_cells(wrong, classes)) > 10
