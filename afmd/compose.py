"""The only file that names every concrete class."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from afmd import settings
from afmd.domain.params import Params
from afmd.domain.ports import Classifier, Results, Segmenter
from afmd.errors import ModelError

if TYPE_CHECKING:
    from afmd.runtime.repairer import Craft

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


def craft(params: Params, speakers: Backends) -> "Craft":
    """Return reader and pipeline with everything in place."""
    from afmd.files.disk import load_bytes
    from afmd.files.nanoscope import decode
    from afmd.pipeline.restore import restore
    from afmd.runtime.repairer import Craft

    whole = partial(
        restore, params=params, classifier=speakers.classifier, segmenter=speakers.segmenter, clock=time.perf_counter
    )
    return Craft(load=load_bytes, decode=decode, restore=whole)


def results(outputs: settings.Outputs) -> Results:
    """Return where results are kept."""
    from afmd.files.outputs import OutputFolder

    return OutputFolder(outputs)
