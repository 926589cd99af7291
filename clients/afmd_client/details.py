"""The details of a ``google.rpc.Status``, read without the packages that define it. Rule: never raises.

Only fields that afmd sends are read, by number (google/rpc/status.proto and error_details.proto): Status.details = 3;
Any = (type_url 1, value 2); ErrorInfo = (reason 1, metadata 3); BadRequest.field_violations = 1, of field 1;
RetryInfo.retry_delay = 1; a map's entry = (key 1, value 2); Duration = (seconds 1, nanos 2).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

KEY = "grpc-status-details-bin"


@dataclass(slots=True)
class Details:
    """What afmd says beside a status."""

    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    field: str = ""
    retry_after_s: float | None = None


def details_of(trailing: Iterable[tuple[str, str | bytes]] | None) -> Details | None:
    """Return the details in a call's trailing metadata, or None where there are none that can be read."""
    encoded = next((value for key, value in trailing or () if key == KEY), None)
    if not isinstance(encoded, bytes):
        return None
    try:
        return _read(encoded)
    except (DecodeError, UnicodeDecodeError, ValueError, IndexError, AttributeError):
        return None


def _read(encoded: bytes) -> Details:
    found = Details()
    for packed in _fields(encoded)[3]:
        part = _fields(packed)
        kind = part[1][0].decode().rpartition(".")[2]
        content = part[2][0] if part[2] else b""
        if kind == "ErrorInfo":
            info = _fields(content)
            found.reason = info[1][0].decode()
            found.metadata = dict(_entry(entry) for entry in info[3])
        elif kind == "BadRequest":
            found.field = _fields(_fields(content)[1][0])[1][0].decode()
        elif kind == "RetryInfo":
            delay = Duration.FromString(_fields(content)[1][0])
            found.retry_after_s = delay.seconds + delay.nanos * 1e-9
    return found


def _entry(encoded: bytes) -> tuple[str, str]:
    entry = _fields(encoded)
    return (entry[1] or [b""])[0].decode(), (entry[2] or [b""])[0].decode()


def _fields(encoded: bytes) -> Mapping[int, Sequence[Any]]:
    """Return a message's fields by number, each as often as it stands there."""
    found: dict[int, list[Any]] = defaultdict(list)
    unknown = UnknownFieldSet(Empty.FromString(encoded))
    for n in range(len(unknown)):
        found[unknown[n].field_number].append(unknown[n].data)
    return found
