"""One daemon for each ledger. Rule: the operating system holds the lock, so it ends with the process, killed or not.

The lock file stays where it is: deleting it would let two daemons lock two files of one name.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from afmd.errors import AlreadyRunning, StorageError

LOCKED_BYTE = 1 << 30
"""Windows keeps others from *reading* a locked byte, so the one that is locked lies far behind the owner's number."""


class InstanceLock:
    """The lock beside a ledger's file, held from ``acquire`` to ``release``; also a context manager."""

    def __init__(self, ledger: Path) -> None:
        self._path = ledger.with_name(f"{ledger.name}.lock")
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock and leave our process number in it.

        Raises ``AlreadyRunning``, naming the process that holds it, and ``StorageError``.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as e:
            raise StorageError(
                f"lock {self._path}", why=e.strerror or str(e), mend="Check its folder and permissions"
            ) from e
        try:
            _lock(descriptor)
        except OSError as e:
            os.close(descriptor)
            raise self._held() from e
        self._descriptor = descriptor
        with suppress(OSError):  # a full disk: the lock holds without the number, which only helps people
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _held(self) -> AlreadyRunning:
        try:
            owner = self._path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            owner = ""
        who = f"process {owner}" if owner.isdigit() else "another process"
        return AlreadyRunning(
            f"ledger {self._path.name.removesuffix('.lock')}", why=f"{who} works with it already",
            mend="Stop that one, or give this one a ledger.path of its own",
        )  # fmt: skip


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        """Lock without waiting. Raises ``OSError`` where another holds the lock."""
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        """Lock without waiting. Raises ``OSError`` where another holds the lock."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
