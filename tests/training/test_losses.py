"""Losses against cases done by hand."""

import math

import pytest
import torch

from afmd.training.losses import class_cells, focal_classes, focal_dice_pixels


def test_without_focus_it_is_cross_entropy():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    wanted = (math.log(1 + math.exp(-2)) + math.log(1 + math.e)) / 2

    assert float(focal_classes(logits, torch.tensor([0, 0]), focus=0, smoothing=0)) == pytest.approx(wanted)


def test_focus_weighs_by_the_missing_probability():
    logits = torch.log(torch.tensor([[0.8, 0.2]]))

    found = float(focal_classes(logits, torch.tensor([0]), focus=2, smoothing=0))

    assert found == pytest.approx(0.2**2 * -math.log(0.8), rel=1e-5)


def test_class_weights_scale_their_own_class():
    logits = torch.log(torch.tensor([[0.5, 0.5]]))
    weights = torch.tensor([3.0, 1.0])

    assert float(focal_classes(logits, torch.tensor([0]), focus=0, smoothing=0, weights=weights)) == pytest.approx(
        3 * math.log(2)
    )


def weighed(logits: torch.Tensor, targets: torch.Tensor, *, focus: float, faint: float = 1.0) -> float:
    weights = torch.where(targets[:, 0] > 0, faint, 1.0)
    return float(focal_dice_pixels(logits, targets, weights=weights, focus=focus))


def test_a_thin_scar_weighs_as_much_as_a_wide_band():
    def missed(rows: int) -> float:
        targets = torch.zeros(1, 2, 64, 64)
        targets[0, 0, :rows] = 1
        wrong = torch.full_like(targets, -12.0)
        right = torch.where(targets > 0, 12.0, -12.0)
        wrong[:, 1], right[:, 1] = -12, -12
        return weighed(wrong, targets, focus=50) - weighed(right, targets, focus=50)

    thin, wide = missed(1), missed(32)
    dice_part = 1 - 1 / 65

    assert thin > 0.9 * dice_part
    assert wide > thin


def test_an_empty_picture_called_empty_costs_nothing():
    targets = torch.zeros(2, 2, 16, 16)

    assert weighed(torch.full_like(targets, -20.0), targets, focus=1) < 1e-6


def test_a_fault_that_nobody_sees_hardly_counts():
    targets = torch.zeros(1, 2, 32, 32)
    targets[0, 0, :8] = 1
    missed = torch.full_like(targets, -12.0)

    assert weighed(missed, targets, focus=1, faint=0.2) < 0.25 * weighed(missed, targets, focus=1)


def test_a_cell_is_of_the_class_of_any_spoilt_pixel_in_it():
    classes = torch.zeros(1, 8, 8)
    classes[0, 1, 6] = 3
    right = torch.full((1, 4, 2, 2), -20.0)
    right[0, 0] = 20
    right[0, :, 0, 1] = torch.tensor([-20.0, -20.0, -20.0, 20.0])
    wrong = right.roll(1, dims=3)

    assert float(class_cells(right, classes)) < 1e-3
    assert float(class_cells(wrong, classes)) > 10
