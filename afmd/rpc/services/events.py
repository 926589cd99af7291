"""Watch: the ledger read from a revision on, at each client's pace. Rule: nothing is kept for a client in between."""

from collections.abc import AsyncGenerator, Iterator, Sequence

from google.protobuf.duration_pb2 import Duration

from afmd.domain.ports import Bus, LedgerReader
from afmd.errors import InvalidInput
from afmd.rpc import wire
from afmd.rpc.pool import Pool
from afmd.rpc.refusals import Context
from afmd_client.v1 import event_service_pb2 as pb
from afmd_client.v1.event_service_pb2_grpc import EventServiceServicer

PAGE_EVENTS = 256
MOST_BYTES = 512 * 1024
"""A response is closed when its events have grown beyond this, so that it stays well under 1 MiB."""


class EventService(EventServiceServicer):
    """Serves ``afmd.v1.EventService``."""

    def __init__(self, *, ledger: LedgerReader, bus: Bus, pool: Pool, bookmark_s: float) -> None:
        self._ledger = ledger
        self._bus = bus
        self._pool = pool
        self._bookmark_s = bookmark_s
        self._interval = Duration()
        self._interval.FromNanoseconds(round(bookmark_s * 1e9))

    async def Watch(self, request: pb.WatchRequest, context: Context) -> AsyncGenerator[pb.WatchResponse, None]:
        """Replay from ``after_revision``, say when that is over, then follow; the client sets the pace."""
        del context
        revision = _checked(request.after_revision)
        replay_end = await self._pool.run(self._ledger.revision)
        replaying = True
        while True:
            events = await self._pool.run(self._after, revision)
            for part in _parts(events):
                revision = part[-1].revision
                yield pb.WatchResponse(events=part, revision=revision, bookmark_interval=self._interval)
            if not events or (replaying and revision >= replay_end):
                yield pb.WatchResponse(
                    revision=revision, replay_complete=replaying, bookmark_interval=self._interval
                )  # fmt: skip
                replaying = False
            if len(events) < PAGE_EVENTS:
                await self._bus.beyond(revision, timeout_s=self._bookmark_s)

    def _after(self, revision: int) -> list[pb.Event]:
        return [wire.event_to_wire(event) for event in self._ledger.after(revision, limit=PAGE_EVENTS)]


def _parts(events: Sequence[pb.Event]) -> Iterator[list[pb.Event]]:
    """Return the events in order, in parts that each make one response."""
    part: list[pb.Event] = []
    size = 0
    for event in events:
        part.append(event)
        size += event.ByteSize()
        if size > MOST_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _checked(revision: int) -> int:
    if revision < 0:
        raise InvalidInput(
            "after_revision", why=f"{revision} is negative", mend="Give the last revision known, or 0",
            field="after_revision",
        )  # fmt: skip
    return revision
