"""Who has been doing what since when, so that a stage that never returns shows.

Rule: nothing here guesses; threads say when they begin and when they end, and the rest is subtraction.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Doing:
    """One thing in hand: who, what, and for how many seconds."""

    who: str
    what: str
    for_s: float


class Progress:
    """A board that every thread of the pipeline writes on; safe from any thread."""

    def __init__(self, *, monotonic: Callable[[], float], wall: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._lock = threading.Lock()
        self._in_hand: dict[str, tuple[str, float]] = {}
        self._moves = 0
        self._last_move = wall()

    @contextmanager
    def doing(self, who: str, what: str) -> Iterator[None]:
        """Show ``what`` in hand while the block runs."""
        with self._lock:
            self._in_hand[who] = (what, self._monotonic())
        try:
            yield
        finally:
            with self._lock:
                del self._in_hand[who]
            self.moved()

    def moved(self) -> None:
        """Say that the pipeline did something useful: a stage ended, the folder was compared."""
        with self._lock:
            self._moves += 1
            self._last_move = self._wall()

    @property
    def moves(self) -> int:
        """How often the pipeline has moved."""
        return self._moves

    def last_move(self) -> float:
        """Return when the pipeline last moved, as UNIX time in seconds."""
        return self._last_move

    def in_hand(self) -> tuple[Doing, ...]:
        """Return everything in hand, longest first."""
        now = self._monotonic()
        with self._lock:
            found = [Doing(who, what, now - since) for who, (what, since) in self._in_hand.items()]
        return tuple(sorted(found, key=lambda doing: -doing.for_s))

    def stuck(self, *, limit_s: float) -> tuple[Doing, ...]:
        """Return what has been in hand for longer than ``limit_s``."""
        return tuple(doing for doing in self.in_hand() if doing.for_s > limit_s)
