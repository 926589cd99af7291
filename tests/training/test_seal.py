"""From a run to the daemon: what torch says, ONNX Runtime says, on real scans too; and the manifest is whole."""

import tomllib

import numpy as np
import pytest
import torch

from afmd.domain.scan import Scan
from afmd.errors import ModelError
from afmd.files.nanoscope.reader import read_scan
from afmd.inference import load_manifest, network_classifier, network_segmenter, planes
from afmd.inference.manifest import MANIFEST
from afmd.training import export as exports
from afmd.training.config import ClassifierNet
from afmd.training.export import TOLERANCE, export, largest_difference, proven
from afmd.training.head import learn
from afmd.training.resnet import ResNet18
from afmd.training.seal import add_evaluation, seal, write_manifest
from afmd.training.train import train
from afmd.training.unet import LightUNet


def silent(_line: str) -> None:
    pass


@pytest.fixture(scope="module")
def real(scans_dir):
    return [read_scan(scans_dir / "images" / name) for name in ("old_bruker.002", "5.011", "09261606.001")]


def test_torch_and_onnx_agree_on_real_scans(tmp_path, real):
    torch.manual_seed(0)
    net = LightUNet(planes=len(planes.NAMES), width=16).eval()
    samples = [planes.segmenter_planes(s.heights)[None, :, :256, :256].copy() for s in real]
    export(net, tmp_path / "a.onnx", sample=samples[0][:, :, :64, :64].copy())

    assert largest_difference(net, tmp_path / "a.onnx", samples) < TOLERANCE

    net = ResNet18(classes=4, width=16).eval()
    samples = [planes.classifier_planes(s.heights, s.retrace)[None] for s in real]
    export(net, tmp_path / "b.onnx", sample=samples[0])

    assert largest_difference(net, tmp_path / "b.onnx", samples) < TOLERANCE


def test_an_export_that_differs_is_not_let_through(tmp_path):
    net = ResNet18(classes=4, width=4).eval()
    sample = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    export(net, tmp_path / "a.onnx", sample=sample)
    with torch.no_grad():
        net.fc.bias += 1

    with pytest.raises(ModelError, match="differ from torch's by up to 1"):
        proven(net, tmp_path / "a.onnx", [sample])


def test_the_opset_is_the_one_asked_for(tmp_path):
    import onnx

    net = ResNet18(classes=4, width=4)
    export(net, tmp_path / "a.onnx", sample=np.zeros((1, 3, 224, 224), np.float32))

    assert onnx.load(str(tmp_path / "a.onnx")).opset_import[0].version == exports.OPSET
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]


def test_a_head_stands_on_its_own_segmenter_and_on_no_other(segmenter, tmp_path, training, validation, real):
    weights, run = tmp_path / "weights", tmp_path / "run"
    net = ClassifierNet(kind="head", width=8)
    configuration = segmenter.model_copy(update={"name": "tiny-head", "model": "classifier", "classifier": net})
    train(segmenter, run=run, training=training, validation=validation, say=silent)
    seal(segmenter, run, weights, validation=validation, command="train")
    upon = load_manifest(weights).model("segmenter")
    learn(configuration, upon, run=tmp_path / "head", training=training, validation=validation, say=silent)

    seal(configuration, tmp_path / "head", weights, validation=validation, command="train")

    said = network_classifier(weights).classify(real[0])
    assert sum(said.probabilities.values()) == pytest.approx(1)
    text = (weights / MANIFEST).read_text(encoding="utf-8")
    (weights / MANIFEST).write_text(text.replace(f'upon = "{upon.sha256}"', f'upon = "{"0" * 64}"'), encoding="utf-8")
    with pytest.raises(ModelError, match="it stands on segmenter 000000000000"):
        network_classifier(weights)


def test_a_sealed_run_is_what_the_daemon_takes(segmenter, classifier, tmp_path, training, validation, real):
    weights = tmp_path / "weights"
    for configuration in (segmenter, classifier):
        run = tmp_path / configuration.name
        train(configuration, run=run, training=training, validation=validation, say=silent)
        seal(configuration, run, weights, validation=validation, command="train", real=[real[0].heights])

    scan: Scan = real[0]
    assert network_classifier(weights).classify(scan).backend.name == "tiny-classifier"
    assert network_segmenter(weights).segment(scan).artifact.shape == scan.heights.shape
    facts = load_manifest(weights).model("segmenter").facts
    assert facts["training"]["seed"] == 3
    assert facts["parity"] < TOLERANCE
    assert facts["licence"].startswith("BSD-3-Clause")


def test_an_evaluation_is_entered_and_the_other_model_stays(tmp_path):
    file = tmp_path / MANIFEST
    write_manifest(file, "classifier", {"name": "a", "temperature": 1.0})
    write_manifest(file, "segmenter", {"name": "b", "bias": [0.5, -1e-7], "training": {"seed": 3}})

    add_evaluation(file, "segmenter", {"IoU, visible": '0.7 "best"'})

    table = tomllib.loads(file.read_text(encoding="utf-8"))
    assert table["classifier"] == {"name": "a", "temperature": 1.0}
    assert table["segmenter"]["bias"] == [0.5, -1e-7]
    assert table["segmenter"]["training"] == {"seed": 3}
    assert table["segmenter"]["evaluation"] == {"IoU, visible": '0.7 "best"'}
