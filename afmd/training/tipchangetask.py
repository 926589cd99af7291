"""Learning which lines another tip drew: what is told of the lines of stored scans, and which of them are spoilt.

Rule: every kind of fault is learned, so that the network need not call a tip what is a scar or a jump; only lines that
another tip drew are asked of it later. Scans of several faults do not say which of them spoils a line, and do not
count.
"""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from afmd.domain.findings import Label
from afmd.inference import planes, tipchange
from afmd.training import scores
from afmd.training.batches import FAINT, Batch
from afmd.training.config import Training
from afmd.training.corpus import Entry, kept, open_example
from afmd.training.tipchangenet import CHANGES, KINDS, Changed, TipChangeNet

WHOLE_LINES = frozenset({"tip_change", "debris_pickup", "double_tip", "blunt_tip", "ripple", "mains", "start_drift"})
"""Kinds that spoil every line between the first spoilt one and the last, whether a mask shows it there or not."""
LEAST_SPOILT = 0.01
"""Share of a line's pixels from which on it is spoilt."""
FALSE_COST = 20.0
"""What a share of lines falsely called costs, in units of IoU, where no other tip drew any."""


class TipChangeTask:
    """Which kinds of fault spoil each line."""

    def __init__(self, configuration: Training) -> None:
        self.configuration = configuration
        self._by_rows: dict[int, list[tuple[Entry, NDArray[np.float32]]]] = {}

    def build(self) -> TipChangeNet:
        """Return the configured network."""
        return TipChangeNet(width=self.configuration.tipchange.width)

    def batch(self, entries: Sequence[Entry], step: int) -> Batch:
        """Return what is told (n, channels, rows) and answers (n, 2, kinds, rows): spoilt or not, and the weight.

        All of a batch have equally many lines; as many batches have so many as scans have.
        """
        if not self._by_rows:
            self._by_rows = _by_rows(entries)
        rng = np.random.default_rng([self.configuration.seed, step, 5])
        sizes = list(self._by_rows)
        shares = np.array([len(self._by_rows[rows]) for rows in sizes], float)
        same = self._by_rows[sizes[int(rng.choice(len(sizes), p=shares / shares.sum()))]]
        told, answers = [], []
        for index in rng.integers(len(same), size=self.configuration.optimiser.batch):
            entry, lines = same[int(index)]
            if rng.integers(2):
                lines = mirrored(lines)
            told.append(tipchange.told(lines[:-1]))
            answers.append(answers_of(entry, lines[-1]))
        return Batch(torch.from_numpy(np.stack(told)), torch.from_numpy(np.stack(answers)))

    def loss(self, output: Tensor, answers: Tensor) -> Tensor:
        """Return the weighed cross-entropy, summed over the kinds, meaned over the lines."""
        spoilt, weight = answers[:, 0], answers[:, 1]
        losses = functional.binary_cross_entropy_with_logits(output.float(), spoilt, reduction="none")
        return (weight * losses).sum(dim=1).mean()

    @torch.no_grad()
    def judge(self, net: nn.Module, entries: Sequence[Entry]) -> Mapping[str, float]:
        """Return the cross-entropy, and IoU of lines and lines falsely called at the calibrated limits.

        ``score``: IoU less what false calls cost.
        """
        looked = looked_at(net, entries)
        limits = fitted_limits(looked)
        found, false = judged(looked, limits)
        return {"score": found - FALSE_COST * false, "band_iou": found, "false_lines": false}


Looked = list[tuple[NDArray[np.float32], NDArray[np.bool_] | None]]
"""Log odds of the lines of a scan, and which of them another tip drew, or None where none did."""


@torch.no_grad()
def looked_at(net: nn.Module, entries: Sequence[Entry]) -> Looked:
    """Return what the network says of scans that are good or have one visible fault."""
    assert isinstance(net, TipChangeNet)
    changed = Changed(net).eval()
    found: Looked = []
    for entry in entries:
        if entry.label is not Label.GOOD and (not entry.visible or len(entry.kinds) > 1):
            continue
        lines = lines_of(entry).astype(np.float32)
        odds = changed(torch.from_numpy(tipchange.told(lines[:-1]))[None])[0].numpy()
        truth = np.asarray(answers_of(entry, lines[-1])[0, CHANGES].any(axis=0))
        found.append((odds, truth if truth.any() else None))
    return found


def fitted_limits(looked: Looked) -> tipchange.Limits:
    """Return the limits of greatest IoU less what false calls cost."""
    grid = itertools.product(np.arange(-2.0, 2.1, 0.25), np.arange(2.0, 6.1, 0.5))
    tried = [tipchange.Limits(float(sure), float(contrast)) for sure, contrast in grid]
    return max(tried, key=lambda limits: _worth(*judged(looked, limits)))


def judged(looked: Looked, limits: tipchange.Limits) -> tuple[float, float]:
    """Return the mean IoU of the lines where another tip drew some, and the mean share called where none did."""
    found, false = [], []
    for odds, truth in looked:
        called = tipchange.bands(odds, limits)
        if truth is None:
            false.append(float(called.mean()))
        else:
            found.append(scores.iou(called, truth))
    return float(np.mean(found)), float(np.mean(false))


def _worth(found: float, false: float) -> float:
    return found - FALSE_COST * false


def lines_of(entry: Entry) -> NDArray[np.float16]:
    """Return the numbers of a stored scan's lines and, last, how much of each is spoilt, (numbers + 1, rows): kept."""

    def made() -> NDArray[np.float16]:
        example = open_example(entry)
        numbers = tipchange.line_numbers(planes.segmenter_planes(example.heights))
        return np.concatenate([numbers, example.artifact.mean(axis=1)[None]]).astype(np.float16)

    return np.asarray(np.load(kept(entry.file.parent / f"lines-{tipchange.RECIPE}" / f"{entry.seed}.npy", made)))


def mirrored(lines: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the lines of the scan taken in the other frame direction: what lies between two lines moves by one."""
    turned = lines[:, ::-1].copy()
    for between in tipchange.BETWEEN:
        turned[between, 1:] = turned[between, :-1].copy()
    for signed in tipchange.SIGNED:
        turned[signed] = -turned[signed]
    return turned


def answers_of(entry: Entry, spoilt: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return which kinds spoil each line, and what each answer weighs, float32 (2, kinds, rows)."""
    answers = np.zeros((2, len(KINDS), len(spoilt)), np.float32)
    answers[1] = 1.0 if entry.visible or entry.label is Label.GOOD else FAINT
    lines = spoilt >= LEAST_SPOILT
    for kind in entry.kinds:
        own = KINDS.index(kind)
        if len(entry.kinds) > 1:
            answers[1, own] = 0
        elif kind in WHOLE_LINES and lines.any():
            first, last = np.flatnonzero(lines)[[0, -1]]
            answers[0, own, first : last + 1] = 1
        else:
            answers[0, own] = lines
    return answers


def _by_rows(entries: Sequence[Entry]) -> dict[int, list[tuple[Entry, NDArray[np.float32]]]]:
    found: dict[int, list[tuple[Entry, NDArray[np.float32]]]] = defaultdict(list)
    for entry in entries:
        lines = lines_of(entry).astype(np.float32)
        found[lines.shape[1]].append((entry, lines))
    return dict(sorted(found.items()))
