"""The fake of the port ``Bus``: one loop, no shortcuts."""

import asyncio


class FakeBus:
    def __init__(self) -> None:
        self._revision = 0
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def publish(self, revision: int) -> None:
        self._revision = max(self._revision, revision)
        for loop, event in tuple(self._waiting):
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    async def beyond(self, revision: int, *, timeout_s: float) -> int:
        mine = (asyncio.get_running_loop(), asyncio.Event())
        self._waiting.add(mine)
        try:
            if self._revision <= revision:
                await asyncio.wait_for(mine[1].wait(), timeout_s)
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(mine)
        return self._revision
