"""What is done now and then, by a thread that may wait for a disk. Rule: never while a scan is in hand."""

from collections.abc import Callable

from afmd.runtime.limits import give_memory_back
from afmd.runtime.status import StatusBoard
from afmd.runtime.workers import Workers


class Housekeeping:
    """Measures the disk; and when the workers have come to rest, gives their memory back, once.

    ``rest``: asks the networks for theirs.
    """

    def __init__(self, status: StatusBoard, workers: Workers, *, rest: Callable[[], None]) -> None:
        self._status = status
        self._workers = workers
        self._rest = rest
        self._tidied_at = 0

    def __call__(self) -> None:
        """Do what is due."""
        self._status.measure_disk()
        done = self._workers.done
        if done != self._tidied_at and self._workers.idle:
            self._tidied_at = done
            self._rest()
            give_memory_back()
