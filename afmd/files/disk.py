"""Reading beside a microscope and writing so that nobody sees half a file.

Rule: a file of the microscope is opened once, read whole, closed at once; never mapped, never locked, never opened
for writing. Our own files appear under their name only when whole.
"""

import os
import sys
from pathlib import Path

from afmd.errors import LimitReached, StorageError

SHARE_ALL = 0x7
"""FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE."""


def load_bytes(path: Path, *, max_bytes: int | None = None) -> bytes:
    """Return the whole file, or at most its first ``max_bytes`` + 1 bytes where it is larger, which is refused.

    Raises ``StorageError`` where it cannot be read and ``LimitReached`` where it is larger than ``max_bytes``.
    """
    try:
        descriptor = _open_shared(path)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if max_bytes is not None and size > max_bytes:
                raise LimitReached(
                    str(path), why=f"it has {size} bytes, more than {max_bytes}", mend="Raise capture.max_file_mib"
                )
            return file.read()
    except OSError as e:
        raise StorageError(str(path), why=e.strerror or str(e), mend="Check that the file is there and readable") from e


if sys.platform == "win32":

    def _open_shared(path: Path) -> int:
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

else:

    def _open_shared(path: Path) -> int:
        """Open for reading; here that hinders nobody. Return the descriptor."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
