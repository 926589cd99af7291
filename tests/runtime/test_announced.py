"""Committed, then told: to the bus, the metrics and the log."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from fake_clock import FakeClock

from afmd.domain.events import Fingerprint, State
from afmd.domain.ports import Ledger
from afmd.errors import WrongState
from afmd.files.ledger import SqliteLedger
from afmd.runtime.announced import AnnouncedLedger
from afmd.settings import Log
from afmd.telemetry.logs import configure
from afmd.telemetry.metrics import Metrics

PRINT = Fingerprint(100, 5)


class FakeBus:
    """Remembers what was published, and that the ledger had it by then."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self._ledger = ledger
        self.published: list[int] = []

    def publish(self, revision: int) -> None:
        assert self._ledger.revision() >= revision
        self.published.append(revision)

    async def beyond(self, revision: int, *, timeout_s: float) -> int:
        return self._ledger.revision()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(tmp_path / "ledger.sqlite3", clock=FakeClock(), keep_events=1000)
    yield opened
    opened.close()


@pytest.fixture
def bus(plain: SqliteLedger) -> FakeBus:
    return FakeBus(plain)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def ledger(plain: SqliteLedger, bus: FakeBus, metrics: Metrics) -> Ledger:
    return AnnouncedLedger(plain, bus=bus, metrics=metrics)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure(Log())
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("afmd").setLevel(logging.NOTSET)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def restored(ledger: Ledger, **facts: Any) -> str:
    scan_id = ledger.see("a.spm", PRINT).scan_id
    ledger.advance(scan_id, State.SETTLED, sha256="00")
    ledger.advance(scan_id, State.READ)
    ledger.advance(scan_id, State.RESTORED, facts=facts, repair=1)
    return scan_id


def test_every_commit_is_published_after_it_is_there(ledger: Ledger, bus: FakeBus) -> None:
    restored(ledger)
    ledger.see_all([("b.spm", PRINT), ("c.spm", PRINT)])

    assert bus.published == [1, 2, 3, 4, 5, 6]


def test_what_is_not_committed_is_not_told(ledger: Ledger, bus: FakeBus) -> None:
    scan_id = ledger.see("a.spm", PRINT).scan_id

    with pytest.raises(WrongState):
        ledger.advance(scan_id, State.COMPLETE)

    assert bus.published == [1]


def test_scans_are_counted_by_state_and_label(ledger: Ledger, metrics: Metrics) -> None:
    restored(ledger, label="good")

    count = metrics.registry.get_sample_value
    assert count("afmd_scans_total", {"state": "restored", "label": "good"}) == 1
    assert count("afmd_scans_total", {"state": "seen", "label": ""}) == 1


def test_one_line_tells_the_whole_story_of_a_scan(ledger: Ledger, logged: io.StringIO) -> None:
    restored(ledger, label="not_tracking", masked_share=0.0312345, touched_share=0.03, total_ms=231.0)

    (line,) = lines(logged)
    assert line["event"] == "scan.restored"
    assert (line["revision"], line["scan"], line["label"]) == (4, "a.spm", "not_tracking")
    assert (line["masked_pct"], line["total_ms"]) == (3.12, 231.0)


def test_a_refusal_and_a_failure_say_why(ledger: Ledger, logged: io.StringIO) -> None:
    for path, state in (("a.spm", State.REFUSED), ("b.spm", State.FAILED)):
        scan_id = ledger.see(path, PRINT).scan_id
        ledger.advance(scan_id, state, facts={"reason": "R", "why": "W", "mend": "M", "error": "E"})

    told = [(line["event"], line["level"], line["why"]) for line in lines(logged)]
    assert told == [("scan.refused", "info", "W"), ("scan.failed", "error", "W")]
    assert isinstance(ledger, AnnouncedLedger)
    assert ledger.last_failure == "b.spm: E"
