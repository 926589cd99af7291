"""The ledger under random walks of the state machine, and under many threads at once."""

import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from fake_clock import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st

from afmd.domain.events import FOLLOWS, WITHOUT_CLAIM, Event, Fingerprint, State
from afmd.domain.ports import ScanQuery
from afmd.errors import AfmdError
from afmd.files.ledger import READERS, SqliteLedger

PRINT = Fingerprint(size_bytes=100, mtime_ns=5)
ONWARD = {State.SETTLED, State.READ, State.RESTORED, State.REPORTED, State.COMPLETE}
STEP = st.tuples(
    st.integers(0, 3),
    st.sampled_from(["onward", "onward", "onward", "allowed", "any"]),
    st.integers(0, 9),
    st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=2),
    st.sampled_from(["u", "v", "w", "x", "y"]),
    st.one_of(st.none(), st.none(), st.integers(0, 3)),
)


def walk(ledger: SqliteLedger, ids: list[str], steps: list[tuple]) -> list[Event]:
    """Try every step, most of them such as the table allows; return the events of those that the ledger took."""
    taken = []
    for which, kind, choice, facts, sha256, repair in steps:
        allowed = FOLLOWS[ledger.entry(ids[which]).state]
        choices = sorted({"onward": allowed & ONWARD, "allowed": allowed, "any": set()}[kind] or State)
        state = choices[choice % len(choices)]
        makes_results = repair is None and state in {State.RESTORED, State.REPORTED}
        number = len(ledger.repairs(ids[which])) + 1 if makes_results else repair
        content = sha256 if state in {State.SETTLED, State.DUPLICATE} else None
        try:
            taken.append(ledger.advance(ids[which], state, facts=facts, sha256=content, repair=number))
        except AfmdError:
            continue
    return taken


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=20, max_size=80))
def test_however_scans_walk_the_ledger_keeps_its_law(steps):
    with tempfile.TemporaryDirectory() as folder:
        ledger = SqliteLedger(Path(folder) / "l", clock=FakeClock(), keep_events=10_000)
        ledger._writer.execute("PRAGMA synchronous = OFF")  # its law is tried here, not the disk
        events = list(ledger.see_all([(f"{i}", PRINT) for i in range(4)]))
        events += walk(ledger, [event.scan_id for event in events], steps)

        assert ledger.after(0, limit=10_000) == events
        assert [event.revision for event in events] == list(range(1, len(events) + 1))
        entries = ledger.entries(ScanQuery(), limit=9)
        for entry in entries:
            own = [event for event in events if event.scan_id == entry.scan_id]
            assert (entry.state, entry.revision) == (own[-1].state, own[-1].revision)
            assert all(after.state in FOLLOWS[before.state] for before, after in pairwise(own))
            assert dict(entry.facts) == facts_of(own)
            repairs = ledger.repairs(entry.scan_id)
            assert entry.repair == 0 or entry.repair in {repair.number for repair in repairs}
            if entry.state is State.COMPLETE:
                assert {r.number: r for r in repairs}[entry.repair].finished is not None
        owned = [entry.sha256 for entry in entries if entry.state not in WITHOUT_CLAIM and entry.sha256]
        assert len(owned) == len(set(owned))
        assert sum(ledger.counts().values()) == 4
        ledger.close()


def facts_of(events: list[Event]) -> dict:
    facts: dict = {}
    for event in events:
        facts |= event.facts
    return {key: value for key, value in facts.items() if value is not None}


def test_threads_write_and_read_together_and_every_reader_sees_whole_moments(tmp_path):
    ledger = SqliteLedger(tmp_path / "l", clock=FakeClock(), keep_events=10_000)
    ledger._writer.execute("PRAGMA synchronous = OFF")
    done = threading.Event()

    def write(writer: int) -> None:
        for i in range(30):
            scan_id = ledger.see(f"{writer}/{i}", PRINT).scan_id
            ledger.advance(scan_id, State.SETTLED, sha256=f"{writer}/{i}", facts={"i": i})

    def follow() -> list[int]:
        revision, seen = 0, []
        while not done.is_set() or revision < ledger.revision():
            for event in ledger.after(revision, limit=7):
                entry = ledger.entry(event.scan_id)
                assert entry.revision >= event.revision
                seen.append(event.revision)
                revision = event.revision
        return seen

    with ThreadPoolExecutor(4 + 2 * READERS) as threads:
        followers = [threads.submit(follow) for _ in range(2 * READERS)]
        for writer in [threads.submit(write, n) for n in range(4)]:
            writer.result()
        done.set()
        assert {tuple(follower.result()) for follower in followers} == {tuple(range(1, 241))}
    ledger.close()


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc")
def test_threads_that_end_leave_no_open_file_behind(tmp_path):
    ledger = SqliteLedger(tmp_path / "l", clock=FakeClock(), keep_events=10_000)

    for _ in range(40):
        thread = threading.Thread(target=ledger.revision)
        thread.start()
        thread.join()
    assert open_files(tmp_path) <= 2 * (READERS + 2)

    ledger.close()
    assert open_files(tmp_path) == 0


def open_files(folder: Path) -> int:
    targets = [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    return sum(target.is_relative_to(folder) for target in targets)


def test_closing_waits_for_those_who_read(tmp_path):
    ledger = SqliteLedger(tmp_path / "l", clock=FakeClock(), keep_events=10_000)
    ledger.see("a", PRINT)
    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(read_until_closed, ledger) for _ in range(4)]
        ledger.close()
        assert {reader.result() for reader in readers} == {"closed"}


def read_until_closed(ledger: SqliteLedger) -> str:
    try:
        while True:
            assert ledger.revision() == 1
    except AfmdError as e:
        return "closed" if "closed" in str(e) else str(e)
