"""Threads that work on scans, and the bounded line in front of them.

Rule: a new scan goes before the pictures of the last one, so that in a burst every client sees its scan first; but
only so many pixels may wait for their pictures, so that a burst does not fill the memory.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from afmd.errors import LedgerError
from afmd.runtime.repairer import Unfinished
from afmd.telemetry.logs import error_fields, logger

MAX_WAITING_PX = 4_194_304
"""Sixteen scans of 512², or one of 2048²."""

log = logger("runtime")


class Repairs(Protocol):
    """What a worker does with a scan."""

    def restore(self, scan_id: str, *, worker: str) -> Unfinished | None:
        """Work up to results that can be fetched. Raises only ``LedgerError``."""
        ...

    def finish(self, work: Unfinished, *, worker: str) -> None:
        """Write the rest. Raises only ``LedgerError``."""
        ...


class Workers:
    """``count`` threads; ``offer`` a scan, and it comes to an end. Safe from any thread.

    ``done`` counts the pieces of work that came to an end. ``on_room`` is called when a line that was full has room
    again; whoever fills it may set it before ``start``.
    """

    def __init__(
        self,
        repairs: Repairs,
        *,
        count: int,
        queue_length: int,
        at_start: Callable[[], None] = lambda: None,
    ) -> None:
        """``at_start`` runs first in every thread."""
        self.on_room: Callable[[], None] = lambda: None
        self._repairs = repairs
        self._queue_length = queue_length
        self._at_start = at_start
        self._turned_away = False
        self._fresh: deque[str] = deque()
        self._unfinished: deque[Unfinished] = deque()
        self._held: set[str] = set()
        self._busy = 0
        self.done = 0
        self._draining = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._live, args=(f"worker-{i}",), name=f"worker-{i}", daemon=True)
            for i in range(count)
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def offer(self, scan_id: str) -> bool:
        """Put a scan in line; True where it is in hand now, False where the line is full or closed: offer it again."""
        with self._changed:
            if self._draining:
                return False
            if scan_id in self._held:
                return True
            if len(self._fresh) >= self._queue_length:
                self._turned_away = True
                return False
            self._fresh.append(scan_id)
            self._held.add(scan_id)
            self._changed.notify()
            return True

    def drain(self, *, limit_s: float) -> bool:
        """Take nothing more from the line, finish what is in hand; True where that was done within ``limit_s``."""
        with self._changed:
            self._draining = True
            self._held -= set(self._fresh)
            self._fresh.clear()
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._busy and not self._unfinished, timeout=limit_s)

    @property
    def queue(self) -> int:
        """How many scans wait."""
        return len(self._fresh)

    @property
    def busy(self) -> int:
        """How many workers have a scan in hand."""
        return self._busy

    @property
    def idle(self) -> bool:
        """True where nothing is in line or in hand."""
        with self._changed:
            return not (self._fresh or self._unfinished or self._busy)

    def _live(self, worker: str) -> None:
        self._at_start()
        while (work := self._next()) is not None:
            self._tell_of_room()
            try:
                self._do(work, worker)
            except LedgerError as e:  # the scan keeps its last committed state, and the sweeper takes it up again
                log.error("ledger.refused", worker=worker, **error_fields(e))
            except Exception as e:
                log.critical("worker.broke", worker=worker, exc_info=e)
            finally:
                self._done(work)

    def _next(self) -> "str | Unfinished | None":
        """Wait for work; None where the line is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._draining or self._fresh or self._unfinished)
            if not (self._fresh or self._unfinished):
                return None
            self._busy += 1
            if self._unfinished and (not self._fresh or self._too_much_waits()):
                return self._unfinished.popleft()
            return self._fresh.popleft()

    def _too_much_waits(self) -> bool:
        return sum(work.pixels for work in self._unfinished) >= MAX_WAITING_PX

    def _tell_of_room(self) -> None:
        with self._changed:
            told, self._turned_away = self._turned_away, False
        if told:
            self.on_room()

    def _do(self, work: "str | Unfinished", worker: str) -> None:
        if isinstance(work, Unfinished):
            self._repairs.finish(work, worker=worker)
            return
        rest = self._repairs.restore(work, worker=worker)
        if rest is not None:
            with self._changed:
                self._unfinished.append(rest)
                self._held.add(rest.entry.scan_id)
                self._changed.notify()

    def _done(self, work: "str | Unfinished") -> None:
        with self._changed:
            scan_id = work if isinstance(work, str) else work.entry.scan_id
            if all(rest.entry.scan_id != scan_id for rest in self._unfinished):
                self._held.discard(scan_id)
            self._busy -= 1
            self.done += 1
            self._changed.notify_all()
