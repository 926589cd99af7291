"""One scan from settled to its end, with the real reader, pipeline and ledger; only where results are kept is faked."""

import errno
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_clock import FakeClock
from scipy import ndimage

from afmd.domain.events import Entry, Event, Fingerprint, State
from afmd.domain.ports import StoredArray
from afmd.domain.result import Restoration
from afmd.domain.scan import Channel, Direction, Scan
from afmd.errors import CannotLevel, LedgerError, ModelError, StorageError
from afmd.files.disk import load_bytes
from afmd.files.ledger import SqliteLedger
from afmd.files.nanoscope import decode, encode
from afmd.runtime.progress import Progress
from afmd.runtime.repairer import Craft, Repairer
from afmd.telemetry.metrics import Metrics

ATTEMPTS = 3


class FakeResults:
    """Keeps what it is given; raises what it is told to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stored: list[tuple[str, int, Restoration]] = []
        self.finished: list[tuple[str, int]] = []
        self.store_raises: Exception | None = None
        self.finish_raises: Exception | None = None

    def store(self, entry: Entry, scan: Scan, restoration: Restoration, *, original: bytes, repair: int) -> None:
        if self.store_raises:
            raise self.store_raises
        self.stored.append((entry.scan_id, repair, restoration))

    def finish(self, entry: Entry, scan: Scan, restoration: Restoration, *, original: bytes, repair: int) -> None:
        if self.finish_raises:
            raise self.finish_raises
        self.finished.append((entry.scan_id, repair))
        folder = self.folder(entry, repair=repair)
        folder.mkdir()
        for name in ("record.json", "panels.png"):
            (folder / name).write_bytes(b"")

    def array(self, entry: Entry, kind: str, *, repair: int = 0, channel: str = "") -> StoredArray:
        raise NotImplementedError

    def folder(self, entry: Entry, *, repair: int = 0) -> Path:
        return self.root / f"{entry.scan_id}-{repair}"


class House:
    """Everything around one repairer, and the short words that the tests speak."""

    def __init__(self, tmp_path: Path, ledger: SqliteLedger) -> None:
        self.ledger = ledger
        self.capture = tmp_path / "capture"
        self.capture.mkdir()
        self.results = FakeResults(tmp_path)
        self.progress = Progress(monotonic=lambda: 0.0, wall=lambda: 0.0)
        self.restore: Callable[[Scan], Restoration] = restored
        self.repairer = Repairer(
            Craft(load=load_bytes, decode=decode, restore=lambda scan: self.restore(scan)),  # noqa: PLW0108 - tests change it
            ledger=ledger, results=self.results, capture=self.capture, progress=self.progress, metrics=Metrics(),
            attempts=ATTEMPTS,
        )  # fmt: skip

    def settled(self, name: str, content: bytes) -> str:
        (self.capture / name).write_bytes(content)
        scan_id = self.ledger.see(name, Fingerprint(len(content), 5)).scan_id
        self.ledger.advance(scan_id, State.SETTLED, sha256=hashlib.sha256(content).hexdigest())
        return scan_id

    def work(self, scan_id: str) -> None:
        rest = self.repairer.restore(scan_id, worker="worker-0")
        if rest is not None:
            self.repairer.finish(rest, worker="worker-0")

    def story(self, scan_id: str) -> list[State]:
        return [event.state for event in self.events(scan_id)]

    def events(self, scan_id: str) -> list[Event]:
        return [event for event in self.ledger.after(0, limit=1000) if event.scan_id == scan_id]

    def facts(self, scan_id: str) -> dict[str, Any]:
        return dict(self.ledger.entry(scan_id).facts)


def restored(scan: Scan) -> Restoration:
    import afmd

    return afmd.restore(scan)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(tmp_path / "ledger.sqlite3", clock=FakeClock(), keep_events=1000)
    yield opened
    opened.close()


@pytest.fixture
def house(tmp_path: Path, ledger: SqliteLedger) -> House:
    return House(tmp_path, ledger)


@pytest.fixture(scope="module")
def image() -> bytes:
    rng = np.random.default_rng(1)
    hills = 40 * ndimage.gaussian_filter(rng.normal(size=(64, 64)), 4)
    heights = (hills + rng.normal(0, 0.05, (64, 64))).astype(np.float32)
    channels = (
        Channel("Height", Direction.TRACE, "nm", heights), Channel("Phase", Direction.TRACE, "°", heights.copy())
    )  # fmt: skip
    return encode(channels, pixel_nm=(2.0, 1.0))


def test_a_scan_goes_through_every_state_to_complete(house: House, image: bytes) -> None:
    scan_id = house.settled("a.spm", image)

    house.work(scan_id)

    assert house.story(scan_id) == [State.SEEN, State.SETTLED, State.READ, State.RESTORED, State.COMPLETE]
    assert house.results.finished == [(scan_id, 1)]
    assert house.progress.in_hand() == ()


def test_every_step_tells_what_it_learnt(house: House, image: bytes) -> None:
    scan_id = house.settled("a.spm", image)
    house.work(scan_id)
    _, _, read, result, complete = [event.facts for event in house.events(scan_id)]

    assert (read["rows"], read["cols"], read["pixel_nm"], read["rows_expected"]) == (64, 64, [2.0, 1.0], 64)
    assert read["channels"][1] == {"name": "Phase", "direction": "trace", "unit": "°"}
    assert sum(result["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert result["label"] in result["probabilities"]
    assert result["repair"] == 1
    assert result["params"]["preset"] == "best"
    assert re.fullmatch(r"[\w+.-]+@\w+", result["classifier"])
    assert 0 <= result["touched_share"] <= 1
    assert result["total_ms"] > 0
    assert complete["outputs"] == ["panels.png", "record.json"]


def test_results_are_stored_before_anyone_hears_of_them(house: House, image: bytes) -> None:
    scan_id = house.settled("a.spm", image)

    rest = house.repairer.restore(scan_id, worker="worker-0")

    assert rest is not None
    assert [(stored_id, repair) for stored_id, repair, _ in house.results.stored] == [(scan_id, 1)]
    assert house.story(scan_id)[-1] is State.RESTORED


def test_a_scan_that_is_mostly_artefact_is_reported_and_still_complete(house: House, image: bytes) -> None:
    import dataclasses

    house.restore = lambda scan: dataclasses.replace(restored(scan), refusal="90% is spoilt")
    scan_id = house.settled("a.spm", image)

    house.work(scan_id)

    assert house.story(scan_id)[-2:] == [State.REPORTED, State.COMPLETE]
    assert house.facts(scan_id)["refusal"] == "90% is spoilt"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"not a scan at all", "NOT_NANO_SCOPE"), (b"\\*Force file list\r\n", "NOT_AN_IMAGE"), (b"", "UNFINISHED_SCAN")],
)
def test_a_file_that_is_no_scan_is_refused_with_its_reason(house: House, content: bytes, reason: str) -> None:
    scan_id = house.settled("a.spm", content)

    house.work(scan_id)

    assert house.story(scan_id)[-1] is State.REFUSED
    assert house.facts(scan_id)["reason"] == reason
    assert all(house.facts(scan_id)[key] for key in ("what", "why", "mend"))


def test_a_scan_that_cannot_be_levelled_is_refused_not_tried_again(house: House, image: bytes) -> None:
    def fails(scan: Scan) -> Restoration:
        raise CannotLevel("level", why="0 trusted pixels", mend="Scan again")

    house.restore = fails
    scan_id = house.settled("a.spm", image)
    house.work(scan_id)

    assert house.story(scan_id)[-1] is State.REFUSED
    assert house.facts(scan_id)["reason"] == "CANNOT_LEVEL"


@pytest.mark.parametrize(
    "error", [StorageError("disk", why="full", mend="Free space"), OSError(errno.ENOSPC, "No space left on device")]
)
def test_a_disk_that_refuses_means_failed_and_another_try(house: House, image: bytes, error: Exception) -> None:
    house.results.store_raises = error
    scan_id = house.settled("a.spm", image)

    house.work(scan_id)
    assert house.story(scan_id)[-1] is State.FAILED
    assert (house.facts(scan_id)["retry"], house.facts(scan_id)["retries"]) == (True, 1)

    house.work(scan_id)
    assert house.facts(scan_id)["retries"] == 2

    house.results.store_raises = None
    house.work(scan_id)
    assert house.story(scan_id)[-1] is State.COMPLETE
    left = house.facts(scan_id).keys()
    assert not left & {"reason", "why", "mend", "error", "retry", "retries", "attempts"}


def test_pictures_that_fail_are_made_again_as_the_same_repair(house: House, image: bytes) -> None:
    house.results.finish_raises = OSError(errno.ENOSPC, "No space left on device")
    scan_id = house.settled("a.spm", image)

    house.work(scan_id)
    assert house.story(scan_id)[-2:] == [State.RESTORED, State.FAILED]
    house.results.finish_raises = None
    house.work(scan_id)

    assert house.story(scan_id)[-1] is State.COMPLETE
    assert house.results.finished == [(scan_id, 1)]
    assert len(house.ledger.repairs(scan_id)) == 1


def test_a_model_that_breaks_is_our_fault_not_the_files(house: House, image: bytes) -> None:
    def breaks(scan: Scan) -> Restoration:
        raise ModelError("weights", why="changed", mend="Install again")

    house.restore = breaks
    scan_id = house.settled("a.spm", image)
    house.work(scan_id)

    assert house.story(scan_id)[-1] is State.FAILED
    assert (house.facts(scan_id)["reason"], house.facts(scan_id)["retry"]) == ("MODEL_ERROR", False)


def test_a_scan_that_has_results_is_not_refused_any_more(house: House, image: bytes) -> None:
    house.results.finish_raises = CannotLevel("panels", why="no ground", mend="None")
    scan_id = house.settled("a.spm", image)
    house.work(scan_id)

    assert house.story(scan_id)[-2:] == [State.RESTORED, State.FAILED]


@pytest.mark.parametrize("error", [ZeroDivisionError("by nought"), MemoryError(), AssertionError("never")])
def test_a_defect_of_ours_means_failed_with_its_text(house: House, image: bytes, error: Exception) -> None:
    def breaks(scan: Scan) -> Restoration:
        raise error

    house.restore = breaks
    scan_id = house.settled("a.spm", image)
    house.work(scan_id)

    facts = house.facts(scan_id)
    assert house.story(scan_id)[-1] is State.FAILED
    assert (facts["reason"], facts["what"], facts["retry"]) == ("INTERNAL", type(error).__name__, False)
    assert facts["attempts"] == 1


def test_a_file_that_went_away_has_vanished(house: House, image: bytes) -> None:
    scan_id = house.settled("a.spm", image)
    (house.capture / "a.spm").unlink()

    house.work(scan_id)

    assert house.story(scan_id)[-1] is State.VANISHED
    assert "went away" in house.facts(scan_id)["why"]


def test_a_file_written_again_is_not_restored_under_the_old_scans_name(house: House, image: bytes) -> None:
    scan_id = house.settled("a.spm", image)
    (house.capture / "a.spm").write_bytes(image[::-1])

    house.work(scan_id)

    assert house.story(scan_id)[-1] is State.VANISHED
    assert house.results.stored == []


@pytest.mark.parametrize("cut", [State.READ, State.RESTORED])
def test_a_scan_in_hand_when_the_power_went_is_done_again_once(house: House, image: bytes, cut: State) -> None:
    scan_id = house.settled("a.spm", image)
    house.ledger.advance(scan_id, State.READ, facts={"attempts": 1})
    if cut is State.RESTORED:
        house.ledger.advance(scan_id, State.RESTORED, repair=1)

    house.work(scan_id)

    assert house.story(scan_id)[-4:] == [State.SETTLED, State.READ, State.RESTORED, State.COMPLETE]
    assert house.results.finished == [(scan_id, 1)]


def test_a_scan_that_ends_the_daemon_again_and_again_is_left_alone(house: House, image: bytes) -> None:
    scan_id = house.settled("a.spm", image)
    house.ledger.advance(scan_id, State.READ, facts={"attempts": ATTEMPTS})

    house.work(scan_id)

    assert house.story(scan_id)[-1] is State.FAILED
    assert house.facts(scan_id)["retry"] is False
    assert f"{ATTEMPTS} times" in house.facts(scan_id)["why"]


@pytest.mark.parametrize("end", [State.REFUSED, State.DUPLICATE, State.VANISHED])
def test_a_scan_that_is_at_its_end_is_not_touched(house: House, image: bytes, end: State) -> None:
    scan_id = house.settled("a.spm", image)
    house.ledger.advance(scan_id, end)

    house.work(scan_id)

    assert house.story(scan_id)[-1] is end


def test_a_ledger_that_refuses_is_told_and_the_scan_keeps_its_state(
    house: House, image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan_id = house.settled("a.spm", image)

    def refuse(*_: object, **__: object) -> Event:
        raise LedgerError("ledger", why="its disk is full", mend="Free some space")

    with monkeypatch.context() as patched:
        patched.setattr(house.ledger, "advance", refuse)
        with pytest.raises(LedgerError):
            house.work(scan_id)
    assert house.story(scan_id)[-1] is State.SETTLED

    house.work(scan_id)
    assert house.story(scan_id)[-1] is State.COMPLETE


def test_the_original_keeps_its_bytes_and_its_time(house: House, image: bytes) -> None:
    scan_id = house.settled("a.spm", image)
    before = (house.capture / "a.spm").stat()

    house.work(scan_id)

    after = (house.capture / "a.spm").stat()
    assert (house.capture / "a.spm").read_bytes() == image
    assert (after.st_mtime_ns, after.st_ino, after.st_mode) == (before.st_mtime_ns, before.st_ino, before.st_mode)
