"""The line of scans and its threads, against a fake of the one port they call."""

import threading
from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
import pytest

from afmd.domain.events import Entry
from afmd.domain.result import Restoration
from afmd.domain.scan import Scan
from afmd.errors import LedgerError
from afmd.runtime.repairer import Unfinished
from afmd.runtime.workers import MAX_WAITING_PX, Workers

PATIENCE_S = 30


class FakeEntry:
    def __init__(self, scan_id: str) -> None:
        self.scan_id = scan_id


class FakeRepairs:
    """Says what was asked, in order; each restoration waits until ``gate`` is open."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.side = 64
        self.raises: dict[str, Exception] = {}

    def restore(self, scan_id: str, *, worker: str) -> Unfinished | None:
        self.asked.append(f"restore {scan_id}")
        self.begun.release()
        assert self.gate.wait(PATIENCE_S)
        if scan_id in self.raises:
            raise self.raises[scan_id]
        if scan_id.startswith("refused"):
            return None
        scan = Scan.from_heights(np.zeros((self.side, self.side)), pixel_nm=1.0, name=scan_id)
        return Unfinished(cast("Entry", FakeEntry(scan_id)), scan, cast("Restoration", None), b"", 1)

    def finish(self, work: Unfinished, *, worker: str) -> None:
        self.asked.append(f"finish {work.entry.scan_id}")

    def wait_until_begun(self) -> None:
        assert self.begun.acquire(timeout=PATIENCE_S)


@pytest.fixture
def repairs() -> FakeRepairs:
    return FakeRepairs()


@pytest.fixture
def made(repairs: FakeRepairs) -> Iterator[Callable[..., Workers]]:
    all_made: list[Workers] = []

    def make(*, count: int = 1, queue_length: int = 16) -> Workers:
        workers = Workers(repairs, count=count, queue_length=queue_length)
        all_made.append(workers)
        workers.start()
        return workers

    yield make
    repairs.gate.set()
    assert all(workers.drain(limit_s=PATIENCE_S) for workers in all_made)


Made = Callable[..., Workers]


def until_idle(workers: Workers) -> None:
    with workers._changed:
        assert workers._changed.wait_for(
            lambda: not (workers._fresh or workers._unfinished or workers._busy), timeout=PATIENCE_S
        )


def test_a_scan_is_restored_and_then_finished(repairs: FakeRepairs, made: Made) -> None:
    workers = made()
    repairs.gate.set()

    assert workers.offer("a")
    until_idle(workers)

    assert repairs.asked == ["restore a", "finish a"]
    assert workers.idle


def test_in_a_burst_every_scan_is_restored_before_any_picture_is_drawn(repairs: FakeRepairs, made: Made) -> None:
    workers = made()
    for scan_id in "abc":
        workers.offer(scan_id)
    repairs.gate.set()
    until_idle(workers)

    assert repairs.asked == [f"{step} {scan}" for step in ("restore", "finish") for scan in "abc"]


def test_large_scans_do_not_pile_up_before_their_pictures(repairs: FakeRepairs, made: Made) -> None:
    repairs.side = int(MAX_WAITING_PX**0.5)
    workers = made()
    for scan_id in "abc":
        workers.offer(scan_id)
    repairs.gate.set()
    until_idle(workers)

    assert repairs.asked == [f"{step} {scan}" for scan in "abc" for step in ("restore", "finish")]


def test_a_scan_in_line_or_in_hand_is_not_taken_twice(repairs: FakeRepairs, made: Made) -> None:
    workers = made()
    workers.offer("in hand")
    repairs.wait_until_begun()
    workers.offer("in line")

    assert workers.offer("in hand")
    assert workers.offer("in line")
    repairs.gate.set()
    until_idle(workers)
    assert sorted(repairs.asked) == ["finish in hand", "finish in line", "restore in hand", "restore in line"]


def test_a_scan_may_come_again_after_its_end(repairs: FakeRepairs, made: Made) -> None:
    workers = made()
    repairs.gate.set()
    for scan_id in ("refused", "refused", "a", "a"):
        workers.offer(scan_id)
        until_idle(workers)

    assert repairs.asked.count("restore refused") == 2
    assert repairs.asked.count("finish a") == 2


def test_a_full_line_says_so_and_has_room_again_later(repairs: FakeRepairs, made: Made) -> None:
    workers = made(queue_length=1)
    workers.offer("in hand")
    repairs.wait_until_begun()

    assert workers.offer("in line")
    assert not workers.offer("one too many")
    assert workers.queue == 1
    repairs.gate.set()
    until_idle(workers)
    assert workers.offer("one too many")


@pytest.mark.parametrize("error", [LedgerError("ledger", why="full", mend="x"), ZeroDivisionError(), MemoryError()])
def test_nothing_that_a_scan_does_stops_the_next(repairs: FakeRepairs, made: Made, error: Exception) -> None:
    repairs.raises["bad"] = error
    workers = made()
    repairs.gate.set()
    workers.offer("bad")
    workers.offer("good")
    until_idle(workers)

    assert "finish good" in repairs.asked


def test_draining_finishes_what_is_in_hand_and_nothing_else(repairs: FakeRepairs, made: Made) -> None:
    workers = made()
    workers.offer("in hand")
    repairs.wait_until_begun()
    workers.offer("in line")

    assert not workers.drain(limit_s=0)
    assert not workers.offer("late")
    repairs.gate.set()
    assert workers.drain(limit_s=PATIENCE_S)

    assert repairs.asked == ["restore in hand", "finish in hand"]


def test_several_workers_share_one_line(repairs: FakeRepairs, made: Made) -> None:
    workers = made(count=2)
    workers.offer("a")
    workers.offer("b")
    repairs.wait_until_begun()
    repairs.wait_until_begun()

    assert workers.busy == 2
