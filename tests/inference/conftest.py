"""A weights folder with two tiny untrained networks: real ONNX files, real hashes."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from afmd.inference import planes
from afmd.training.export import export
from afmd.training.resnet import ResNet18
from afmd.training.unet import LightUNet

MANIFEST = """
schema = 1

[classifier]
name = "tiny-classifier"
file = "classifier.onnx"
sha256 = "{classifier}"
recipe = {recipe}
classes = ["good", "not_tracking", "tip_contamination", "imaging_artifact"]
temperature = 1.5
threshold = 0.5

[segmenter]
name = "tiny-segmenter"
file = "segmenter.onnx"
sha256 = "{segmenter}"
recipe = {recipe}
classes = ["line", "tail", "field", "tip", "feature"]
temperature = [1.0, 2.0]
bias = [0.5, 0.0]
cuts = [0.0, 1.0, -0.5, 30.0]
"""


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    export(ResNet18(classes=4, width=4), folder / "classifier.onnx", sample=np.zeros((1, 3, 224, 224), np.float32))
    sample = np.zeros((1, len(planes.NAMES), 64, 64), np.float32)
    export(LightUNet(planes=len(planes.NAMES), width=4), folder / "segmenter.onnx", sample=sample)
    hashes = {n: hashlib.sha256((folder / f"{n}.onnx").read_bytes()).hexdigest() for n in ("classifier", "segmenter")}
    (folder / "manifest.toml").write_text(MANIFEST.format(recipe=planes.RECIPE, **hashes))
    return folder
