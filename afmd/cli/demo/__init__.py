"""``afmd demo``: a virtual microscope, a real daemon, a real client, and what came of it.

Rule: nothing on this stage is a mock. The files are NanoScope files that grow; the daemon is a process of its own, with
a settings file of its own; the table shows what a client heard over the wire.
"""

import argparse
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

from rich.markup import escape

from afmd.cli.child import DaemonProcess
from afmd.cli.demo.board import Board, Row, coloured
from afmd.cli.demo.microscope import Microscope, dropped, number_of_captures, program
from afmd.cli.demo.stage import Stage, built
from afmd.cli.demo.verdict import Verdict, verdicts
from afmd.cli.screen import out, table
from afmd_client.client import Client

PATIENCE_S = 300.0
DRAIN_S = 90.0
TICK_S = 0.1


def run(arguments: argparse.Namespace) -> int:
    """Play the demo; 0 only if every scan came to the end that it should. Raises ``AfmdError``."""
    count = number_of_captures(arguments.count, arguments.scans)
    stage = built(arguments.out)
    console = out()
    console.print(f"[bold]afmd demo[/] in {escape(str(stage.folder))}")
    captures = chain(
        program(arguments.seed, count=arguments.count), dropped(arguments.scans) if arguments.scans else ()
    )
    microscope = Microscope(stage.capture, captures, seconds=arguments.seconds, count=count)
    with DaemonProcess(stage.config) as daemon:
        port = daemon.ready()["port"]
        console.print(f"daemon {daemon.pid} is ready on port {port}; the microscope begins to scan\n")
        with Client(f"127.0.0.1:{port}") as client:
            board = _watched(client, microscope)
            found = verdicts(client, board.rows(), microscope.written)
        status = daemon.stop(limit_s=DRAIN_S)
    _show(stage, found, microscope, status)
    complete = len(found) == len(microscope.written)
    return 0 if status == 0 and complete and all(verdict.as_it_should_be for verdict in found) else 1


def _watched(client: Client, microscope: Microscope) -> Board:
    """Let the microscope scan, and watch until every file has come to its end, or patience has."""
    board, end = Board(), time.monotonic() + PATIENCE_S
    with client.watch() as events, _shown(board) as tell:

        def follow() -> None:
            for event in events:
                tell(board.take(event))

        listener = threading.Thread(target=follow, name="client", daemon=True)
        listener.start()
        microscope.start()
        while time.monotonic() < end and not (microscope.done.is_set() and board.all_at_rest(microscope.written)):
            time.sleep(TICK_S)
    listener.join()
    return board


@contextmanager
def _shown(board: Board) -> Iterator[Callable[[Row], None]]:
    """Draw the board live on a terminal; elsewhere, print one line for each scan that comes to its end."""
    console = out()
    if not console.is_terminal:
        yield _told_in_lines
        return
    from rich.live import Live

    with Live(get_renderable=board.drawn, console=console, refresh_per_second=8, transient=True):
        yield _told_live


def _told_live(row: Row) -> None:
    del row  # the live table draws itself


def _told_in_lines(row: Row) -> None:
    if row.state.at_rest:
        words = (row.state, row.label, f"{row.touched} filled" if row.touched else "", escape(row.words))
        out().print(f"{escape(row.name)}: {', '.join(filter(None, words))}")


def _show(stage: Stage, found: list[Verdict], microscope: Microscope, status: int) -> None:
    console = out()
    columns = ["", "file", "end", "found", "truth", "raw → restored", "filled", ""]
    console.print(table("What came of it", columns, [_row(verdict) for verdict in found], right=["filled"]))
    judged = [v for v in found if v.raw_error is not None and v.restored_error is not None]
    nearer = sum(v.restored_error < v.raw_error for v in judged)  # type: ignore[operator]
    missing = len(microscope.written) - len(found)
    console.print(
        f"\n{len(found)} files came to their end, {missing} did not; the daemon drained and ended with {status}"
    )
    console.print(f"{nearer} of {len(judged)} simulated scans are nearer the truth than they were")
    console.print("(raw → restored: rms distance to the true surface, in % of its relief, planes aside)")
    console.print(f"pictures and files: {escape(str(stage.restored))}")


def _row(verdict: Verdict) -> list[str]:
    row, truth = verdict.row, verdict.capture.truth
    errors = ""
    if verdict.raw_error is not None and verdict.restored_error is not None:
        errors = f"{100 * verdict.raw_error:.1f} → {100 * verdict.restored_error:.1f} %"
    return [
        "[green]✓[/]" if verdict.as_it_should_be else "[red]✗[/]",
        escape(row.name),
        coloured(row.state),
        row.label,
        truth.label.replace("_", " ") if truth else "",
        errors,
        row.touched,
        escape(row.words),
    ]
