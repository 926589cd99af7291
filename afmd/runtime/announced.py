"""The ledger as the rest of the daemon sees it: commit, then tell the bus, the metrics and the log.

Rule: nothing is announced that is not committed, and nothing is committed without being announced.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from afmd.domain.events import Entry, Event, Fingerprint, Repair, State
from afmd.domain.ports import Bus, Ledger, ScanQuery
from afmd.telemetry.logs import logger
from afmd.telemetry.metrics import Metrics

log = logger("runtime")

TOLD = {
    State.DUPLICATE: ("duplicate_of", "original_name"),
    State.REFUSED: ("reason", "why", "mend"),
    State.FAILED: ("reason", "what", "why", "mend", "attempts"),
    State.VANISHED: ("why",),
}
"""Which facts go into the log line of each end that is not a result."""


class AnnouncedLedger:
    """A ledger whose every commit is heard; reads pass straight through."""

    def __init__(self, ledger: Ledger, *, bus: Bus, metrics: Metrics) -> None:
        self._ledger = ledger
        self._bus = bus
        self._metrics = metrics
        self.last_failure = ""

    def see(self, path: str, fingerprint: Fingerprint) -> Event:
        """Commit a new scan, then announce it."""
        return self._announced(self._ledger.see(path, fingerprint))

    def see_all(self, files: Sequence[tuple[str, Fingerprint]]) -> Sequence[Event]:
        """Commit new scans, then announce them."""
        return [self._announced(event) for event in self._ledger.see_all(files)]

    def touch(self, scan_id: str, fingerprint: Fingerprint) -> None:
        """Remember a file's new time; that is no news."""
        self._ledger.touch(scan_id, fingerprint)

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
        """Commit a step, then announce it. Raises ``WrongState``."""
        return self._announced(
            self._ledger.advance(
                scan_id, state, facts=facts, fingerprint=fingerprint, sha256=sha256, repair=repair
            )
        )  # fmt: skip

    def _announced(self, event: Event) -> Event:
        self._bus.publish(event.revision)
        self._metrics.count(event.state, label=str(event.facts.get("label", "")))
        if event.state is State.FAILED:
            self.last_failure = f"{event.name}: {event.facts.get('error', '')}"
        _write(event)
        return event

    def revision(self) -> int:
        """Return the newest committed revision."""
        return self._ledger.revision()

    def oldest_revision(self) -> int:
        """Return the oldest kept revision."""
        return self._ledger.oldest_revision()

    def after(self, revision: int, *, limit: int) -> Sequence[Event]:
        """Return events after ``revision``."""
        return self._ledger.after(revision, limit=limit)

    def entry(self, scan_id: str) -> Entry:
        """Return one scan."""
        return self._ledger.entry(scan_id)

    def entries(self, query: ScanQuery, *, limit: int) -> Sequence[Entry]:
        """Return scans, newest first."""
        return self._ledger.entries(query, limit=limit)

    def counts(self) -> Mapping[State, int]:
        """Return how many scans stand in each state."""
        return self._ledger.counts()

    def repairs(self, scan_id: str) -> Sequence[Repair]:
        """Return a scan's repairs, oldest first."""
        return self._ledger.repairs(scan_id)

    def orphans(self) -> Sequence[Entry]:
        """Return every DUPLICATE whose content no scan owns any more."""
        return self._ledger.orphans()

    def known(self, path: str) -> Entry | None:
        """Return the newest scan seen at this path."""
        return self._ledger.known(path)

    def holder(self, sha256: str) -> Entry | None:
        """Return the scan that owns this content."""
        return self._ledger.holder(sha256)

    def unfinished(self) -> Sequence[Entry]:
        """Return every scan that is not at rest."""
        return self._ledger.unfinished()

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()


def _write(event: Event) -> None:
    """Write one line: the whole story for a result or an end, a debug line for a step on the way."""
    where: dict[str, Any] = {"revision": event.revision, "scan": event.name, "id": event.scan_id}
    if event.state in {State.RESTORED, State.REPORTED}:
        log.info(f"scan.{event.state}", **where, **_story(event.facts))
    elif event.state in TOLD:
        told = {key: event.facts[key] for key in TOLD[event.state] if key in event.facts}
        say = log.error if event.state is State.FAILED else log.info
        say(f"scan.{event.state}", **where, **told)
    else:
        log.debug(f"scan.{event.state}", **where)


def _story(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "label": facts.get("label"),
        "abstained": facts.get("abstained"),
        "masked_pct": round(100 * float(facts.get("masked_share", 0)), 2),
        "touched_pct": round(100 * float(facts.get("touched_share", 0)), 2),
        "confidence": facts.get("confidence"),
        "total_ms": facts.get("total_ms"),
        "repair": facts.get("repair"),
        "refusal": facts.get("refusal") or None,
    }
