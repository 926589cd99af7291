"""Int8: a folder that the daemon takes, or a refusal that leaves nothing behind."""

import numpy as np
import onnx
import pytest
import torch

from afmd.errors import ModelError, WrongState
from afmd.inference import load_manifest, network_classifier, network_segmenter
from afmd.training import quantise as rooms
from afmd.training.config import ClassifierNet, Optimiser, SegmenterNet, Training
from afmd.training.corpus import open_example
from afmd.training.evaluate import scan_of
from afmd.training.head import learn
from afmd.training.quantise import Agreement, agreement, quantise
from afmd.training.seal import seal
from afmd.training.tasks import task_for
from afmd.training.train import BEST, HISTORY


def silent(_line: str) -> None:
    pass


@pytest.fixture(scope="module")
def weights(tmp_path_factory, training, validation):
    """A tiny segmenter that has learned nothing, and a head on it, sealed."""
    folder = tmp_path_factory.mktemp("sealed")
    rule = Optimiser(steps=5, batch=8)
    segmenter = Training(name="tiny", model="segmenter", segmenter=SegmenterNet(width=8), optimiser=rule)
    head = segmenter.model_copy(
        update={"name": "tiny-head", "model": "classifier", "classifier": ClassifierNet(kind="head", width=8)}
    )
    (folder / "run").mkdir()
    torch.manual_seed(1)
    torch.save(task_for(segmenter).build().state_dict(), folder / "run" / BEST)
    (folder / "run" / HISTORY).write_text('{"step": 0, "score": 0.0}\n', encoding="utf-8")
    seal(segmenter, folder / "run", folder / "weights", validation=validation, command="train", trial="tiny")
    upon = load_manifest(folder / "weights").model("segmenter")
    learn(head, upon, run=folder / "head", training=training, validation=validation, say=silent)
    seal(head, folder / "head", folder / "weights", validation=validation, command="train")
    return folder / "weights"


@pytest.fixture
def lenient(monkeypatch):
    """No bounds: a network that has learned nothing sits on every threshold."""
    monkeypatch.setattr(Agreement, "enough", True)


def test_int8_weights_are_a_folder_that_the_daemon_takes(weights, tmp_path, training, validation, lenient):
    found = quantise(weights, tmp_path / "int8", calibration=training, proof=validation)

    manifest = load_manifest(tmp_path / "int8")
    model = manifest.model("segmenter")
    assert model.name == "tiny-int8"
    assert (model.facts["precision"], model.trial) == ("int8", "tiny")
    assert model.facts["quantised_from"] == load_manifest(weights).model("segmenter").sha256
    assert model.facts["agreement"]["scans"] == len(validation) == found.scans
    assert "parity" not in model.facts
    assert manifest.model("classifier").upon == model.sha256
    scan = scan_of(open_example(validation[0]))
    assert network_segmenter(tmp_path / "int8", trial=True).segment(scan).backend.name == "tiny-int8+tiny-head"
    assert sum(network_classifier(tmp_path / "int8").classify(scan).probabilities.values()) == pytest.approx(1)
    assert sorted(p.name for p in (tmp_path / "int8").iterdir()) == [
        "manifest.toml", "tiny-head.onnx", "tiny-int8.onnx",
    ]  # fmt: skip


def test_int8_weights_are_small_and_near_the_fp32_ones(weights, tmp_path, training, validation, lenient):
    quantise(weights, tmp_path / "int8", calibration=training, proof=validation)
    fp32, int8 = (load_manifest(folder).model("segmenter").file for folder in (weights, tmp_path / "int8"))
    scan = scan_of(open_example(validation[1]))
    chances = [network_segmenter(f.parent, trial=True).segment(scan).artifact for f in (fp32, int8)]

    assert int8.stat().st_size < 0.45 * fp32.stat().st_size
    assert 0 < np.abs(chances[0] - chances[1]).max() < 0.2


def test_first_and_last_layers_stay_whole(weights, tmp_path, training, validation, lenient):
    quantise(weights, tmp_path / "int8", calibration=training, proof=validation)
    graph = onnx.load(str(load_manifest(tmp_path / "int8").model("segmenter").file)).graph
    whole = {w.name for w in graph.initializer if w.data_type == onnx.TensorProto.FLOAT and len(w.dims) == 4}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]

    for node in convolutions:
        kept = any(part in node.name for part in rooms.KEPT_WHOLE)
        assert (node.input[1] in whole) == kept, node.name
    assert 0 < sum(node.input[1] in whole for node in convolutions) < len(convolutions)


def test_what_does_not_agree_is_refused_and_leaves_nothing(weights, tmp_path, training, validation, monkeypatch):
    monkeypatch.setattr(rooms, "SAME_PIXELS", 1.1)
    before = sorted(p.name for p in weights.iterdir())

    with pytest.raises(ModelError, match="of the artefact pixels"):
        quantise(weights, tmp_path / "int8", calibration=training, proof=validation)

    assert not list(tmp_path.iterdir())
    assert sorted(p.name for p in weights.iterdir()) == before


def test_weights_that_are_there_are_not_replaced(weights, tmp_path, training, validation):
    with pytest.raises(WrongState, match="something already"):
        quantise(weights, tmp_path, calibration=training, proof=validation)


def test_a_model_agrees_with_itself(weights, validation):
    found = agreement(weights, weights, validation)

    assert (found.artifact_pixels, found.feature_pixels, found.artifact_iou, found.classes) == (1, 1, 1, 1)
    assert found.enough


@pytest.mark.parametrize(
    "figures",
    [(0.99, 1, 1, 1), (1, 0.99, 1, 1), (1, 1, 0.9, 1), (1, 1, 1, 0.97)],
    ids=["pixels", "feature", "iou", "class"],
)
def test_each_bound_is_enough_to_refuse(figures):
    assert not Agreement(10, *figures).enough
