"""Classification and segmentation by rules, without any learned weights. Rule: every threshold is free of scale."""

from afmd.science.rules.classifier import RulesClassifier
from afmd.science.rules.segmenter import RulesSegmenter
from afmd.science.rules.version import VERSION

__all__ = ["VERSION", "RulesClassifier", "RulesSegmenter"]
