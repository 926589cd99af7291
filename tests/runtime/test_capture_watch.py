"""The capture watch on real folders, threads and file events."""

import queue
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from afmd.errors import LedgerError
from afmd.files.capture import CaptureFolder
from afmd.files.hints import FolderHints
from afmd.files.ledger import SqliteLedger
from afmd.runtime.clock import SystemClock
from afmd.runtime.intake import Intake
from afmd.runtime.watch import MANY_HINTS, CaptureWatch
from afmd.settings import Capture

PATIENCE_S = 30.0
NEVER_S = 3600.0
SETTLE_S = 0.02


class Scene:
    """A watched folder; ``offered`` gives the name of each scan as it comes."""

    def __init__(self, root: Path) -> None:
        self.root = root / "capture"
        self.root.mkdir()
        self.clock = SystemClock()
        self.ledger = SqliteLedger(root / "ledger.sqlite3", clock=self.clock, keep_events=100_000)
        self.offered: queue.Queue[str] = queue.Queue()
        self.compared = threading.Semaphore(0)
        self.watch: CaptureWatch | None = None

    def begin(self, *, reconcile_s: float, events: bool, promised_bytes: int = 0) -> CaptureWatch:
        capture = Capture(folder=self.root, settle_s=SETTLE_S, reconcile_s=reconcile_s)
        folder = CaptureFolder(capture)
        self.intake = Intake(
            folder, ledger=self.ledger, offer=self._offer, promised_bytes=lambda head: promised_bytes, clock=self.clock
        )
        self.watch = CaptureWatch(
            self.intake,
            reconcile_s=reconcile_s,
            clock=self.clock,
            hints=(lambda tell: FolderHints(folder, tell=tell)) if events else None,
            compared=self.compared.release,
        )
        self.watch.start()
        return self.watch

    def compared_again(self) -> None:
        """Wait for a comparison that began after now."""
        while self.compared.acquire(blocking=False):
            pass
        for _ in range(2):
            assert self.compared.acquire(timeout=PATIENCE_S)

    def end(self) -> None:
        if self.watch:
            self.watch.stop()
        self.ledger.close()

    def _offer(self, scan_id: str) -> bool:
        self.offered.put(self.ledger.entry(scan_id).name)
        return True

    def next(self) -> str:
        return self.offered.get(timeout=PATIENCE_S)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.end()


def test_a_scan_is_found_by_its_event_alone(scene):
    scene.begin(reconcile_s=NEVER_S, events=True)
    assert scene.compared.acquire(timeout=PATIENCE_S)

    (scene.root / "a.spm").write_bytes(b"one")
    assert scene.next() == "a.spm"

    (scene.root.parent / "b.spm").write_bytes(b"two")
    (scene.root.parent / "b.spm").rename(scene.root / "b.spm")
    assert scene.next() == "b.spm"


@pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")  # watchdog's own race, in folders just made
def test_scans_in_a_folder_just_made_are_found_though_their_events_may_be_lost(scene):
    scene.begin(reconcile_s=0.2, events=True)
    assert scene.compared.acquire(timeout=PATIENCE_S)

    for i in range(20):
        (scene.root / f"day{i}" / "deep").mkdir(parents=True)
        (scene.root / f"day{i}" / "deep" / f"{i}.spm").write_bytes(f"{i}".encode())

    assert {scene.next() for _ in range(20)} == {f"{i}.spm" for i in range(20)}


def test_a_scan_is_found_where_events_never_come(scene):
    (scene.root / "there before.spm").write_bytes(b"zero")
    scene.begin(reconcile_s=0.01, events=False)
    assert scene.next() == "there before.spm"

    (scene.root / "x").mkdir()
    (scene.root / "x" / "a.spm").write_bytes(b"one")
    assert scene.next() == "a.spm"


def test_every_one_of_many_scans_is_offered_once_while_writers_go_on(scene):
    scene.begin(reconcile_s=0.05, events=True, promised_bytes=100)

    def write(writer: int) -> None:
        for i in range(40):
            with (scene.root / f"{writer}-{i}.spm").open("wb", buffering=0) as file:
                for part in range(5):
                    file.write(f"{writer} {i} {part}".encode().ljust(20))

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    found = {scene.next() for _ in range(160)}
    for writer in writers:
        writer.join()

    assert found == {f"{n}-{i}.spm" for n in range(4) for i in range(40)}
    scene.compared_again()
    assert scene.offered.empty()


def test_a_folder_that_was_replaced_is_listened_to_again(scene):
    scene.begin(reconcile_s=0.02, events=True)
    assert scene.compared.acquire(timeout=PATIENCE_S)
    shutil.rmtree(scene.root)
    while scene.intake.reachable:
        pass
    scene.root.mkdir()
    scene.compared_again()

    (scene.root / "a.spm").write_bytes(b"one")

    assert scene.next() == "a.spm"


def test_a_daemon_may_start_before_its_folder(scene):
    scene.root.rmdir()
    scene.begin(reconcile_s=0.02, events=True)
    while scene.intake.reachable:
        pass

    scene.root.mkdir()
    (scene.root / "a.spm").write_bytes(b"one")

    assert scene.next() == "a.spm"


def test_a_ledger_in_trouble_does_not_end_the_watch(scene, monkeypatch):
    asked = threading.Semaphore(0)
    see_all = scene.ledger.see_all

    def refuse(files: object) -> None:
        asked.release()
        raise LedgerError("ledger", why="its disk is full", mend="Free some space")

    monkeypatch.setattr(scene.ledger, "see_all", refuse)
    (scene.root / "a.spm").write_bytes(b"one")
    scene.begin(reconcile_s=0.01, events=False)
    for _ in range(3):
        assert asked.acquire(timeout=PATIENCE_S)
    monkeypatch.setattr(scene.ledger, "see_all", see_all)

    assert scene.next() == "a.spm"


def test_a_defect_does_not_end_the_watch(scene, monkeypatch):
    broke = threading.Event()
    listing = CaptureFolder.listing

    def broken(folder: CaptureFolder) -> object:
        if not broke.is_set():
            broke.set()
            raise ZeroDivisionError("a defect")
        return listing(folder)

    monkeypatch.setattr(CaptureFolder, "listing", broken)
    (scene.root / "a.spm").write_bytes(b"one")
    scene.begin(reconcile_s=0.01, events=False)

    assert scene.next() == "a.spm"
    assert broke.is_set()


def test_a_nudge_brings_what_had_no_room(scene):
    room = threading.Event()
    refused = threading.Event()
    scene.begin(reconcile_s=NEVER_S, events=True)
    assert scene.compared.acquire(timeout=PATIENCE_S)
    offer = scene.intake._offer

    def bounded(scan_id: str) -> bool:
        if not room.is_set():
            refused.set()
            return False
        return offer(scan_id)

    scene.intake._offer = bounded
    (scene.root / "a.spm").write_bytes(b"one")
    assert refused.wait(PATIENCE_S)
    room.set()
    scene.watch.nudge()

    assert scene.next() == "a.spm"


def test_a_watch_ends_when_it_is_told_and_may_end_before_it_began(scene):
    watch = scene.begin(reconcile_s=NEVER_S, events=True)
    watch.stop()
    watch.stop()
    assert not watch._thread.is_alive()

    CaptureWatch(scene.intake, reconcile_s=1, clock=scene.clock).stop()


def test_a_run_ends_when_someone_else_sets_its_stop(scene):
    stop = threading.Event()
    watch = CaptureWatch(_idle(), reconcile_s=NEVER_S, clock=scene.clock)
    thread = threading.Thread(target=watch.run, args=(stop,))
    thread.start()
    stop.set()
    thread.join(PATIENCE_S)

    assert not thread.is_alive()


def _idle() -> Intake:
    class FakeIntake:
        next_look_s = float("inf")

        def step(self, hinted: object) -> None:
            pass

        glance = step

    return FakeIntake()  # type: ignore[return-value]


def test_a_flood_of_hints_is_one_listing(scene):
    watch = CaptureWatch(_idle(), reconcile_s=NEVER_S, clock=scene.clock)
    for i in range(100_000):
        watch._told(f"{i}.spm")

    paths, listing_wanted = watch._taken()

    assert len(paths) <= MANY_HINTS
    assert listing_wanted
    assert watch._taken() == (set(), False)


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[tuple[Path, FolderHints, Callable[[], str | None]]]:
    told: queue.Queue[str | None] = queue.Queue()
    root = tmp_path / "capture"
    root.mkdir()
    hints = FolderHints(CaptureFolder(Capture(folder=root)), tell=told.put)
    yield root, hints, lambda: told.get(timeout=PATIENCE_S)
    hints.stop()


def test_hints_name_scans_and_pass_over_the_rest(heard):
    root, hints, next_hint = heard
    assert hints.keep()

    (root / "notes.md").write_text("no scan")
    (root / "a.spm").write_bytes(b"one")

    assert next_hint() == "a.spm"


def test_our_own_reading_gives_no_hints(heard):
    root, hints, next_hint = heard
    (root / "a.spm").write_bytes(b"one")
    assert hints.keep()

    for _ in range(20):
        (root / "a.spm").read_bytes()
        list(root.iterdir())
    (root / "b.spm").write_bytes(b"two")

    assert next_hint() == "b.spm"


def test_hints_follow_a_folder_that_was_replaced_by_another_of_its_name(heard):
    root, hints, next_hint = heard
    assert hints.keep()
    root.rename(root.with_name("old"))
    root.mkdir()

    assert hints.keep()
    (root / "a.spm").write_bytes(b"one")

    assert next_hint() == "a.spm"


def test_hints_come_again_after_their_threads_died(tmp_path, monkeypatch):
    told: queue.Queue[str | None] = queue.Queue()
    monkeypatch.setattr(threading, "excepthook", lambda args: None)

    def tell(path: str | None) -> None:
        if path == "a.spm":
            raise ZeroDivisionError("a defect")
        told.put(path)

    hints = FolderHints(CaptureFolder(Capture(folder=tmp_path)), tell=tell)
    assert hints.keep()
    (tmp_path / "a.spm").write_bytes(b"one")
    while hints._alive():
        pass

    assert hints.keep()
    (tmp_path / "b.spm").write_bytes(b"two")

    assert told.get(timeout=PATIENCE_S) == "b.spm"
    hints.stop()


def test_without_a_folder_or_without_events_there_are_no_hints_and_no_harm(heard, monkeypatch):
    root, hints, next_hint = heard
    root.rmdir()
    assert not hints.keep()
    root.mkdir()

    def no_watches_left(*args: object, **given: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    threads = threading.active_count()
    with monkeypatch.context() as patch:
        patch.setattr("afmd.files.hints.Observer.schedule", no_watches_left)
        assert not any(hints.keep() for _ in range(10))
    assert threading.active_count() == threads
    assert hints.keep()
    (root / "a.spm").write_bytes(b"one")
    assert next_hint() == "a.spm"


def test_listening_leaves_no_thread_and_no_open_file_behind(heard):
    _, hints, _ = heard
    threads, files = threading.active_count(), _open_files()
    for _ in range(10):
        assert hints.keep()
        hints.stop()

    assert threading.active_count() <= threads
    assert _open_files() <= files + 3


def _open_files() -> int:
    own = Path("/proc/self/fd")
    return len(list(own.iterdir())) if own.is_dir() else 0
