"""The folder that the microscope writes to, as seen by someone who only reads.

Rule: a listing is the truth and may be asked for at any time; nothing here depends on file events. Paths are relative
to the folder, with forward slashes.
"""

import errno
import fnmatch
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from afmd.domain.events import Fingerprint
from afmd.errors import StorageError
from afmd.files.disk import open_shared, storage_errors
from afmd.settings import Capture

PASSED_OVER = (".", "~", "$")
"""How names of hidden, temporary and system files and folders begin."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in the folder now.

    ``hidden``: files and folders that could not be looked at, with the reason; what lies there may well exist.
    """

    files: Mapping[str, Fingerprint]
    hidden: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Content:
    """A file's sha256, and its fingerprint after the last byte was read."""

    sha256: str
    fingerprint: Fingerprint


class CaptureFolder:
    """Lists and reads scans below ``capture.folder``; ``ignore`` are folders that are never entered."""

    def __init__(self, capture: Capture, *, ignore: tuple[Path, ...] = ()) -> None:
        self.settings = capture
        self._folder = capture.folder
        self._ignored = tuple(path.resolve() for path in ignore)
        self._wanted = re.compile("|".join(fnmatch.translate(pattern.lower()) for pattern in capture.patterns))

    def listing(self) -> Listing:
        """Walk the folder and its subfolders, each once even where links lead back.

        Raises ``StorageError`` where the folder itself cannot be listed; a subfolder that cannot is ``hidden``.
        """
        files: dict[str, Fingerprint] = {}
        hidden: dict[str, str] = {}
        entered: set[Path] = set()
        ahead = [""]
        while ahead:
            place = ahead.pop()
            if not self._enters(place, entered):
                continue
            try:
                ahead += self._list(place, files, hidden)
            except OSError as e:
                if not place:
                    raise self._unreachable(e) from e
                hidden[place] = _reason(e)
        return Listing(files, hidden)

    def wants(self, path: str) -> bool:
        """True where the path is one that a listing would hold if there were a file."""
        *folders, name = PurePosixPath(path).parts or ("",)
        if any(part.startswith(PASSED_OVER) for part in (*folders, name)) or (folders and not self.settings.subfolders):
            return False
        return self._is_scan_name(name) and not self._is_ignored((self._folder / path).parent)

    def look(self, path: str) -> Fingerprint | None:
        """Return what the file itself says of its size and time, or None where there is no file.

        Unlike a listing, which on Windows tells the size of a file that is still open as it was when it was opened.
        Raises ``StorageError``.
        """
        with storage_errors(self._folder / path):
            try:
                status = (self._folder / path).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return _fingerprint(status) if stat.S_ISREG(status.st_mode) else None

    def head(self, path: str, length: int) -> bytes:
        """Return at most the first ``length`` bytes. Raises ``StorageError``."""
        whole = self._folder / path
        with storage_errors(whole), os.fdopen(open_shared(whole), "rb", buffering=0) as file:
            return file.read(length)

    def content(self, path: str) -> Content:
        """Read the file once, in pieces. Raises ``StorageError``, also where the file went away meanwhile."""
        whole = self._folder / path
        with storage_errors(whole), os.fdopen(open_shared(whole), "rb", buffering=0) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        after = self.look(path)
        if after is None:
            raise StorageError(path, why="it went away while it was read", mend="Nothing to do if that was meant")
        return Content(sha256, after)

    def _enters(self, place: str, entered: set[Path]) -> bool:
        real = (self._folder / place).resolve()
        if real in entered or self._is_ignored(real):
            return False
        entered.add(real)
        return True

    def _list(self, place: str, files: dict[str, Fingerprint], hidden: dict[str, str]) -> Iterator[str]:
        """Enter one folder's scans into ``files``; return its subfolders, the last in name first."""
        folders = []
        with os.scandir(self._folder / place) as entries:
            for entry in entries:
                path = f"{place}/{entry.name}" if place else entry.name
                try:
                    if entry.name.startswith(PASSED_OVER):
                        continue
                    if entry.is_dir():
                        folders.append(_named(path))
                    elif self._is_scan_name(entry.name) and entry.is_file():
                        files[_named(path)] = _fingerprint(entry.stat())
                except FileNotFoundError:
                    continue
                except OSError as e:
                    hidden[_as_text(path)] = _reason(e)
        return reversed(sorted(folders) if self.settings.subfolders else [])

    def _is_scan_name(self, name: str) -> bool:
        return self._wanted.match(name.lower()) is not None

    def _is_ignored(self, folder: Path) -> bool:
        real = folder.resolve()
        return any(real.is_relative_to(ignored) for ignored in self._ignored)

    def _unreachable(self, error: OSError) -> StorageError:
        return StorageError(
            f"capture folder {self._folder}", why=_reason(error),
            mend="Make it reachable, or set capture.folder; afmd looks again by itself",
        )  # fmt: skip


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _fingerprint(status: os.stat_result) -> Fingerprint:
    return Fingerprint(status.st_size, status.st_mtime_ns)


def _named(path: str) -> str:
    """Return the path as it is, or raise ``OSError`` where it is no text that ledger and wire could hold."""
    try:
        path.encode()
    except UnicodeEncodeError as e:
        raise OSError(errno.EILSEQ, "its name is no valid Unicode: rename it") from e
    return path


def _as_text(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
