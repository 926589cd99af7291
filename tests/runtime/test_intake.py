"""The intake on a real folder and a real ledger; tests move the clock, and a file's first line is its promise."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_clock import FakeClock

from afmd.domain.events import Entry, State
from afmd.domain.ports import ScanQuery
from afmd.errors import LedgerError, NoScanData, StorageError
from afmd.files.capture import CaptureFolder
from afmd.files.ledger import SqliteLedger
from afmd.files.nanoscope import promised_bytes as promised_by_nanoscope
from afmd.runtime.candidate import Promise, Refusal
from afmd.runtime.intake import Intake
from afmd.settings import Capture

SETTLE_S = 2.0
STALLED_S = 60.0


def promised(head: bytes) -> int | None:
    """A header is one line: the file's whole size. Without a line's end it is not whole."""
    line, end, _ = head.partition(b"\n")
    if not line.isdigit() and line:
        return 0
    return int(line) if end else None


def whole(text: str = "heights", *, size: int = 100) -> bytes:
    return f"{size}\n{text}".encode().ljust(size, b".")


class Stage:
    """A folder, a ledger, a clock, a line of workers, and one intake after another."""

    def __init__(self, root: Path) -> None:
        self.root = root / "capture"
        self.root.mkdir()
        self.clock = FakeClock()
        self.ledger = SqliteLedger(root / "ledger.sqlite3", clock=self.clock, keep_events=100_000)
        self.ledger._writer.execute("PRAGMA synchronous = OFF")  # the disk is tried elsewhere
        self.room = 1000
        self.offered: list[str] = []
        self.now_ns = 1_700_000_000_000_000_000
        self.start()

    def start(
        self, *, promise: Promise = promised, refusal: Refusal = lambda data, name: None, **settings: Any
    ) -> None:
        """Begin as a new process would."""
        given = {"settle_s": SETTLE_S, "stalled_s": STALLED_S, "max_file_mib": 1, **settings}
        self.folder = CaptureFolder(Capture(folder=self.root, **given))
        self.intake = Intake(
            self.folder, ledger=self.ledger, offer=self.offer, promised_bytes=promise, refusal=refusal,
            clock=self.clock,
        )  # fmt: skip
        self.intake.resume()

    def offer(self, scan_id: str) -> bool:
        if len(self.offered) >= self.room:
            return False
        self.offered.append(scan_id)
        return True

    def put(self, name: str, data: bytes) -> None:
        """Write a file, each time at a later time of modification."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.now_ns += 1_000_000_000
        os.utime(path, ns=(self.now_ns, self.now_ns))

    def pass_s(self, *seconds: float) -> None:
        """Let time pass and step, once for each."""
        for second in seconds:
            self.clock.pass_s(second)
            self.intake.step()

    def settle(self) -> None:
        """Step often enough for every whole file to settle, with no more time than that takes."""
        self.intake.step()
        self.pass_s(SETTLE_S, SETTLE_S)

    def entries(self) -> list[Entry]:
        """Every scan, in the order of seeing."""
        return list(reversed(self.ledger.entries(ScanQuery(), limit=100_000)))

    def told(self) -> list[tuple[str, str]]:
        return [(entry.name, entry.state.value) for entry in self.entries()]

    def entry(self, name: str) -> Entry:
        (entry,) = (entry for entry in self.entries() if entry.name == name)
        return entry

    def work(self, name: str, *states: State) -> None:
        for state in states:
            repair = 1 if state in {State.RESTORED, State.REPORTED} else None
            self.ledger.advance(self.entry(name).scan_id, state, repair=repair)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.ledger.close()


def test_a_whole_file_that_stands_still_is_settled_and_offered_once(stage):
    stage.put("day/a.spm", whole())

    stage.intake.step()
    assert stage.told() == [("a.spm", "seen")]
    stage.pass_s(SETTLE_S / 2)
    assert stage.offered == []
    stage.pass_s(SETTLE_S / 2, 5, 5, 5)

    entry = stage.entry("a.spm")
    assert (entry.state, entry.path, entry.fingerprint.size_bytes, len(entry.sha256)) == (
        State.SETTLED, "day/a.spm", 100, 64,
    )  # fmt: skip
    assert stage.offered == [entry.scan_id]
    assert stage.ledger.revision() == 2


def test_a_file_that_grows_is_settled_when_it_is_whole_and_not_before(stage):
    for size in range(1, 100, 7):
        stage.put("a.spm", whole()[:size])
        stage.pass_s(10)
    assert stage.told() == [("a.spm", "seen")]

    stage.put("a.spm", whole())
    stage.pass_s(10, SETTLE_S)

    assert stage.told() == [("a.spm", "settled")]
    assert stage.entry("a.spm").fingerprint.size_bytes == 100


def test_a_hint_is_answered_without_a_listing(stage, monkeypatch):
    stage.intake.step()
    monkeypatch.setattr(CaptureFolder, "listing", lambda self: pytest.fail("the folder was listed"))
    stage.put("a.spm", whole())

    stage.intake.glance({"a.spm", "not there.spm"})
    assert stage.intake.next_look_s == stage.clock.monotonic() + SETTLE_S
    stage.clock.pass_s(SETTLE_S)
    stage.intake.glance()

    assert stage.told() == [("a.spm", "settled")]
    assert stage.intake.next_look_s == float("inf")


def test_a_file_written_again_is_another_scan(stage):
    stage.put("a.spm", whole("one"))
    stage.settle()
    stage.put("a.spm", whole("two", size=120))
    stage.settle()

    assert stage.told() == [("a.spm", "settled"), ("a.spm", "settled")]
    assert len({entry.sha256 for entry in stage.entries()}) == 2


def test_other_content_of_the_same_size_is_another_scan(stage):
    stage.put("a.spm", whole("one"))
    stage.settle()
    stage.put("a.spm", whole("two"))
    stage.settle()

    assert stage.told() == [("a.spm", "settled"), ("a.spm", "settled")]
    assert len(stage.offered) == 2


def test_a_touched_file_is_the_same_scan_and_says_nothing(stage):
    stage.put("a.spm", whole())
    stage.settle()
    revision = stage.ledger.revision()
    stage.put("a.spm", whole())
    stage.settle()

    assert stage.ledger.revision() == revision
    assert stage.entry("a.spm").fingerprint == stage.folder.look("a.spm")
    stage.start()
    stage.settle()
    assert stage.ledger.revision() == revision


def test_a_copy_is_a_duplicate_and_says_of_what(stage):
    stage.put("a.spm", whole())
    stage.settle()
    stage.put("copy/b.spm", whole())
    stage.settle()

    entry = stage.entry("b.spm")
    original = stage.entry("a.spm")
    assert entry.state is State.DUPLICATE
    assert dict(entry.facts) == {"duplicate_of": original.scan_id, "original_name": "a.spm"}
    assert stage.offered == [original.scan_id]


def test_of_two_files_found_together_the_older_is_the_original(stage):
    stage.put("z.spm", whole())
    stage.put("a.spm", whole())
    stage.settle()

    assert stage.told() == [("z.spm", "settled"), ("a.spm", "duplicate")]


def test_a_scan_that_was_renamed_after_its_repair_is_a_duplicate(stage):
    stage.put("a.spm", whole())
    stage.settle()
    stage.work("a.spm", State.READ, State.RESTORED, State.COMPLETE)
    (stage.root / "a.spm").rename(stage.root / "b.spm")
    stage.settle()

    assert stage.told() == [("a.spm", "complete"), ("b.spm", "duplicate")]


def test_a_file_renamed_while_it_is_written_is_settled_under_its_last_name(stage):
    stage.put("a.spm", whole()[:50])
    stage.intake.step()
    (stage.root / "a.spm").rename(stage.root / "b.spm")
    stage.put("b.spm", whole())
    stage.settle()

    assert stage.told() == [("a.spm", "vanished"), ("b.spm", "settled")]


def test_a_duplicate_takes_over_when_its_original_went_away_before_it_was_read(stage):
    stage.put("a.spm", whole())
    stage.settle()
    (stage.root / "a.spm").rename(stage.root / "b.spm")
    stage.settle()
    assert stage.told() == [("a.spm", "settled"), ("b.spm", "duplicate")]

    stage.work("a.spm", State.VANISHED)
    stage.intake.step()

    assert stage.told() == [("a.spm", "vanished"), ("b.spm", "settled")]
    assert stage.offered[-1] == stage.entry("b.spm").scan_id
    assert dict(stage.entry("b.spm").facts) == {}


def test_of_several_duplicates_one_takes_over(stage):
    for name in ("a.spm", "b.spm", "c.spm"):
        stage.put(name, whole())
    stage.settle()
    stage.work("a.spm", State.VANISHED)
    (stage.root / "a.spm").unlink()
    stage.pass_s(1, 1)

    assert stage.told() == [("a.spm", "vanished"), ("b.spm", "settled"), ("c.spm", "duplicate")]


def test_a_file_that_goes_away_while_it_is_watched_vanishes(stage):
    stage.put("a.spm", whole()[:50])
    stage.intake.step()
    (stage.root / "a.spm").unlink()
    stage.pass_s(1)
    assert stage.told() == [("a.spm", "seen")]
    stage.pass_s(SETTLE_S)

    assert stage.told() == [("a.spm", "vanished")]
    assert "went away" in stage.entry("a.spm").facts["why"]


def test_a_file_that_is_replaced_is_missing_for_a_moment_only(stage):
    stage.put("a.spm", whole("one")[:50])
    stage.intake.step()
    (stage.root / "a.spm").unlink()
    stage.pass_s(SETTLE_S / 2)
    stage.put("a.spm", whole("two"))
    stage.pass_s(SETTLE_S / 2)
    stage.settle()

    assert stage.told() == [("a.spm", "settled")]


def test_a_file_that_comes_back_is_the_same_scan(stage):
    stage.put("a.spm", whole()[:50])
    stage.intake.step()
    (stage.root / "a.spm").unlink()
    stage.pass_s(1, SETTLE_S)
    stage.put("a.spm", whole())
    stage.settle()

    assert stage.told() == [("a.spm", "settled")]
    assert dict(stage.entry("a.spm").facts) == {}


def test_a_scan_that_vanished_from_the_workers_comes_back_when_its_file_is_there(stage):
    stage.put("a.spm", whole())
    stage.settle()
    stage.work("a.spm", State.VANISHED)
    stage.pass_s(1, SETTLE_S)

    assert stage.told() == [("a.spm", "settled")]
    assert stage.offered == [stage.entry("a.spm").scan_id] * 2


def test_a_stalled_file_is_refused_with_what_it_lacks_and_taken_in_when_it_grows_on(stage):
    stage.put("a.spm", whole()[:50])
    stage.put("b.spm", b"")
    stage.put("c.spm", b"10")
    stage.intake.step()
    stage.pass_s(SETTLE_S, STALLED_S - SETTLE_S)

    assert {state for _, state in stage.told()} == {"refused"}
    assert {entry.facts["reason"] for entry in stage.entries()} == {"UNFINISHED_SCAN"}
    lacks = [entry.facts["why"].split(",")[0] for entry in stage.entries()]
    assert lacks == ["it has 50 of the 100 bytes that its header promises", "it is empty", "its header breaks off"]

    stage.put("a.spm", whole())
    stage.settle()
    assert stage.told()[-1] == ("a.spm", "settled")


def test_a_file_that_promises_nothing_is_for_the_reader_to_refuse(stage):
    stage.put("a.txt", b"shopping list")
    stage.settle()

    assert stage.told() == [("a.txt", "settled")]


def test_a_file_over_the_limit_is_refused_and_taken_in_once_the_limit_is_raised(stage):
    stage.put("a.spm", whole(size=1024 * 1024 + 1))
    stage.settle()
    assert stage.told() == [("a.spm", "refused")]
    assert stage.entry("a.spm").facts["reason"] == "LIMIT_REACHED"

    stage.start()
    stage.settle()
    assert stage.told() == [("a.spm", "refused")]

    stage.start(max_file_mib=2)
    stage.settle()
    assert stage.told() == [("a.spm", "refused"), ("a.spm", "settled")]


def test_a_file_that_changes_while_it_is_hashed_is_not_settled_yet(stage, monkeypatch):
    stage.put("a.spm", whole("one"))
    stage.intake.step()
    content = CaptureFolder.content

    def meanwhile(folder: CaptureFolder, path: str) -> object:
        monkeypatch.undo()
        found = content(folder, path)
        stage.put("a.spm", whole("two"))
        return type(found)(found.sha256, folder.look(path))

    monkeypatch.setattr(CaptureFolder, "content", meanwhile)
    stage.pass_s(SETTLE_S)
    assert stage.told() == [("a.spm", "seen")]
    stage.settle()

    assert stage.told() == [("a.spm", "settled")]
    assert stage.entry("a.spm").sha256 == stage.folder.content("a.spm").sha256


def denied(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    head = CaptureFolder.head

    def deny(folder: CaptureFolder, path: str, length: int) -> bytes:
        if path == name:
            raise StorageError(path, why="Permission denied", mend="Let afmd read it")
        return head(folder, path, length)

    monkeypatch.setattr(CaptureFolder, "head", deny)


def test_a_file_that_is_locked_for_a_while_is_settled_when_it_opens(stage, monkeypatch):
    with monkeypatch.context() as patch:
        denied(patch, "a.spm")
        stage.put("a.spm", whole())
        stage.put("b.spm", whole("b"))
        stage.settle()
        stage.pass_s(5, 5, 5)
        assert stage.told() == [("a.spm", "seen"), ("b.spm", "settled")]
    stage.pass_s(5)

    assert stage.told() == [("a.spm", "settled"), ("b.spm", "settled")]


def test_a_file_that_stays_unreadable_fails_and_is_tried_by_later_starts_but_not_for_ever(stage, monkeypatch):
    denied(monkeypatch, "a.spm")
    stage.put("a.spm", whole())
    failures = 0
    for _ in range(20):
        stage.settle()
        stage.pass_s(STALLED_S)
        failed = stage.entry("a.spm")
        assert (failed.state, failed.facts["why"], failed.facts["retry"]) == (State.FAILED, "Permission denied", True)
        failures = max(failures, failed.facts["retries"])
        stage.start()
    assert failures == 6

    monkeypatch.undo()
    stage.put("a.spm", whole())
    stage.settle()
    assert stage.told()[-1] == ("a.spm", "settled")


def test_a_defect_of_ours_fails_one_file_and_stops_no_other(stage, monkeypatch):
    def broken(folder: CaptureFolder, path: str) -> object:
        if path == "a.spm":
            raise ZeroDivisionError("a defect")
        return content(folder, path)

    content = CaptureFolder.content
    monkeypatch.setattr(CaptureFolder, "content", broken)
    stage.put("a.spm", whole("a"))
    stage.put("b.spm", whole("b"))
    stage.settle()

    assert stage.told() == [("a.spm", "failed"), ("b.spm", "settled")]
    assert stage.entry("a.spm").facts["retry"] is False


def test_a_ledger_that_refuses_for_a_while_loses_nothing(stage, monkeypatch):
    stage.put("a.spm", whole("a"))
    stage.put("b.spm", whole("b"))
    stage.intake.step()
    with monkeypatch.context() as patch:

        def refuse(*args: Any, **given: Any) -> None:
            raise LedgerError("ledger", why="its disk is full", mend="Free some space")

        patch.setattr(stage.ledger, "advance", refuse)
        patch.setattr(stage.ledger, "see_all", refuse)
        stage.put("c.spm", whole("c"))
        for _ in range(3):
            with pytest.raises(LedgerError):
                stage.pass_s(SETTLE_S)
    stage.settle()

    assert stage.told() == [("a.spm", "settled"), ("b.spm", "settled"), ("c.spm", "settled")]
    assert len(stage.offered) == 3


def test_content_that_someone_else_claims_at_the_last_moment_makes_a_duplicate(stage, monkeypatch):
    stage.put("a.spm", whole("a"))
    stage.put("b.spm", whole("b"))
    stage.intake.step()
    with monkeypatch.context() as patch:
        holder = stage.ledger.holder

        def too_early(sha256: str) -> Entry | None:
            patch.undo()
            found = holder(sha256)
            other = stage.ledger.see("elsewhere/x.spm", stage.folder.look("a.spm"))
            stage.ledger.advance(other.scan_id, State.SETTLED, sha256=sha256)
            return found

        patch.setattr(stage.ledger, "holder", too_early)
        stage.pass_s(SETTLE_S)
    assert stage.told() == [("a.spm", "seen"), ("b.spm", "settled"), ("x.spm", "settled")]
    stage.settle()

    assert stage.told() == [("a.spm", "duplicate"), ("b.spm", "settled"), ("x.spm", "settled")]


def test_a_full_line_loses_nothing_and_what_is_new_goes_before_what_lay_there(stage):
    for i in range(9):
        stage.put(f"old{i}.spm", whole(f"old {i}"))
    stage.room = 2
    stage.start()
    stage.settle()
    stage.put("new.spm", whole("new"))
    stage.settle()
    assert len(stage.offered) == 2
    assert stage.told().count(("old8.spm", "seen")) == 1, "nothing is read that cannot be used"

    stage.room = 1000
    stage.pass_s(1)

    names = [stage.ledger.entry(scan_id).name for scan_id in stage.offered]
    assert names == ["old0.spm", "old1.spm", "old2.spm", "new.spm", *(f"old{i}.spm" for i in range(3, 9))]


def test_a_folder_that_is_away_is_told_and_nothing_vanishes(stage, tmp_path):
    stage.put("a.spm", whole()[:50])
    stage.intake.step()
    stage.root.rename(tmp_path / "away")
    stage.pass_s(*[10] * 20)
    stage.intake.glance({"a.spm"})
    assert not stage.intake.reachable
    assert "capture folder" in stage.intake.last_error
    assert stage.told() == [("a.spm", "seen")]

    (tmp_path / "away").rename(stage.root)
    stage.put("a.spm", whole())
    stage.pass_s(1, 5, SETTLE_S)
    assert stage.intake.reachable
    assert stage.intake.last_error == ""
    assert stage.told() == [("a.spm", "settled")]


def test_files_below_a_folder_that_cannot_be_read_do_not_vanish(stage, monkeypatch):
    stage.put("x/a.spm", whole()[:50])
    stage.intake.step()
    scandir = os.scandir

    def deny(path: Path) -> object:
        if Path(path).name == "x":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", deny)
        stage.pass_s(1, SETTLE_S, SETTLE_S)

    assert stage.told() == [("a.spm", "seen")]


def test_a_listing_that_lags_behind_the_file_is_not_believed(stage, monkeypatch):
    """On Windows a listing tells the size of an open file as it was when it was opened."""
    stage.put("a.spm", whole()[:50])
    stale = stage.folder.listing()
    stage.put("a.spm", whole())
    monkeypatch.setattr(CaptureFolder, "listing", lambda self: stale)
    stage.settle()
    stage.pass_s(5, 5)
    assert stage.told() == [("a.spm", "settled")]

    monkeypatch.undo()
    stage.pass_s(5, 5)
    assert stage.told() == [("a.spm", "settled")]


def test_a_restart_goes_on_where_it_was(stage):
    for name in ("seen", "settled", "read", "restored", "complete"):
        stage.put(f"{name}.spm", whole(name))
    stage.settle()
    stage.work("read.spm", State.READ)
    stage.work("restored.spm", State.READ, State.RESTORED)
    stage.work("complete.spm", State.READ, State.RESTORED, State.COMPLETE)
    stage.put("growing.spm", whole("growing")[:50])
    stage.intake.step()
    stage.offered.clear()
    revision = stage.ledger.revision()

    stage.start()
    stage.put("growing.spm", whole("growing"))
    stage.put("meanwhile.spm", whole("meanwhile"))
    stage.settle()

    names = [stage.ledger.entry(scan_id).name for scan_id in stage.offered]
    assert names == [
        "seen.spm", "settled.spm", "read.spm", "restored.spm", "growing.spm", "meanwhile.spm",
    ]  # fmt: skip
    assert stage.ledger.revision() == revision + 3


def test_a_file_that_went_away_while_the_daemon_was_down_vanishes(stage):
    stage.put("a.spm", whole()[:50])
    stage.intake.step()
    (stage.root / "a.spm").unlink()

    stage.start()
    stage.settle()

    assert stage.told() == [("a.spm", "vanished")]


def test_a_further_repair_that_a_restart_cut_short_gives_way_to_the_one_before(stage):
    stage.put("a.spm", whole())
    stage.settle()
    stage.work("a.spm", State.READ, State.RESTORED, State.COMPLETE, State.READ)
    scan_id = stage.entry("a.spm").scan_id
    stage.ledger.advance(scan_id, State.RESTORED, repair=2)
    (stage.root / "a.spm").unlink()

    stage.start()
    stage.settle()

    entry = stage.entry("a.spm")
    assert (entry.state, entry.repair) == (State.COMPLETE, 1)


def test_a_restart_on_an_unchanged_folder_changes_nothing(stage):
    for i in range(20):
        stage.put(f"{i}.spm", whole(f"{i % 7}"))
    stage.settle()
    revision = stage.ledger.revision()

    stage.start()
    stage.settle()

    assert stage.ledger.revision() == revision


def test_events_that_were_pruned_before_they_were_heard_stop_nothing(stage):
    stage.ledger._keep_events = 3
    for i in range(20):
        stage.put(f"{i}.spm", whole(f"{i}"))
    stage.settle()
    stage.settle()

    assert {state for _, state in stage.told()} == {"settled"}


def test_real_scans_written_piece_by_piece_settle_exactly_when_they_are_whole(stage, scans_dir):
    stage.start(promise=promised_by_nanoscope, max_file_mib=64)
    sources = sorted((scans_dir / "images").iterdir())
    data = {source.name: source.read_bytes() for source in sources}
    for share in (0, 0.0001, 0.01, 0.3, 0.9, 0.999999):
        for name, content in data.items():
            stage.put(name, content[: min(int(len(content) * share), len(content) - 1)])
        stage.pass_s(SETTLE_S, SETTLE_S)
        assert {state for _, state in stage.told()} == {"seen"}
    for name, content in data.items():
        stage.put(name, content)
    stage.pass_s(5, SETTLE_S)

    assert sorted(stage.told()) == sorted((name, "settled") for name in data)


def test_a_stalled_file_is_refused_with_the_readers_reason_where_that_is_truer(stage):
    stage.start(refusal=lambda data, name: NoScanData(name, why=f"only {len(data)} bytes", mend="Copy the whole file"))
    stage.put("a.spm", whole()[:50])
    stage.intake.step()
    stage.pass_s(SETTLE_S, STALLED_S - SETTLE_S)

    assert [entry.facts["reason"] for entry in stage.entries()] == ["NO_SCAN_DATA"]
    assert [entry.facts["why"] for entry in stage.entries()] == ["only 50 bytes"]
