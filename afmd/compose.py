"""The only file that names every concrete class."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from afmd import settings
from afmd.domain.ports import Classifier, Segmenter
from afmd.errors import ModelError

Speaker = TypeVar("Speaker", Classifier, Segmenter)


@dataclass(frozen=True, slots=True)
class Backends:
    """Who classifies and who segments; ``remarks`` says for whom the rules had to stand in, and why."""

    classifier: Classifier
    segmenter: Segmenter
    remarks: tuple[str, ...] = ()


def backends(models: settings.Models) -> Backends:
    """Return the backends that the settings ask for. Raises ``ModelError`` where a network is demanded and unfit."""
    remarks: list[str] = []
    # networks first: on Windows, ONNX Runtime must be loaded before OpenCV, which the rules load
    classifier = _chosen(models.classifier, lambda: _network_classifier(models), remarks)
    segmenter = _chosen(models.segmenter, lambda: _network_segmenter(models), remarks)
    return Backends(classifier or _rules_classifier(), segmenter or _rules_segmenter(), tuple(remarks))


def _chosen(asked: str, network: Callable[[], Speaker], remarks: list[str]) -> Speaker | None:
    """Return the network, or None where the rules are to speak."""
    if asked == "rules":
        return None
    try:
        return network()
    except ModelError as e:
        if asked == "network":
            raise
        remarks.append(str(e))
        return None


def _network_classifier(models: settings.Models) -> Classifier:
    from afmd.inference import network_classifier

    return network_classifier(models.weights, threads=models.threads)


def _network_segmenter(models: settings.Models) -> Segmenter:
    from afmd.inference import network_segmenter

    return network_segmenter(models.weights, threads=models.threads)


def _rules_classifier() -> Classifier:
    from afmd.science.rules import RulesClassifier

    return RulesClassifier()


def _rules_segmenter() -> Segmenter:
    from afmd.science.rules import RulesSegmenter

    return RulesSegmenter()
