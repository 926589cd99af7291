"""One scan from settled to its end. Rule: every step is committed before the next begins, and no file stops the next.

What goes wrong ends in a state, never in the worker:
the file is no scan we can use  → REFUSED, with reason, why and mend; trying again would change nothing
the file went away or changed   → VANISHED; what lies there now is another scan
the disk or the ledger refused  → FAILED with ``retry``; tried again while the daemon runs
anything else, a defect of ours → FAILED with the text; the traceback is in the log
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from afmd.domain.events import HAS_RESULTS, Entry, State
from afmd.domain.ports import Ledger, Results
from afmd.domain.result import Restoration
from afmd.domain.scan import Scan
from afmd.errors import AfmdError, CannotLevel, InvalidInput, LedgerError, NotFound, ScanError, StorageError
from afmd.runtime import facts
from afmd.runtime.progress import Progress
from afmd.runtime.resumption import give_up_further_repair
from afmd.telemetry.logs import logger
from afmd.telemetry.metrics import Metrics

PICK_UP = frozenset({State.READ, State.RESTORED, State.REPORTED, State.FAILED})
"""States of a scan that was in hand when something ended; work on it begins anew."""

FILE_AT_FAULT = (ScanError, CannotLevel, InvalidInput)
"""Errors that say that the file, and not afmd or the machine, stands in the way."""

log = logger("runtime")


class Decode(Protocol):
    """The reader."""

    def __call__(self, data: bytes, *, name: str) -> Scan:
        """Return the scan in a file's bytes. Raises ``ScanError``."""
        ...


class Restore(Protocol):
    """The pipeline with its parameters and backends already in place."""

    def __call__(self, scan: Scan) -> Restoration:
        """Return the restored scan. Raises ``AfmdError``."""
        ...


@dataclass(frozen=True, slots=True)
class Craft:
    """What turns a file into a restoration. ``load`` raises ``StorageError`` where the file cannot be read."""

    load: Callable[[Path], bytes]
    decode: Decode
    restore: Restore


@dataclass(frozen=True, slots=True, eq=False)
class Unfinished:
    """A restored scan whose pictures and other outputs are still to be written."""

    entry: Entry
    scan: Scan
    restoration: Restoration
    original: bytes
    repair: int

    @property
    def pixels(self) -> int:
        """How large it is, to bound how much may wait."""
        return int(self.scan.heights.size)


class Repairer:
    """Takes scans from settled to their end; safe from several workers, each with a scan of its own."""

    def __init__(
        self,
        craft: Craft,
        *,
        ledger: Ledger,
        results: Results,
        capture: Path,
        progress: Progress,
        metrics: Metrics,
        attempts: int,
    ) -> None:
        self._craft = craft
        self._ledger = ledger
        self._results = results
        self._capture = capture
        self._progress = progress
        self._metrics = metrics
        self._attempts = attempts

    def restore(self, scan_id: str, *, worker: str) -> Unfinished | None:
        """Read, restore and store a scan; return what is left to finish, or None where it came to another end."""
        entry = self._picked_up(self._ledger.entry(scan_id))
        if entry is None:
            return None
        try:
            return self._restored(entry, worker=worker)
        except Exception as e:
            self._ended(entry, e)
            return None

    def finish(self, work: Unfinished, *, worker: str) -> None:
        """Write pictures, files and the record of a restored scan."""
        try:
            with self._progress.doing(worker, f"outputs of {work.entry.name}"):
                start = time.perf_counter()
                self._results.finish(
                    work.entry, work.scan, work.restoration, original=work.original, repair=work.repair
                )
                self._metrics.time_stages({"outputs": (time.perf_counter() - start) * 1e3})
            written = self._results.folder(work.entry, repair=work.repair)
            self._ledger.advance(
                work.entry.scan_id,
                State.COMPLETE,
                facts={**facts.of_outputs(p.name for p in written.iterdir()), **facts.without_tries()},
            )
        except Exception as e:
            self._ended(work.entry, e)

    def _picked_up(self, entry: Entry) -> Entry | None:
        """Bring a scan that was in hand before back to SETTLED; give up on one that was too often."""
        if entry.state is State.SETTLED:
            return entry
        if entry.state not in PICK_UP or give_up_further_repair(self._ledger, entry):
            return None
        if entry.state is not State.FAILED and _attempts(entry) >= self._attempts:
            self._ledger.advance(entry.scan_id, State.FAILED, facts=_given_up(entry))
            return None
        self._ledger.advance(entry.scan_id, State.SETTLED, facts=facts.without_error())
        return self._ledger.entry(entry.scan_id)

    def _next_repair(self, entry: Entry) -> int:
        """Return the number of the repair to make: one that was begun and never finished is made anew."""
        repairs = self._ledger.repairs(entry.scan_id)
        if not repairs:
            return 1
        return repairs[-1].number + (repairs[-1].finished is not None)

    def _restored(self, entry: Entry, *, worker: str) -> Unfinished | None:
        start = time.perf_counter()
        with self._progress.doing(worker, f"reading {entry.name}"):
            data = self._content(entry)
            if data is None:
                return None
            scan = self._craft.decode(data, name=entry.name)
            self._ledger.advance(
                entry.scan_id, State.READ, facts={**facts.of_scan(scan), "attempts": _attempts(entry) + 1}
            )
        read = time.perf_counter()
        with self._progress.doing(worker, f"restoring {entry.name}"):
            restoration = self._craft.restore(scan)
        repair = self._next_repair(entry)
        restored = time.perf_counter()
        with self._progress.doing(worker, f"storing {entry.name}"):
            self._results.store(entry, scan, restoration, original=data, repair=repair)
        self._timed(restoration, read_ms=(read - start) * 1e3, store_ms=(time.perf_counter() - restored) * 1e3)
        learnt = facts.of_restoration(restoration, repair=repair, total_ms=(time.perf_counter() - start) * 1e3)
        state = State.REPORTED if restoration.refusal else State.RESTORED
        self._ledger.advance(entry.scan_id, state, facts=learnt, repair=repair)
        return Unfinished(self._ledger.entry(entry.scan_id), scan, restoration, data, repair)

    def _content(self, entry: Entry) -> bytes | None:
        """Return the file's bytes; None, and VANISHED, where it went away or is no longer what settled."""
        try:
            data = self._craft.load(self._capture / entry.path)
        except StorageError as e:
            if not isinstance(e.__cause__, FileNotFoundError):
                raise StorageError(entry.name, why=e.why, mend="Let the daemon read the capture folder") from e
            gone = "it went away before it was read"
        else:
            if hashlib.sha256(data).hexdigest() == entry.sha256:
                return data
            gone = "it was written again before it was read"
        error = NotFound(entry.name, why=gone, mend="What lies there now, if anything, is taken as another scan")
        self._ledger.advance(entry.scan_id, State.VANISHED, facts=facts.of_error(error))
        return None

    def _timed(self, restoration: Restoration, *, read_ms: float, store_ms: float) -> None:
        stages = {stage: ms for stage, ms in restoration.timings_ms.items() if stage != "total"}
        self._metrics.time_stages({"read": read_ms, **stages, "store": store_ms})

    def _ended(self, entry: Entry, error: Exception) -> None:
        """Commit the end that an error means; where it is the ledger that refuses, nothing can be committed."""
        if isinstance(error, LedgerError):
            raise error
        if isinstance(error, StorageError | OSError):
            tries = int(entry.facts.get("retries", 0)) + 1
            end, learnt = State.FAILED, {"retry": True, "retries": tries, "attempts": 0}
        elif isinstance(error, FILE_AT_FAULT) and entry.state not in HAS_RESULTS:
            end, learnt = State.REFUSED, {}
        else:
            log.error("scan.broke", scan=entry.name, id=entry.scan_id, exc_info=error)
            end, learnt = State.FAILED, {"retry": False}
        self._ledger.advance(entry.scan_id, end, facts={**facts.of_error(error), **learnt})


def _attempts(entry: Entry) -> int:
    return int(entry.facts.get("attempts", 0))


def _given_up(entry: Entry) -> dict[str, Any]:
    error = AfmdError(
        entry.name, why=f"afmd ended {_attempts(entry)} times while it worked on this scan",
        mend="Send the file to the authors",
    )  # fmt: skip
    return {**facts.of_error(error), "retry": False}
