"""The two things that can be learned, as one protocol: build a network, draw a batch, weigh it, judge it.

Rule: the training loop knows no model; whatever differs between classifier and segmenter stands here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from afmd.domain.findings import Label
from afmd.inference import planes
from afmd.inference.networks import FEATURE
from afmd.inference.tiling import padded_side
from afmd.training import batches, losses, scores
from afmd.training.config import Training
from afmd.training.corpus import Entry, open_example
from afmd.training.resnet import ResNet18, load_imagenet
from afmd.training.unet import SIDE_MULTIPLE, LightUNet

CLASS_WEIGHT = 1.0
JUDGED_SIDE = 512
"""Validation looks at no more than this of a scan's side; evaluation looks at all of it."""
JUDGED_SCANS = 160
"""Training looks at no more of the validation scans; calibration looks at all of them."""


class Task(Protocol):
    """What a training loop asks."""

    def build(self) -> nn.Module:
        """Return a new network; the torch seed decides its start."""
        ...

    def batch(self, entries: Sequence[Entry], step: int) -> batches.Batch:
        """Return the batch of a step."""
        ...

    def loss(self, output: Any, answers: Tensor) -> Tensor:
        """Return a scalar from what the network gave."""
        ...

    def judge(self, net: nn.Module, entries: Sequence[Entry]) -> Mapping[str, float]:
        """Return figures on validation scans; ``score`` is the one to make great."""
        ...


class ClassifierTask:
    """Four classes from pooled planes."""

    def __init__(self, configuration: Training) -> None:
        self.configuration = configuration

    def build(self) -> ResNet18:
        """Return ResNet-18, from ImageNet weights where the configuration names them."""
        wanted = self.configuration.classifier
        net = ResNet18(classes=len(batches.LABELS), width=wanted.width, dropout=wanted.dropout)
        if wanted.imagenet is not None:
            load_imagenet(net, wanted.imagenet)
        return net

    def batch(self, entries: Sequence[Entry], step: int) -> batches.Batch:
        """Return planes and labels, the classes in equal shares."""
        return batches.classifier_batch(entries, self.configuration, step)

    def loss(self, output: Tensor, answers: Tensor) -> Tensor:
        """Return the focal loss; equal shares in the batch stand for class weights."""
        rule = self.configuration.optimiser
        return losses.focal_classes(output.float(), answers, focus=rule.focus, smoothing=rule.smoothing)

    def judge(self, net: nn.Module, entries: Sequence[Entry]) -> Mapping[str, float]:
        """Return accuracy, macro-F1 and log loss over all severities, every second scan without its opposite pass."""
        logits, labels = classifier_logits(net, entries, grey=self.configuration.classifier.grey)
        matrix = scores.confusion(labels, logits.argmax(axis=1), classes=len(batches.LABELS))
        surprise = scores.log_loss(scores.softmax(logits), labels)
        accuracy = float(np.trace(matrix) / matrix.sum())
        macro_f1 = scores.macro_f1(matrix)
        return {"score": macro_f1 - 0.1 * surprise, "accuracy": accuracy, "macro_f1": macro_f1, "log_loss": surprise}


class SegmenterTask:
    """Two probabilities a pixel from native planes."""

    def __init__(self, configuration: Training) -> None:
        self.configuration = configuration

    def build(self) -> LightUNet:
        """Return the light U-Net of the configured width."""
        wanted = self.configuration.segmenter
        return LightUNet(planes=len(planes.NAMES), width=wanted.width, separable=wanted.separable, strips=wanted.strips)

    def batch(self, entries: Sequence[Entry], step: int) -> batches.Batch:
        """Return crops at native resolution and their targets."""
        return batches.segmenter_batch(entries, self.configuration, step)

    def loss(self, output: tuple[Tensor, Tensor], answers: Tensor) -> Tensor:
        """Return focal cross-entropy plus Dice of faults by nature and of features, plus the cells' classes."""
        logits, classes = (part.contiguous().float() for part in output)
        focus = self.configuration.optimiser.focus
        faults = losses.faults_by_nature(
            logits[:, :FEATURE], answers[:, batches.ARTIFACT_TARGET], natures=answers[:, batches.NATURE, 0, 0].long(),
            weights=answers[:, batches.WEIGHT], focus=focus,
        )  # fmt: skip
        features = losses.features(logits[:, FEATURE], answers[:, batches.FEATURE_TARGET], focus=focus)
        return faults + features + CLASS_WEIGHT * losses.class_cells(classes, answers[:, batches.CLASS])

    def judge(self, net: nn.Module, entries: Sequence[Entry]) -> Mapping[str, float]:
        """Return mean IoU of visible artefacts and of features, and the share falsely called on good scans."""
        assert isinstance(net, LightUNet)
        found: dict[str, list[float]] = {"artifact_iou": [], "feature_iou": [], "false_area": []}
        for entry in entries[:JUDGED_SCANS]:
            logits, truth = judged_logits(net, entry)
            artifact, feature = logits > 0
            if entry.label is Label.GOOD:
                found["false_area"].append(float((artifact & ~truth[0]).mean()))
            elif entry.visible:
                found["artifact_iou"].append(scores.iou(artifact, truth[0]))
            if truth[1].any():
                found["feature_iou"].append(scores.iou(feature, truth[1]))
        figures = {name: float(np.mean(values)) if values else 0.0 for name, values in found.items()}
        return {"score": sum(figures.values()) - 6 * figures["false_area"], **figures}


def task_for(configuration: Training) -> Task:
    """Return what the configuration asks for."""
    if configuration.model == "tip":
        from afmd.training.tiptask import PublishedTipTask, TipTask

        return TipTask(configuration) if configuration.tip.kind == "conditioned" else PublishedTipTask(configuration)
    if configuration.model == "tipchange":
        from afmd.training.tipchangetask import TipChangeTask

        return TipChangeTask(configuration)
    return ClassifierTask(configuration) if configuration.model == "classifier" else SegmenterTask(configuration)


@torch.no_grad()
def classifier_logits(
    net: nn.Module, entries: Sequence[Entry], *, grey: bool
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return logits (n, classes) and label indices (n,) of stored scans; odd seeds go without their opposite pass."""
    rows = []
    for entry in entries:
        example = open_example(entry)
        retrace = None if entry.seed % 2 else example.retrace
        image = batches.grey_planes(example.heights) if grey else planes.classifier_planes(example.heights, retrace)
        rows.append(net(torch.from_numpy(image)[None]).numpy()[0])
    return np.array(rows), np.array([batches.LABELS.index(e.label) for e in entries])


@torch.no_grad()
def judged_logits(net: LightUNet, entry: Entry) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return logits and truth, each (2, rows, cols), of a scan's upper left part; odd seeds without opposite pass."""
    logits, truth = logits_by_nature(net, entry)
    return np.stack([logits[0, :FEATURE].amax(dim=0).numpy(), logits[0, FEATURE].numpy()]), truth


@torch.no_grad()
def logits_by_nature(net: LightUNet, entry: Entry) -> tuple[Tensor, NDArray[np.bool_]]:
    """Return logits of every nature and of features, (1, 5, rows, cols), and the truth (2, rows, cols)."""
    scan = batches.prepared(entry)[:, :JUDGED_SIDE, :JUDGED_SIDE].astype(np.float32)
    native, targets = scan[:-1], scan[-1].astype(np.uint8)
    if entry.seed % 2:
        native[[planes.PASS_DIFFERENCE, planes.PASS_PRESENT]] = 0
    rows, cols = targets.shape
    shape = (padded_side(rows, SIDE_MULTIPLE), padded_side(cols, SIDE_MULTIPLE))
    logits = net(torch.from_numpy(batches.fitted(native, shape))[None])[0][:, :, :rows, :cols]
    return logits, batches.both_targets(targets) > 0
