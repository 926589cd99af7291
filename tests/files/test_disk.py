"""A file of ours appears whole or not at all; a file of the microscope's is only ever read."""

import os
from pathlib import Path

import pytest

from afmd.errors import LimitReached, StorageError
from afmd.files import disk
from afmd.files.disk import fresh_file, load_bytes, replace, write_file


def test_a_written_file_is_whole_and_alone(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"old")
    write_file(tmp_path / "a", b"new")

    assert (tmp_path / "a").read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"old")

    with pytest.raises(TypeError), fresh_file(tmp_path / "a") as file:
        file.writelines([b"half", None])

    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(StorageError, match=r"No space left.*Free some space"):
        write_file(tmp_path / "a", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_somebody_looks_at_is_replaced_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    source, tries, waits = _Held(times=3, winerror=32), [], []
    monkeypatch.setattr(source, "tries", tries)

    replace(source, Path("target"), sleep=waits.append)

    assert len(tries) == 4
    assert len(waits) == 3


def test_a_file_held_for_good_is_given_up_after_two_and_a_half_seconds() -> None:
    waits: list[float] = []

    with pytest.raises(OSError, match="held"):
        replace(_Held(times=99, winerror=5), Path("target"), sleep=waits.append)

    assert sum(waits) == pytest.approx(2.5)


def test_other_errors_are_not_tried_again() -> None:
    waits: list[float] = []

    with pytest.raises(OSError, match="held"):
        replace(_Held(times=99, winerror=3), Path("target"), sleep=waits.append)

    assert waits == []


def test_reading_leaves_others_free_to_write_rename_and_delete(tmp_path: Path) -> None:
    path = tmp_path / "scan.000"
    path.write_bytes(b"rows")
    with path.open("ab") as microscope:
        assert load_bytes(path) == b"rows"
        microscope.write(b"more")
    path.rename(tmp_path / "scan.001")

    assert load_bytes(tmp_path / "scan.001") == b"rowsmore"


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="gone"):
        load_bytes(tmp_path / "gone")
    with pytest.raises(StorageError):
        load_bytes(tmp_path)


def test_a_file_of_exactly_the_limit_is_read(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"1234")

    assert load_bytes(tmp_path / "a", max_bytes=4) == b"1234"
    with pytest.raises(LimitReached, match="4 bytes, more than 3"):
        load_bytes(tmp_path / "a", max_bytes=3)


class _Held:
    """A path whose renaming fails a number of times, as on Windows."""

    def __init__(self, *, times: int, winerror: int) -> None:
        self.times = times
        self.winerror = winerror
        self.tries: list[int] = []

    def replace(self, _: Path) -> None:
        self.tries.append(1)
        if len(self.tries) <= self.times:
            error = OSError("held")
            error.winerror = self.winerror
            raise error


def test_the_temporary_name_is_what_the_clean_up_looks_for(tmp_path: Path) -> None:
    with fresh_file(tmp_path / "a") as file:
        assert [p.name for p in tmp_path.glob(disk.TEMPORARY)] == [Path(file.name).name]
