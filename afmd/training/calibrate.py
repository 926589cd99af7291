"""Probabilities that mean what they say: temperatures, the segmenter's bias and the classifier's right to abstain.

Rule: everything here is fitted on validation scans, never on training or evaluation ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import nn

from afmd.domain.findings import Label
from afmd.inference import planes
from afmd.inference.manifest import NEVER, Model
from afmd.inference.networks import FEATURE, surest
from afmd.inference.perception import shared_perception
from afmd.training import scores
from afmd.training.batches import LABELS
from afmd.training.corpus import Entry, open_example
from afmd.training.head import UNFAMILIAR, labels_of, seen_as
from afmd.training.hearing import TRUSTS, Looked, fitted_hearing
from afmd.training.tasks import classifier_logits, logits_by_nature
from afmd.training.unet import LightUNet

ACCEPTED_ACCURACY = 0.95
"""Abstention is set so that, of validation scans not abstained from, this share is right."""
PIXELS_PER_SCAN = 2000
CUTS = np.linspace(-2.5, 2.5, 41)
FALSE_FEATURE_COST = 6.0
"""What a share of pixels falsely called costs, in units of IoU, where there is no feature."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What goes into the manifest beside the weights."""

    temperature: tuple[float, ...]
    bias: tuple[float, ...] = ()
    threshold: float = 0.0
    cuts: tuple[float, ...] = ()
    trust: tuple[float, ...] = ()
    whole: float = NEVER


def classifier_calibration(net: nn.Module, entries: Sequence[Entry], *, grey: bool) -> Calibration:
    """Fit temperature and abstention threshold of a network on planes."""
    return fitted_to(*classifier_logits(net, entries, grey=grey))


def fitted_to(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Calibration:
    """Fit temperature (Guo et al., ICML 2017) and abstention threshold to logits (n, classes) and label indices."""
    temperature = fitted_temperature(logits, labels)
    chances = scores.softmax(logits, temperature=temperature)
    return Calibration((temperature,), threshold=abstention(chances, labels))


def segmenter_calibration(net: LightUNet, entries: Sequence[Entry]) -> Calibration:
    """Fit the natures' cuts, the features' bias, so that 0.5 is the best cut, and both temperatures."""
    looked = [logits_by_nature(net, entry) for entry in entries]
    counted = [
        Looked.of(entry, logits[0, :FEATURE].numpy(), truth[0])
        for entry, (logits, truth) in zip(entries, looked, strict=True)
        if entry.visible or entry.label is Label.GOOD
    ]
    cuts = fitted_hearing(counted).cuts
    samples: list[list[tuple[NDArray[np.float32], NDArray[np.bool_]]]] = [[], []]
    found = []
    rng = np.random.default_rng(0)
    for logits, truth in looked:
        joined = (surest(logits[0, :FEATURE].numpy(), np.array(cuts, np.float32)), logits[0, FEATURE].numpy())
        found.append(_cut_scores(joined[1], truth[1]))
        for output in range(2):
            pick = rng.integers(truth[output].size, size=PIXELS_PER_SCAN)
            samples[output].append((joined[output].ravel()[pick], truth[output].ravel()[pick]))
    bias = (0.0, -float(CUTS[np.mean(found, axis=0).argmax()]))
    temperature = tuple(_pixel_temperature(sample, b) for sample, b in zip(samples, bias, strict=True))
    return Calibration(temperature, bias=bias, cuts=cuts)


def head_calibration(run: Path, upon: Model, entries: Sequence[Entry]) -> Calibration:
    """Fit temperature and abstention of a head on the segmenter ``upon``, and how far its belief moves the cuts.

    Fitted to what heads that never saw a like surface say (see `unfamiliar`): on surfaces that a head knows, it and who
    listens to it would be too sure.
    """
    said = np.load(run / UNFAMILIAR)
    logits, odds = said[:, : len(LABELS)], said[:, len(LABELS) :]
    whole = fitted_to(logits, labels_of(entries))
    perception = shared_perception(upon)
    counted = []
    for entry, own in zip(entries, odds, strict=True):
        if entry.visible or entry.label is Label.GOOD:
            scan = seen_as(entry)
            logits_of_natures, _ = perception.through(planes.segmenter_planes(scan.heights, scan.retrace))
            counted.append(Looked.of(entry, logits_of_natures[:FEATURE], open_example(entry).artifact, own))
    heard = fitted_hearing(counted, trusts=TRUSTS)
    return replace(whole, cuts=heard.cuts, trust=heard.trust, whole=heard.whole)


def fitted_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature in 0.2..5 of least log loss."""
    fit = minimize_scalar(
        lambda t: scores.log_loss(scores.softmax(logits, temperature=t), labels), bounds=(0.2, 5), method="bounded"
    )
    return float(fit.x)


def abstention(chances: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the least threshold at which the accepted scans are right often enough; never above 0.98."""
    right = chances.argmax(axis=1) == labels
    sure = chances.max(axis=1)
    for threshold in np.arange(0.25, 0.98, 0.01):
        kept = sure >= threshold
        if kept.any() and right[kept].mean() >= ACCEPTED_ACCURACY:
            return round(float(threshold), 2)
    return 0.98


def _cut_scores(logits: NDArray[np.float32], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return, for every cut, IoU, or for a scan without a feature minus the cost of what is falsely called."""
    if truth.any():
        return np.array([scores.iou(logits > cut, truth) for cut in CUTS])
    return np.array([-FALSE_FEATURE_COST * float((logits > cut).mean()) for cut in CUTS])


def _pixel_temperature(samples: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]], bias: float) -> float:
    logits = torch.from_numpy(np.concatenate([s[0] for s in samples])) + bias
    truth = torch.from_numpy(np.concatenate([s[1] for s in samples])).float()

    def surprise(temperature: float) -> float:
        return float(nn.functional.binary_cross_entropy_with_logits(logits / temperature, truth))

    return float(minimize_scalar(surprise, bounds=(0.2, 5), method="bounded").x)
