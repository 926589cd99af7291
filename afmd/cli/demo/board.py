"""What the client hears, as one row for each scan. Rule: every word in it came over the wire."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.markup import escape
from rich.table import Table

from afmd.cli.screen import table
from afmd_client.nouns import Event, State

COLOURS = {
    State.COMPLETE: "green",
    State.RESTORED: "green",
    State.REPORTED: "yellow",
    State.REFUSED: "yellow",
    State.DUPLICATE: "cyan",
    State.FAILED: "red",
    State.VANISHED: "red",
}
TALL = 24


@dataclass(slots=True)
class Row:
    """One scan, from its events so far."""

    name: str
    scan_id: str
    state: State
    events: list[Event] = field(default_factory=list)

    @property
    def result(self) -> Event | None:
        """The event that told of results."""
        return next((e for e in reversed(self.events) if e.classification is not None), None)

    @property
    def words(self) -> str:
        """What is to be said of it, in a few words."""
        last = self.events[-1]
        if last.original is not None:
            return f"same content as {last.original.name}"
        if last.problem is not None:
            return last.problem.why
        repair = self.result.repair if self.result else None
        return (repair.refusal or repair.verdict) if repair else ""

    @property
    def label(self) -> str:
        """The class that the scan was given."""
        classification = self.result.classification if self.result else None
        return classification.label.replace("_", " ") if classification else ""

    @property
    def touched(self) -> str:
        """The share of filled pixels."""
        found = self.result
        if found is None or found.repair is None or found.repair.touched_share is None:
            return ""
        return f"{100 * found.repair.touched_share:.1f} %"


class Board:
    """All rows, by scan; filled from one thread and drawn from another."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._lock = threading.Lock()

    def take(self, event: Event) -> Row:
        """Take in one event and return its row."""
        with self._lock:
            row = self._rows.setdefault(event.scan_id, Row(event.name, event.scan_id, event.state))
            row.state = event.state
            row.events.append(event)
            return row

    def rows(self) -> list[Row]:
        """Return every row, in order of first sight."""
        with self._lock:
            return list(self._rows.values())

    def all_at_rest(self, names: Iterable[str]) -> bool:
        """True where every file of these names has come to its end."""
        ended = {row.name for row in self.rows() if row.state.at_rest}
        return ended >= set(names)

    def drawn(self) -> Table:
        """Return the newest rows as a table."""
        rows = self.rows()
        shown = [[escape(r.name), coloured(r.state), r.label, r.touched, escape(r.words)] for r in rows[-TALL:]]
        ended = sum(row.state.at_rest for row in rows)
        return table(f"{ended} of {len(rows)} scans at their end", ["file", "state", "found", "filled", ""], shown)


def coloured(state: State) -> str:
    """Return a state in its colour."""
    colour = COLOURS.get(state, "")
    return f"[{colour}]{state}[/]" if colour else str(state)
