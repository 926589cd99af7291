"""The capture folder on a real disk."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pytest

from afmd.errors import StorageError
from afmd.files.capture import CaptureFolder
from afmd.settings import Capture

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
needs_modes = pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")


def folder(root: Path, *, ignore: tuple[Path, ...] = (), **settings: object) -> CaptureFolder:
    return CaptureFolder(Capture(folder=root, **settings), ignore=ignore)


def put(root: Path, *names: str, data: bytes = b"12345") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def test_a_listing_tells_path_size_and_time_of_every_file(tmp_path):
    put(tmp_path, "a.spm", "day 1/deep/b.001")
    os.utime(tmp_path / "a.spm", ns=(1, 1_700_000_000_123_456_700))

    listing = folder(tmp_path).listing()

    assert sorted(listing.files) == ["a.spm", "day 1/deep/b.001"]
    assert listing.files["a.spm"].size_bytes == 5
    assert listing.files["a.spm"].mtime_ns == 1_700_000_000_123_456_700
    assert listing.hidden == {}


def test_a_listing_and_a_look_agree(tmp_path):
    put(tmp_path, "x/a.spm")
    capture = folder(tmp_path)

    assert capture.look("x/a.spm") == capture.listing().files["x/a.spm"]


def test_only_names_of_scans_are_listed_in_whatever_case(tmp_path):
    put(tmp_path, "a.000", "A.SPM", "b.Di", "notes.md", "a.0000", "spm", "c.spm.bak")

    assert sorted(folder(tmp_path).listing().files) == ["A.SPM", "a.000", "b.Di"]


def test_hidden_temporary_and_system_names_are_passed_over(tmp_path):
    put(tmp_path, ".a.spm", "~1234.spm", ".trash/a.spm", "~tmp/a.spm", "$RECYCLE.BIN/a.spm", "a.spm")

    assert list(folder(tmp_path).listing().files) == ["a.spm"]


def test_subfolders_can_be_left_out(tmp_path):
    put(tmp_path, "a.spm", "x/b.spm")

    assert list(folder(tmp_path, subfolders=False).listing().files) == ["a.spm"]


def test_our_own_outputs_are_never_entered(tmp_path):
    put(tmp_path, "a.spm", "restored/a.spm", "restored/x/a.spm", "restored2/b.spm")

    assert sorted(folder(tmp_path, ignore=(tmp_path / "restored",)).listing().files) == ["a.spm", "restored2/b.spm"]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("a.spm", True),
        ("x/A.001", True),
        ("x/a.txt~", False),
        (".x/a.spm", False),
        ("~a.spm", False),
        ("restored/a.spm", False),
        ("", False),
    ],
)
def test_what_is_wanted_of_a_hint_is_what_a_listing_would_hold(tmp_path, path, wanted):
    if path:
        put(tmp_path, path)
    capture = folder(tmp_path, ignore=(tmp_path / "restored",))

    assert capture.wants(path) is wanted
    assert (path in capture.listing().files) is wanted


def test_a_folder_named_like_a_scan_is_no_scan(tmp_path):
    put(tmp_path, "a.001/b.spm")

    assert list(folder(tmp_path).listing().files) == ["a.001/b.spm"]
    assert folder(tmp_path).look("a.001") is None


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders")
def test_a_pipe_named_like_a_scan_is_no_scan(tmp_path):
    os.mkfifo(tmp_path / "pipe.spm")

    assert folder(tmp_path).listing().files == {}
    assert folder(tmp_path).look("pipe.spm") is None


@needs_links
def test_links_that_lead_back_end(tmp_path):
    put(tmp_path, "x/a.spm")
    (tmp_path / "x" / "up").symlink_to(tmp_path)
    (tmp_path / "x" / "self").symlink_to(tmp_path / "x")
    (tmp_path / "gone.spm").symlink_to(tmp_path / "nowhere.spm")

    assert list(folder(tmp_path).listing().files) == ["x/a.spm"]


@needs_links
def test_a_linked_folder_is_listed_but_not_one_that_is_ignored(tmp_path):
    put(tmp_path / "elsewhere", "a.spm", "restored/b.spm")
    root = tmp_path / "capture"
    root.mkdir()
    (root / "month").symlink_to(tmp_path / "elsewhere")
    (root / "out").symlink_to(tmp_path / "elsewhere" / "restored")

    assert list(folder(root, ignore=(tmp_path / "elsewhere" / "restored",)).listing().files) == ["month/a.spm"]


def test_a_folder_that_is_away_is_an_error_and_comes_back(tmp_path):
    root = tmp_path / "capture"
    capture = folder(root)
    with pytest.raises(StorageError, match=r"capture folder .* afmd looks again by itself"):
        capture.listing()

    put(root, "a.spm")
    assert list(capture.listing().files) == ["a.spm"]

    shutil.rmtree(root)
    root.write_text("a file in its place")
    with pytest.raises(StorageError):
        capture.listing()


@needs_modes
def test_a_subfolder_that_cannot_be_read_is_hidden_and_stops_nothing(tmp_path):
    put(tmp_path, "a/a.spm", "b/b.spm", "c/c.spm")
    (tmp_path / "b").chmod(0)

    listing = folder(tmp_path).listing()

    (tmp_path / "b").chmod(0o755)
    assert sorted(listing.files) == ["a/a.spm", "c/c.spm"]
    assert list(listing.hidden) == ["b"]


def test_a_subfolder_whose_listing_breaks_is_hidden_and_stops_nothing(tmp_path, monkeypatch):
    put(tmp_path, "a/a.spm", "b/b.spm", "c/c.spm")
    scandir = os.scandir

    def flaky(path: Path) -> object:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", flaky)
    listing = folder(tmp_path).listing()

    assert sorted(listing.files) == ["a/a.spm", "c/c.spm"]
    assert listing.hidden == {"b": "Permission denied"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the file system refuses such names")
def test_a_name_that_is_no_unicode_is_hidden_with_what_to_do(tmp_path):
    put(tmp_path, "a.spm")
    (tmp_path / os.fsdecode(b"caf\xe9.spm")).touch()
    (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()

    listing = folder(tmp_path).listing()

    assert list(listing.files) == ["a.spm"]
    assert set(listing.hidden) == {"caf\\udce9.spm", "caf\\udce9"}
    assert all("rename" in why for why in listing.hidden.values())


def test_a_file_is_read_whole_or_only_its_beginning(tmp_path):
    data = os.urandom(300_000)
    put(tmp_path, "a.spm", data=data)
    capture = folder(tmp_path)

    assert capture.head("a.spm", 1000) == data[:1000]
    assert capture.head("a.spm", 1_000_000) == data
    content = capture.content("a.spm")
    assert content.sha256 == hashlib.sha256(data).hexdigest()
    assert content.fingerprint == capture.look("a.spm")


def test_a_file_that_is_not_there_is_none_to_a_look_and_an_error_to_a_reader(tmp_path):
    capture = folder(tmp_path)

    assert capture.look("a.spm") is None
    assert capture.look("x/y/a.spm") is None
    for read in (lambda: capture.head("a.spm", 1), lambda: capture.content("a.spm")):
        with pytest.raises(StorageError):
            read()


def test_reading_leaves_the_writer_free_to_write_rename_and_delete(tmp_path, monkeypatch):
    put(tmp_path, "a.spm", data=b"x" * 1000)
    capture = folder(tmp_path)
    digest = hashlib.file_digest

    def meanwhile(file: object, kind: str) -> object:
        with (tmp_path / "a.spm").open("ab") as writer:
            writer.write(b"more")
        (tmp_path / "a.spm").rename(tmp_path / "b.spm")
        (tmp_path / "b.spm").unlink()
        return digest(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", meanwhile)
    with pytest.raises(StorageError, match="went away while it was read"):
        capture.content("a.spm")


def test_nothing_is_ever_written_to_the_folder(tmp_path):
    put(tmp_path, "x/a.spm")
    before = {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.rglob("*")]}
    capture = folder(tmp_path)

    capture.listing(), capture.head("x/a.spm", 9), capture.content("x/a.spm"), capture.look("x/a.spm")

    assert {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.rglob("*")]} == before
