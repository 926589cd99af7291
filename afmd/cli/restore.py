"""``afmd restore``: repair files without a daemon. Rule: a bad file never stops the next, and none is forgotten."""

import argparse
import glob
import hashlib
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from afmd.cli.screen import err, out, print_json
from afmd.domain.events import Entry, Fingerprint, State
from afmd.domain.params import PARAMETERS, Params
from afmd.domain.result import Restoration
from afmd.domain.scan import Scan
from afmd.errors import AfmdError, InvalidInput

if TYPE_CHECKING:
    from afmd.settings import Deconvolution

REPAIR = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file; ``problem`` is empty where it was restored."""

    file: str
    problem: dict[str, str] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """True where the scan was restored."""
        return not self.problem


def run(arguments: argparse.Namespace) -> int:
    """Restore every file; 0 only if all went well. Raises ``InvalidInput`` for parameters that make no sense."""
    params = Params(arguments.preset, **overrides(arguments.overrides))
    files = expanded(arguments.files)
    repair = _bench(arguments, params)
    outcomes = []
    with _progress(len(files), quiet=arguments.json) as step:
        for file in files:
            outcome = attempted(repair, file)
            outcomes.append(outcome)
            step(outcome)
    if arguments.json:
        print_json([{"file": o.file, "ok": o.well, **o.told, **({"problem": o.problem} if o.problem else {})}
                    for o in outcomes])  # fmt: skip
    _list_problems(outcomes)
    return 0 if all(outcome.well for outcome in outcomes) else 1


def expanded(names: Sequence[str]) -> list[Path]:
    """Return files by name; wildcards that the shell left alone, as Windows does, are expanded here."""
    files: list[Path] = []
    for name in names:
        matches = [] if Path(name).exists() else sorted(glob.glob(name))  # noqa: PTH207 - Path has none for any pattern
        files += [Path(match) for match in matches if Path(match).is_file()] or [Path(name)]
    return files


def overrides(settings: Sequence[str]) -> dict[str, bool | int | float | str]:
    """Return ``NAME=VALUE`` texts as values of each parameter's own type. Raises ``InvalidInput``."""
    values = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        if not sign or name.strip() not in PARAMETERS:
            raise InvalidInput(
                f"--set {setting}", why="it is not NAME=VALUE with a parameter's name",
                mend="`afmd params` lists the parameters", field="set",
            )  # fmt: skip
        values[name.strip()] = _valued(name.strip(), text.strip())
    return values


def _valued(name: str, text: str) -> bool | int | float | str:
    kind = type(PARAMETERS[name].best)
    words = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
    try:
        return words[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError) as e:
        raise InvalidInput(
            f"--set {name}={text}", why=f"it must be {'yes or no' if kind is bool else kind.__name__}",
            mend=PARAMETERS[name].meaning, field=name,
        ) from e  # fmt: skip


def tip_settings(text: str, *, method: str) -> "Deconvolution":
    """Return what ``--tip`` asks for: ``off``, ``estimate``, RADIUS or RADIUS,HALF_ANGLE. Raises ``InvalidInput``."""
    from pydantic import ValidationError

    from afmd.settings import Deconvolution

    if text in ("off", "estimate"):
        return Deconvolution.model_validate({"mode": "estimated" if text == "estimate" else "off", "method": method})
    names = ("radius_nm", "half_angle_deg")
    try:
        known = {name: float(part) for name, part in zip(names, text.split(","), strict=False)}
        if text.count(",") > 1:
            raise ValueError("it has more than two numbers")
        return Deconvolution.model_validate({"mode": "known", "method": method, **known})
    except (ValidationError, ValueError) as e:
        why = e.errors()[0]["msg"] if isinstance(e, ValidationError) else str(e)
        mend = "Give a radius in nm, as 10 or with the half-angle as 10,22, or estimate"
        raise InvalidInput(f"--tip {text}", why=why, mend=mend, field="tip") from e


class Bench:
    """Reads, restores and writes one file at a time, by the very parts that the daemon uses."""

    def __init__(self, params: Params, *, tip: "Deconvolution", out_root: Path, pictures: bool) -> None:
        from afmd import compose, settings

        models = settings.Models()
        self._craft = compose.craft(params, compose.backends(models), compose.tip_plan(tip, models, []))
        self._results = compose.results(settings.Outputs(root=out_root, pictures=pictures))

    def restored(self, file: Path) -> tuple[Restoration, Path]:
        """Return the restoration and where its outputs lie. Raises ``AfmdError``."""
        data = self._craft.load(file)
        scan: Scan = self._craft.decode(data, name=file.name)
        restoration = self._craft.restore(scan)
        entry = _entry(file, data)
        self._results.store(entry, scan, restoration, original=data, repair=REPAIR)
        self._results.finish(entry, scan, restoration, original=data, repair=REPAIR)
        return restoration, self._results.folder(entry, repair=REPAIR)


def attempted(bench: Bench, file: Path) -> Outcome:
    """Restore one file and say what became of it."""
    from afmd.runtime import facts
    from afmd.telemetry.logs import error_fields

    start = time.perf_counter()
    try:
        restoration, folder = bench.restored(file)
    except Exception as e:
        if not isinstance(e, AfmdError | OSError):
            traceback.print_exc()
        return Outcome(str(file), problem=error_fields(e))
    spent_ms = (time.perf_counter() - start) * 1e3
    told = facts.of_restoration(restoration, repair=REPAIR, total_ms=spent_ms)
    told |= {"folder": str(folder), "outputs": sorted(path.name for path in folder.iterdir())}
    if restoration.refusal:
        why, _, mend = restoration.refusal.partition(". ")
        return Outcome(str(file), {"reason": "REPORTED", "what": file.name, "why": why, "mend": mend}, told)
    return Outcome(str(file), told=told)


def _bench(arguments: argparse.Namespace, params: Params) -> Bench:
    tip = tip_settings(arguments.tip, method=arguments.tip_method)
    return Bench(params, tip=tip, out_root=arguments.out.resolve(), pictures=not arguments.no_pictures)


def _entry(file: Path, data: bytes) -> Entry:
    """Return what the ledger would say of a file, had it seen it."""
    found = file.stat()
    digest = hashlib.sha256(data).hexdigest()
    seen = datetime.fromtimestamp(found.st_mtime, UTC)
    return Entry(
        scan_id=digest[:12], name=file.name, path=file.name,
        fingerprint=Fingerprint(found.st_size, found.st_mtime_ns), sha256=digest, state=State.READ, revision=0,
        first_seen=seen, updated=seen, repair=0, facts={},
    )  # fmt: skip


@contextmanager
def _progress(count: int, *, quiet: bool) -> Iterator[Any]:
    """Give a function that shows each outcome: beside a bar on a terminal, as a line elsewhere, or not at all."""
    if not sys.stderr.isatty():
        yield partial(_tell, quiet=quiet)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True) as bar:
        task = bar.add_task("restoring", total=count)

        def step(outcome: Outcome) -> None:
            _tell(outcome, quiet=quiet)
            bar.update(task, advance=1, description=escape(Path(outcome.file).name))

        yield step


def _tell(outcome: Outcome, *, quiet: bool) -> None:
    if not quiet:
        out().print(_line(outcome))


def _line(outcome: Outcome) -> str:
    name = escape(outcome.file)
    if not outcome.well:
        return f"[red]✗[/] {name}  {escape(outcome.problem['why'])}"
    told = outcome.told
    doubt = "not sure: " if told["abstained"] else ""
    return (
        f"[green]✓[/] {name}  {doubt}{told['label'].replace('_', ' ')}, {100 * told['touched_share']:.1f} % filled, "
        f"{_tip(told['deconvolution'])}{told['total_ms']:.0f} ms → {escape(told['folder'])}"
    )


def _tip(told: dict[str, Any] | None) -> str:
    if told is None:
        return ""
    if told["refusal"]:
        return f"[yellow]tip left in[/] ({escape(told['refusal'])}), "
    return f"tip of {told['radius_nm']:.3g} nm removed, "


def _list_problems(outcomes: Sequence[Outcome]) -> None:
    bad = [outcome for outcome in outcomes if not outcome.well]
    if not bad:
        return
    console = err()
    console.print(f"\n[bold red]{len(bad)} of {len(outcomes)} files were not restored[/]")
    for outcome in bad:
        console.print(f"  {escape(outcome.file)}: {escape(outcome.problem['why'].rstrip('.'))}.")
        if outcome.problem["mend"]:
            console.print(f"    [green]{escape(outcome.problem['mend'].rstrip('.'))}.[/]")
