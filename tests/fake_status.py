"""The fake of the port ``StatusSource``: a daemon that has little to do."""

from datetime import UTC, datetime

from afmd.domain.events import State
from afmd.domain.findings import Backend
from afmd.domain.ports import Status


class FakeStatusSource:
    def __init__(self) -> None:
        self.revision = 0

    def status(self) -> Status:
        return Status(
            version="1", started=datetime(2024, 1, 1, tzinfo=UTC), draining=False, capture_folder="c",
            capture_reachable=True, output_root="o", disk_free_bytes=10**12, queue=3, queue_limit=9, workers=2,
            workers_busy=1, revision=self.revision, counts={State.COMPLETE: 5}, classifier=Backend("rules", "1"),
            segmenter=Backend("rules", "1"), last_error="",
        )  # fmt: skip
