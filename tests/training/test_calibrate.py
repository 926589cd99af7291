"""Calibration: fitted numbers do what they are fitted for."""

import numpy as np
import pytest

from afmd.training import scores
from afmd.training.calibrate import (
    abstention,
    classifier_calibration,
    fitted_temperature,
    segmenter_calibration,
)  # fmt: skip
from afmd.training.tasks import task_for


def overconfident(count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 3, (count, 4))
    chances = scores.softmax(honest)
    labels = np.array([rng.choice(4, p=p) for p in chances])
    return (3 * honest).astype(np.float32), labels


def test_the_temperature_of_logits_three_times_too_large_is_three():
    assert fitted_temperature(*overconfident()) == pytest.approx(3, rel=0.1)


def test_the_temperature_lowers_the_calibration_error():
    logits, labels = overconfident()
    before = scores.expected_calibration_error(scores.softmax(logits), labels)

    after = scores.expected_calibration_error(
        scores.softmax(logits, temperature=fitted_temperature(logits, labels)), labels
    )

    assert after < 0.2 * before


def test_above_the_threshold_enough_answers_are_right():
    logits, labels = overconfident()
    chances = scores.softmax(logits, temperature=3)
    threshold = abstention(chances, labels)
    kept = chances.max(axis=1) >= threshold

    assert (chances.argmax(axis=1) == labels)[kept].mean() >= 0.95
    assert (chances.argmax(axis=1) == labels).mean() < 0.95
    assert 0.1 < kept.mean() < 1


def test_models_are_calibrated_from_stored_scans(segmenter, classifier, validation):
    pixels = segmenter_calibration(task_for(segmenter).build().eval(), validation)
    whole = classifier_calibration(task_for(classifier).build().eval(), validation, grey=False)

    assert len(pixels.temperature) == len(pixels.bias) == 2
    assert len(pixels.cuts) == 4
    assert not pixels.trust
    assert min(*pixels.temperature, *whole.temperature) > 0
