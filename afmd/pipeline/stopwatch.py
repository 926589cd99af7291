"""Milliseconds by stage. Rule: the clock is handed in."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType


class Stopwatch:
    """Times named stages with a clock of seconds; a stage entered again adds to its time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._spent: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time what runs inside."""
        start = self._clock()
        try:
            yield
        finally:
            self._spent[stage] = self._spent.get(stage, 0.0) + (self._clock() - start) * 1e3

    def timings_ms(self) -> Mapping[str, float]:
        """Return each stage's milliseconds in the order of their first start, and their sum as ``total``."""
        return MappingProxyType({**self._spent, "total": sum(self._spent.values())})
