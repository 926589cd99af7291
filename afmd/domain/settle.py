"""When a file that someone else writes is finished. Rule: it holds what its header promises, and it stands still.

Pure: told what was seen and when, it says what that means; it opens nothing and asks no clock. Neither test alone
would do: a scan that grows line by line pauses between lines, and a file may have its full size before it has its data.
"""

import math
from enum import StrEnum

from afmd.domain.events import Fingerprint


class Verdict(StrEnum):
    """What the observations of one file amount to."""

    GROWING = "growing"
    FINISHED = "finished"
    STALLED = "stalled"


class Settler:
    """The observations of one file, oldest first.

    FINISHED: all that was promised is there, and nothing has moved for ``settle_s`` seconds. STALLED: something is
    missing, and nothing has moved for ``stalled_s`` seconds. A file that moves again is GROWING again, and may be
    finished again.
    """

    def __init__(self, *, settle_s: float, stalled_s: float = math.inf) -> None:
        self._settle_s = settle_s
        self._stalled_s = stalled_s
        self._fingerprint: Fingerprint | None = None
        self._still_since_s = 0.0
        self._whole = False

    def told(self, at_s: float, fingerprint: Fingerprint, *, promised_bytes: int | None = 0) -> Verdict:
        """Take in what was seen at ``at_s`` (seconds that never go back), and judge.

        ``promised_bytes``: how large the file must be to hold what its header promises; None where the header itself
        is not whole. An empty file is never whole.
        """
        if fingerprint != self._fingerprint:
            self._fingerprint, self._still_since_s = fingerprint, at_s
        self._whole = promised_bytes is not None and fingerprint.size_bytes >= max(promised_bytes, 1)
        if at_s < self.due_s:
            return Verdict.GROWING
        return Verdict.FINISHED if self._whole else Verdict.STALLED

    @property
    def due_s(self) -> float:
        """When the file will be finished or stalled if it stands still until then: the time to look again."""
        return self._still_since_s + (self._settle_s if self._whole else self._stalled_s)
