"""The virtual microscope at work: it scans, and its files grow in the capture folder line by line, as real ones do.

Rule: it knows nothing of the daemon. What it writes is a NanoScope file; what it knows of the truth, it keeps.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice, pairwise
from pathlib import Path

import numpy as np

from afmd.cli.twin.scans import as_file, as_traced
from afmd.domain.findings import Label
from afmd.errors import NotFound
from afmd.settings import Capture as CaptureSettings
from afmd.twin import KINDS, TRAINING, Simulated, simulate

SHAPE = (256, 256)
USUAL_COUNT = 1 + len(KINDS)
"""One good scan, and one of each kind of trouble."""

TRIES = 10
TRAPS = ("same_scan_again.990", "stopped_halfway.991", "notes.txt")
STEPS = 8
"""In how many pieces a file grows."""


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    """One file to be written: its name, its content, and what is true of it where that is known."""

    name: str
    content: bytes
    truth: Simulated | None = None


def program(seed: int, *, count: int) -> Iterator[Capture]:
    """Give ``count`` scans, good ones and each kind of trouble in turn, then files that must be seen through."""
    first: Capture | None = None
    for number, kind in enumerate(islice(cycle(("good", *KINDS)), count)):
        simulated = as_traced(_simulated(kind, seed * 100_000 + number * 100))
        capture = Capture(f"{kind}.{number:03d}", as_file(simulated), simulated)
        first = first or capture
        yield capture
    if first is not None:
        yield from _traps(first)


def _simulated(kind: str, seed: int) -> Simulated:
    """Return a scan in which a person would see that trouble, and no other one first; or none, for a good one."""
    recipe = TRAINING.all_good() if kind == "good" else replace(TRAINING.only(kind), severity=(0.3, 0.8))
    for attempt in range(TRIES):
        simulated = simulate(seed + attempt, shape=SHAPE, recipe=recipe)
        if simulated.label is Label.GOOD if kind == "good" else simulated.visible:
            break
    return simulated


def dropped(folder: Path) -> Iterator[Capture]:
    """Give every file below a folder of real ones whose name may be a scan's, whatever it holds."""
    for path in _real_files(folder):
        yield Capture(path.name, path.read_bytes())


def number_of_captures(count: int, folder: Path | None) -> int:
    """Return how many files there will be."""
    return count + (len(TRAPS) if count else 0) + (len(_real_files(folder)) if folder else 0)


class Microscope:
    """Writes captures into a folder from a thread of its own, evenly over ``seconds``."""

    def __init__(self, folder: Path, captures: Iterable[Capture], *, seconds: float, count: int) -> None:
        self._folder = folder
        self._captures = captures
        self._pause_s = seconds / max(count, 1) / STEPS
        self._thread = threading.Thread(target=self._scan, name="microscope", daemon=True)
        self.written: dict[str, Capture] = {}
        self.done = threading.Event()

    def start(self) -> None:
        """Begin to scan."""
        self._thread.start()

    def _scan(self) -> None:
        for capture in self._captures:
            self.written[capture.name] = capture
            with (self._folder / capture.name).open("xb") as file:
                for piece in _pieces(capture.content):
                    file.write(piece)
                    file.flush()
                    time.sleep(self._pause_s)
        self.done.set()


def _pieces(content: bytes) -> Iterator[bytes]:
    edges = np.linspace(0, len(content), STEPS + 1).astype(int)
    yield from (content[start:end] for start, end in pairwise(edges))


def _traps(first: Capture) -> Iterator[Capture]:
    contents = (first.content, first.content[: len(first.content) // 2], b"Tuesday: new tip, 2 N/m.\r\n")
    yield from (Capture(name, content) for name, content in zip(TRAPS, contents, strict=True))


def _real_files(folder: Path) -> list[Path]:
    """Return the files below a folder that the settings' patterns let through, one for each name."""
    patterns = CaptureSettings().patterns
    found = {p.name: p for p in sorted(folder.rglob("*")) if p.is_file() and any(map(p.match, patterns))}
    if not found:
        raise NotFound(
            f"scans {folder}", why="no file below it has a scan's name", mend=f"Give a folder of {', '.join(patterns)}"
        )
    return list(found.values())
