"""Carries one integer from whoever commits to whoever follows. Rule: nobody's slowness costs another anything.

No queue, no event, no buffer for a follower: who is woken reads the ledger from the revision it knows. Revisions that
are published faster than followers wake are one waking.
"""

import asyncio
import threading
from contextlib import suppress


class RevisionBus:
    """A ``Bus`` for any number of threads that publish and of asyncio tasks, on any loop, that wait."""

    def __init__(self, revision: int = 0) -> None:
        """``revision``: how far the ledger has got at the start."""
        self._revision = revision
        self._lock = threading.Lock()
        self._rooms: dict[asyncio.AbstractEventLoop, _WaitingRoom] = {}

    def publish(self, revision: int) -> None:
        """Tell everyone that the ledger has reached ``revision``; one that is not news is ignored. Never blocks."""
        with self._lock:
            if revision <= self._revision:
                return
            self._revision = revision
            rooms = [(loop, room) for loop, room in self._rooms.items() if not room.woken]
            for _, room in rooms:
                room.woken = True
        for loop, room in rooms:
            try:
                loop.call_soon_threadsafe(self._wake, room)
            except RuntimeError:  # the loop is closed, and those who waited on it are gone
                with self._lock:
                    self._rooms.pop(loop, None)

    async def beyond(self, revision: int, *, timeout_s: float) -> int:
        """Wait until the ledger is past ``revision`` or the time is up; return the newest revision known."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._revision > revision:
                return self._revision
            place: asyncio.Future[None] = loop.create_future()
            room = self._rooms.setdefault(loop, _WaitingRoom())
            room.places[place] = revision
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await place
        finally:
            with self._lock:
                room.places.pop(place, None)
                if not room.places and self._rooms.get(loop) is room:
                    del self._rooms[loop]
        return self._revision

    @property
    def waiting(self) -> int:
        """How many tasks wait."""
        with self._lock:
            return sum(len(room.places) for room in self._rooms.values())

    def _wake(self, room: "_WaitingRoom") -> None:
        """Let go, on their own loop, those whose revision is passed."""
        with self._lock:
            room.woken = False
            free = [place for place, revision in room.places.items() if revision < self._revision]
        for place in free:
            if not place.done():
                place.set_result(None)


class _WaitingRoom:
    """Those who wait on one loop; ``woken`` while a waking is on its way to them."""

    def __init__(self) -> None:
        self.places: dict[asyncio.Future[None], int] = {}
        self.woken = False
