"""Faults of ten plain kinds planted in measured surfaces: what is found of them, and what is called without them.

    python benchmarks/planted.py SCANS [--weights FOLDER] [--rounds 2] [--json FILE]

SCANS holds NanoScope files under ``images`` and height maps (``.npy``, nm) under ``surfaces``; of the former those are
taken that look good by eye, the names of which stand here. No surface is simulated, and no line of the code that plants
is the one that training plants with: what is measured is how far the models carry. A fault is visible where at least
1 % of the pixels moved by, typically, three times the noise and 5 % of the relief; others are left out. Rules, network
and both, as ``auto`` runs them, see the same scans. A measured surface's own faults count against all.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from afmd.domain.findings import Label
from afmd.domain.ports import Segmenter
from afmd.domain.scan import Scan
from afmd.files.nanoscope import decode
from afmd.inference import network_classifier, network_segmenter
from afmd.pipeline.joined import JoinedClassifier, JoinedSegmenter
from afmd.science.rules import RulesClassifier, RulesSegmenter  # after the network: ONNX Runtime goes before OpenCV

GOOD = (
    "old_bruker.002",
    "old_bruker.004",
    "di-2.di",
    "di-3.di",
    "di-6.di",
    "kpg20080408.007",
    "full_multiple_images.txt",
)
CALLED = 0.5
LARGEST = 1024

Plane = np.ndarray
Passes = Plane
"""Two passes, (2, rows, cols) in nm."""


@dataclass(frozen=True)
class Bed:
    """A measured surface, its relief and the noise from pixel to pixel, nm."""

    name: str
    passes: Passes
    alone: bool
    relief: float
    noise: float

    @property
    def threshold(self) -> float:
        return max(3 * self.noise, 0.02 * self.relief)


@dataclass(frozen=True)
class Spoilt:
    """Passes after the fault; where the first was replaced or swings by a wave, and by how much, nm.

    ``offset``: what lines as a whole were moved by, nm: the background's, and no fault of their pixels.
    """

    passes: Passes
    reach: Plane | float = 0.0
    offset: Plane | float = 0.0


def main() -> None:
    """Plant, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    network = network_segmenter(asked.weights, trial=True)
    told = JoinedClassifier(network_classifier(asked.weights, trial=True), RulesClassifier())
    ways = {"rules": RulesSegmenter(), "network": network, "both": JoinedSegmenter(network, RulesSegmenter())}
    rows = [row for bed in beds(asked.scans) for row in judged(bed, ways, told, rounds=asked.rounds)]
    print(table(rows, list(ways)))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def beds(scans: Path) -> Iterator[Bed]:
    """Yield the surfaces, by name."""
    for file in sorted((scans / "images").iterdir()):
        if file.name in GOOD:
            scan = decode(file.read_bytes(), name=file.name)
            yield _bed(file.name, scan.heights, scan.retrace)
    for file in sorted((scans / "surfaces").glob("*.npy")):
        heights = np.load(file)
        if max(heights.shape) <= LARGEST:
            yield _bed(file.name, heights, None)


def judged(
    bed: Bed, ways: dict[str, Segmenter], told: JoinedClassifier, *, rounds: int
) -> Iterator[dict[str, float | str]]:
    """Yield one row for the surface as it is, and one for each visible fault in it."""
    yield _row(bed, "nothing", Spoilt(bed.passes), ways, told)
    for kind, (_, act) in FAULTS.items():
        for number in range(rounds):
            rng = np.random.default_rng([sum(map(ord, bed.name)), sum(map(ord, kind)), number])
            spoilt = act(rng, bed)
            if _visible(bed, spoilt):
                yield _row(bed, kind, spoilt, ways, told)


def table(rows: list[dict[str, float | str]], ways: list[str]) -> str:
    """Return the figures of every kind as a table."""
    lines = [
        "| planted | scans | " + " | ".join(f"IoU, {way}" for way in ways) + " | called falsely, both | class told |",
        "|---|---:|" + "---:|" * (len(ways) + 2),
    ]
    for kind in ("nothing", *FAULTS):
        own = [row for row in rows if row["kind"] == kind]
        if not own:
            continue
        found = [f"{np.mean([row[way] for row in own]):.2f}" if kind != "nothing" else "–" for way in ways]
        wrong, right = (float(np.mean([row[name] for row in own])) for name in ("false", "right"))
        lines.append(f"| {kind} | {len(own)} | {' | '.join(found)} | {100 * wrong:.1f} % | {100 * right:.0f} % |")
    return "\n".join(lines)


def _row(
    bed: Bed, kind: str, spoilt: Spoilt, ways: dict[str, Segmenter], told: JoinedClassifier
) -> dict[str, float | str]:
    heights = spoilt.passes.astype(np.float32)
    scan = Scan.from_heights(heights[0], retrace=None if bed.alone else heights[1], pixel_nm=1.0, name=bed.name)
    truth = _moved(bed, spoilt) > bed.threshold
    wanted = Label.GOOD if kind == "nothing" else FAULTS[kind][0]
    row: dict[str, float | str] = {"surface": bed.name, "kind": kind}
    for way, segmenter in ways.items():
        called = segmenter.segment(scan).artifact >= CALLED
        row[way] = float((called & truth).sum() / max((called | truth).sum(), 1))
        row["false"] = float((called & ~truth).mean())
    said = told.classify(scan)
    return row | {"right": float(said.label is wanted), "told": said.label.value, "share": float(truth.mean())}


def _bed(name: str, heights: Plane, retrace: Plane | None) -> Bed:
    passes = np.stack([heights, heights if retrace is None else retrace]).astype(np.float64)
    level = passes[0] - _plane(passes[0])
    low, high = np.percentile(level, [0.5, 99.5])
    second = np.diff(level, 2, axis=1)
    noise = 1.4826 * np.median(np.abs(second - np.median(second))) / np.sqrt(6)
    return Bed(name, passes, retrace is None, float(high - low), float(noise))


def _plane(heights: Plane) -> Plane:
    rows, cols = (np.linspace(-1, 1, n) for n in heights.shape)
    down = 3 * (heights * rows[:, None]).mean()
    return heights.mean() + down * rows[:, None] + 3 * (heights * cols).mean() * cols


def _moved(bed: Bed, spoilt: Spoilt) -> Plane:
    return np.maximum(np.abs(spoilt.passes[0] - spoilt.offset - bed.passes[0]), spoilt.reach)


def _visible(bed: Bed, spoilt: Spoilt) -> bool:
    moved = _moved(bed, spoilt)
    mask = moved > bed.threshold
    return bool(mask.mean() >= 0.01 and np.median(moved[mask]) >= max(3 * bed.noise, 0.05 * bed.relief))


def lost_lines(rng: np.random.Generator, bed: Bed) -> Spoilt:
    """Bands of one to six lines, each at a level of its own, nearly flat, in both passes."""
    passes, rows, cols = bed.passes.copy(), *bed.passes.shape[1:]
    reach = np.zeros((rows, cols))
    for _ in range(max(2, round(rng.uniform(0.01, 0.03) * rows))):
        top, count = int(rng.integers(rows - 6)), int(rng.integers(1, 7))
        for row in range(top, top + count):
            level = np.median(passes[:, row], axis=1) + rng.normal(0, 0.3 * bed.relief)
            passes[:, row] = (
                level[:, None] + rng.normal(0, 0.02 * bed.relief, (2, cols)) + rng.normal(0, bed.noise, cols)
            )
        reach[top : top + count] = 2 * bed.threshold
    return Spoilt(passes, reach)


def scars(rng: np.random.Generator, bed: Bed) -> Spoilt:
    """Streaks of one to three lines, a twentieth to a third of the width, higher by a tenth to a half of the relief."""
    passes, rows, cols = bed.passes.copy(), *bed.passes.shape[1:]
    moved = np.zeros((rows, cols), bool)
    while moved.mean() < 0.015:
        row, count = int(rng.integers(rows - 3)), int(rng.integers(1, 4))
        left = int(rng.integers(cols))
        own = (slice(row, row + count), slice(left, left + int(rng.integers(cols // 20, cols // 3))))
        passes[0][own] += rng.uniform(0.1, 0.5) * bed.relief * (1 if rng.random() < 0.8 else -1)
        moved[own] = True
    return Spoilt(passes)


def spikes(rng: np.random.Generator, bed: Bed) -> Spoilt:
    """Single pixels of a third of the relief or more, most of them upwards."""
    passes = bed.passes.copy()
    hit = rng.random(passes.shape[1:]) < rng.uniform(0.011, 0.03)
    passes[0][hit] += bed.relief * rng.uniform(0.3, 1.2, hit.sum()) * np.where(rng.random(hit.sum()) < 0.85, 1, -1)
    return Spoilt(passes)


def bursts(rng: np.random.Generator, bed: Bed) -> Spoilt:
    """Groups of lines that hum."""
    passes, rows, cols = bed.passes.copy(), *bed.passes.shape[1:]
    reach = np.zeros((rows, cols))
    while (reach > 0).mean() < 0.03:
        top, count = int(rng.integers(rows - 8)), int(rng.integers(2, 8))
        period, height = rng.uniform(3, 20), rng.uniform(0.1, 0.4) * bed.relief
        for way in (0, 1):
            phase = 2 * np.pi * (np.arange(cols) / period + rng.random((count, 1)))
            passes[way, top : top + count] += height * np.sin(phase)
        reach[top : top + count] = height
    return Spoilt(passes, reach)


def mains(rng: np.random.Generator, bed: Bed) -> Spoilt:
    """One frequency in time over all lines."""
    passes, rows, cols = bed.passes.copy(), *bed.passes.shape[1:]
    per_pixel, height = rng.uniform(0.02, 0.2), rng.uniform(0.06, 0.15) * bed.relief
    time = (np.arange(cols) + 2.2 * cols * np.arange(rows)[:, None]) * per_pixel
    for way in (0, 1):
        passes[way] += height * np.sin(2 * np.pi * (time + 0.3 * way))
    return Spoilt(passes, np.full((rows, cols), height))


def ripples(rng: np.random.Generator, bed: Bed) -> Spoilt:
    """A wave near an axis of the frame, the same in both passes, 5 to 20 of it in the frame."""
    passes, rows, cols = bed.passes.copy(), *bed.passes.shape[1:]
    height, turn = rng.uniform(0.08, 0.2) * bed.relief, rng.integers(2) * np.pi / 2 + rng.normal(0, 0.1)
    waves = rng.uniform(5, 20) / max(rows, cols)
    down, across = np.mgrid[:rows, :cols]
    wave = height * np.sin(2 * np.pi * waves * (across * np.cos(turn) + down * np.sin(turn)) + rng.uniform(0, 6))
    return Spoilt(passes + wave, np.full((rows, cols), height))


def parachutes(rng: np.random.Generator, bed: Bed) -> Spoilt:
    """Behind every fall the height sinks at one rate."""
    passes = bed.passes.copy()
    rate = rng.uniform(0.006, 0.03) * bed.relief
    for way in (0, 1):
        line = passes[way][:, :: 1 if way == 0 else -1]
        for col in range(1, line.shape[1]):
            np.maximum(line[:, col], line[:, col - 1] - rate, out=line[:, col])
    return Spoilt(passes)


def ghosts(rng: np.random.Generator, bed: Bed) -> Spoilt:
    """A second apex beside the first: everything is seen twice, the second time lower."""
    side = rng.choice([-1, 1]) * int(rng.integers(6, 20))
    away, lower = (0, int(rng.integers(-12, 13)), side), rng.uniform(0.05, 0.3) * bed.relief
    plane = np.stack([_plane(one) for one in bed.passes])
    level = bed.passes - plane
    return Spoilt(plane + np.maximum(level, ndimage.shift(level, away, order=0, mode="nearest") - lower))


def tip_changes(rng: np.random.Generator, bed: Bed) -> Spoilt:
    """From one line on, or for some lines, a paraboloid tip that reaches 3 to 10 pixels where it goes half down."""
    rows = bed.passes.shape[1]
    reach, start = rng.uniform(3, 10), int(rng.uniform(0.15, 0.7) * rows)
    stop = rows if rng.random() < 0.5 else start + int(rng.uniform(0.08, 0.3) * rows)
    away = np.arange(-15, 16)
    rise = -0.5 * bed.relief * (away / reach) ** 2
    plane = np.stack([_plane(one) for one in bed.passes])
    level = bed.passes - plane
    for shape in ((1, 1, -1), (1, -1, 1)):
        level = ndimage.grey_dilation(level, structure=rise.reshape(shape))
    passes, offset = bed.passes.copy(), np.zeros((rows, 1))
    offset[start:stop] = rng.normal(0, 0.1) * bed.relief
    passes[:, start:stop] = (plane + level)[:, start:stop]
    return Spoilt(passes + offset, offset=offset)


def clippings(rng: np.random.Generator, bed: Bed) -> Spoilt:
    """The converter's upper end, in the heights as recorded."""
    return Spoilt(np.minimum(bed.passes, np.percentile(bed.passes[0], rng.uniform(90, 98))))


FAULTS: dict[str, tuple[Label, Callable[[np.random.Generator, Bed], Spoilt]]] = {
    "lost lines": (Label.NOT_TRACKING, lost_lines),
    "scars": (Label.NOT_TRACKING, scars),
    "parachuting": (Label.NOT_TRACKING, parachutes),
    "double tip": (Label.TIP_CONTAMINATION, ghosts),
    "tip change": (Label.TIP_CONTAMINATION, tip_changes),
    "spikes": (Label.IMAGING_ARTIFACT, spikes),
    "bursts": (Label.IMAGING_ARTIFACT, bursts),
    "mains": (Label.IMAGING_ARTIFACT, mains),
    "ripple": (Label.IMAGING_ARTIFACT, ripples),
    "saturation": (Label.IMAGING_ARTIFACT, clippings),
}


if __name__ == "__main__":
    main()
