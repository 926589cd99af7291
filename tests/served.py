"""A real server on loopback with a real ledger behind it, on an event loop of its own, for tests that call it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from fake_clock import FakeClock
from fake_renderer import FakeRenderer
from fake_result_reader import FakeResultReader
from fake_status_source import FakeStatusSource

from afmd.domain.events import Entry, Event, Fingerprint, State
from afmd.files.ledger import SqliteLedger
from afmd.rpc.server import RpcServer
from afmd.runtime.bus import RevisionBus
from afmd.settings import Server

T = TypeVar("T")
PATIENCE_S = 30

RESTORED: Mapping[str, Any] = {
    "label": "not_tracking",
    "probabilities": {"good": 0.02, "not_tracking": 0.9, "tip_contamination": 0.05, "imaging_artifact": 0.03},
    "abstained": False,
    "masked_share": 0.031,
    "touched_share": 0.029,
    "confidence": 0.87,
    "verdict": "Three lost lines were filled; heights there are uncertain by 0.4 nm.",
    "refusal": "",
    "classifier": "rules@1",
    "segmenter": "unet@ab12cd34",
    "sa_before_nm": 4.2,
    "sa_after_nm": 3.9,
    "params": {"preset": "best", "thr": 0.5, "order": 2, "expand": False, "fill": "across"},
    "total_ms": 231.4,
}
READ: Mapping[str, Any] = {
    "rows": 4,
    "cols": 6,
    "rows_expected": 8,
    "partial": True,
    "pixel_nm": [2.0, 3.0],
    "channels": [
        {"name": "Height", "direction": "trace", "unit": "nm"},
        {"name": "Amplitude Error", "direction": "retrace", "unit": "V"},
    ],
}


class Served:
    """One server after another on one ledger and one port."""

    def __init__(self, folder: Path, *, port: int = 0, keep_events: int = 1000, **settings: Any) -> None:
        self.clock = FakeClock()
        self.ledger = SqliteLedger(folder / "ledger.sqlite3", clock=self.clock, keep_events=keep_events)
        self.results = FakeResultReader()
        self.renderer = FakeRenderer()
        self.status = FakeStatusSource(self.ledger)
        self.bus = RevisionBus(self.ledger.revision())
        self.faults: list[tuple[str, Exception]] = []
        self.settings: dict[str, Any] = {"bookmark_s": 0.05, **settings}
        self.port = port
        self.server: RpcServer | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> Self:
        self.server = RpcServer(
            Server(port=self.port, **self.settings), ledger=self.ledger, results=self.results, renderer=self.renderer,
            bus=self.bus, status=self.status, on_fault=lambda where, fault: self.faults.append((where, fault)),
        )  # fmt: skip
        self.port = self.wait_for(self.server.start())
        return self

    def stop(self, grace_s: float = 1.0) -> None:
        if self.server is not None:
            self.wait_for(self.server.stop(grace_s))
            self.server = None

    def close(self) -> None:
        self.stop(0.0)
        self.ledger.close()
        self.wait_for(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def seen(self, name: str) -> Event:
        """A file appears."""
        self.clock.pass_s(1.0)
        return self._told(lambda: self.ledger.see(name, Fingerprint(1000, 1)))

    def advanced(self, scan_id: str, state: State, **step: Any) -> Event:
        self.clock.pass_s(0.1)
        return self._told(lambda: self.ledger.advance(scan_id, state, **step))

    def restored(self, name: str, *, up_to: State = State.COMPLETE, facts: Mapping[str, Any] = RESTORED) -> Entry:
        """A file goes its whole way."""
        scan_id = self.seen(name).scan_id
        self.advanced(scan_id, State.SETTLED, sha256=f"{self.ledger.revision():064x}")
        self.advanced(scan_id, State.READ, facts=READ)
        self.advanced(scan_id, State.RESTORED, facts={**facts, "repair": 1}, repair=1)
        if up_to is State.COMPLETE:
            self.advanced(scan_id, State.COMPLETE, facts={"outputs": ["heights.txt", "panels.png", "record.json"]})
        return self.ledger.entry(scan_id)

    def _told(self, commit: Callable[[], Event]) -> Event:
        event = commit()
        self.bus.publish(event.revision)
        return event


def moment(seconds: float = 0.0) -> datetime:
    return datetime.fromtimestamp(1_714_564_800 + seconds, tz=UTC)
