"""Threads for what may block: ledger, stored results, pictures. Rule: the event loop never waits for a disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pools:
    """Threads by what they wait for, so that a slow disk of results holds up neither the ledger nor a watcher.

    ``drawing`` is one thread: pictures are drawn one after the other.
    """

    ledger: "Pool"
    results: "Pool"
    drawing: "Pool"

    @classmethod
    def made(cls) -> Self:
        """Return fresh pools."""
        return cls(ledger=Pool(4, name="ledger"), results=Pool(4, name="results"), drawing=Pool(1, name="drawing"))

    def close(self) -> None:
        """Take no more calls; those under way end by themselves."""
        for pool in (self.ledger, self.results, self.drawing):
            pool.close()


class Pool:
    """A few threads; calls beyond them wait their turn."""

    def __init__(self, threads: int, *, name: str) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"afmd-rpc-{name}")

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of a call made on one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(call, *args, **kwargs))

    def close(self) -> None:
        """Take no more calls; those under way end by themselves."""
        self._executor.shutdown(wait=False, cancel_futures=True)
