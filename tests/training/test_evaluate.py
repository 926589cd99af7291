"""Evaluation: known answers give known figures, and reports reach the disk."""

import json

import numpy as np
import pytest

from afmd.domain.findings import ArtifactMap, Backend, Classification, Label
from afmd.training import report
from afmd.training.corpus import gather, open_example
from afmd.training.evaluate import Figure, evaluate_classifier, evaluate_segmenter, mean_figure

ME = Backend("oracle", "0")


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    return gather(tmp_path_factory.mktemp("evaluation"), "evaluation", 10, recipe="evaluation")


class Oracle:
    """Knows every answer, by the seed in the scan's name; ``wrong`` makes it know none."""

    backend = ME

    def __init__(self, entries, *, wrong: bool = False) -> None:
        self.examples = {str(entry.seed): open_example(entry) for entry in entries}
        self.wrong = wrong

    def classify(self, scan):
        label = self.examples[scan.name].label
        if self.wrong:
            label = next(other for other in Label if other is not label)
        chances = {other: 0.9 if other is label else 0.1 / 3 for other in Label}
        return Classification(label, chances, abstained=False, backend=ME)

    def segment(self, scan):
        known = self.examples[scan.name]
        flip = (lambda mask: ~mask) if self.wrong else (lambda mask: mask)
        return ArtifactMap(flip(known.artifact).astype(np.float32), flip(known.feature).astype(np.float32), backend=ME)


def test_an_oracle_is_right_everywhere(entries):
    found = evaluate_classifier(Oracle(entries), entries)

    assert found.headline["accuracy, all severities"].value == 1
    assert found.headline["good scans called spoilt"].value == 0
    assert found.headline["expected calibration error"].value == pytest.approx(0.1)
    assert np.trace(found.confusion) == np.sum(found.confusion)


def test_a_fool_is_right_nowhere(entries):
    found = evaluate_classifier(Oracle(entries, wrong=True), entries)

    assert found.headline["accuracy, all severities"].value == 0
    assert found.headline["good scans called spoilt"].value == 1


def test_true_masks_score_one_and_their_opposites_nothing(entries):
    right = evaluate_segmenter(Oracle(entries), entries).headline
    wrong = evaluate_segmenter(Oracle(entries, wrong=True), entries).headline

    assert right["IoU, visible artefacts"].value == right["feature IoU"].value == 1
    assert right["false artefact area, good scans"].value == 0
    assert wrong["IoU, visible artefacts"].value == 0
    assert wrong["false artefact area, good scans"].value > 0.99


def test_an_interval_brackets_its_mean():
    figure = mean_figure([0.0, 1.0, 1.0, 0.0, 1.0])

    assert figure.value == pytest.approx(0.6)
    assert figure.low < 0.6 < figure.high
    assert figure.count == 5


def test_no_scans_give_no_figure():
    assert np.isnan(mean_figure([]).value)


def test_reports_are_tables_numbers_and_pictures(entries, tmp_path):
    oracle = Oracle(entries, wrong=True)
    classes, masks = evaluate_classifier(oracle, entries), evaluate_segmenter(oracle, entries)

    report.write(classes, tmp_path)
    report.write(masks, tmp_path)
    report.classifier_gallery(classes, entries, tmp_path / "a.png")
    report.segmenter_gallery(masks, entries, tmp_path / "b.png", segmenter=oracle, worst=True)

    assert {file.name for file in tmp_path.iterdir()} >= {
        "classifier.md", "classifier.json", "confusion.png", "reliability.png", "segmenter.md", "a.png", "b.png",
    }  # fmt: skip
    assert json.loads((tmp_path / "segmenter.json").read_text())["headline"]["feature IoU"]["value"] == 0
    assert "| accuracy, all severities | 0.000 | 0.000 to 0.000 | 10 |" in (tmp_path / "classifier.md").read_text()


def test_found_missed_and_false_have_their_own_colours():
    found, truth = np.array([[True, True, False]]), np.array([[True, False, True]])
    shown = report.overlay(np.zeros((1, 3, 3)), found, truth)

    assert [int(pixel.argmax()) for pixel in shown[0]] == [1, 0, 2]
    assert str(Figure(0.5, 0.4, 0.6, 7)) == "0.500 [0.400, 0.600] n=7"
