"""An evaluation as tables for people, numbers for programs and pictures for both.

Rule: pictures are drawn only here; every picture names the scan's seed, so that anyone can make it again.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")

from matplotlib import pyplot as plt  # the backend is chosen first: there may be no display

from afmd.domain.ports import Segmenter
from afmd.inference.planes import ALIGNED, segmenter_planes
from afmd.training.batches import LABELS
from afmd.training.corpus import Entry, open_example
from afmd.training.evaluate import CUT, GOOD, Figure, Report, Row, scan_of
from afmd.training.tables import write_json

GALLERY = 24
OVERLAY = {"found": (0.1, 0.8, 0.2), "missed": (0.2, 0.4, 1.0), "false": (1.0, 0.2, 0.2)}


def write(report: Report, folder: Path) -> None:
    """Write ``MODEL.md`` and ``MODEL.json``, and for a classifier its confusion matrix and reliability curve."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{report.model}.md").write_text(markdown(report), encoding="utf-8")
    write_json(folder / f"{report.model}.json", asdict(report))
    if report.confusion:
        draw_confusion(report.confusion, folder / "confusion.png")
        draw_reliability(report.reliability, folder / "reliability.png")


def markdown(report: Report) -> str:
    """Return all tables: value, 95 % interval, count."""
    parts = [_table("figure", report.headline)]
    parts += [f"### {title}\n\n{_table('', rows)}" for title, rows in report.tables.items()]
    if report.confusion:
        names = [label.value for label in LABELS]
        head = "| truth \\ answer | " + " | ".join(names) + " |\n|---|" + "---:|" * len(names) + "\n"
        lines = [
            f"| {name} | " + " | ".join(map(str, row)) + " |" for name, row in zip(names, report.confusion, strict=True)
        ]
        parts.append("### confusion, visible artefacts and good\n\n" + head + "\n".join(lines) + "\n")
    return "\n".join(parts)


def draw_confusion(matrix: Sequence[Sequence[int]], file: Path) -> None:
    """Draw counts coloured by the share of their row."""
    counts = np.array(matrix)
    figure, axes = plt.subplots(figsize=(5.2, 4.6), layout="constrained")
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    for (row, col), count in np.ndenumerate(counts):
        axes.text(col, row, str(count), ha="center", va="center")
    names = [label.value.replace("_", "\n") for label in LABELS]
    axes.set(xticks=range(len(names)), yticks=range(len(names)), xticklabels=names, yticklabels=names)
    axes.set(xlabel="answer", ylabel="truth")
    _close(figure, file)


def draw_reliability(points: Sequence[tuple[float, float, int]], file: Path) -> None:
    """Draw accuracy over confidence, each point as large as its count."""
    confidence, accuracy, counts = (np.array(column) for column in zip(*points, strict=True))
    figure, axes = plt.subplots(figsize=(4.6, 4.4), layout="constrained")
    axes.plot([0, 1], [0, 1], color="0.7")
    axes.plot(confidence, accuracy, color="C0")
    axes.scatter(confidence, accuracy, s=12 + 300 * counts / counts.sum(), color="C0")
    axes.set(xlabel="probability given", ylabel="share right", xlim=(0.2, 1.02), ylim=(0, 1.02), aspect="equal")
    _close(figure, file)


def classifier_gallery(report: Report, entries: Sequence[Entry], file: Path) -> None:
    """Draw the scans that were got wrong with most confidence."""
    wrong = sorted((row for row in report.rows if not row["right"]), key=lambda row: -max(row["chances"]))[:GALLERY]
    by_seed = {entry.seed: entry for entry in entries}
    panels = []
    for row in wrong:
        said = LABELS[int(np.argmax(row["chances"]))].value
        title = f"{row['seed']} {'+'.join(row['kinds']) or 'good'} {row['severity']:.2f}\n{row['surface']} → {said}"
        panels.append((picture(open_example(by_seed[row["seed"]]).heights), f"{title} {max(row['chances']):.2f}"))
    draw_panels(panels, file)


def segmenter_gallery(
    report: Report, entries: Sequence[Entry], file: Path, *, segmenter: Segmenter, worst: bool
) -> None:
    """Draw the worst masks (or evenly spread ones): green found, blue missed, red false."""
    rows = sorted((r for r in report.rows if r["visible"] or r["label"] == GOOD), key=_segmenter_merit)
    chosen = rows[:GALLERY] if worst else rows[:: max(1, len(rows) // GALLERY)][:GALLERY]
    by_seed = {entry.seed: entry for entry in entries}
    panels = []
    for row in chosen:
        example = open_example(by_seed[row["seed"]])
        found = segmenter.segment(scan_of(example)).artifact >= CUT
        title = f"{row['seed']} {'+'.join(row['kinds']) or 'good'} {row['severity']:.2f}\n{row['surface']}"
        shown = overlay(picture(example.heights), found, example.artifact)
        panels.append((shown, f"{title} IoU {row['iou']:.2f} false {100 * row['false_share']:.1f} %"))
    draw_panels(panels, file)


def picture(heights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return an RGB picture (rows, cols, 3) of line-aligned heights between their 0.5th and 99.5th percentile."""
    level = segmenter_planes(heights)[ALIGNED]
    low, high = np.percentile(level, (0.5, 99.5))
    shade = np.clip((level - low) / max(high - low, 1e-9), 0, 1)
    return np.asarray(mpl.colormaps["gray"](shade)[..., :3])


def overlay(
    base: NDArray[np.float64], found: NDArray[np.bool_], truth: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Colour a picture by a mask against its truth; without a truth whatever is found is red."""
    shown = base.copy()
    parts = (
        {"false": found}
        if truth is None
        else {"found": found & truth, "missed": truth & ~found, "false": found & ~truth}
    )
    for name, where in parts.items():
        shown[where] = 0.45 * shown[where] + 0.55 * np.array(OVERLAY[name])
    return shown


def draw_panels(panels: Sequence[tuple[NDArray[np.float64], str]], file: Path, *, columns: int = 6) -> None:
    """Draw titled pictures in rows."""
    rows = max(1, -(-len(panels) // columns))
    figure, axes = plt.subplots(rows, columns, figsize=(3 * columns, 3.3 * rows), layout="constrained", squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (image, title) in zip(axes.flat, panels, strict=False):
        axis.imshow(image, interpolation="nearest")
        axis.set_title(title, fontsize=8)
    _close(figure, file)


def _segmenter_merit(row: Row) -> float:
    return float(row["iou"] if row["label"] != GOOD else 1 - 20 * row["false_share"])


def _table(name: str, rows: dict[str, Figure]) -> str:
    head = f"| {name} | value | 95 % interval | scans |\n|---|---:|---|---:|\n"
    lines = [f"| {key} | {f.value:.3f} | {f.low:.3f} to {f.high:.3f} | {f.count} |" for key, f in rows.items()]
    return head + "\n".join(lines) + "\n"


def _close(figure: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=90)
    plt.close(figure)
