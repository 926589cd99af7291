"""The daemon's life: start in the one right order, tend, drain. Rule: what is started last is stopped first.

Start: the door (clients may ask), the workers, the folder (scans may come), then the word that all is ready.
Drain: not serving, no new files, finish what is in hand, close the streams, which have heard of it, close the ledger.
A second signal ends everything at once; the ledger stands that, as it stands a power cut.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from afmd.domain.ports import Ledger
from afmd.runtime.progress import Progress
from afmd.runtime.status import StatusBoard
from afmd.runtime.sweeper import Sweeper
from afmd.runtime.watchdog import Notifier, Watchdog
from afmd.runtime.workers import Workers
from afmd.settings import Settings
from afmd.telemetry.logs import log_uncaught_in, logger
from afmd.telemetry.metrics import MetricsServer

TEND_S = 1.0
STREAMS_CLOSE_S = 5.0
HANG_S = 10.0
"""How long a part may take to stop before the drain goes on without it."""

EXIT_KILLED = 130

log = logger("runtime")


class Door(Protocol):
    """Where clients come in."""

    async def start(self) -> int:
        """Open; return the port. Raises ``AlreadyRunning``."""
        ...

    async def drain(self) -> None:
        """Say NOT_SERVING; streams go on, so that watchers hear of the last scan."""
        ...

    async def stop(self, grace_s: float) -> None:
        """End every stream with a status, then close."""
        ...


class Folder(Protocol):
    """The capture folder's watch."""

    def start(self) -> None:
        """Begin to look for scans."""
        ...

    def stop(self) -> None:
        """Look no more."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a daemon is made of, put together and not yet started."""

    settings: Settings
    ledger: Ledger
    workers: Workers
    sweeper: Sweeper
    folder: Folder
    door: Door
    status: StatusBoard
    progress: Progress
    metrics: MetricsServer | None
    unlock: Callable[[], None]


class Daemon:
    """Runs its parts until a signal comes."""

    def __init__(self, parts: Parts, *, notifier: Notifier | None = None) -> None:
        self._parts = parts
        self._notifier = notifier or Notifier()

    async def run(self) -> None:
        """Start, tend until told to stop, drain. Raises what keeps it from starting."""
        stop = asyncio.Event()
        log_uncaught_in(asyncio.get_running_loop())
        listen_for_signals(asyncio.get_running_loop(), stop)
        async with AsyncExitStack() as ends:
            port = await self._start(ends)
            self._ready(port)
            await self._tend(stop)
        log.info("daemon.stopped")

    async def _start(self, ends: AsyncExitStack) -> int:
        """Start every part, each with its end on the stack; return the port."""
        own = self._parts
        ends.callback(own.unlock)
        ends.callback(own.ledger.close)
        if own.metrics:
            own.metrics.start()
            ends.push_async_callback(within, HANG_S, own.metrics.stop)
        port = await own.door.start()
        ends.push_async_callback(own.door.stop, STREAMS_CLOSE_S)
        own.workers.start()
        ends.push_async_callback(within, own.settings.workers.drain_s + HANG_S, self._finish_in_hand)
        own.folder.start()
        ends.push_async_callback(within, HANG_S, own.folder.stop)
        own.sweeper.start()
        ends.push_async_callback(within, HANG_S, own.sweeper.stop)
        ends.push_async_callback(self._turn_away)
        return port

    def _ready(self, port: int) -> None:
        own, status = self._parts, self._parts.status.status()
        log.info(
            "daemon.ready", version=status.version, pid=os.getpid(), port=port,
            metrics_port=own.metrics.port if own.metrics else 0, capture=status.capture_folder,
            outputs=status.output_root, classifier=str(status.classifier), segmenter=str(status.segmenter),
            revision=status.revision,
        )  # fmt: skip
        self._notifier.ready(f"watching {status.capture_folder}")

    async def _tend(self, stop: asyncio.Event) -> None:
        watchdog = Watchdog(
            self._notifier, self._parts.progress, limit_s=self._parts.settings.workers.stage_limit_s
        )  # fmt: skip
        while not stop.is_set():
            watchdog.look()
            try:
                await asyncio.wait_for(stop.wait(), TEND_S)
            except TimeoutError:
                continue

    async def _turn_away(self) -> None:
        own = self._parts
        own.status.draining = True
        self._notifier.stopping()
        log.info("daemon.draining", in_hand=[doing.what for doing in own.progress.in_hand()])
        await own.door.drain()

    def _finish_in_hand(self) -> None:
        own, limit_s = self._parts, self._parts.settings.workers.drain_s
        if not own.workers.drain(limit_s=limit_s):
            log.warning("drain.cut", limit_s=limit_s, in_hand=[doing.what for doing in own.progress.in_hand()])


async def within(limit_s: float, stop: Callable[[], object]) -> None:
    """Call ``stop`` on a thread of its own; go on without it where it hangs, as on a disk that is gone."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def call() -> None:
        try:
            stop()
        except Exception as e:
            log.error("drain.failed", part=stop.__qualname__, exc_info=e)
        with suppress(RuntimeError):  # the loop did not wait, and is closed
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=call, name="drain", daemon=True).start()
    try:
        await asyncio.wait_for(done.wait(), limit_s)
    except TimeoutError:
        log.warning("drain.hangs", part=stop.__qualname__, limit_s=limit_s)


def listen_for_signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set ``stop`` at the first SIGTERM, SIGINT or CTRL_BREAK, and end the process at the second."""

    def heard(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            log.critical("daemon.killed", signal=signal.Signals(number).name)
            os._exit(EXIT_KILLED)
        loop.call_soon_threadsafe(stop.set)

    names = ("SIGTERM", "SIGINT", "SIGBREAK" if sys.platform == "win32" else "SIGHUP")
    for name in names:
        signal.signal(getattr(signal, name), heard)
