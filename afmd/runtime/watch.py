"""Keeps the intake going: at every hint, when a file is due, and every ``reconcile_s`` in any case.

Rule: a hint only makes a look come sooner. Were every one lost, each scan would be found by the next comparison.
"""

import threading
from collections.abc import Callable

from afmd.domain.ports import Clock
from afmd.errors import AfmdError
from afmd.files.hints import FolderHints
from afmd.runtime.intake import Intake
from afmd.telemetry.logs import error_fields, logger

TOGETHER_S = 0.05
"""Hints within this time are answered by one look: a file that grows gives thousands of them."""

BETWEEN_LISTINGS_S = 0.5
"""A new folder asks for a listing at once; a thousand new folders do not ask for a thousand."""

MANY_HINTS = 500
"""With more paths than this to look at, a listing is cheaper."""

BREATH_S = 0.25
"""How long a ``stop`` that someone else sets may go unnoticed."""

log = logger("runtime")


class CaptureWatch:
    """Runs an intake on a thread of its own.

    ``hints`` makes the listener for file events, given whom to tell; None does without. ``compared`` is called after
    every comparison with the whole folder.
    """

    def __init__(
        self,
        intake: Intake,
        *,
        reconcile_s: float,
        clock: Clock,
        hints: Callable[[Callable[[str | None], None]], FolderHints] | None = None,
        compared: Callable[[], None] = lambda: None,
    ) -> None:
        self._intake = intake
        self._reconcile_s = reconcile_s
        self._clock = clock
        self._compared = compared
        self._hints = hints(self._told) if hints else None
        self._listening: bool | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._paths: set[str] = set()
        self._listing_wanted = False
        self._trouble = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.run, args=(self._stop,), name="capture", daemon=True)

    def start(self) -> None:
        """Pick up what an earlier run left, and begin. Raises ``LedgerError``."""
        self._intake.resume()
        self._thread.start()

    def stop(self) -> None:
        """End after the file in hand."""
        self._stop.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def nudge(self) -> None:
        """Say that there may be room in the workers' line again."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Go on until ``stop`` is set; the intake must have resumed."""
        listed_s = float("-inf")
        wait_s = 0.0
        while not stop.is_set():
            hinted, listing_wanted = self._taken()
            wait_s = min(wait_s, BETWEEN_LISTINGS_S) if listing_wanted else wait_s
            now_s = self._clock.monotonic()
            if now_s >= listed_s + wait_s:
                listed_s, wait_s = now_s, self._reconcile_s
                went_well = self._guarded(self._compare, hinted)
            else:
                went_well = self._guarded(self._intake.glance, hinted)
            due_s = self._intake.next_look_s if went_well else now_s + self._reconcile_s
            self._rest(stop, until_s=min(listed_s + wait_s, due_s))
        if self._hints:
            self._hints.stop()

    def _compare(self, hinted: set[str]) -> None:
        """Listen first and list then, so that nothing falls between."""
        if self._hints and (listening := self._hints.keep()) is not self._listening:
            self._listening = listening
            log.info("capture.listening" if listening else "capture.deaf", reconcile_s=self._reconcile_s)
        self._intake.step(hinted)
        self._compared()

    def _guarded(self, deed: Callable[[set[str]], None], hinted: set[str]) -> bool:
        """Do it; True where it went well. What fails is told once, and tried again later."""
        try:
            deed(hinted)
        except AfmdError as e:
            if str(e) != self._trouble:
                log.error("intake.failed", **error_fields(e))
            self._trouble = str(e)
            return False
        except Exception as e:
            log.critical("intake.broke", exc_info=e)
            return False
        self._trouble = ""
        return True

    def _told(self, path: str | None) -> None:
        """Take a hint, on whatever thread."""
        with self._lock:
            if path is None or len(self._paths) >= MANY_HINTS:
                self._listing_wanted = True
            else:
                self._paths.add(path)
        self._wake.set()

    def _taken(self) -> tuple[set[str], bool]:
        """Return the hints since the last time: paths, and whether a listing is wanted."""
        with self._lock:
            self._wake.clear()
            paths, self._paths = self._paths, set()
            wanted, self._listing_wanted = self._listing_wanted, False
        return paths, wanted

    def _rest(self, stop: threading.Event, *, until_s: float) -> None:
        stop.wait(TOGETHER_S)
        while not stop.is_set() and (left_s := until_s - self._clock.monotonic()) > 0:
            if self._wake.wait(min(left_s, BREATH_S)):
                return
