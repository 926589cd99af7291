"""How the daemon fares, put together from those who know. Rule: asking is cheap; it waits for no disk."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from afmd.domain.findings import Backend
from afmd.domain.ports import LedgerReader, Status
from afmd.runtime.progress import Progress
from afmd.settings import Settings


@dataclass(frozen=True, slots=True)
class Facts:
    """What does not change while the daemon runs."""

    version: str
    started: datetime
    classifier: Backend
    segmenter: Backend
    settings: Settings


@dataclass(frozen=True, slots=True)
class Gauges:
    """Where to ask for what changes; each answers at once."""

    queue: Callable[[], int]
    busy: Callable[[], int]
    capture_reachable: Callable[[], bool]
    last_failure: Callable[[], str]


class StatusBoard:
    """Answers ``status()`` for the wire, the metrics and the watchdog."""

    def __init__(self, facts: Facts, gauges: Gauges, *, ledger: LedgerReader, progress: Progress) -> None:
        self._facts = facts
        self._gauges = gauges
        self._ledger = ledger
        self._progress = progress
        self._disk_free_bytes = 0
        self.draining = False

    def status(self) -> Status:
        """Return the present status."""
        own = self._facts.settings
        return Status(
            version=self._facts.version,
            started=self._facts.started,
            draining=self.draining,
            capture_folder=str(own.capture.folder),
            capture_reachable=self._gauges.capture_reachable(),
            output_root=str(own.outputs.root),
            disk_free_bytes=self._disk_free_bytes,
            queue=self._gauges.queue(),
            queue_limit=own.workers.queue_length,
            workers=own.workers.count,
            workers_busy=self._gauges.busy(),
            revision=self._ledger.revision(),
            counts=self._ledger.counts(),
            classifier=self._facts.classifier,
            segmenter=self._facts.segmenter,
            last_error=self._trouble(),
        )

    def measure_disk(self) -> None:
        """Look how much room is left; may take long where the disk is far away."""
        self._disk_free_bytes = free_bytes(self._facts.settings.outputs.root)

    def _trouble(self) -> str:
        """Return what is stuck, or else the last thing that failed."""
        stuck = self._progress.stuck(limit_s=self._facts.settings.workers.stage_limit_s)
        if stuck:
            return f"{stuck[0].who} has been {stuck[0].what} for {stuck[0].for_s:.0f} s"
        return self._gauges.last_failure()


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk under ``folder``, which need not exist yet; 0 where it cannot be told."""
    try:
        existing = next((path for path in (folder, *folder.parents) if path.exists()), None)
        return 0 if existing is None else shutil.disk_usage(existing).free
    except OSError:
        return 0
