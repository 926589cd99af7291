"""What a wider network brings, and what it costs: the segmenter at several widths, taught and judged alike.

Rule: every width learns the same number of steps from the same seed and scans, from a random start; all are judged on
the same scans of surfaces that none saw, and timed by turns in one process, so that only ratios count.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from afmd.files.disk import storage_errors
from afmd.inference import load_manifest, planes
from afmd.inference.sessions import shared_session
from afmd.training.config import Training
from afmd.training.corpus import gather
from afmd.training.experiments import Bench
from afmd.training.sealed import evaluated
from afmd.training.tables import markdown_table, write_json

SIDE_PX = 512
TURNS = 15
SHOWN = ("IoU, visible artefacts", "false artefact area, good scans", "feature IoU")


def frontier(configuration: Training, widths: Sequence[int], bench: Bench, *, scans: int) -> Path:
    """Make the (shortened) configuration at each width, judge and time it; return the file of the table."""
    own = [widened(configuration, width) for width in widths]
    folders = [bench.folder("width", [one]) for one in own]
    for one, folder in zip(own, folders, strict=True):
        bench.made(one, folder)
    entries = gather(bench.corpus, "evaluation", scans, recipe="evaluation", workers=bench.workers)
    found = [
        evaluated("segmenter", folder, entries, bench.out / one.name).headline
        for one, folder in zip(own, folders, strict=True)
    ]
    times = times_ms(folders)
    rows = [
        [str(width), f"{_bytes(folder) / 1e6:.1f}", f"{ms / times[0]:.2f}", *(str(figures[name]) for name in SHOWN)]
        for width, folder, ms, figures in zip(widths, folders, times, found, strict=True)
    ]
    rule = configuration.optimiser
    text = (
        f"# Widths of {configuration.name}\n\nEach: {rule.steps} steps, {configuration.corpus.training} scans, seed "
        f"{configuration.seed}, from a random start; {scans} scans of `afmd.twin.EVALUATION`, 95 % bootstrap "
        f"intervals. Time of the network alone on {SIDE_PX}², one thread, over the first one's "
        f"{times[0]:.0f} ms.\n\n{markdown_table(['width', 'MB', 'time', *SHOWN], rows)}"
    )
    file = bench.out / "frontier.md"
    with storage_errors(file):
        file.write_text(text, encoding="utf-8")
    figures = [{name: asdict(figure) for name, figure in one.items()} for one in found]
    told = {"command": bench.command, "widths": list(widths), "ms": times, "figures": figures}
    write_json(file.with_suffix(".json"), told)
    bench.say(text)
    return file


def widened(configuration: Training, width: int) -> Training:
    """Return the configuration at another width, named after it."""
    net = configuration.segmenter.model_copy(update={"width": width})
    return configuration.model_copy(update={"name": f"{configuration.name}-width-{width}", "segmenter": net})


def times_ms(folders: Sequence[Path]) -> list[float]:
    """Return the median time of each folder's segmenter alone on one frame, ms at one thread, all by turns."""
    sessions = [shared_session(load_manifest(folder).model("segmenter")) for folder in folders]
    heights = np.cumsum(np.random.default_rng(SIDE_PX).normal(size=(SIDE_PX, SIDE_PX)), axis=1)
    frame = planes.segmenter_planes(heights.astype(np.float32))[None]
    taken: list[list[float]] = [[] for _ in sessions]
    for turn in range(TURNS + 1):
        for own, session in zip(taken, sessions, strict=True):
            begun = time.perf_counter()
            session.run(frame)
            if turn:  # the first one fits the session to the shape
                own.append(1e3 * (time.perf_counter() - begun))
    return [statistics.median(own) for own in taken]


def _bytes(folder: Path) -> int:
    return load_manifest(folder).model("segmenter").file.stat().st_size
