"""How the ledger's rows become nouns and back. Rule: text that is compared has one form only, so that it sorts."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from afmd.domain.events import Entry, Event, Fingerprint, Repair, State
from afmd.domain.ports import ScanQuery
from afmd.errors import InvalidInput

ENTRY = "scan_id, name, path, size_bytes, mtime_ns, sha256, state, revision, first_seen, updated, repair, facts"
EVENT = "events.revision, time, scan_id, scans.name, events.state, events.facts"
REPAIR = "number, created, finished, facts"

ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: sorts like the number, and no sign in it is taken for another."""

ID_SIGNS = 12
ID_RANDOM_BITS = 20
ID_TICK = timedelta(milliseconds=16)
ID_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


def entry(row: Sequence[Any]) -> Entry:
    """Return the scan in a row of the columns ``ENTRY``."""
    scan_id, name, path, size_bytes, mtime_ns, sha256, state, revision, first_seen, updated, repair, facts = row
    return Entry(
        scan_id=scan_id,
        name=name,
        path=path,
        fingerprint=Fingerprint(size_bytes, mtime_ns),
        sha256=sha256,
        state=State(state),
        revision=revision,
        first_seen=datetime.fromisoformat(first_seen),
        updated=datetime.fromisoformat(updated),
        repair=repair,
        facts=MappingProxyType(json.loads(facts)),
    )


def event(row: Sequence[Any]) -> Event:
    """Return the event in a row of the columns ``EVENT``."""
    revision, time, scan_id, name, state, facts = row
    return Event(
        revision, datetime.fromisoformat(time), scan_id, name, State(state), MappingProxyType(json.loads(facts))
    )


def repair(row: Sequence[Any]) -> Repair:
    """Return the repair in a row of the columns ``REPAIR``."""
    number, created, finished, facts = row
    ended = datetime.fromisoformat(finished) if finished else None
    return Repair(number, datetime.fromisoformat(created), ended, MappingProxyType(json.loads(facts)))


def time_text(time: datetime) -> str:
    """Return a time in UTC with microseconds, always of the same length. Raises ``InvalidInput`` without a zone."""
    if time.tzinfo is None:
        raise InvalidInput("time", why=f"{time.isoformat()} has no time zone", mend="Give an aware time", field="time")
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def facts_text(facts: Mapping[str, Any]) -> str:
    """Return facts as strict JSON. Raises ``InvalidInput`` for what JSON cannot hold, a NaN included."""
    try:
        return json.dumps(dict(facts), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError) as e:
        raise InvalidInput("facts", why=str(e), mend="Give JSON-ready values", field="facts") from e


def merged(facts: Mapping[str, Any], learnt: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts with what was learnt; a fact learnt to be None is forgotten."""
    return {key: value for key, value in {**facts, **learnt}.items() if value is not None}


def conditions(query: ScanQuery) -> tuple[str, list[Any]]:
    """Return the WHERE clause of a query, and its values. Raises ``InvalidInput`` for a ``before`` that is no time."""
    parts: list[tuple[str, list[Any]]] = [("1", [])]
    if query.states:
        parts.append((f"state IN ({marks(query.states)})", sorted(query.states)))
    if query.labels:
        parts.append((f"label IN ({marks(query.labels)})", sorted(query.labels)))
    if query.since:
        parts.append(("first_seen >= ?", [time_text(query.since)]))
    if query.until:
        parts.append(("first_seen < ?", [time_text(query.until)]))
    if query.before:
        parts.append(("(first_seen, scan_id) < (?, ?)", [_given_time(query.before[0]), query.before[1]]))
    return " AND ".join(text for text, _ in parts), [value for _, values in parts for value in values]


def marks(values: "Sequence[Any] | frozenset[Any]") -> str:
    """Return as many question marks as there are values."""
    return ", ".join("?" * len(values))


def fresh_id(now: datetime, *, random: int, last: int) -> int:
    """Return a new scan's number: later than ``last`` even where the clock was set back."""
    ticks = max((now - ID_EPOCH) // ID_TICK, 0)
    return max(ticks << ID_RANDOM_BITS | random, last + 1)


def id_text(number: int) -> str:
    """Return a scan's number as its identity: 12 signs that sort like the number."""
    return "".join(ID_ALPHABET[number >> 5 * place & 31] for place in reversed(range(ID_SIGNS)))


def id_number(text: str) -> int:
    """Return the number that ``id_text`` wrote."""
    number = 0
    for sign in text:
        number = number << 5 | ID_ALPHABET.index(sign)
    return number


def changed(db: sqlite3.Connection, statement: str, *values: Any) -> bool:
    """Run a statement; True where it changed a row."""
    return db.execute(statement, values).rowcount > 0


def _given_time(text: str) -> str:
    try:
        return time_text(datetime.fromisoformat(text))
    except ValueError as e:
        raise InvalidInput("before", why=f"{text!r} is no time", mend="Give the last entry's", field="before") from e
