"""The only door to ONNX Runtime, and the pre-processing that training shares."""

import onnxruntime  # noqa: F401 on Windows it must be loaded before OpenCV, which planes and traits load

from afmd.inference.manifest import Manifest, Model, load_manifest, weights_folder
from afmd.inference.networks import NetworkClassifier, NetworkSegmenter, network_classifier, network_segmenter

__all__ = [
    "Manifest",
    "Model",
    "NetworkClassifier",
    "NetworkSegmenter",
    "load_manifest",
    "network_classifier",
    "network_segmenter",
    "weights_folder",
]
