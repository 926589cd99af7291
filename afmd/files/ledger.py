"""The truth about every scan: one SQLite file in which each change is a committed row before anyone hears of it.

Rule: a scan's row and the event of its change are written in one transaction, on one connection, under one lock; so
revisions grow by one, without gap, and what was acknowledged survives a crash.
"""

import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from afmd.domain.events import AT_REST, FOLLOWS, WITHOUT_CLAIM, Entry, Event, Fingerprint, Repair, State
from afmd.domain.ports import Clock, ScanQuery
from afmd.errors import HistoryGone, InvalidInput, NotFound, WrongState
from afmd.files import ledger_repairs
from afmd.files import ledger_rows as rows
from afmd.files.ledger_file import Readers, closed, explained, opened
from afmd.files.ledger_schema import OWNED

READERS = 8
"""Most connections that read at a time; a ninth reader waits for one."""


class SqliteLedger:
    """A ``Ledger`` in an SQLite file on a local disk. Safe from any thread; one process at a time (``InstanceLock``).

    ``keep_events`` is how many events are kept for those who follow; scans are never forgotten.
    Every method raises ``LedgerError`` where the disk or the file refuses.
    """

    def __init__(self, path: Path, *, clock: Clock, keep_events: int) -> None:
        """Open or make the file at ``path``. Raises ``LedgerError``: see ``ledger_file.opened`` for what is refused."""
        self._path = path
        self._clock = clock
        self._keep_events = keep_events
        self._lock = threading.Lock()
        self._writer: sqlite3.Connection | None = opened(path)
        self._readers = Readers(path, limit=READERS)
        self._last_id = _last_id(self._writer)

    def close(self) -> None:
        """Wait for readers and the writer, fold the log into the file, and close; a second call does nothing."""
        self._readers.close()
        with self._lock, explained(self._path):
            if self._writer is not None:
                writer, self._writer = self._writer, None
                try:
                    writer.execute("PRAGMA optimize")
                    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    writer.close()

    def see(self, path: str, fingerprint: Fingerprint) -> Event:
        """Commit a new scan in state SEEN."""
        return self.see_all([(path, fingerprint)])[0]

    def see_all(self, files: Sequence[tuple[str, Fingerprint]]) -> Sequence[Event]:
        """Commit a new scan in state SEEN for each file: all of them or none."""
        now = self._clock.now()
        with self._writing() as db:
            events = [self._seen(db, path, fingerprint, now) for path, fingerprint in files]
            if events:
                self._prune(db, events[-1].revision)
        return events

    def touch(self, scan_id: str, fingerprint: Fingerprint) -> None:
        """Remember a file's new time; no event. Raises ``NotFound``."""
        with self._writing() as db:
            if not _stamp(db, scan_id, fingerprint):
                raise _unknown(scan_id)

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
        """Commit a step of the state machine. Raises ``NotFound``, ``WrongState``, ``InvalidInput``."""
        now = self._clock.now()
        with self._writing() as db:
            old = _found(db, scan_id)
            if state not in FOLLOWS[old.state]:
                raise _refused(old, why=f"{state} cannot follow {old.state}")
            content = _content(db, old, state, given=sha256)
            learnt = dict(facts or {})
            learnt = {**ledger_repairs.book(db, old, state, repair=repair, facts=learnt, now=now), **learnt}
            event = self._append(db, old.scan_id, old.name, state, now=now, facts=learnt)
            known = rows.merged(old.facts, learnt)
            db.execute(
                "UPDATE scans SET state = ?, revision = ?, updated = ?, label = ?, facts = ?, sha256 = ?, repair = ? "
                "WHERE scan_id = ?",
                (
                    state, event.revision, rows.time_text(now), str(known.get("label", "")), rows.facts_text(known),
                    content, old.repair if repair is None else repair, scan_id,
                ),
            )  # fmt: skip
            if fingerprint:
                _stamp(db, scan_id, fingerprint)
            self._prune(db, event.revision)
        return event

    def revision(self) -> int:
        """Return the newest committed revision, 0 when there is none."""
        with self._reading() as db:
            return _kept(db)[1]

    def oldest_revision(self) -> int:
        """Return the oldest kept revision, 0 when there is none."""
        with self._reading() as db:
            return _kept(db)[0]

    def after(self, revision: int, *, limit: int) -> Sequence[Event]:
        """Return at most ``limit`` events after ``revision``, in order. Raises ``HistoryGone``."""
        with self._reading() as db:
            oldest, newest = _kept(db)
            if revision > newest:
                raise _gone(revision, oldest, why=f"the ledger was begun anew and has only reached {newest}")
            if 0 < revision < oldest - 1:
                raise _gone(revision, oldest, why=f"the oldest kept event is {oldest}")
            found = db.execute(
                f"SELECT {rows.EVENT} FROM events JOIN scans USING (scan_id) "
                "WHERE events.revision > ? ORDER BY events.revision LIMIT ?",
                (revision, limit),
            ).fetchall()
        return [rows.event(row) for row in found]

    def entry(self, scan_id: str) -> Entry:
        """Return one scan. Raises ``NotFound``."""
        with self._reading() as db:
            return _found(db, scan_id)

    def entries(self, query: ScanQuery, *, limit: int) -> Sequence[Entry]:
        """Return at most ``limit`` scans, newest first; of scans seen at one time, the later numbered first."""
        where, values = rows.conditions(query)
        return self._select(f"WHERE {where} ORDER BY first_seen DESC, scan_id DESC LIMIT ?", *values, limit)

    def counts(self) -> Mapping[State, int]:
        """Return how many scans stand in each state; states without a scan are named with 0."""
        with self._reading() as db:
            found = dict(db.execute("SELECT state, count(*) FROM scans GROUP BY state").fetchall())
        return {state: found.get(state.value, 0) for state in State}

    def repairs(self, scan_id: str) -> Sequence[Repair]:
        """Return the scan's repairs, oldest first. Raises ``NotFound``."""
        with self._reading() as db:
            _found(db, scan_id)
            return ledger_repairs.listed(db, scan_id)

    def known(self, path: str) -> Entry | None:
        """Return the newest scan seen at this path, or None."""
        return next(iter(self._select("WHERE path = ? ORDER BY scan_id DESC LIMIT 1", path)), None)

    def holder(self, sha256: str) -> Entry | None:
        """Return the scan that owns this content, or None."""
        with self._reading() as db:
            row = db.execute(f"SELECT {rows.ENTRY} FROM scans WHERE sha256 = ? AND {OWNED}", (sha256,)).fetchone()
        return rows.entry(row) if row else None

    def orphans(self) -> Sequence[Entry]:
        """Return every DUPLICATE whose content no scan owns any more, oldest first."""
        return self._select(
            "AS copy WHERE state = 'duplicate' AND NOT EXISTS "
            f"(SELECT 1 FROM scans WHERE sha256 = copy.sha256 AND {OWNED}) ORDER BY scan_id"
        )

    def unfinished(self) -> Sequence[Entry]:
        """Return every scan that is not at rest, oldest first."""
        states = sorted(set(State) - AT_REST)
        return self._select(f"WHERE state IN ({rows.marks(states)}) ORDER BY scan_id", *states)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the writer inside a transaction: committed at the end, or as if it never was."""
        with self._lock, explained(self._path):
            if self._writer is None:
                raise closed(self._path)
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a reader that sees one moment of the ledger."""
        with explained(self._path), self._readers.borrowed() as db:
            db.execute("BEGIN")
            try:
                yield db
            finally:
                db.execute("ROLLBACK")

    def _select(self, clause: str, *values: Any) -> list[Entry]:
        with self._reading() as db:
            found = db.execute(f"SELECT {rows.ENTRY} FROM scans {clause}", values).fetchall()
        return [rows.entry(row) for row in found]

    def _seen(self, db: sqlite3.Connection, path: str, fingerprint: Fingerprint, now: datetime) -> Event:
        scan_id, name, time = self._new_id(now), PurePosixPath(path).name, rows.time_text(now)
        db.execute(
            "INSERT INTO scans (scan_id, name, path, size_bytes, mtime_ns, state, revision, first_seen, updated) "
            "VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)",
            (scan_id, name, path, fingerprint.size_bytes, fingerprint.mtime_ns, State.SEEN, time, time),
        )
        event = self._append(db, scan_id, name, State.SEEN, now=now, facts={})
        db.execute("UPDATE scans SET revision = ? WHERE scan_id = ?", (event.revision, scan_id))
        return event

    def _new_id(self, now: datetime) -> str:
        self._last_id = rows.fresh_id(now, random=secrets.randbits(rows.ID_RANDOM_BITS), last=self._last_id)
        return rows.id_text(self._last_id)

    def _append(
        self, db: sqlite3.Connection, scan_id: str, name: str, state: State, *, now: datetime, facts: Mapping[str, Any]
    ) -> Event:
        row = db.execute(
            "INSERT INTO events (time, scan_id, state, facts) VALUES (?, ?, ?, ?)",
            (rows.time_text(now), scan_id, state, rows.facts_text(facts)),
        )
        return Event(row.lastrowid or 0, now, scan_id, name, state, MappingProxyType(dict(facts)))

    def _prune(self, db: sqlite3.Connection, newest: int) -> None:
        db.execute("DELETE FROM events WHERE revision <= ?", (newest - self._keep_events,))


def _last_id(db: sqlite3.Connection) -> int:
    (newest,) = db.execute("SELECT max(scan_id) FROM scans").fetchone()
    return rows.id_number(newest) if newest else 0


def _found(db: sqlite3.Connection, scan_id: str) -> Entry:
    row = db.execute(f"SELECT {rows.ENTRY} FROM scans WHERE scan_id = ?", (scan_id,)).fetchone()
    if row is None:
        raise _unknown(scan_id)
    return rows.entry(row)


def _content(db: sqlite3.Connection, old: Entry, state: State, *, given: str | None) -> str:
    """Return the hash that the scan has after a step, having made sure that no other scan owns it."""
    sha256 = "" if state is State.SEEN else old.sha256 if given is None else given
    if state is State.SETTLED and not sha256:
        raise InvalidInput(
            f"scan {old.scan_id}", why="it cannot settle before its content's hash is known",
            mend="Give sha256", field="sha256",
        )  # fmt: skip
    if state in WITHOUT_CLAIM:
        return sha256
    query = f"SELECT scan_id FROM scans WHERE sha256 = ? AND scan_id <> ? AND {OWNED}"
    owner = db.execute(query, (sha256, old.scan_id)).fetchone()
    if owner:
        raise _refused(old, why=f"its content is that of scan {owner[0]}")
    return sha256


def _stamp(db: sqlite3.Connection, scan_id: str, fingerprint: Fingerprint) -> bool:
    statement = "UPDATE scans SET size_bytes = ?, mtime_ns = ? WHERE scan_id = ?"
    return rows.changed(db, statement, fingerprint.size_bytes, fingerprint.mtime_ns, scan_id)


def _kept(db: sqlite3.Connection) -> tuple[int, int]:
    """Return the oldest and the newest kept revision; SQLite looks up each alone, but would count through both."""
    query = "SELECT (SELECT min(revision) FROM events), (SELECT max(revision) FROM events)"
    oldest, newest = db.execute(query).fetchone()
    return oldest or 0, newest or 0


def _unknown(scan_id: str) -> NotFound:
    return NotFound(f"scan {scan_id}", why="the ledger does not know it", mend="List the scans")


def _refused(old: Entry, *, why: str) -> WrongState:
    return WrongState(f"scan {old.scan_id} ({old.name})", why=why, mend=f"It stays {old.state}")


def _gone(revision: int, oldest: int, *, why: str) -> HistoryGone:
    return HistoryGone(f"events after {revision}", why=why, mend="List the scans, then watch from there", oldest=oldest)
