"""The one tree of everything that can go wrong, and what each means to a shell and to a gRPC client.

AfmdError                     internal              1   a defect of ours
├─ InvalidInput               invalid_argument      2   an argument that cannot mean anything
├─ ScanError                  failed_precondition   3   a file that holds no scan we may use
│  ├─ NotNanoScope                                      another format, or no format
│  ├─ NotAnImage                                        force curves, force volumes
│  ├─ MalformedHeader                                   a header that contradicts itself
│  ├─ UnfinishedScan                                    data end before the header's promise
│  ├─ MangledScan                                       newline conversion destroyed the binary
│  ├─ NoScanData                                        a header alone
│  └─ NoHeightChannel                                   an image, but not of heights
├─ CannotLevel                failed_precondition   3   too little trusted ground
├─ HeightOverflow             failed_precondition   3   heights that the file's scale cannot hold
├─ SettingsError              invalid_argument      4   service.toml does not make sense
├─ ModelError                 failed_precondition   4   weights missing, changed or unfit
├─ MissingExtra               failed_precondition   4   a command whose packages were not installed
├─ StorageError               unavailable           5   the disk said no
│  └─ LedgerError                                       the ledger cannot be trusted or reached
├─ AlreadyRunning             failed_precondition   6   a second daemon on the same ledger or port
├─ NotFound                   not_found             7   no such scan, repair, array or model
├─ WrongState                 failed_precondition   7   the scan's state does not allow it
├─ HistoryGone                out_of_range          7   events older than the ledger keeps
├─ LimitReached               resource_exhausted    7   a bound of service.toml
├─ Draining                   unavailable           7   the daemon is going down
├─ NotAuthenticated           unauthenticated       7   a client that does not say who it is
├─ NotPermitted               permission_denied     7   a client whose role does not allow it
└─ Stalled                    deadline_exceeded     7   a client that stopped taking what it asked for

Rule: an error is raised where the cause is known and caught in three places only: worker, server, command line.
"""

from typing import ClassVar


class AfmdError(Exception):
    """What failed, why, and what mends it."""

    code: ClassVar[str] = "internal"
    exit_status: ClassVar[int] = 1

    def __init__(self, what: str, *, why: str, mend: str) -> None:
        super().__init__(f"{what}: {why}. {mend}.")
        self.what = what
        self.why = why
        self.mend = mend

    @property
    def reason(self) -> str:
        """Stable upper-case name for machines, e.g. ``NOT_AN_IMAGE``; a bare ``AfmdError`` is ``INTERNAL``."""
        name = "Internal" if type(self) is AfmdError else type(self).__name__
        return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.why, self.mend), vars(self)


def _rebuild(kind: type[AfmdError], what: str, why: str, mend: str) -> AfmdError:
    return kind(what, why=why, mend=mend)


class InvalidInput(AfmdError):
    """An argument that cannot mean anything; ``field`` names it."""

    code = "invalid_argument"
    exit_status = 2

    def __init__(self, what: str, *, why: str, mend: str, field: str = "") -> None:
        super().__init__(what, why=why, mend=mend)
        self.field = field


class ScanError(AfmdError):
    """A file that holds no scan we may use."""

    code = "failed_precondition"
    exit_status = 3


class NotNanoScope(ScanError):
    """Another format, or none."""


class NotAnImage(ScanError):
    """A NanoScope file of force curves or a force volume."""


class MalformedHeader(ScanError):
    """The header lacks what it must say, or contradicts itself."""


class UnfinishedScan(ScanError):
    """Some channel's data end beyond the file: still being written, or truncated."""


class MangledScan(ScanError):
    """Newline conversion in transfer destroyed the binary data."""


class NoScanData(ScanError):
    """A header without data."""


class NoHeightChannel(ScanError):
    """An image whose channels hold no height in a length unit."""


class CannotLevel(AfmdError):
    """Too little trusted ground to fit what was asked."""

    code = "failed_precondition"
    exit_status = 3


class HeightOverflow(AfmdError):
    """Heights that the file's integer width and scale cannot hold."""

    code = "failed_precondition"
    exit_status = 3


class SettingsError(AfmdError):
    """service.toml, or an option that overrides it, does not make sense."""

    code = "invalid_argument"
    exit_status = 4


class ModelError(AfmdError):
    """Weights that are missing, changed, or do not fit their manifest."""

    code = "failed_precondition"
    exit_status = 4


class MissingExtra(AfmdError):
    """A command that needs packages which only an extra of afmd brings."""

    code = "failed_precondition"
    exit_status = 4


class StorageError(AfmdError):
    """The disk refused to read or write."""

    code = "unavailable"
    exit_status = 5


class LedgerError(StorageError):
    """The ledger cannot be opened, trusted or written."""


class AlreadyRunning(AfmdError):
    """A second daemon on the same ledger or port."""

    code = "failed_precondition"
    exit_status = 6


class NotFound(AfmdError):
    """No such scan, repair, array or model."""

    code = "not_found"
    exit_status = 7


class WrongState(AfmdError):
    """The scan's present state does not allow what was asked."""

    code = "failed_precondition"
    exit_status = 7


class HistoryGone(AfmdError):
    """Events older than the ledger keeps; ``oldest`` is the first revision that can still be followed."""

    code = "out_of_range"
    exit_status = 7

    def __init__(self, what: str, *, why: str, mend: str, oldest: int = 0) -> None:
        super().__init__(what, why=why, mend=mend)
        self.oldest = oldest


class LimitReached(AfmdError):
    """A bound of service.toml."""

    code = "resource_exhausted"
    exit_status = 7


class Draining(AfmdError):
    """The daemon is going down and takes nothing new."""

    code = "unavailable"
    exit_status = 7


class NotAuthenticated(AfmdError):
    """A client with no token, or with one that is not known."""

    code = "unauthenticated"
    exit_status = 7


class NotPermitted(AfmdError):
    """A client whose role does not allow the call."""

    code = "permission_denied"
    exit_status = 7


class Stalled(AfmdError):
    """A client that stopped taking what it had asked for."""

    code = "deadline_exceeded"
    exit_status = 7
