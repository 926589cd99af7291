"""A weights folder before the evaluation set: figures, tables and galleries of what is sealed in it."""

from collections.abc import Sequence
from pathlib import Path

from afmd.domain.ports import Classifier, Segmenter
from afmd.inference import network_classifier, network_segmenter
from afmd.pipeline.joined import JoinedClassifier, JoinedSegmenter
from afmd.training import report
from afmd.training.corpus import Entry
from afmd.training.evaluate import Report, evaluate_classifier, evaluate_segmenter


def evaluated(model: str, weights: Path, entries: Sequence[Entry], out: Path, *, joined: bool = False) -> Report:
    """Evaluate a folder's ``classifier`` or ``segmenter``; write the report into ``out``. Raises ``ModelError``.

    ``joined``: with the rules beside it, as ``auto`` runs it.
    """
    if model == "classifier":
        found = _classifier(_classifying(weights, joined=joined), entries, out)
    else:
        found = _segmenter(_segmenting(weights, joined=joined), entries, out)
    report.write(found, out)
    return found


def rules(model: str, entries: Sequence[Entry], out: Path) -> Report:
    """Evaluate the rules in the model's place."""
    from afmd.science.rules import RulesClassifier, RulesSegmenter

    classify = model == "classifier"
    found = (
        evaluate_classifier(RulesClassifier(), entries) if classify else evaluate_segmenter(RulesSegmenter(), entries)
    )
    report.write(found, out)
    return found


def _classifier(classifier: Classifier, entries: Sequence[Entry], out: Path) -> Report:
    found = evaluate_classifier(classifier, entries)
    report.classifier_gallery(found, entries, out / "classifier_failures.png")
    return found


def _classifying(weights: Path, *, joined: bool) -> Classifier:
    network = network_classifier(weights, trial=True)
    from afmd.science.rules import RulesClassifier  # after the network: ONNX Runtime must be loaded before OpenCV

    return JoinedClassifier(network, RulesClassifier()) if joined else network


def _segmenting(weights: Path, *, joined: bool) -> Segmenter:
    network = network_segmenter(weights, trial=True)
    from afmd.science.rules import RulesSegmenter  # after the network: ONNX Runtime must be loaded before OpenCV

    return JoinedSegmenter(network, RulesSegmenter()) if joined else network


def _segmenter(segmenter: Segmenter, entries: Sequence[Entry], out: Path) -> Report:
    found = evaluate_segmenter(segmenter, entries)
    report.segmenter_gallery(found, entries, out / "segmenter_failures.png", segmenter=segmenter, worst=True)
    report.segmenter_gallery(found, entries, out / "segmenter_masks.png", segmenter=segmenter, worst=False)
    return found
