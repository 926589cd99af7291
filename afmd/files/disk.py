"""Reading beside a microscope and writing so that nobody sees half a file.

Rule: a file of the microscope is opened once, read whole, closed at once; never mapped, never locked, never opened
for writing. Our own files appear under their name only when whole and on the disk.
"""

import errno
import io
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from afmd.errors import LimitReached, StorageError

SHARE_ALL = 0x7
"""FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE."""

TEMPORARY = "~*.tmp"
"""What an unfinished file is called; those that a crash left behind can go."""

_PASSING_WINERRORS = frozenset({5, 32, 33})
_RETRY_DELAYS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 0.92)
"""Virus scanners and indexers hold a new file for moments; together these are 2.5 s."""


def load_bytes(path: Path, *, max_bytes: int | None = None) -> bytes:
    """Return the whole file.

    Raises ``StorageError`` where it cannot be read and ``LimitReached`` where it is larger than ``max_bytes``.
    """
    with storage_errors(path), io.FileIO(path, "rb", opener=lambda *_: open_shared(path)) as file:
        size = os.fstat(file.fileno()).st_size
        if max_bytes is not None and size > max_bytes:
            raise LimitReached(
                str(path), why=f"it has {size} bytes, more than {max_bytes}", mend="Raise capture.max_file_mib"
            )
        return file.read()


@contextmanager
def fresh_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write; when the block ends well it is on the disk under ``path``, else there is none.

    Whatever stood there before is replaced in one step. Raises ``StorageError``.
    """
    temporary = path.with_name(f"~{secrets.token_hex(4)}.tmp")
    with storage_errors(path):
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file in one step. Raises ``StorageError``."""
    with fresh_file(path) as file:
        file.write(data)


def replace(source: Path, target: Path, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Rename over whatever is there, trying again for about 2.5 s where Windows says that somebody looks at it."""
    for delay_s in _RETRY_DELAYS_S:
        try:
            source.replace(target)
        except OSError as e:
            if getattr(e, "winerror", None) not in _PASSING_WINERRORS:
                raise
            sleep(delay_s)
        else:
            return
    source.replace(target)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` about ``path`` into a ``StorageError`` that says what mends it."""
    try:
        yield
    except OSError as e:
        full = e.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "Free some space" if full else "Check that it is there and that this account may use it"
        raise StorageError(str(path), why=e.strerror or str(e), mend=mend) from e


if sys.platform == "win32":

    def open_shared(path: Path) -> int:
        """Open for reading so that others may go on writing, renaming and deleting; return the descriptor."""
        import ctypes
        import msvcrt
        from ctypes import wintypes

        create = ctypes.WinDLL("kernel32", use_last_error=True).CreateFileW
        create.restype = wintypes.HANDLE
        create.argtypes = (
            wintypes.LPCWSTR, wintypes.DWORD, wintypes.DWORD, wintypes.LPVOID,
            wintypes.DWORD, wintypes.DWORD, wintypes.HANDLE,
        )  # fmt: skip
        generic_read, open_existing, sequential = 0x80000000, 3, 0x08000000
        handle = create(str(path), generic_read, SHARE_ALL, None, open_existing, sequential, None)
        if handle == wintypes.HANDLE(-1).value:
            raise ctypes.WinError(ctypes.get_last_error())
        return msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY | os.O_NOINHERIT)

    def _sync_folder(folder: Path) -> None:
        """Windows has no such call: NTFS journals its folders."""

else:

    def open_shared(path: Path) -> int:
        """Open for reading; here that hinders nobody. Return the descriptor."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def _sync_folder(folder: Path) -> None:
        """Put the new name itself on the disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
