"""One scan, one daemon, a list of scans: as pages for people. Rule: no call is made here; values go in."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from afmd_client import board
from afmd_client.nouns import Classification, Deconvolution, Grid, Levelling, Repair, Scan, State, Status
from afmd_client.printable import printable

GIB = 2**30
BAR = 24


def listing(scans: Iterable[Scan], *, width: int) -> Table:
    """Return scans as a table."""
    table = board.scan_table(width=width)
    if width >= board.WIDE:
        table.add_column("id", style="bright_black", no_wrap=True)
    for scan in map(printable, scans):
        table.add_row(*board.cells(scan, width=width), *([scan.scan_id] if width >= board.WIDE else []))
    return table


def scan_sheet(scan: Scan) -> RenderableType:
    """Return everything known of one scan."""
    scan = printable(scan)
    parts: list[RenderableType] = [Text.assemble((scan.name, "bold"), "  ", board.state_text(scan.state))]
    remark = board.remark(scan.repair, scan.problem, scan.original)
    parts += [remark, Text("")] if remark else [Text("")]
    parts.append(_pairs(_identity(scan)))
    if scan.classification is not None:
        parts += _section("class", _classes(scan.classification))
    if scan.repair is not None:
        parts += _section(f"repair {scan.repair.number}", _pairs(_repaired(scan.repair)))
    if scan.problem is not None:
        problem = {"reason": scan.problem.reason, "what": scan.problem.what, "why": scan.problem.why}
        parts += _section("problem", _pairs({**problem, "mend": scan.problem.mend}))
    return Group(*parts)


def status_sheet(status: Status, *, address: str) -> RenderableType:
    """Return how a daemon fares."""
    status = printable(status)
    word, style = ("draining", "yellow") if status.draining else ("serving", "green")
    head = Text.assemble(("afmd ", "bold"), (status.version, "bold"), f" at {address}  ", (word, style))
    reached = ("reachable", "green") if status.capture_reachable else ("NOT REACHABLE", "bold red")
    counts = Text("  ").join(
        Text.assemble(board.state_text(state), f" {count}") for state, count in status.counts.items() if count
    )
    pairs: dict[str, RenderableType] = {
        "up for": _span(status.time - status.started),
        "capture": Text.assemble(status.capture_folder, "  ", reached),
        "output": f"{status.output_root}  {status.disk_free_bytes / GIB:.1f} GiB free",
        "queue": f"{status.queue} of {status.queue_limit}",
        "workers": f"{status.workers_busy} of {status.workers} busy",
        "scans": counts or "none yet",
        "revision": f"{status.revision}, kept from {status.oldest_revision}",
        "classifier": str(status.classifier),
        "segmenter": str(status.segmenter),
        "streams": f"{status.streams} of {status.streams_limit}",
    }
    if status.last_error:
        pairs["last error"] = Text(status.last_error, style="red")
    return Group(head, Text(""), _pairs(pairs))


def _identity(scan: Scan) -> dict[str, RenderableType]:
    seen, updated = scan.first_seen.astimezone(), scan.updated.astimezone()
    pairs: dict[str, RenderableType] = {
        "id": scan.scan_id,
        "path": scan.path,
        "size": f"{scan.size_bytes:,} bytes",
        "first seen": f"{seen:%Y-%m-%d %H:%M:%S}, last change {updated:%H:%M:%S}, revision {scan.revision}",
    }
    if scan.sha256:
        pairs["sha256"] = scan.sha256
    if scan.grid is not None:
        pairs["grid"] = _grid(scan.grid)
    if scan.channels:
        pairs["channels"] = "\n".join(f"{channel} [{channel.unit}]" for channel in scan.channels)
    if scan.original is not None:
        pairs["same as"] = f"{scan.original.name} ({scan.original.scan_id})"
    return pairs


def _grid(grid: Grid) -> str:
    down, across = grid.pixel_nm
    size = f"{_length(grid.rows * down)} × {_length(grid.cols * across)}"
    partial = f", stopped after {grid.rows} of {grid.rows_planned} lines" if grid.rows < grid.rows_planned else ""
    return f"{grid.rows} × {grid.cols} pixels of {down:.4g} × {across:.4g} nm, {size}{partial}"


def _span(span: timedelta) -> str:
    hours, minutes, seconds = span.seconds // 3600, span.seconds // 60 % 60, span.seconds % 60
    return f"{span.days} d {hours} h {minutes:02} min" if span.days else f"{hours} h {minutes:02} min {seconds:02} s"


def _length(nm: float) -> str:
    return f"{nm / 1000:.3g} µm" if nm >= 1000 else f"{nm:.3g} nm"


def _classes(classification: Classification) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for label, p in sorted(classification.probabilities.items(), key=lambda pair: -pair[1]):
        full = round(BAR * p)
        style = board.LABEL_STYLES.get(label, "")
        bar = Text("█" * full, style=style) + Text("░" * (BAR - full), style="bright_black")
        table.add_row(Text(label.value.replace("_", " "), style=style), bar, f"{p:.3f}")
    note = "no class was sure enough to be claimed" if classification.abstained else ""
    return Group(table, Text(f"by {classification.classifier}. {note}".rstrip(), style="bright_black"))


def _repaired(repair: Repair) -> dict[str, RenderableType]:
    pairs: dict[str, RenderableType] = {}
    if repair.masked_share is not None and repair.touched_share is not None:
        pairs["pixels"] = f"{board.percent(repair.masked_share)} masked, {board.percent(repair.touched_share)} filled"
    if repair.sa_before_nm is not None and repair.sa_after_nm is not None:
        pairs["roughness Sa"] = f"{repair.sa_before_nm:.4g} nm before, {repair.sa_after_nm:.4g} nm after"
    if repair.confidence is not None:
        pairs["confidence"] = f"{repair.confidence:.2f}"
    if repair.total_ms is not None:
        pairs["time"] = f"{repair.total_ms:.0f} ms"
    if repair.segmenter is not None:
        pairs["segmenter"] = str(repair.segmenter)
    if repair.levelling is not None and repair.levelling.method:
        pairs["levelling"] = _levelling(repair.levelling)
    if repair.deconvolution is not None:
        pairs["tip"] = _tip(repair.deconvolution)
    if repair.params:
        pairs["parameters"] = "  ".join(f"{name}={_value(value)}" for name, value in repair.params.items())
    if repair.outputs:
        pairs["files"] = "\n".join(repair.outputs)
    return pairs


def _levelling(found: Levelling) -> str:
    waves = [f"{wave.kind} of ±{wave.amplitude_nm:.2g} nm taken off" for wave in found.disturbances]
    jumps = [f"jump of {jump.height_nm:+.3g} nm in line {jump.row + 1} undone" for jump in found.jumps]
    return "; ".join([found.method, *waves, *jumps])


def _tip(found: Deconvolution) -> str:
    if found.refusal:
        return f"left in: {found.refusal}"
    touched = "" if found.touched_share is None else f"; {board.percent(found.touched_share)} touched"
    told = "told by the scan" if found.estimated else "given"
    return f"{found.tip}, {told}; removed by {found.method}{touched}"


def _value(value: bool | int | float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def _section(title: str, content: RenderableType) -> list[RenderableType]:
    return [Text(""), Text(title, style="bold"), content]


def _pairs(pairs: Mapping[str, RenderableType]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs.items():
        table.add_row(name, Text(value) if isinstance(value, str) else value)
    return table


def counts_line(counts: Mapping[State, int]) -> Text:
    """Return how many scans stand in each state, in colour."""
    return Text("  ").join(Text.assemble(board.state_text(state), f" {n}") for state, n in counts.items())
