"""The operator's page says what the code does: every log event, every metric, and nothing that is not there."""

import re
import tomllib
from pathlib import Path

from fake_status import FakeStatusSource

from afmd.domain.events import State
from afmd.runtime.announced import TOLD
from afmd.telemetry.metrics import Metrics

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ROOMS = ("cli", "files", "inference", "pipeline", "rpc", "runtime", "telemetry")
SPOKEN = re.compile(r"\blog\w*(?:\([^)]*\))?\.(?:info|warning|error|critical|exception)\(([^)]*)\)", re.DOTALL)
EVENT = re.compile(r"\"([a-z]+\.[a-z]+)\"")
OFF_STAGE = {f"scan.{state}" for state in (State.SEEN, State.SETTLED, State.READ, State.COMPLETE)}


def spoken() -> set[str]:
    """Every event that the code writes at a level that is on by default."""
    sources = [ROOT / "afmd" / "compose.py", *(p for room in ROOMS for p in (ROOT / "afmd" / room).rglob("*.py"))]
    calls = (call for source in sources for call in SPOKEN.findall(source.read_text(encoding="utf-8")))
    states = {State.RESTORED, State.REPORTED, *TOLD}
    return {event for call in calls for event in EVENT.findall(call)} | {f"scan.{state}" for state in states}


def test_every_event_is_on_the_operators_page_and_no_other() -> None:
    log = PAGE[PAGE.index("| event |") : PAGE.index("## Metrics")]
    told = set(re.findall(r"`([a-z]+\.[a-z]+)`", log)) - {"log.level"}

    assert told == spoken()
    assert not told & OFF_STAGE


def test_every_metric_is_on_the_operators_page_and_no_other() -> None:
    metrics = Metrics()
    metrics.ask(FakeStatusSource(), last_progress=lambda: 0.0)
    metrics.count(State.SEEN)
    own = {family.name for family in metrics.registry.collect() if family.name.startswith("afmd_")}

    told = {name.removesuffix("_total") for name in re.findall(r"`(afmd_\w+)", PAGE)}
    assert told == own


def test_every_setting_that_the_page_names_exists() -> None:
    settings = tomllib.loads((ROOT / "service.toml").read_text(encoding="utf-8"))
    known = {f"{table}.{key}" for table, keys in settings.items() for key in keys}
    named = set(re.findall(rf"`((?:{'|'.join(settings)})\.\w+)[` ]", PAGE)) - spoken()

    assert named
    assert named <= known
