"""The classifier that afmd ships: a small head on what the segmenter's network saw of the scan, and on its traits.

Rule: it learns from scans seen through the very file that the daemon runs, and is judged on surfaces unlike them.
It tells the scan's class, and of which natures there are faults in it: the segmenter listens to that.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from afmd.domain.findings import Label
from afmd.domain.scan import Scan
from afmd.inference import planes, traits
from afmd.inference.manifest import Model, load_manifest
from afmd.inference.perception import shared_perception
from afmd.training import checkpoint, losses, scores
from afmd.training.batches import FAINT, LABELS
from afmd.training.config import Training
from afmd.training.corpus import Entry, kept, make_each, open_example, save_array
from afmd.training.evaluate import scan_of
from afmd.training.natures import NATURES

Summaries = NDArray[np.float32]
MEMBERS = 4
"""Heads whose logits are averaged: few scans teach them, and their mistakes differ."""
FARTHEST = 5.0
"""Standard deviations beyond which an input counts no more."""
PRESENCE_WEIGHT = 0.6
FOLDS = 3
UNFAMILIAR = "unfamiliar.npy"
"""In the run's folder: what heads without the family say of the validation scans, (scans, 8)."""


class Head(nn.Module):
    """Summary (n, summary) in; logits (n, 4) of the classes and (n, 4) of each nature's presence out."""

    def __init__(self, inputs: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.members = nn.ModuleList(_member(inputs, hidden, dropout) for _ in range(MEMBERS))

    def forward(self, summary: Tensor) -> tuple[Tensor, Tensor]:
        """Return both, averaged over the members."""
        both = self.each(summary).mean(dim=0)
        return both[:, : len(LABELS)], both[:, len(LABELS) :]

    def each(self, summary: Tensor) -> Tensor:
        """Return what each member says, (members, n, 8)."""
        scaled = ((summary - self.mean) / self.spread).clamp(-FARTHEST, FARTHEST)
        return torch.stack([member(scaled) for member in self.members])

    def scale_to(self, summaries: Summaries) -> None:
        """Take mean and spread from the training summaries."""
        self.mean = torch.from_numpy(summaries.mean(axis=0))
        self.spread = torch.from_numpy(summaries.std(axis=0) + 1e-3)


def summaries_of(model: Model, entries: Sequence[Entry], *, workers: int = 1) -> Summaries:
    """Return (scans, summary), every second scan without its opposite pass.

    What the network and the traits say is kept beside each scan, under the segmenter's hash and the traits' recipe.
    """
    missing = [entry for entry in entries if not all(file.exists() for file in _kept(model, entry))]
    make_each(missing, partial(_look, model.file.parent), workers=workers)
    return np.stack([np.concatenate([np.load(file) for file in _kept(model, entry)]) for entry in entries])


def train_head(
    configuration: Training, summaries: Summaries, labels: NDArray[np.int64], present: Summaries, *,
    weights: NDArray[np.float32],
) -> Head:  # fmt: skip
    """Return a head trained for the configured number of steps; a scan is drawn as often as its weight says.

    ``present``: 1 where a scan has a visible fault of a nature, (scans, 4).
    """
    torch.manual_seed(configuration.seed)
    wanted, rule = configuration.classifier, configuration.optimiser
    head = Head(summaries.shape[1], hidden=wanted.width, dropout=wanted.dropout)
    head.scale_to(summaries)
    optimiser = torch.optim.AdamW(head.parameters(), lr=rule.learning_rate, weight_decay=rule.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, rule.steps)
    inputs, answers, presence = (torch.from_numpy(array) for array in (summaries, labels, present))
    chances = torch.from_numpy(weights)
    for _ in range(rule.steps):
        pick = torch.multinomial(chances, rule.batch, replacement=True)
        said = head.each(inputs[pick])
        classes, natures = said[..., : len(LABELS)].flatten(0, 1), said[..., len(LABELS) :]
        right = answers[pick].repeat(MEMBERS)
        loss = losses.focal_classes(classes, right, focus=rule.focus, smoothing=rule.smoothing)
        wanted_natures = presence[pick].expand_as(natures)
        loss = loss + PRESENCE_WEIGHT * functional.binary_cross_entropy_with_logits(natures, wanted_natures)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return head.eval()


def learn(
    configuration: Training, upon: Model, *, run: Path, training: Sequence[Entry], validation: Sequence[Entry],
    say: Callable[[str], None], workers: int = 1,
) -> None:  # fmt: skip
    """Train a head on what the segmenter ``upon`` sees, judge it on validation scans, and write the run's files.

    It is judged, and later calibrated, as on surfaces that it does not know: by heads that learned without the family.
    """
    summaries, seen = (summaries_of(upon, entries, workers=workers) for entries in (training, validation))
    head = _taught(configuration, summaries, training)
    logits, odds = unfamiliar(configuration, (summaries, training), (seen, validation))
    labels = labels_of(validation)
    matrix = scores.confusion(labels, logits.argmax(axis=1), classes=len(LABELS))
    figures = {
        "accuracy": float(np.trace(matrix) / matrix.sum()),
        "macro_f1": scores.macro_f1(matrix),
        "log_loss": scores.log_loss(scores.softmax(logits), labels),
    }
    run.mkdir(parents=True, exist_ok=True)
    save_array(run / UNFAMILIAR, np.concatenate([logits, odds], axis=1))
    checkpoint.replace(run / "best.pt", head.state_dict())
    line = {"step": configuration.optimiser.steps, "score": figures["macro_f1"], **figures}
    (run / "history.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    say(" ".join(f"{name}={value:.4g}" for name, value in line.items()))


def unfamiliar(
    configuration: Training, known: tuple[Summaries, Sequence[Entry]], asked: tuple[Summaries, Sequence[Entry]]
) -> tuple[Summaries, Summaries]:
    """Return class logits and presence odds of scans, (scans, 4) each, from heads that never saw a like surface.

    The families of surfaces are dealt into ``FOLDS`` parts; each part is judged by a head that learned from the others.
    """
    families = sorted({entry.surface for entry in (*known[1], *asked[1])})
    answers = np.zeros((len(asked[1]), len(LABELS) + len(NATURES)), np.float32)
    for fold in range(FOLDS):
        own = set(families[fold::FOLDS])
        taught = [i for i, entry in enumerate(known[1]) if entry.surface not in own]
        head = _taught(configuration, known[0][taught], [known[1][i] for i in taught])
        judged = np.array([entry.surface in own for entry in asked[1]])
        with torch.no_grad():
            answers[judged] = torch.cat(head(torch.from_numpy(asked[0][judged])), dim=1).numpy()
    return answers[:, : len(LABELS)], answers[:, len(LABELS) :]


def _taught(configuration: Training, summaries: Summaries, entries: Sequence[Entry]) -> Head:
    labels, present, weights = labels_of(entries), present_in(entries), weights_of(entries)
    return train_head(configuration, summaries, labels, present, weights=weights)


def loaded(configuration: Training, state: dict[str, Tensor]) -> Head:
    """Return the head whose state dictionary this is."""
    wanted = configuration.classifier
    head = Head(len(state["mean"]), hidden=wanted.width, dropout=wanted.dropout)
    head.load_state_dict(state)
    return head


def labels_of(entries: Sequence[Entry]) -> NDArray[np.int64]:
    """Return label indices (scans,)."""
    return np.array([LABELS.index(entry.label) for entry in entries])


def present_in(entries: Sequence[Entry]) -> Summaries:
    """Return 1 where a scan has a visible fault of a nature, float32 (scans, 4)."""
    kinds = NATURES.values()
    rows = [[entry.visible and not set(own).isdisjoint(entry.kinds) for own in kinds] for entry in entries]
    return np.array(rows, np.float32)


def weights_of(entries: Sequence[Entry]) -> NDArray[np.float32]:
    """Return how often each scan is drawn: a fault that nobody sees hardly tells a spoilt scan from a good one."""
    seen = np.array([entry.visible or entry.label is Label.GOOD for entry in entries])
    return np.where(seen, 1.0, FAINT).astype(np.float32)


def seen_as(entry: Entry) -> Scan:
    """Return a stored scan as heads see it: odd seeds without their opposite pass."""
    return scan_of(open_example(entry), alone=entry.seed % 2 == 1)


def _kept(model: Model, entry: Entry) -> tuple[Path, Path]:
    """Return where what the network saw of a scan is kept, and its traits."""
    folders = (f"seen-{model.sha256[:12]}", f"traits-{traits.RECIPE}")
    seen, own = (entry.file.parent / folder / f"{entry.seed}.npy" for folder in folders)
    return seen, own


def _look(weights: Path, entry: Entry) -> None:
    model, scan = load_manifest(weights).model("segmenter"), seen_as(entry)
    native = planes.segmenter_planes(scan.heights, scan.retrace)
    seen, own = _kept(model, entry)
    kept(seen, lambda: shared_perception(model).through(native)[1])
    kept(own, lambda: traits.traits(scan.heights, native))


def _member(inputs: int, hidden: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(dropout / 2), nn.Linear(inputs, hidden), nn.ReLU(),
        nn.Dropout(dropout), nn.Linear(hidden, hidden // 2), nn.ReLU(),
        nn.Dropout(dropout), nn.Linear(hidden // 2, len(LABELS) + len(NATURES)),
    )  # fmt: skip
