"""The honest figures: sealed models, as the daemon runs them, on scans whose like training never drew.

Rule: nothing is fitted here. Every figure carries its count and, where it is a mean over scans, a 95 % bootstrap
interval over scans.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import Label
from afmd.domain.ports import Classifier, Segmenter
from afmd.domain.scan import Scan
from afmd.training import scores
from afmd.training.batches import LABELS
from afmd.training.corpus import Entry, Example, open_example

SEVERITIES = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.01))
CUT = 0.5
SUREST = 0.8
GOOD = LABELS.index(Label.GOOD)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with its 95 % interval and what it was taken over."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.count}"


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that an evaluation found; ``tables`` map a title to rows of a name and a figure."""

    model: str
    headline: dict[str, Figure]
    tables: dict[str, dict[str, Figure]]
    confusion: list[list[int]] = field(default_factory=list)
    reliability: list[tuple[float, float, int]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def evaluate_classifier(classifier: Classifier, entries: Sequence[Entry]) -> Report:
    """Classify every scan, with its opposite pass, and tabulate by class, kind, severity and sureness."""
    rows = [_classified(classifier, entry) for entry in entries]
    truth = np.array([row["label"] for row in rows])
    chances = np.array([row["chances"] for row in rows])
    answer = chances.argmax(axis=1)
    right = (answer == truth).astype(float)
    good = truth == GOOD
    seen = good | np.array([row["visible"] for row in rows])
    accepted = np.array([not row["abstained"] for row in rows])
    keep = scores.surest(chances, share=SUREST)
    headline = {
        "accuracy, visible artefacts and good": mean_figure(right[seen]),
        "macro-F1, visible artefacts and good": _matrix_figure(truth[seen], answer[seen], scores.macro_f1),
        "accuracy, all severities": mean_figure(right),
        "accuracy, surest 80 %": mean_figure(right[keep]),
        "accuracy, not abstained": mean_figure(right[accepted]),
        "abstained": mean_figure(1.0 - accepted),
        "good scans called spoilt": mean_figure((answer != truth)[good].astype(float)),
        "expected calibration error": _calibration_figure(chances, truth),
    }
    tables = {
        "recall by class, visible": _by(
            rows, lambda r: [LABELS[r["label"]].value] if r["visible"] or r["label"] == GOOD else [], "right"
        ),
        "right by leading kind, visible": _by([r for r in rows if r["visible"]], lambda r: r["kinds"][:1], "right"),
        "right by severity": _by(rows, _severity_names, "right"),
        "right by surface": _by(rows, lambda r: [r["surface"]], "right"),
    }
    matrix = scores.confusion(truth[seen], answer[seen], classes=len(LABELS))
    curve = zip(*scores.reliability(chances, truth), strict=True)
    points = [(float(c), float(a), int(n)) for c, a, n in curve if n]
    return Report("classifier", headline, tables, matrix.tolist(), points, rows)


def evaluate_segmenter(segmenter: Segmenter, entries: Sequence[Entry]) -> Report:
    """Segment every scan with and without its opposite pass, and tabulate by kind and severity."""
    rows = [_segmented(segmenter, entry) for entry in entries]
    spoilt = [row for row in rows if row["visible"] and row["spoilt_share"] > 0]
    good = [row for row in rows if row["label"] == GOOD]
    headline = {
        "IoU, visible artefacts": _column(spoilt, "iou"),
        "Dice, visible artefacts": _column(spoilt, "dice"),
        "IoU, visible artefacts, one pass alone": _column(spoilt, "iou_alone"),
        "Dice, visible artefacts, one pass alone": _column(spoilt, "dice_alone"),
        "false artefact area, good scans": _column(good, "false_share"),
        "false artefact area, good scans, one pass alone": _column(good, "false_share_alone"),
        "feature IoU": _column([row for row in rows if np.isfinite(row["feature_iou"])], "feature_iou"),
    }
    one_kind = [row for row in spoilt if len(row["kinds"]) == 1]
    tables = {
        "IoU by kind, visible, alone in its scan": _by(one_kind, lambda r: r["kinds"], "iou"),
        "IoU by kind, without retrace": _by(one_kind, lambda r: r["kinds"], "iou_alone"),
        "IoU by severity": _by([r for r in rows if r["spoilt_share"] > 0], _severity_names, "iou"),
        "IoU by surface": _by(spoilt, lambda r: [r["surface"]], "iou"),
        "false area by surface, good scans": _by(good, lambda r: [r["surface"]], "false_share"),
        "feature IoU by surface": _by(
            [row for row in rows if np.isfinite(row["feature_iou"])], lambda r: [r["surface"]], "feature_iou"
        ),
    }
    return Report("segmenter", headline, tables, rows=rows)


def mean_figure(values: Iterable[float] | NDArray[np.float64]) -> Figure:
    """Return a mean with its interval."""
    data = np.fromiter(values, float) if not isinstance(values, np.ndarray) else values.astype(float)
    low, high = scores.interval(data)
    return Figure(float(data.mean()) if data.size else float("nan"), low, high, int(data.size))


def scan_of(example: Example, *, alone: bool = False) -> Scan:
    """Return an example as a scan; ``alone`` withholds its opposite pass."""
    retrace = None if alone else example.retrace
    return Scan.from_heights(example.heights, retrace=retrace, pixel_nm=1.0, name=str(example.seed))


def _classified(classifier: Classifier, entry: Entry) -> Row:
    said = classifier.classify(scan_of(open_example(entry)))
    chances = [said.probabilities[label] for label in LABELS]
    facts = {"chances": chances, "right": float(LABELS[int(np.argmax(chances))] is entry.label)}
    return _facts(entry) | facts | {"abstained": said.abstained}


def _segmented(segmenter: Segmenter, entry: Entry) -> Row:
    example = open_example(entry)
    row = _facts(entry) | {"spoilt_share": float(example.artifact.mean())}
    for suffix, alone in (("", False), ("_alone", True)):
        found = segmenter.segment(scan_of(example, alone=alone))
        called = found.artifact >= CUT
        row[f"iou{suffix}"] = scores.iou(called, example.artifact)
        row[f"dice{suffix}"] = scores.dice(called, example.artifact)
        row[f"false_share{suffix}"] = float((called & ~example.artifact).mean())
        if not alone:
            row["feature_iou"] = float("nan")
            if found.feature is not None and example.feature.any():
                row["feature_iou"] = scores.iou(found.feature >= CUT, example.feature)
    return row


def _facts(entry: Entry) -> Row:
    names = ("seed", "kinds", "visible", "severity", "surface")
    return {name: getattr(entry, name) for name in names} | {"label": LABELS.index(entry.label)}


def _by(rows: Sequence[Row], groups: Callable[[Row], Sequence[str]], value: str) -> dict[str, Figure]:
    """Return a figure for every group; a row may belong to several or none."""
    gathered: dict[str, list[float]] = {}
    for row in rows:
        for name in groups(row):
            gathered.setdefault(name, []).append(float(row[value]))
    return {name: mean_figure(np.array(gathered[name])) for name in sorted(gathered)}


def _severity_names(row: Row) -> list[str]:
    if row["label"] == GOOD:
        return []
    return [f"{low:g} to {min(high, 1):g}" for low, high in SEVERITIES if low <= row["severity"] < high]


def _column(rows: Sequence[Row], name: str) -> Figure:
    return mean_figure(np.array([row[name] for row in rows]))


def _matrix_figure(
    truth: NDArray[np.int64], answer: NDArray[np.int64], statistic: Callable[[scores.Matrix], float]
) -> Figure:
    def of(index: NDArray[np.float64]) -> float:
        pick = index.astype(int)
        return statistic(scores.confusion(truth[pick], answer[pick], classes=len(LABELS)))

    index = np.arange(len(truth), dtype=float)
    low, high = scores.interval(index, of)
    return Figure(of(index), low, high, len(truth))


def _calibration_figure(chances: NDArray[np.float64], truth: NDArray[np.int64]) -> Figure:
    def of(index: NDArray[np.float64]) -> float:
        pick = index.astype(int)
        return scores.expected_calibration_error(chances[pick], truth[pick])

    index = np.arange(len(truth), dtype=float)
    low, high = scores.interval(index, of)
    return Figure(of(index), low, high, len(truth))
