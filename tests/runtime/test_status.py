"""How the daemon fares, and what is done now and then."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fake_clock import FakeClock

from afmd.domain.findings import Backend
from afmd.files.ledger import SqliteLedger
from afmd.runtime import housekeeping
from afmd.runtime.housekeeping import Housekeeping
from afmd.runtime.progress import Progress
from afmd.runtime.status import Facts, Gauges, StatusBoard, free_bytes
from afmd.runtime.workers import Workers
from afmd.settings import Outputs, Settings
from afmd.settings import Workers as WorkerSettings

RULES = Backend("rules", "1")


class FakeRepairs:
    def __init__(self) -> None:
        self.begun = threading.Event()

    def restore(self, scan_id: str, *, worker: str) -> None:
        self.begun.set()

    def finish(self, work: object, *, worker: str) -> None:
        raise NotImplementedError


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def progress(clock: FakeClock) -> Progress:
    return Progress(monotonic=clock.monotonic, wall=lambda: clock.now().timestamp())


@pytest.fixture
def board(tmp_path: Path, clock: FakeClock, progress: Progress) -> Iterator[StatusBoard]:
    settings = Settings(outputs=Outputs(root=tmp_path / "restored"), workers=WorkerSettings(stage_limit_s=60))
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3", clock=clock, keep_events=1000)
    facts = Facts("1", datetime(2024, 1, 1, tzinfo=UTC), RULES, RULES, settings)
    gauges = Gauges(
        queue=lambda: 3, busy=lambda: 1, capture_reachable=lambda: True, last_failure=lambda: "a.spm: the disk is full"
    )
    yield StatusBoard(facts, gauges, ledger=ledger, progress=progress)
    ledger.close()


def test_the_status_says_what_waits_and_what_failed_last(board: StatusBoard) -> None:
    status = board.status()

    assert (status.queue, status.workers_busy, status.queue_limit) == (3, 1, 256)
    assert status.last_error == "a.spm: the disk is full"
    assert not status.draining


def test_a_stage_that_never_returns_is_named_before_anything_else(
    board: StatusBoard, progress: Progress, clock: FakeClock
) -> None:
    with progress.doing("worker-0", "restoring b.spm"):
        clock.pass_s(61)
        assert board.status().last_error == "worker-0 has been restoring b.spm for 61 s"
    assert "restoring" not in board.status().last_error


def test_free_space_is_told_for_a_folder_that_is_not_there_yet(board: StatusBoard, tmp_path: Path) -> None:
    assert board.status().disk_free_bytes == 0
    board.measure_disk()

    assert board.status().disk_free_bytes > 0
    assert free_bytes(tmp_path / "a" / "b" / "c") > 0


def test_memory_is_given_back_once_after_the_workers_came_to_rest(
    board: StatusBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    monkeypatch.setattr(housekeeping, "give_memory_back", lambda: given.append("heap"))
    repairs = FakeRepairs()
    workers = Workers(repairs, count=1, queue_length=4)
    tidy = Housekeeping(board, workers, rest=lambda: given.append("networks"))

    tidy()
    assert not given
    workers.start()
    workers.offer("a")
    assert repairs.begun.wait(30)
    assert workers.drain(limit_s=30)
    tidy()
    tidy()
    assert given == ["networks", "heap"]


def test_giving_memory_back_is_safe_at_any_time() -> None:
    from afmd.runtime.limits import give_memory_back

    give_memory_back()
