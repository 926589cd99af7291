"""What each afmctl command does. Rule: with --json only JSON goes to standard output, a line for each thing told."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from afmd_client import board, fetch, sheets
from afmd_client.client import Client
from afmd_client.errors import ClientError, InvalidInput, NotFound
from afmd_client.nouns import Bookmark, Event, Scan, plain
from afmd_client.printable import printable

PIPE_WIDTH = 240
LOOKED_THROUGH = 5000
"""Scans among which a name is looked for."""


def watch(client: Client, options: Namespace) -> None:
    """Follow events: a live table on a terminal, plain lines elsewhere, JSON lines on demand."""
    out = Console()
    if options.json:
        _tell_events(client, options, lambda event: print(json.dumps(plain(event)), flush=True))
    elif out.is_terminal:
        _live(client, options, out)
    else:
        _tell_events(client, options, lambda event: print(_line(event), flush=True))


def list_scans(client: Client, options: Namespace) -> None:
    """List scans, newest first."""
    scans = client.scans(states=options.state, labels=options.label, since=options.since, until=options.until)
    wanted = islice(scans, options.limit or None)
    if options.json:
        for scan in wanted:
            print(json.dumps(plain(scan)))
        return
    out = page()
    out.print(sheets.listing(wanted, width=out.width))
    if options.limit and next(scans, None) is not None:
        Console(stderr=True).print("[bright_black]… and more: --limit 0 lists all[/]")


def show(client: Client, options: Namespace) -> None:
    """Tell everything known of one scan."""
    scan = found(client, options.scan)
    if options.json:
        print(json.dumps(plain(scan)))
    else:
        page().print(sheets.scan_sheet(scan))


def status(client: Client, options: Namespace) -> None:
    """Tell how the daemon fares."""
    told = client.status()
    if options.json:
        print(json.dumps(plain(told)))
    else:
        page().print(sheets.status_sheet(told, address=client.address))


def get(client: Client, options: Namespace) -> None:
    """Save arrays and pictures of one scan."""
    scan = found(client, options.scan)
    wishes = [_wish(kind, options) for kind in options.kind]
    files = _files(scan, wishes, options)
    out = Console()
    with _progress(shown=not options.json) as begun:
        for wish, file in zip(wishes, files, strict=True):
            saved = fetch.save(
                client, scan, wish, file, overwrite=options.force, on_progress=begun(file.name)
            )  # fmt: skip
            if options.json:
                print(json.dumps({name: part for name, part in asdict(saved).items() if part is not None}))
            else:
                out.print(_saved(saved), highlight=False, soft_wrap=True)


def complain(*, what: str, why: str, mend: str) -> None:
    """Tell a person what went wrong."""
    what, why, mend = printable((what, why, mend))
    words = Text.assemble(("afmctl: ", "bold red"), (what, "bold"), f": {why}.", f" {mend}." if mend else "")
    Console(stderr=True).print(words, soft_wrap=True)


def page() -> Console:
    """Return standard output; a pipe or a file is as wide as it takes."""
    out = Console()
    return out if out.is_terminal else Console(width=PIPE_WIDTH)


def found(client: Client, text: str) -> Scan:
    """Return the scan that a person means. Raises ``NotFound``."""
    if text != "latest":
        try:
            return client.scan(text)
        except NotFound as e:
            missing = e
    else:
        missing = NotFound("scan latest", why="there is none with results yet", mend="See 'afmctl list'")
    for scan in islice(client.scans(), LOOKED_THROUGH):
        if text == "latest" and scan.state.has_results:
            return scan
        if text != "latest" and (scan.name == text or scan.scan_id.startswith(text)):
            return scan
    raise missing


def _live(client: Client, options: Namespace, out: Console) -> None:
    table = board.Board(title=f"afmd at {client.address}", most_rows=options.rows)
    after = options.after
    if after is None:
        listing = client.scans(page_size=options.rows)
        after = listing.revision
        table.begin(list(islice(listing, options.rows)), after)

    def lost(error: ClientError) -> None:
        table.note = Text(f"connection lost: {error.why}; trying again", style="yellow")

    def marked(mark: Bookmark) -> None:
        table.note = Text(f"revision {mark.revision} · current", style="bright_black")
        if mark.replay_complete and options.no_follow:
            events.close()

    events = client.watch(after, patient=options.wait, on_bookmark=marked, on_lost=lost)
    with Live(table, console=out, refresh_per_second=8, vertical_overflow="crop"), events:
        for event in events:
            table.update(event)
            table.note = Text(f"revision {event.revision}", style="bright_black")
    out.print(sheets.counts_line(table.counts()))


def _tell_events(client: Client, options: Namespace, tell: Callable[[Event], None]) -> None:
    """Tell events one by one; what the connection does goes to standard error."""

    told: set[str] = set()

    def marked(mark: Bookmark) -> None:
        told.clear()
        if mark.replay_complete and options.no_follow:
            events.close()

    def lost(error: ClientError) -> None:
        if error.why not in told:
            print(f"afmctl: connection lost: {error.why}; trying again", file=sys.stderr, flush=True)
        told.add(error.why)

    after = client.scans(page_size=1).revision if options.after is None else options.after
    with client.watch(after, patient=options.wait, on_bookmark=marked, on_lost=lost) as events:
        for event in events:
            tell(event)


def _line(event: Event) -> str:
    """Return an event as one line for a log."""
    event = printable(event)
    parts = [f"{event.time:%Y-%m-%dT%H:%M:%SZ}", str(event.revision), event.state.value, event.name]
    if event.classification is not None:
        label, p = board.class_texts(event.classification)
        parts += [f"{label} {p}".strip()]
    if event.repair is not None and event.repair.touched_share is not None:
        parts.append(f"touched {board.percent(event.repair.touched_share)}")
    remark = board.remark(event.repair, event.problem, event.original)
    return "  ".join([*parts, str(remark)] if remark else parts)


def _wish(kind: str, options: Namespace) -> fetch.Wish:
    is_signal = kind not in fetch.KINDS
    if is_signal and "/" not in kind:
        raise InvalidInput(
            f"kind {kind}", why="there is none of that name", mend=f"Use {', '.join(fetch.KINDS[:-1])}, or NAME/trace"
        )  # fmt: skip
    return fetch.Wish(
        kind="channel" if is_signal else kind, channel=kind if is_signal else "", repair=options.repair,
        longest_px=options.px, colour_map=options.colours,
    )  # fmt: skip


def _files(scan: Scan, wishes: list[fetch.Wish], options: Namespace) -> list[Path]:
    """Return where each thing goes: into a folder under its own name, or the one thing into the file named."""
    output: Path = options.output
    named = output.suffix.removeprefix(".").lower() in fetch.SUFFIXES and not output.is_dir()
    if named and len(wishes) > 1:
        raise InvalidInput(
            f"output {output}", why=f"{len(wishes)} things do not go into one file", mend="Name a folder"
        )
    if named and options.format in {None, output.suffix.removeprefix(".").lower()}:
        return [output]
    if named:
        raise InvalidInput(f"output {output}", why=f"it is not named as {options.format}", mend="Give one of the two")
    if not output.is_dir():
        raise InvalidInput(
            f"output {output}", why="there is no such folder", mend="Make it, or name a file as .npy, .txt or .png"
        )
    return [output / fetch.file_name(scan, wish, options.format or "npy") for wish in wishes]


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Give what begins a bar on standard error; the bar is moved by bytes received and bytes in all."""
    err = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True, disable=not (shown and err.is_terminal)) as bars:

        def begun(name: str) -> Callable[[int, int], None]:
            task = bars.add_task(name, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield begun


def _saved(saved: fetch.Saved) -> Text:
    size = f"{saved.size_bytes / 2**20:.1f} MiB" if saved.size_bytes >= 2**20 else f"{saved.size_bytes / 2**10:.1f} KiB"
    words = [size]
    if saved.rows is not None and saved.pixel_nm is not None:
        down, across = saved.pixel_nm
        unit = "" if saved.unit == "1" else f" in {saved.unit}"
        words = [f"{saved.rows} × {saved.cols} {saved.dtype}{unit}", f"{down:.4g} × {across:.4g} nm a pixel", size]
    return Text.assemble((saved.file, "bold"), "  ", (", ".join(words), "bright_black"))
