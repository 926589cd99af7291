"""The only file that names every concrete class."""

from dataclasses import dataclass

from afmd import settings
from afmd.domain.ports import Classifier, Segmenter


@dataclass(frozen=True, slots=True)
class Backends:
    """Who classifies and who segments."""

    classifier: Classifier
    segmenter: Segmenter


def backends(models: settings.Models) -> Backends:
    """Return the backends that the settings ask for. Raises ``ModelError``."""
    from afmd.science.rules import RulesClassifier, RulesSegmenter

    del models
    return Backends(classifier=RulesClassifier(), segmenter=RulesSegmenter())
