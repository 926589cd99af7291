"""The classifier that afmd ships: a small head on what the segmenter's network saw of the whole scan.

Rule: it learns from scans that the network below never learned from, seen through the very file that the daemon runs.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from afmd.domain.findings import Label
from afmd.inference.manifest import Model
from afmd.inference.perception import Perception, shared_perception
from afmd.training import checkpoint, losses, scores
from afmd.training.batches import FAINT, LABELS, varied
from afmd.training.config import Training
from afmd.training.corpus import Entry, open_example
from afmd.training.evaluate import scan_of

Summaries = NDArray[np.float32]
VARIANTS = 1


class Head(nn.Module):
    """Summary (n, summary) in, logits (n, 4) out: scaled, one hidden layer."""

    def __init__(self, inputs: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(inputs, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, len(LABELS)),
        )

    def forward(self, summary: Tensor) -> Tensor:
        """Return logits."""
        return self.layers((summary - self.mean) / self.spread)  # type: ignore[no-any-return]

    def scale_to(self, summaries: Summaries) -> None:
        """Take mean and spread from the training summaries."""
        self.mean = torch.from_numpy(summaries.mean(axis=0))
        self.spread = torch.from_numpy(summaries.std(axis=0) + 1e-3)


def summaries_of(model: Model, entries: Sequence[Entry], *, cache: Path, variants: int = 1) -> Summaries:
    """Return (scans × variants, summary): each scan as it is, mirrored and without its opposite pass by turns.

    Kept in ``cache`` under the segmenter's hash, since looking is what takes the time.
    """
    name = f"{model.sha256[:12]}-{entries[0].seed}-{len(entries)}-{variants}.npy"
    file = cache / name
    if file.exists():
        stored: Summaries = np.load(file)
        return stored
    perception = shared_perception(model)
    rows = [_summary(perception, entry, variant) for variant in range(variants) for entry in entries]
    cache.mkdir(parents=True, exist_ok=True)
    np.save(file, np.stack(rows))
    return np.stack(rows)


def train_head(
    configuration: Training, summaries: Summaries, labels: NDArray[np.int64], *, weights: NDArray[np.float32]
) -> Head:
    """Return a head trained for the configured number of steps; a scan is drawn as often as its weight says."""
    torch.manual_seed(configuration.seed)
    wanted, rule = configuration.classifier, configuration.optimiser
    head = Head(summaries.shape[1], hidden=wanted.width, dropout=wanted.dropout)
    head.scale_to(summaries)
    optimiser = torch.optim.AdamW(head.parameters(), lr=rule.learning_rate, weight_decay=rule.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, rule.steps)
    inputs, answers = torch.from_numpy(summaries), torch.from_numpy(labels)
    chances = torch.from_numpy(weights)
    for _ in range(rule.steps):
        pick = torch.multinomial(chances, rule.batch, replacement=True)
        loss = losses.focal_classes(head(inputs[pick]), answers[pick], focus=rule.focus, smoothing=rule.smoothing)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return head.eval()


def learn(
    configuration: Training, upon: Model, *, run: Path, training: Sequence[Entry], validation: Sequence[Entry],
    say: Callable[[str], None],
) -> None:  # fmt: skip
    """Train a head on what the segmenter ``upon`` sees, judge it on validation scans, and write the run's files."""
    cache = run / "summaries"
    head = train_head(
        configuration,
        summaries_of(upon, training, cache=cache, variants=VARIANTS),
        labels_of(training, variants=VARIANTS),
        weights=np.tile(weights_of(training), VARIANTS),
    )
    with torch.no_grad():
        logits = head(torch.from_numpy(summaries_of(upon, validation, cache=cache))).numpy()
    labels = labels_of(validation)
    matrix = scores.confusion(labels, logits.argmax(axis=1), classes=len(LABELS))
    figures = {
        "accuracy": float(np.trace(matrix) / matrix.sum()),
        "macro_f1": scores.macro_f1(matrix),
        "log_loss": scores.log_loss(scores.softmax(logits), labels),
    }
    checkpoint.replace(run / "best.pt", head.state_dict())
    line = {"step": configuration.optimiser.steps, "score": figures["macro_f1"], **figures}
    (run / "history.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    say(" ".join(f"{name}={value:.4g}" for name, value in line.items()))


def loaded(configuration: Training, state: dict[str, Tensor]) -> Head:
    """Return the head whose state dictionary this is."""
    wanted = configuration.classifier
    head = Head(len(state["mean"]), hidden=wanted.width, dropout=wanted.dropout)
    head.load_state_dict(state)
    return head


def labels_of(entries: Sequence[Entry], *, variants: int = 1) -> NDArray[np.int64]:
    """Return label indices in the order of `summaries_of`."""
    return np.tile(np.array([LABELS.index(entry.label) for entry in entries]), variants)


def weights_of(entries: Sequence[Entry]) -> NDArray[np.float32]:
    """Return how often each scan is drawn: a fault that nobody sees hardly tells a spoilt scan from a good one."""
    seen = np.array([entry.visible or entry.label is Label.GOOD for entry in entries])
    return np.where(seen, 1.0, FAINT).astype(np.float32)


def _summary(perception: Perception, entry: Entry, variant: int) -> Summaries:
    example = open_example(entry)
    if variant:
        example = varied(example, np.random.default_rng([entry.seed, variant]), retrace_dropout=0.5)
    return perception.see(scan_of(example, alone=variant == 0 and entry.seed % 2 == 1)).summary
