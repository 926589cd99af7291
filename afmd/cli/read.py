"""``afmd read``: what a NanoScope file holds."""

import argparse
from typing import Any

from afmd.cli.screen import out, print_json, table
from afmd.domain.scan import Channel, Scan


def run(arguments: argparse.Namespace) -> int:
    """Read one file and say what it holds. Raises ``ScanError``, ``StorageError``."""
    from afmd.files.nanoscope import read_scan

    scan = read_scan(arguments.file)
    if arguments.json:
        print_json(described(scan))
    else:
        _show(scan)
    return 0


def described(scan: Scan) -> dict[str, Any]:
    """Return a scan's description, JSON-ready; lengths in nm."""
    rows, cols = scan.heights.shape
    down, across = scan.pixel_nm
    return {
        "name": scan.name,
        "rows": rows,
        "cols": cols,
        "rows_expected": scan.rows_expected,
        "partial": scan.partial,
        "pixel_nm": [down, across],
        "size_nm": [down * rows, across * cols],
        "direction": scan.direction.value,
        "frame": scan.frame.value,
        "retrace": scan.retrace is not None,
        "channels": [_channel(channel) for channel in scan.channels],
        "meta": dict(scan.meta),
    }


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "name": channel.name,
        "direction": channel.direction.value,
        "unit": channel.unit,
        "lowest": float(channel.values.min()),
        "mean": float(channel.values.mean(dtype=float)),
        "highest": float(channel.values.max()),
    }


def _show(scan: Scan) -> None:
    told, console = described(scan), out()
    part = f", {told['rows']} of {scan.rows_expected} lines captured" if scan.partial else ""
    console.print(f"[bold]{_escaped(scan.name)}[/]  {told['rows']} × {told['cols']} px{part}")
    console.print(
        f"pitch {scan.pixel_nm[0]:.6g} × {scan.pixel_nm[1]:.6g} nm (down × across), "
        f"frame {told['size_nm'][0]:.6g} × {told['size_nm'][1]:.6g} nm"
    )
    console.print(
        f"heights from {scan.direction}, {'with' if scan.retrace is not None else 'no'} opposite pass, "
        f"frame {scan.frame}\n"
    )
    rows = [
        [c["name"], c["direction"], c["unit"], *(f"{c[key]:.6g}" for key in ("lowest", "mean", "highest"))]
        for c in told["channels"]
    ]
    numbers = ("lowest", "mean", "highest")
    console.print(table("Channels", ["name", "direction", "unit", *numbers], rows, right=numbers))
    if scan.meta:
        console.print()
        console.print(table("Header", ["key", "value"], [[k, _escaped(v)] for k, v in scan.meta.items()]))


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
