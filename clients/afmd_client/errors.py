"""Everything that can go wrong between a client and a daemon, as one tree.

ClientError            exit status
├─ Unavailable         5   nobody answers, the connection broke, or the daemon is going down
├─ TimedOut            5   no answer in time, or this client stopped taking what it had asked for
├─ NotFound            7   no such scan, repair or array
├─ WrongState          7   the scan's state has no such thing (yet)
├─ HistoryGone         7   the events asked for are no longer kept: list, then watch
├─ LimitReached        7   a bound of the daemon's settings
├─ NotAuthenticated    7   no token, or an unknown one
├─ NotPermitted        7   the token's role does not allow it
├─ InvalidInput        2   an argument that cannot mean anything
├─ Corrupt             1   bytes that are not what the daemon said it would send
└─ Defect              1   a defect of the daemon, or something that is no afmd daemon

Rule: ``reason`` is stable and for programs; ``what``, ``why`` and ``mend`` are for people.
"""

from typing import Any, ClassVar

import grpc

from afmd_client.details import Details, details_of


class ClientError(Exception):
    """What failed, why, and what mends it."""

    exit_status: ClassVar[int] = 1
    reason: str
    retry_after_s: float | None = None
    """The daemon's own word on when to try again, or None."""

    def __init__(self, what: str, *, why: str, mend: str, reason: str = "") -> None:
        super().__init__(f"{what}: {why}. {mend}.")
        self.what = what
        self.why = why
        self.mend = mend
        self.reason = reason or type(self).__name__.upper()


class Unavailable(ClientError):
    """Nobody answers, the connection broke, or the daemon is going down."""

    exit_status = 5


class TimedOut(ClientError):
    """No answer in time, or this client stopped taking what it had asked for."""

    exit_status = 5


class NotFound(ClientError):
    """No such scan, repair or array."""

    exit_status = 7


class WrongState(ClientError):
    """The scan's state has no such thing (yet)."""

    exit_status = 7


class HistoryGone(ClientError):
    """The events asked for are no longer kept; ``oldest_revision`` is the first that still is."""

    exit_status = 7
    oldest_revision: int = 0


class LimitReached(ClientError):
    """A bound of the daemon's settings."""

    exit_status = 7


class NotAuthenticated(ClientError):
    """No token, or an unknown one."""

    exit_status = 7


class NotPermitted(ClientError):
    """The token's role does not allow it."""

    exit_status = 7


class InvalidInput(ClientError):
    """An argument that cannot mean anything; ``field`` names it."""

    exit_status = 2
    field: str = ""


class Corrupt(ClientError):
    """Bytes that are not what the daemon said it would send."""


class Defect(ClientError):
    """A defect of the daemon, or something that is no afmd daemon."""


KINDS: dict[grpc.StatusCode, type[ClientError]] = {
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: TimedOut,
    grpc.StatusCode.CANCELLED: Unavailable,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: WrongState,
    grpc.StatusCode.OUT_OF_RANGE: HistoryGone,
    grpc.StatusCode.RESOURCE_EXHAUSTED: LimitReached,
    grpc.StatusCode.UNAUTHENTICATED: NotAuthenticated,
    grpc.StatusCode.PERMISSION_DENIED: NotPermitted,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidInput,
}


def from_rpc(error: grpc.RpcError, *, address: str) -> ClientError:
    """Return what a failed call means; a daemon's own words where there are some."""
    call: Any = error  # what a stub raises is its call as well
    code: grpc.StatusCode = call.code()
    text: str | None = call.details()
    found = details_of(call.trailing_metadata())
    kind = KINDS.get(code, Defect)
    if found is None:
        return _plain(kind, code, text or "", address=address)
    told = kind(found.metadata.get("what", "call"), why=found.metadata.get("why", text or code.name),
                mend=found.metadata.get("mend", "Ask the daemon's log"), reason=found.reason)  # fmt: skip
    told.retry_after_s = found.retry_after_s
    _particulars(told, found)
    return told


def _particulars(told: ClientError, found: Details) -> None:
    if isinstance(told, HistoryGone):
        told.oldest_revision = int(found.metadata.get("oldest_revision", "0"))
    if isinstance(told, InvalidInput):
        told.field = found.field


def _plain(kind: type[ClientError], code: grpc.StatusCode, text: str, *, address: str) -> ClientError:
    """Return the meaning of a status that gRPC itself made."""
    what = f"afmd at {address}"
    if kind is Unavailable:
        return Unavailable(
            what, why=f"no daemon can be reached ({_gist(text)})",
            mend="Start one with 'afmd serve', or give the right address",
        )  # fmt: skip
    if kind is TimedOut:
        return TimedOut(what, why="no answer in time", mend="Look at the daemon's load and log, or allow more time")
    return kind(
        what, why=f"{code.name}: {_gist(text)}", mend="See that it is an afmd daemon, of a version near this client's",
        reason=code.name,
    )  # fmt: skip


def _gist(text: str) -> str:
    """Return what a person can use of gRPC's own words."""
    for known in ("Connection refused", "Deadline Exceeded", "DNS resolution failed", "Socket closed"):
        if known.lower() in text.lower():
            return known.lower()
    return text.strip().rstrip(".") or "no reason given"
