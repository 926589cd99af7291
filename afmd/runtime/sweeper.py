"""Picks up whatever stands still: scans in hand when the daemon ended, and those whose next try is due.

Rule: nothing is remembered between sweeps; the ledger says what stands still, so a restart forgets nothing.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

from afmd.domain.events import Entry, State
from afmd.domain.ports import Clock, Ledger, ScanQuery
from afmd.errors import LedgerError
from afmd.settings import Workers
from afmd.telemetry.logs import error_fields, logger

LONGEST_WAIT_S = 3600.0
PAGE = 500
IN_HAND = frozenset({State.SETTLED, State.READ, State.RESTORED, State.REPORTED})

log = logger("runtime")


class Sweeper:
    """A thread that offers what stands still to the workers, every ``every_s`` seconds."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        offer: Callable[[str], bool],
        waiting: Callable[[], int],
        clock: Clock,
        settings: Workers,
        also: Callable[[], None] = lambda: None,
        every_s: float = 1.0,
    ) -> None:
        """``waiting`` tells how many scans stand in line: a line is work enough.

        ``also`` is done at each round: whatever else may have to wait for a disk.
        """
        self._ledger = ledger
        self._offer = offer
        self._waiting = waiting
        self._clock = clock
        self._settings = settings
        self._also = also
        self._every_s = every_s
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._live, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin to sweep; the first time, what failed before this start is tried again at once."""
        self._thread.start()

    def stop(self) -> None:
        """Sweep no more."""
        self._end.set()
        self._thread.join()

    def sweep(self, *, first: bool = False) -> bool:
        """Offer everything that stands still and is due; False where the line had no room for all of it."""
        return all(self._offer(entry.scan_id) for entry in self._due(first=first))

    def _due(self, *, first: bool) -> Iterator[Entry]:
        yield from (entry for entry in self._ledger.unfinished() if entry.state in IN_HAND)
        yield from (entry for entry in self._failed() if entry.sha256 and self._again(entry, first=first))

    def _failed(self) -> Iterator[Entry]:
        """Give every failed scan, a page at a time."""
        query = ScanQuery(states=frozenset({State.FAILED}))
        while page := self._ledger.entries(query, limit=PAGE):
            yield from page
            if len(page) < PAGE:
                return
            query = replace(query, before=(page[-1].first_seen.isoformat(), page[-1].scan_id))

    def _again(self, entry: Entry, *, first: bool) -> bool:
        """Tell whether a failed scan is to be tried now."""
        retries, attempts = int(entry.facts.get("retries", 0)), int(entry.facts.get("attempts", 0))
        if not entry.facts.get("retry"):
            return first and attempts < self._settings.attempts
        if first:
            return True
        wait_s = min(self._settings.retry_s * 2 ** (retries - 1), LONGEST_WAIT_S)
        return retries <= self._settings.retries and entry.updated + timedelta(seconds=wait_s) <= self._clock.now()

    def _live(self) -> None:
        first = True
        while True:
            try:
                if first or not self._waiting():
                    first = not self.sweep(first=first) and first
                self._also()
            except LedgerError as e:
                log.error("ledger.refused", **error_fields(e))
            except Exception as e:
                log.critical("sweeper.broke", exc_info=e)
            if self._end.wait(self._every_s):
                return
