"""File events, as hints that it may pay to look. Rule: a hint that is lost costs time, never a scan.

They do get lost: on network shares, when buffers overflow, for files in folders just made. They can also stop for good,
when the folder is replaced by another of the same name; so whoever listens calls ``keep`` now and then.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from afmd.files.capture import CaptureFolder

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

HEARD: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]
"""Not the events of opening and reading, which our own looks would cause."""


class FolderHints:
    """Tells of changes below a folder, as well as the system can.

    ``tell`` is called on a thread of the system's, with the path of a file that may be a scan, or with None where
    only a listing can say more.
    """

    def __init__(self, folder: CaptureFolder, *, tell: Callable[[str | None], None]) -> None:
        self._folder = folder
        self._root = folder.settings.folder
        self._tell = tell
        self._observer: BaseObserver | None = None
        self._watched: tuple[int, int] | None = None
        self._threads: set[threading.Thread] = set()

    def keep(self) -> bool:
        """Listen, from now on or still or again; return whether that is so. Raises nothing."""
        try:
            status = self._root.stat()
            root = (status.st_dev, status.st_ino)
            if self._alive() and root == self._watched:
                return True
            self.stop()
            self._listen()
            self._watched = root
        except Exception:  # a lack of watches, a file system without events, a folder that is away: no hints for now
            return False
        return True

    def stop(self) -> None:
        """Listen no more."""
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            observer.join()

    def _alive(self) -> bool:
        """True while every thread that listening takes is alive; which those are differs between systems."""
        return self._observer is not None and all(thread.is_alive() for thread in self._threads)

    def _listen(self) -> None:
        before = set(threading.enumerate())
        observer = Observer()
        try:
            observer.schedule(
                _Ear(self._heard), str(self._root), recursive=self._folder.settings.subfolders, event_filter=HEARD
            )
            observer.start()
        except BaseException:
            observer.on_thread_stop()  # it never ran, so nothing else lets go of what it took
            raise
        self._observer, self._threads = observer, set(threading.enumerate()) - before

    def _heard(self, event: FileSystemEvent) -> None:
        if event.is_directory:
            self._tell(None)
            return
        try:
            path = Path(os.fsdecode(event.dest_path or event.src_path)).relative_to(self._root).as_posix()
        except ValueError:
            self._tell(None)
            return
        if self._folder.wants(path):
            self._tell(path)


class _Ear(FileSystemEventHandler):
    def __init__(self, heard: Callable[[FileSystemEvent], None]) -> None:
        self._heard = heard

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._heard(event)
