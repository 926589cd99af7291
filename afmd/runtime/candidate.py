"""A file that is being watched until it is finished. Rule: it is opened only if it moved since it was last opened."""

from collections.abc import Callable

from afmd.domain.events import Fingerprint
from afmd.domain.settle import Settler, Verdict
from afmd.errors import AfmdError, LimitReached, UnfinishedScan
from afmd.files.capture import CaptureFolder

HEAD_BYTES = 64 * 1024
"""How much of a file is read to learn what its header promises; more only where the header is longer."""

HEAD_LIMIT = 4 * 1024 * 1024
"""No header is longer than this."""

Promise = Callable[[bytes], int | None]
"""How large a file must be, from its first bytes; None where the header is not whole, 0 where it promises nothing."""

Refusal = Callable[[bytes, str], AfmdError | None]
"""Why the reader would refuse these bytes under this name; None where it would not."""


class Candidate:
    """One file on its way to being a scan.

    ``scan_id`` is empty while only the content can tell whether this is another scan than the one known here.
    ``backlog``: it lay there before the daemon started. Times are in monotonic seconds.
    """

    def __init__(
        self, path: str, scan_id: str, *, folder: CaptureFolder, promised_bytes: Promise, backlog: bool = False
    ) -> None:
        self.path = path
        self.scan_id = scan_id
        self.backlog = backlog
        self.fingerprint = Fingerprint(0, 0)
        self.next_look_s = 0.0
        self.promise: int | None = 0
        self.missing_since_s: float | None = None
        self.unreadable_since_s: float | None = None
        self._folder = folder
        self._promised_bytes = promised_bytes
        self._settings = folder.settings
        self._settler = Settler(settle_s=self._settings.settle_s, stalled_s=self._settings.stalled_s)
        self._opened_at: Fingerprint | None = None

    def listed(self, fingerprint: Fingerprint, *, at_s: float) -> None:
        """Take in what a listing says, without opening the file: its time to settle begins."""
        self._settler.told(at_s, fingerprint)
        self.fingerprint = fingerprint
        self.next_look_s = self._settler.due_s

    def look(self, *, at_s: float) -> Verdict:
        """Look at the file itself, and judge; one that is not there is GROWING. Raises ``StorageError``."""
        self.next_look_s = at_s + self._settings.reconcile_s
        seen = self._folder.look(self.path)
        if seen is None:
            return Verdict.GROWING
        self.missing_since_s = None
        if seen != self.fingerprint:
            self.fingerprint, self.unreadable_since_s = seen, None
        if seen != self._opened_at:
            self.promise = self._read_promise()
            self._opened_at = seen
        verdict = self._settler.told(at_s, seen, promised_bytes=self.promise)
        self.next_look_s = min(self.next_look_s, max(self._settler.due_s, at_s))
        return verdict

    def missing_for(self, *, at_s: float) -> float:
        """Return for how many seconds the file has been missing, now being the first time unless it was told before."""
        if self.missing_since_s is None:
            self.missing_since_s = at_s
        return at_s - self.missing_since_s

    def unreadable_for(self, *, at_s: float) -> float:
        """Return for how many seconds the file could not be read, this being the first time unless told before."""
        if self.unreadable_since_s is None:
            self.unreadable_since_s = at_s
        return at_s - self.unreadable_since_s

    def stalled(self) -> UnfinishedScan:
        """Return why a stalled file is refused."""
        size = self.fingerprint.size_bytes
        lack = "it is empty" if not size else "its header breaks off"
        if size and self.promise:
            lack = f"it has {size} of the {self.promise} bytes that its header promises"
        return UnfinishedScan(
            self.path, why=f"{lack}, and it has not grown for {self._settings.stalled_s:g} s",
            mend="Copy it again; if it grows on, it is taken in anew",
        )  # fmt: skip

    def too_large(self) -> LimitReached:
        """Return why a file over the limit is refused."""
        return LimitReached(
            self.path, why=f"it has {self.fingerprint.size_bytes} bytes, more than {self._settings.max_file_mib} MiB",
            mend="Raise capture.max_file_mib and start again; it is then taken in",
        )  # fmt: skip

    def _read_promise(self) -> int | None:
        length = HEAD_BYTES
        while True:
            head = self._folder.head(self.path, length)
            promise = self._promised_bytes(head)
            if promise is not None or len(head) < length or length >= HEAD_LIMIT:
                return promise
            length *= 8
