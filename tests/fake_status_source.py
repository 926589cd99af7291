"""The fake of the port ``StatusSource``: a daemon in the middle of its work."""

from collections.abc import Callable
from datetime import UTC, datetime

from afmd.domain.events import State
from afmd.domain.findings import Backend
from afmd.domain.ports import LedgerReader, Status


class FakeStatusSource:
    def __init__(self, ledger: LedgerReader) -> None:
        self._ledger = ledger
        self.before: Callable[[], None] = lambda: None

    def status(self) -> Status:
        self.before()
        return Status(
            version="1.2.3", started=datetime(2024, 5, 1, 11, tzinfo=UTC), draining=False,
            capture_folder="/capture", capture_reachable=True, output_root="/restored", disk_free_bytes=7 * 2**30,
            queue=3, queue_limit=256, workers=2, workers_busy=1, revision=self._ledger.revision(),
            counts={State.COMPLETE: 5, State.REFUSED: 1, State.FAILED: 0},
            classifier=Backend("rules", "1"), segmenter=Backend("unet", "ab12cd34"), last_error="",
        )  # fmt: skip
