"""A scan's repairs: each begun once, finished once, never overwritten, and any finished one can be put in force.

Rule: these functions run inside the ledger's own transaction, and the number in force stands in the scan's row.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from afmd.domain.events import Entry, Repair, State
from afmd.errors import InvalidInput, NotFound, WrongState
from afmd.files import ledger_rows as rows

MAKES_RESULTS = frozenset({State.RESTORED, State.REPORTED})
NOTHING: Mapping[str, Any] = MappingProxyType({})


def book(
    db: sqlite3.Connection, old: Entry, state: State, *, repair: int | None, facts: Mapping[str, Any], now: datetime
) -> Mapping[str, Any]:
    """Enter what a step means for the scan's repairs; return the facts of the repair that it puts back in force.

    Raises ``InvalidInput`` for a number where none belongs or none where one does, ``NotFound`` for a repair that
    never was, ``WrongState`` for one that is finished already, or never was.
    """
    if state in MAKES_RESULTS:
        _begin(db, old, repair, facts=facts, now=now)
        return NOTHING
    if state is not State.COMPLETE:
        if repair is not None:
            raise InvalidInput(
                f"repair {repair} of scan {old.scan_id}", why=f"{state} puts no repair in force",
                mend="Give a repair with restored, reported or complete only", field="repair",
            )  # fmt: skip
        return NOTHING
    number = old.repair if repair is None else repair
    if old.state in MAKES_RESULTS and number == old.repair:
        _finish(db, old, facts=facts, now=now)
        return NOTHING
    return _put_in_force(db, old, number)


def listed(db: sqlite3.Connection, scan_id: str) -> Sequence[Repair]:
    """Return a scan's repairs, oldest first."""
    found = db.execute(f"SELECT {rows.REPAIR} FROM repairs WHERE scan_id = ? ORDER BY number", (scan_id,))
    return [rows.repair(row) for row in found.fetchall()]


def _begin(db: sqlite3.Connection, old: Entry, number: int | None, *, facts: Mapping[str, Any], now: datetime) -> None:
    """Enter a repair; one that was begun before but never finished is begun anew."""
    if number is None or number < 1:
        raise InvalidInput(
            f"scan {old.scan_id}", why="results belong to a repair, and none was named",
            mend="Give the repair's number, from 1", field="repair",
        )  # fmt: skip
    begun = rows.changed(
        db,
        "INSERT INTO repairs (scan_id, number, created, facts) VALUES (?, ?, ?, ?) ON CONFLICT (scan_id, number) "
        "DO UPDATE SET created = excluded.created, facts = excluded.facts WHERE finished IS NULL",
        old.scan_id, number, rows.time_text(now), rows.facts_text(facts),
    )  # fmt: skip
    if not begun:
        raise WrongState(
            f"repair {number} of scan {old.scan_id}", why="it is finished, and a repair is never overwritten",
            mend="Give the next number",
        )  # fmt: skip


def _finish(db: sqlite3.Connection, old: Entry, *, facts: Mapping[str, Any], now: datetime) -> None:
    """Mark the repair in force as finished, with what its last step learnt."""
    _, begun_with = _row(db, old, old.repair)
    db.execute(
        "UPDATE repairs SET finished = ?, facts = ? WHERE scan_id = ? AND number = ?",
        (rows.time_text(now), rows.facts_text(rows.merged(begun_with, facts)), old.scan_id, old.repair),
    )


def _put_in_force(db: sqlite3.Connection, old: Entry, number: int) -> Mapping[str, Any]:
    finished, facts = _row(db, old, number)
    if finished is None:
        raise WrongState(
            f"repair {number} of scan {old.scan_id}", why="its outputs were never finished",
            mend="Choose a finished repair",
        )  # fmt: skip
    return facts


def _row(db: sqlite3.Connection, old: Entry, number: int) -> tuple[str | None, dict[str, Any]]:
    row = db.execute(
        "SELECT finished, facts FROM repairs WHERE scan_id = ? AND number = ?", (old.scan_id, number)
    ).fetchone()
    if row is None:
        raise NotFound(f"repair {number} of scan {old.scan_id}", why="there is none", mend="List the scan's repairs")
    return row[0], json.loads(row[1])
