"""The seams: what the pipeline, the daemon and the wire ask of whatever stands behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from afmd.domain.events import Entry, Event, Fingerprint, Repair, State
from afmd.domain.findings import ArtifactMap, Backend, Classification, Label
from afmd.domain.result import Restoration, Undone
from afmd.domain.scan import Scan
from afmd.domain.tip import Tip


class Classifier(Protocol):
    """Tells whether a scan is good or how it is spoilt."""

    @property
    def backend(self) -> Backend:
        """Who speaks."""
        ...

    def classify(self, scan: Scan) -> Classification:
        """Return the class of the whole scan."""
        ...


class Segmenter(Protocol):
    """Finds the spoilt pixels (and, where it can, the features)."""

    @property
    def backend(self) -> Backend:
        """Who speaks."""
        ...

    def segment(self, scan: Scan) -> ArtifactMap:
        """Return per-pixel probabilities of the scan's own shape."""
        ...


class TipNetwork(Protocol):
    """Removes the shape of a known tip, by what it learnt of surfaces."""

    @property
    def backend(self) -> Backend:
        """Who speaks."""
        ...

    def restored(
        self,
        heights: NDArray[np.float32],
        *,
        pixel_nm: tuple[float, float],
        tip: Tip,
        mask: NDArray[np.bool_] | None = None,
    ) -> Undone:
        """Return the surface, the standard deviation of its heights and the image that was undone, all new.

        ``heights``: levelled, finite, float32 (rows, cols) nm, any size. ``pixel_nm``: (down, across). ``mask``: True
        where a height means nothing. The caller holds the surface below the erosion and to it where the tip touched.
        Raises ``ModelError`` for a tip or a pitch that the network was not trained for.
        """
        ...


class Clock(Protocol):
    """Time, handed in so that tests need no sleep."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...


@dataclass(frozen=True, slots=True)
class ScanQuery:
    """Which scans to list; empty means any. Newest first; ``before`` continues after the last page.

    ``since`` (inclusive) and ``until`` (exclusive) bound the time at which the scan was first seen.
    """

    states: frozenset[State] = frozenset()
    labels: frozenset[Label] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    before: tuple[str, str] | None = None
    """(first_seen ISO text, scan_id) of the last entry already given."""


class LedgerReader(Protocol):
    """What the wire reads. Every method is safe from any thread and never blocks a writer for long."""

    def revision(self) -> int:
        """Return the newest committed revision, 0 when there is none."""
        ...

    def oldest_revision(self) -> int:
        """Return the oldest kept revision, 0 when there is none."""
        ...

    def after(self, revision: int, *, limit: int) -> Sequence[Event]:
        """Return at most ``limit`` events after ``revision``, in order; 0 starts at the oldest kept one.

        Raises ``HistoryGone`` where events in between are no longer kept, and where ``revision`` is beyond the newest:
        then the ledger was begun anew.
        """
        ...

    def entry(self, scan_id: str) -> Entry:
        """Return one scan. Raises ``NotFound``."""
        ...

    def entries(self, query: ScanQuery, *, limit: int) -> Sequence[Entry]:
        """Return at most ``limit`` scans, newest first."""
        ...

    def counts(self) -> Mapping[State, int]:
        """Return how many scans stand in each state."""
        ...

    def repairs(self, scan_id: str) -> Sequence[Repair]:
        """Return the scan's repairs, oldest first; the one in force is ``Entry.repair``. Raises ``NotFound``."""
        ...


class Ledger(LedgerReader, Protocol):
    """The truth: every change is a committed row before anyone hears of it."""

    def see(self, path: str, fingerprint: Fingerprint) -> Event:
        """Commit a new scan in state SEEN for a file (path relative to the capture folder)."""
        ...

    def see_all(self, files: Sequence[tuple[str, Fingerprint]]) -> Sequence[Event]:
        """Commit a new scan in state SEEN for each file: all of them or none."""
        ...

    def touch(self, scan_id: str, fingerprint: Fingerprint) -> None:
        """Remember a file's new time where its content is unchanged; no event."""
        ...

    def advance(
        self,
        scan_id: str,
        state: State,
        *,
        facts: Mapping[str, Any] | None = None,
        fingerprint: Fingerprint | None = None,
        sha256: str | None = None,
        repair: int | None = None,
    ) -> Event:
        """Commit a step of the state machine; ``facts`` are merged into the scan's.

        ``repair`` is the number that this step puts in force: a new one with RESTORED or REPORTED, an existing one
        with COMPLETE. SEEN clears ``sha256``.
        Raises ``NotFound``; ``WrongState`` where ``FOLLOWS`` forbids the step or another scan owns the content;
        ``InvalidInput`` for facts that JSON cannot hold.
        """
        ...

    def known(self, path: str) -> Entry | None:
        """Return the newest scan seen at this path, or None."""
        ...

    def holder(self, sha256: str) -> Entry | None:
        """Return the scan that owns this content (never one of ``WITHOUT_CLAIM``), or None."""
        ...

    def orphans(self) -> Sequence[Entry]:
        """Return every DUPLICATE whose content no scan owns any more, oldest first."""
        ...

    def unfinished(self) -> Sequence[Entry]:
        """Return every scan that is not at rest, oldest first: what a restart picks up."""
        ...

    def close(self) -> None:
        """Checkpoint and close."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class StoredArray:
    """One array of a stored result: (rows, cols), its unit (``nm``, ``1`` for masks) and pitch (down, across) in nm."""

    values: NDArray[np.float32] | NDArray[np.bool_]
    unit: str
    pixel_nm: tuple[float, float]


class ResultReader(Protocol):
    """What the wire reads of stored results."""

    def array(self, entry: Entry, kind: str, *, repair: int = 0, channel: str = "") -> StoredArray:
        """Return one array: ``raw flattened restored raw_mask mask touched sigma`` or ``channel``.

        ``repair`` 0 means the one in force. ``channel`` is ``NAME/trace`` or ``NAME/retrace``.
        Raises ``NotFound``, ``WrongState``.
        """
        ...

    def folder(self, entry: Entry, *, repair: int = 0) -> Path:
        """Return where this repair's outputs lie."""
        ...


class Results(ResultReader, Protocol):
    """Where results are kept, each repair in a folder of its own that is never overwritten."""

    def store(self, entry: Entry, scan: Scan, restoration: Restoration, *, original: bytes, repair: int) -> None:
        """Write arrays, so that they can be fetched; raise ``StorageError`` and leave nothing half-written."""
        ...

    def finish(self, entry: Entry, scan: Scan, restoration: Restoration, *, original: bytes, repair: int) -> None:
        """Write pictures and every other output, the record last."""
        ...


class Bus(Protocol):
    """Carries one integer: how far the ledger has got."""

    def publish(self, revision: int) -> None:
        """Tell everyone that the ledger has reached ``revision``. Safe from any thread."""
        ...

    async def beyond(self, revision: int, *, timeout_s: float) -> int:
        """Wait until the ledger is past ``revision`` or the time is up; return the newest revision known."""
        ...


@dataclass(frozen=True, slots=True)
class Status:
    """How the daemon fares, for people and monitors."""

    version: str
    started: datetime
    draining: bool
    capture_folder: str
    capture_reachable: bool
    output_root: str
    disk_free_bytes: int
    queue: int
    queue_limit: int
    workers: int
    workers_busy: int
    revision: int
    counts: Mapping[State, int]
    classifier: Backend
    segmenter: Backend
    last_error: str


class StatusSource(Protocol):
    """Whoever can tell how the daemon fares."""

    def status(self) -> Status:
        """Return the present status; cheap."""
        ...


class Renderer(Protocol):
    """Turns an array into a picture for people."""

    def image(self, array: StoredArray, *, longest_px: int, colour_map: str, title: str) -> bytes:
        """Return a PNG with scale bar and colour bar. Raises ``InvalidInput`` for an unknown colour map."""
        ...
