"""Probabilities that mean what they say: temperatures, the segmenter's bias and the classifier's right to abstain.

Rule: everything here is fitted on validation scans, never on training or evaluation ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import nn

from afmd.domain.findings import Label
from afmd.training import scores
from afmd.training.corpus import Entry
from afmd.training.tasks import classifier_logits, judged_logits

ACCEPTED_ACCURACY = 0.95
"""Abstention is set so that, of validation scans not abstained from, this share is right."""
PIXELS_PER_SCAN = 2000
CUTS = np.linspace(-2.5, 2.5, 41)
FALSE_COSTS = (20.0, 6.0)
"""What a share of pixels falsely called costs, in units of IoU, where there is nothing to find: artefacts, features.

A spoilt-looking pixel on a good scan is filled for nothing, so that it weighs more than one that is missed.
"""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What goes into the manifest beside the weights."""

    temperature: tuple[float, ...]
    bias: tuple[float, ...] = ()
    threshold: float = 0.0


def classifier_calibration(net: nn.Module, entries: Sequence[Entry], *, grey: bool) -> Calibration:
    """Fit temperature and abstention threshold of a network on planes."""
    return fitted_to(*classifier_logits(net, entries, grey=grey))


def fitted_to(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Calibration:
    """Fit temperature (Guo et al., ICML 2017) and abstention threshold to logits (n, classes) and label indices."""
    temperature = fitted_temperature(logits, labels)
    chances = scores.softmax(logits, temperature=temperature)
    return Calibration((temperature,), threshold=abstention(chances, labels))


def segmenter_calibration(net: nn.Module, entries: Sequence[Entry]) -> Calibration:
    """Fit each output's bias, so that 0.5 is the best cut, and then its temperature on sampled pixels."""
    samples: list[list[tuple[NDArray[np.float32], NDArray[np.bool_]]]] = [[], []]
    found: list[list[NDArray[np.float64]]] = [[], []]
    rng = np.random.default_rng(0)
    for entry in entries:
        logits, truth = judged_logits(net, entry)
        for output in range(2):
            if counts_for(entry, output):
                empty = not truth[output].any() or (output == 0 and entry.label is Label.GOOD)
                cost = FALSE_COSTS[output] if empty else None
                found[output].append(_cut_scores(logits[output], truth[output], false_cost=cost))
            pick = rng.integers(truth[output].size, size=PIXELS_PER_SCAN)
            samples[output].append((logits[output].ravel()[pick], truth[output].ravel()[pick]))
    bias = tuple(-float(CUTS[np.mean(table, axis=0).argmax()]) for table in found)
    temperature = tuple(_pixel_temperature(sample, b) for sample, b in zip(samples, bias, strict=True))
    return Calibration(temperature, bias=bias)


def counts_for(entry: Entry, output: int) -> bool:
    """Return whether a scan's IoU counts: for artefacts visible ones and good scans, for features every scan."""
    return output == 1 or entry.visible or entry.label is Label.GOOD


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


def _cut_scores(
    logits: NDArray[np.float32], truth: NDArray[np.bool_], *, false_cost: float | None
) -> NDArray[np.float64]:
    """Return, for every cut, IoU, or for a scan with nothing to find minus the cost of what is falsely called."""
    if false_cost is not None:
        return np.array([-false_cost * float(((logits > cut) & ~truth).mean()) for cut in CUTS])
    return np.array([scores.iou(logits > cut, truth) for cut in CUTS])


def _pixel_temperature(samples: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]], bias: float) -> float:
    logits = torch.from_numpy(np.concatenate([s[0] for s in samples])) + bias
    truth = torch.from_numpy(np.concatenate([s[1] for s in samples])).float()

    def surprise(temperature: float) -> float:
        return float(nn.functional.binary_cross_entropy_with_logits(logits / temperature, truth))

    return float(minimize_scalar(surprise, bounds=(0.2, 5), method="bounded").x)
