"""The live table of scans: one row a scan, newest on top. Rule: fed with events alone, so any program may use it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from afmd_client.nouns import Classification, Event, Label, Original, Problem, Repair, Scan, State
from afmd_client.printable import printable

WIDE = 100
"""Columns of a terminal from which on there is room for the verdict."""
BESIDE = 63
"""Columns of a narrow terminal that everything but the scan's name takes."""
STATE_STYLES: Mapping[State, str] = {
    State.SEEN: "bright_black",
    State.SETTLED: "cyan",
    State.READ: "blue",
    State.RESTORED: "green",
    State.COMPLETE: "bold green",
    State.REPORTED: "yellow",
    State.REFUSED: "magenta",
    State.FAILED: "bold red",
    State.DUPLICATE: "bright_black",
    State.VANISHED: "bright_black",
}
LABEL_STYLES: Mapping[Label, str] = {
    Label.GOOD: "green",
    Label.NOT_TRACKING: "yellow",
    Label.TIP_CONTAMINATION: "magenta",
    Label.IMAGING_ARTIFACT: "cyan",
}


@dataclass(frozen=True, slots=True)
class _Row:
    """What the table shows of one scan."""

    updated: datetime
    name: str
    state: State
    classification: Classification | None = None
    repair: Repair | None = None
    problem: Problem | None = None
    original: Original | None = None

    def after(self, event: Event) -> "_Row":
        """Return the row as it is after one more event."""
        return replace(
            self,
            updated=event.time,
            state=event.state,
            classification=event.classification or self.classification,
            repair=event.repair if event.repair and event.classification else self.repair,
            problem=event.problem,
            original=event.original or self.original,
        )


class Board:
    """Rows of scans and a line on the connection; a rich renderable.

    ``title`` stands above, ``note`` below: where the events come from, and how that goes.
    """

    def __init__(self, *, title: str = "", most_rows: int = 20) -> None:
        self.title = title
        self.note: RenderableType = ""
        self.revision = 0
        self._most_rows = most_rows
        self._rows: dict[str, _Row] = {}

    def begin(self, scans: list[Scan], revision: int) -> None:
        """Show scans as a list gives them, newest first."""
        for scan in map(printable, reversed(scans)):
            self._rows[scan.scan_id] = _Row(
                scan.updated, scan.name, scan.state, scan.classification, scan.repair, scan.problem, scan.original
            )
        self.revision = revision
        self._trim()

    def update(self, event: Event) -> None:
        """Take in one event."""
        event = printable(event)
        row = self._rows.get(event.scan_id, _Row(event.time, event.name, event.state))
        self._rows[event.scan_id] = row.after(event)
        self.revision = event.revision
        self._trim()

    def counts(self) -> Mapping[State, int]:
        """Return how many of the rows stand in each state."""
        return {state: n for state in State if (n := sum(row.state is state for row in self._rows.values()))}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = scan_table(self.title, width=options.max_width)
        for row in reversed(tuple(self._rows.values())):
            table.add_row(*cells(row, width=options.max_width))
        yield table
        if self.note:
            yield self.note

    def _trim(self) -> None:
        while len(self._rows) > self._most_rows:
            del self._rows[next(iter(self._rows))]


def scan_table(title: str = "", *, width: int) -> Table:
    """Return the empty table: time, scan, state, class, probability, share touched, and on wide screens the verdict."""
    table = Table(title=title or None, title_justify="left", title_style="bold", pad_edge=False, box=SIMPLE_HEAD)
    table.add_column("time", style="bright_black", no_wrap=True, min_width=8)
    table.add_column(
        "scan", no_wrap=True, max_width=36 if width >= WIDE else max(width - BESIDE, 8), overflow="ellipsis"
    )
    table.add_column("state", no_wrap=True, min_width=9)
    table.add_column("class", no_wrap=True, min_width=19)
    table.add_column("p", justify="right", no_wrap=True, min_width=4)
    table.add_column("touched", justify="right", no_wrap=True, min_width=7)
    if width >= WIDE:
        table.add_column("verdict", overflow="fold")
    return table


def cells(scan: "_Row | Scan", *, width: int) -> list[Text]:
    """Return a scan's cells for ``scan_table`` of the same width."""
    found = [
        clock(scan.updated), Text(scan.name), state_text(scan.state), *class_texts(scan.classification),
        share_text(scan.repair),
    ]  # fmt: skip
    return [*found, remark(scan.repair, scan.problem, scan.original)] if width >= WIDE else found


def clock(time: datetime) -> Text:
    """Return the local time of day; the date as well where it is not today's."""
    local = time.astimezone()
    return Text(f"{local:%H:%M:%S}" if local.date() == datetime.now().astimezone().date() else f"{local:%m-%d %H}h")


def state_text(state: State) -> Text:
    """Return a state in its colour."""
    return Text(state.value, style=STATE_STYLES.get(state, ""))


def class_texts(classification: Classification | None) -> tuple[Text, Text]:
    """Return class and probability; a class that is not claimed stands in brackets."""
    if classification is None:
        return Text(""), Text("")
    words = classification.label.value.replace("_", " ")
    style = LABEL_STYLES.get(classification.label, "")
    label = Text(f"({words})", style="bright_black") if classification.abstained else Text(words, style=style)
    p = classification.probability
    return label, Text("" if p is None else f"{p:.2f}", style=style)


def share_text(repair: Repair | None) -> Text:
    """Return the share of touched pixels in per cent, never a 0 for what is not 0."""
    if repair is None or repair.touched_share is None:
        return Text("")
    return Text(percent(repair.touched_share))


def percent(share: float) -> str:
    """Return a share in per cent."""
    if share <= 0 or not math.isfinite(share):
        return "0 %"
    return "<0.01 %" if share < 1e-4 else f"{100 * share:.2f} %" if share < 0.1 else f"{100 * share:.1f} %"


def remark(repair: Repair | None, problem: Problem | None, original: Original | None) -> Text:
    """Return what a person should know of a scan, in one sentence."""
    if problem is not None:
        return Text(f"{problem.why}. {problem.mend}." if problem.mend else problem.why, style="magenta")
    if original is not None:
        return Text(f"same content as {original.name}", style="bright_black")
    if repair is not None and repair.refusal:
        return Text(repair.refusal, style="yellow")
    return Text(repair.verdict if repair is not None else "")
