"""Watching that outlives broken connections. Rule: each event once, in order, without a gap.

What makes it so: the daemon keeps the events, and the client asks again for those after the last revision it knows.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import grpc

from afmd_client import wire
from afmd_client.errors import ClientError, LimitReached, TimedOut, Unavailable, from_rpc
from afmd_client.nouns import Bookmark, Event
from afmd_client.v1 import event_service_pb2 as pb

WORTH_ANOTHER_TRY = (Unavailable, TimedOut, LimitReached)
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
SILENT_INTERVALS = 4
LEAST_SILENCE_S = 1.0
"""A stream that says nothing for this long beyond four bookmark intervals is dead."""
FIRST_SILENCE_S = 30.0
LONGEST_NAP_S = 0.5

Opened = Callable[[pb.WatchRequest], Any]


class Watch(Iterator[Event]):
    """The events after a revision, one by one; waits for the next when there is none.

    ``revision``: everything up to here is known; give it to a later watch to go on there.
    ``current``: True once the replay is over, until the connection breaks.
    ``close`` ends the iteration, from any thread.
    """

    def __init__(
        self,
        opened: Opened,
        *,
        address: str,
        after_revision: int = 0,
        patient: bool = False,
        on_bookmark: Callable[[Bookmark], None] | None = None,
        on_lost: Callable[[ClientError], None] | None = None,
    ) -> None:
        self.revision = after_revision
        self.current = False
        self._opened = opened
        self._address = address
        self._reached = patient
        self._on_bookmark = on_bookmark
        self._on_lost = on_lost
        self._closed = threading.Event()
        self._silence: _Silence | None = None
        self._events = self._follow()

    def __next__(self) -> Event:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration; one that waits for the next event ends too."""
        self._closed.set()
        if self._silence is not None:
            self._silence.end()

    def _follow(self) -> Iterator[Event]:
        """Give events from one connection after another."""
        tries = 0
        while not self._closed.is_set():
            try:
                for response in self._responses():
                    tries = 0
                    yield from self._heard(response)
            except ClientError as e:
                if self._closed.is_set():
                    return
                if not (self._reached and isinstance(e, WORTH_ANOTHER_TRY)):
                    raise
                self.current = False
                if self._on_lost is not None:
                    self._on_lost(e)
                self._closed.wait(_pause_s(tries, e))
                tries += 1

    def _responses(self) -> Iterator[pb.WatchResponse]:
        """Open one stream and give what it says. Raises ``ClientError`` at its end, which is never a good one."""
        self._silence = silence = _Silence(self._opened(pb.WatchRequest(after_revision=self.revision)))
        try:
            while not self._closed.is_set():
                yield silence.heard()
        except grpc.RpcError as e:
            raise silence.broken() or from_rpc(e, address=self._address) from e
        finally:
            silence.end()

    def _heard(self, response: pb.WatchResponse) -> Iterator[Event]:
        """Give the events of a response, and remember how far they go."""
        self._reached = True
        for event in map(wire.event, response.events):
            if event.revision > self.revision and not self._closed.is_set():
                self.revision = event.revision
                yield event
        self.current = self.current or response.replay_complete
        if self._on_bookmark is not None and not response.events:
            self._on_bookmark(Bookmark(revision=response.revision, replay_complete=response.replay_complete))


class _Silence:
    """Listens to one stream, and cancels one that is silent for too long: pings do not show a daemon that hangs."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._limit_s = FIRST_SILENCE_S
        self._since: float | None = None
        self._over = threading.Event()
        self._tripped = False
        threading.Thread(target=self._keep, name="afmd-watch-silence", daemon=True).start()

    def end(self) -> None:
        """Cancel the stream and listen no more."""
        self._over.set()
        self._call.cancel()

    def heard(self) -> pb.WatchResponse:
        """Return the stream's next response; only the time spent waiting here counts as silence."""
        self._since = time.monotonic()
        try:
            response: pb.WatchResponse = next(self._call)
        except StopIteration as e:
            raise Unavailable(
                "watch", why="the stream ended without a status", mend="See that it is an afmd daemon"
            ) from e
        finally:
            self._since = None
        self._limit_s = SILENT_INTERVALS * response.bookmark_interval.ToTimedelta().total_seconds() + LEAST_SILENCE_S
        return response

    def broken(self) -> TimedOut | None:
        """Return the error of a stream that was cancelled for its silence, or None."""
        if not self._tripped:
            return None
        return TimedOut(
            "watch", why=f"the daemon said nothing for {self._limit_s:.0f} s", mend="Look at the daemon's load and log"
        )

    def _keep(self) -> None:
        while not self._over.wait(min(self._limit_s / 4, LONGEST_NAP_S)):
            since = self._since
            if since is not None and time.monotonic() - since > self._limit_s:
                self._tripped = True
                self._call.cancel()
                return


def _pause_s(tries: int, error: ClientError) -> float:
    """Return how long to wait: longer each time, never in step with other clients, the daemon's own word first."""
    grown: float = min(FIRST_PAUSE_S * 2.0 ** min(tries, 10), LONGEST_PAUSE_S)
    return max(grown * random.uniform(0.5, 1.0), min(error.retry_after_s or 0.0, LONGEST_PAUSE_S))
