"""Errors as clients see them: ``AfmdError`` to ``google.rpc.Status``. Rule: no traceback and no defect's text goes out.

The detail's reason is the error's own, in the domain ``afmd``; ``protos/afmd/v1/error.proto`` lists them all.
"""

import secrets
from collections.abc import Mapping
from typing import NoReturn, TypeAlias

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo, RetryInfo
from google.rpc.status_pb2 import Status

from afmd.errors import AfmdError, Draining, HistoryGone, InvalidInput, LimitReached, NotFound, StorageError

DOMAIN = "afmd"
DETAILS_KEY = "grpc-status-details-bin"
RETRY_AFTER_S: Mapping[type, int] = {Draining: 1, StorageError: 5, LimitReached: 1}
MOST_BYTES = 500
"""Longest text of a detail: all trailing metadata together must stay under 8 KiB."""

Context: TypeAlias = "grpc.aio.ServicerContext[Message, Message]"


async def refuse(context: Context, error: AfmdError, *, request: object = None) -> NoReturn:
    """End a call with an error."""
    status = status_of(error, request=request)
    await context.abort(
        grpc.StatusCode[error.code.upper()],
        status.message,
        ((DETAILS_KEY, status.SerializeToString()),),
    )


def status_of(error: AfmdError, *, request: object = None) -> Status:
    """Return the whole status; ``request`` tells which resource was not found."""
    number: int = grpc.StatusCode[error.code.upper()].value[0]
    status = Status(code=number, message=_short(str(error)))
    for detail in _details(error, request):
        status.details.add().Pack(detail)
    return status


def defect() -> tuple[AfmdError, str]:
    """Return what a client learns of a defect of ours, and the number under which the log has the rest."""
    incident = secrets.token_hex(4)
    error = AfmdError(
        "internal error", why="the daemon met a defect of its own", mend=f"Its log tells more of incident {incident}"
    )
    return error, incident


def _details(error: AfmdError, request: object) -> list[Message]:
    details: list[Message] = [
        ErrorInfo(reason=reason_of(error), domain=DOMAIN, metadata={k: _short(v) for k, v in _facts(error).items()})
    ]
    if isinstance(error, InvalidInput) and error.field:
        violation = BadRequest.FieldViolation(field=error.field, description=_short(f"{error.why}. {error.mend}."))
        details.append(BadRequest(field_violations=[violation]))
    if isinstance(error, NotFound):
        details.append(_resource(error, request))
    delay_s = next((s for kind, s in RETRY_AFTER_S.items() if isinstance(error, kind)), 0)
    if delay_s:
        details.append(RetryInfo(retry_delay=Duration(seconds=delay_s)))
    return details


def reason_of(error: AfmdError) -> str:
    """Return the stable name; a defect's is ``INTERNAL``."""
    return "INTERNAL" if type(error) is AfmdError else error.reason


def _facts(error: AfmdError) -> dict[str, str]:
    facts = {"what": error.what, "why": error.why, "mend": error.mend}
    if isinstance(error, HistoryGone):
        facts["oldest_revision"] = str(error.oldest)
    return facts


def _resource(error: NotFound, request: object) -> ResourceInfo:
    named = getattr(request, "array", request)
    return ResourceInfo(
        resource_type="afmd.v1.Scan",
        resource_name=_short(str(getattr(named, "scan_id", ""))),
        description=_short(str(error)),
    )


def _short(text: str) -> str:
    """Return text that UTF-8 and the metadata can carry."""
    encoded = text.encode("utf-8", "replace")
    shortened = encoded[:MOST_BYTES].decode("utf-8", "ignore")
    return shortened if len(encoded) <= MOST_BYTES else f"{shortened}…"
