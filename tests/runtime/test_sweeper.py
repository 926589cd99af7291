"""What stands still is picked up: after a restart, after a wait, and only then."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_clock import FakeClock

from afmd.domain.events import Fingerprint, State
from afmd.files.ledger import SqliteLedger
from afmd.runtime import sweeper
from afmd.runtime.sweeper import Sweeper
from afmd.settings import Workers

SETTINGS = Workers(retry_s=10, retries=3, attempts=3)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(tmp_path / "ledger.sqlite3", clock=clock, keep_events=1000)
    yield opened
    opened.close()


class Line:
    """Takes what it is offered, up to its room."""

    def __init__(self, room: int = 1000) -> None:
        self.room = room
        self.taken: list[str] = []

    def offer(self, scan_id: str) -> bool:
        if len(self.taken) == self.room:
            return False
        self.taken.append(scan_id)
        return True

    def since(self) -> list[str]:
        taken, self.taken = self.taken, []
        return taken


def made(ledger: SqliteLedger, clock: FakeClock, line: Line) -> Sweeper:
    return Sweeper(ledger, offer=line.offer, waiting=lambda: 0, clock=clock, settings=SETTINGS)


def scan(ledger: SqliteLedger, path: str, *states: State, **facts: Any) -> str:
    scan_id = ledger.see(path, Fingerprint(100, 5)).scan_id
    for state in states:
        repair = 1 if state is State.RESTORED else None
        sha256 = path if state is State.SETTLED else None
        ledger.advance(scan_id, state, sha256=sha256, repair=repair, facts=facts)
    return scan_id


def test_what_was_in_hand_is_offered_oldest_first_and_what_is_at_rest_is_not(
    ledger: SqliteLedger, clock: FakeClock
) -> None:
    line = Line()
    settled = scan(ledger, "a", State.SETTLED)
    scan(ledger, "b")
    scan(ledger, "c", State.SETTLED, State.READ, State.RESTORED, State.COMPLETE)
    scan(ledger, "d", State.SETTLED, State.REFUSED)
    read = scan(ledger, "e", State.SETTLED, State.READ)
    restored = scan(ledger, "f", State.SETTLED, State.READ, State.RESTORED)

    assert made(ledger, clock, line).sweep()

    assert line.taken == [settled, read, restored]


def test_a_full_line_is_told_and_the_rest_comes_next_time(ledger: SqliteLedger, clock: FakeClock) -> None:
    line = Line(room=1)
    scan(ledger, "a", State.SETTLED)
    scan(ledger, "b", State.SETTLED)

    assert not made(ledger, clock, line).sweep(first=True)
    assert len(line.taken) == 1


def test_a_disk_that_refused_is_tried_again_after_waits_that_double(ledger: SqliteLedger, clock: FakeClock) -> None:
    line, scan_id = Line(), scan(ledger, "a", State.SETTLED)
    sweeper = made(ledger, clock, line)
    waited = []
    for tries in (1, 2, 3):
        ledger.advance(scan_id, State.FAILED, facts={"retry": True, "retries": tries})
        seconds = 0
        while not line.since():
            clock.pass_s(1)
            seconds += 1
            sweeper.sweep()
        waited.append(seconds)
        ledger.advance(scan_id, State.SETTLED)

    assert waited == [10, 20, 40]


def test_retries_end_but_a_new_start_tries_once_more(ledger: SqliteLedger, clock: FakeClock) -> None:
    line = Line()
    scan_id = scan(ledger, "a", State.SETTLED, State.FAILED, retry=True, retries=4)
    clock.pass_s(1e6)
    sweeper = made(ledger, clock, line)

    sweeper.sweep()
    assert line.since() == []
    sweeper.sweep(first=True)
    assert line.since() == [scan_id]


@pytest.mark.parametrize(("attempts", "tried"), [(2, True), (3, False)])
def test_a_defect_is_tried_again_at_a_start_and_not_for_ever(
    ledger: SqliteLedger, clock: FakeClock, attempts: int, *, tried: bool
) -> None:
    line = Line()
    scan(ledger, "a", State.SETTLED, State.FAILED, retry=False, attempts=attempts)
    clock.pass_s(1e6)
    sweeper = made(ledger, clock, line)

    sweeper.sweep()
    assert line.since() == []
    sweeper.sweep(first=True)
    assert bool(line.since()) is tried


def test_what_failed_before_its_content_was_known_is_left_to_the_folder(ledger: SqliteLedger, clock: FakeClock) -> None:
    line = Line()
    scan(ledger, "a", State.FAILED, retry=True, retries=1)
    clock.pass_s(1e6)

    made(ledger, clock, line).sweep(first=True)

    assert line.taken == []


def test_failed_scans_beyond_one_page_are_found(
    ledger: SqliteLedger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "PAGE", 2)
    line = Line()
    failed = {scan(ledger, name, State.SETTLED, State.FAILED, retry=True, retries=1) for name in "abcde"}
    clock.pass_s(10)

    made(ledger, clock, line).sweep()

    assert sorted(line.taken) == sorted(failed)
