"""``afmd check``: whether the daemon would start, and why not.

Rule: each check is the refusal of the part itself, so that it cannot say one thing and the daemon do another; and
nothing is changed, but for a file that is made and deleted again where results are to go.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.markup import escape

from afmd import settings
from afmd.cli.screen import out, print_json
from afmd.errors import AfmdError, StorageError
from afmd.settings import Settings

LEAST_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; ``mend`` is empty where it is ``ok``."""

    name: str
    ok: bool
    detail: str
    mend: str = ""


def run(arguments: argparse.Namespace) -> int:
    """Check everything; 0 only if all is in order."""
    found = list(findings(arguments.config))
    if arguments.json:
        print_json({"ok": all(f.ok for f in found), "checks": [asdict(f) for f in found]})
    else:
        _show(found)
    return 0 if all(finding.ok for finding in found) else 1


def findings(config: Path) -> Iterator[Finding]:
    """Give one finding for each thing that the daemon needs; no settings, nothing else to check."""
    try:
        own = settings.load(config)
    except AfmdError as e:
        yield _bad("settings", e)
        return
    yield Finding("settings", ok=True, detail=str(config.resolve()))
    for name, check in checks(own):
        try:
            yield Finding(name, ok=True, detail=check())
        except AfmdError as e:
            yield _bad(name, e)


def checks(own: Settings) -> tuple[tuple[str, Callable[[], str]], ...]:
    """Return each check's name, and what does it: it says what is in order, or raises ``AfmdError``."""
    from afmd import compose

    return (
        ("capture folder", lambda: compose.examine_capture(own)),
        ("output root", lambda: _writable(own.outputs.root)),
        ("ledger", lambda: compose.examine_ledger(own)),
        ("server", lambda: compose.examine_server(own)),
        ("metrics", lambda: compose.examine_metrics(own)),
        ("models", lambda: compose.examine_models(own)),
        ("log", lambda: "standard error" if own.log.file is None else _writable(own.log.file.parent)),
    )


def _writable(folder: Path) -> str:
    """Make a file in a folder, or in the nearest one above it that is there, and delete it again."""
    from afmd.runtime.status import free_bytes

    existing = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as e:
        raise StorageError(
            f"folder {folder}", why=f"{existing}: {e.strerror or e}", mend="Give a folder that may be written"
        ) from e
    free = free_bytes(existing)
    if free < LEAST_FREE_BYTES:
        raise StorageError(f"folder {folder}", why=f"only {free / 1e6:.0f} MB are free", mend="Free some space")
    return f"{folder}, {free / 1e9:.1f} GB free"


def _bad(name: str, error: AfmdError) -> Finding:
    return Finding(name, ok=False, detail=f"{error.what}: {error.why.rstrip('.')}", mend=error.mend.rstrip("."))


def _show(found: list[Finding]) -> None:
    console = out()
    width = max(len(finding.name) for finding in found)
    for finding in found:
        mark = "[green]✓[/]" if finding.ok else "[red]✗[/]"
        console.print(f"{mark} {finding.name:<{width}}  {escape(finding.detail)}")
        if not finding.ok:
            console.print(f"  {'':<{width}}  [green]{escape(finding.mend)}.[/]")
    bad = sum(not finding.ok for finding in found)
    console.print(f"\n{'The daemon would start.' if not bad else f'{bad} of {len(found)} are not in order.'}")
