"""What a start picks up. Rule: a scan that has a finished repair is never lost to a later one that was cut short."""

from collections.abc import Iterator
from dataclasses import replace

from afmd.domain.events import Entry, State
from afmd.domain.ports import Ledger, ScanQuery

RETRIES_AT_START = 5
"""How often later starts look anew at a file that could not be read."""

PAGE = 500
CUT_SHORT = frozenset({State.READ, State.RESTORED, State.REPORTED})


def give_up_further_repair(ledger: Ledger, entry: Entry) -> bool:
    """Put the repair that was in force back in force, where another was under way; True where that was so."""
    finished = [repair.number for repair in ledger.repairs(entry.scan_id) if repair.finished]
    if not finished or entry.state not in CUT_SHORT:
        return False
    in_force = entry.repair if entry.repair in finished else max(finished)
    ledger.advance(entry.scan_id, State.COMPLETE, repair=in_force)
    return True


def never_read(ledger: Ledger) -> Iterator[Entry]:
    """Give every scan that failed before its content was known, and may be tried again."""
    query = ScanQuery(states=frozenset({State.FAILED}))
    while page := ledger.entries(query, limit=PAGE):
        for entry in page:
            tries = int(entry.facts.get("retries", 0))
            if not entry.sha256 and entry.facts.get("retry", True) and tries <= RETRIES_AT_START:
                yield entry
        query = replace(query, before=(page[-1].first_seen.isoformat(), page[-1].scan_id))
