"""Probabilities that mean what they say: temperatures, the segmenter's bias and the classifier's right to abstain.

Rule: everything here is fitted on validation scans, never on training or evaluation ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from afmd.domain.findings import Label
from afmd.training import scores
from afmd.training.corpus import Entry
from afmd.training.tasks import classifier_logits, logits_by_nature
from afmd.training.unet import FEATURE, LightUNet

ACCEPTED_ACCURACY = 0.95
"""Abstention is set so that, of validation scans not abstained from, this share is right."""
PIXELS_PER_SCAN = 2000
CUTS = np.linspace(-2.5, 2.5, 41)
NEVER = 30.0
"""A cut that no logit passes."""
NATURE_CUTS = np.append(np.linspace(-3, 5, 25), NEVER)
ROUNDS = 3
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


def segmenter_calibration(net: LightUNet, entries: Sequence[Entry]) -> Calibration:
    """Balance the natures in ``net``, then fit each joined output's bias, so that 0.5 is the best cut, and temperature.

    Temperatures are fitted on sampled pixels.
    """
    looked = [logits_by_nature(net, entry) for entry in entries]
    net.balance = balanced([(logits[0, :FEATURE].numpy(), truth[0]) for logits, truth in looked], entries)
    samples: list[list[tuple[NDArray[np.float32], NDArray[np.bool_]]]] = [[], []]
    found: list[list[NDArray[np.float64]]] = [[], []]
    rng = np.random.default_rng(0)
    for entry, (natures, truth) in zip(entries, looked, strict=True):
        logits = net.joined(natures)[0].numpy()
        for output in range(2):
            if counts_for(entry, output):
                cost = false_cost(entry, truth[output], output)
                found[output].append(_cut_scores(logits[output], truth[output], false_cost=cost))
            pick = rng.integers(truth[output].size, size=PIXELS_PER_SCAN)
            samples[output].append((logits[output].ravel()[pick], truth[output].ravel()[pick]))
    bias = tuple(-float(CUTS[np.mean(table, axis=0).argmax()]) for table in found)
    temperature = tuple(_pixel_temperature(sample, b) for sample, b in zip(samples, bias, strict=True))
    return Calibration(temperature, bias=bias)


def balanced(looked: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]], entries: Sequence[Entry]) -> Tensor:
    """Return what to add to each nature's logits so that together, cut at 0, they score best: float32 (natures,).

    ``looked``: each scan's logits (natures, rows, cols) and true artefacts. One nature after another is given its best
    cut beside the others as they stand; what none of them gains stays uncalled.
    """
    counted = [
        (logits, truth, false_cost(entry, truth, 0))
        for (logits, truth), entry in zip(looked, entries, strict=True)
        if counts_for(entry, 0)
    ]
    cuts = np.full(FEATURE, NEVER)
    for nature in list(range(FEATURE)) * ROUNDS:
        cuts[nature] = NEVER
        table = [
            _joined_scores(logits[nature], np.any(logits > cuts[:, None, None], axis=0), truth, false_cost=cost)
            for logits, truth, cost in counted
        ]
        cuts[nature] = NATURE_CUTS[np.mean(table, axis=0).argmax()]
    return torch.from_numpy(-cuts).float()


def false_cost(entry: Entry, truth: NDArray[np.bool_], output: int) -> float | None:
    """Return what a share falsely called costs on a scan where there is nothing to find, None where there is."""
    empty = not truth.any() or (output == 0 and entry.label is Label.GOOD)
    return FALSE_COSTS[output] if empty else None


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
    return np.array([_score(logits > cut, truth, false_cost) for cut in CUTS])


def _joined_scores(
    logits: NDArray[np.float32], others: NDArray[np.bool_], truth: NDArray[np.bool_], *, false_cost: float | None
) -> NDArray[np.float64]:
    """Return the same of one nature's cuts beside what the ``others`` call."""
    return np.array([_score((logits > cut) | others, truth, false_cost) for cut in NATURE_CUTS])


def _score(called: NDArray[np.bool_], truth: NDArray[np.bool_], false_cost: float | None) -> float:
    return scores.iou(called, truth) if false_cost is None else -false_cost * float((called & ~truth).mean())


def _pixel_temperature(samples: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]], bias: float) -> float:
    logits = torch.from_numpy(np.concatenate([s[0] for s in samples])) + bias
    truth = torch.from_numpy(np.concatenate([s[1] for s in samples])).float()

    def surprise(temperature: float) -> float:
        return float(nn.functional.binary_cross_entropy_with_logits(logits / temperature, truth))

    return float(minimize_scalar(surprise, bounds=(0.2, 5), method="bounded").x)
