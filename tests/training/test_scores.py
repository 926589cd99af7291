"""Figures of merit against cases done by hand."""

import numpy as np
import pytest

from afmd.training import scores

MATRIX = np.array([[8, 2], [1, 9]])


def test_iou_and_dice_of_two_overlapping_squares():
    found, truth = np.zeros((10, 10), bool), np.zeros((10, 10), bool)
    found[:4, :4] = truth[2:6, :4] = True

    assert scores.iou(found, truth) == pytest.approx(8 / 24)
    assert scores.dice(found, truth) == pytest.approx(16 / 32)


def test_nothing_found_where_nothing_is_counts_as_perfect():
    empty = np.zeros((3, 3), bool)

    assert scores.iou(empty, empty) == scores.dice(empty, empty) == 1


def test_confusion_has_the_truth_in_rows():
    matrix = scores.confusion([0, 0, 1], [1, 0, 1], classes=2)

    np.testing.assert_array_equal(matrix, [[1, 1], [0, 1]])


def test_recall_and_f1():
    np.testing.assert_allclose(scores.recalls(MATRIX), [0.8, 0.9])
    np.testing.assert_allclose(scores.f1(MATRIX), [16 / 19, 18 / 21])
    assert scores.macro_f1(MATRIX) == pytest.approx((16 / 19 + 18 / 21) / 2)


def test_a_class_that_never_came_has_no_recall():
    assert np.isnan(scores.recalls(np.array([[3, 0], [0, 0]]))[1])


def test_confidence_that_is_twenty_points_too_high_has_that_calibration_error():
    chances = np.tile([0.9, 0.1], (10, 1))
    labels = [0] * 7 + [1] * 3

    assert scores.expected_calibration_error(chances, labels) == pytest.approx(0.2)


def test_log_loss_of_even_odds():
    assert scores.log_loss(np.full((4, 4), 0.25), [0, 1, 2, 3]) == pytest.approx(np.log(4))


def test_the_surest_share_holds_the_greatest_probabilities():
    chances = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.5, 0.5]])

    np.testing.assert_array_equal(scores.surest(chances, share=0.5), [True, False, True, False])


def test_the_interval_holds_the_mean_and_narrows_with_more_scans():
    values = np.random.default_rng(0).random(400)
    few, many = scores.interval(values[:40]), scores.interval(values)

    assert few[0] < values[:40].mean() < few[1]
    assert many[1] - many[0] < few[1] - few[0]


def test_softmax_at_a_high_temperature_is_flat():
    np.testing.assert_allclose(scores.softmax([[3.0, -1.0]], temperature=1e6), [[0.5, 0.5]], atol=1e-5)
