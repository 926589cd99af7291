"""Pages of scans: what a page token holds. Rule: opaque to clients, and checked in full when it comes back."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from afmd.errors import InvalidInput
from afmd_client.v1 import scan_service_pb2

MAX_TOKEN = 1024


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins: after this scan, in a listing that began at ``revision``."""

    first_seen: str
    scan_id: str
    revision: int

    def token(self, filters: str) -> str:
        """Return the cursor as a page token that only fits these filters."""
        content = json.dumps([self.first_seen, self.scan_id, self.revision, filters], separators=(",", ":"))
        return base64.urlsafe_b64encode(content.encode()).decode()


def cursor(token: str, filters: str) -> Cursor:
    """Return what a token holds. Raises ``InvalidInput``."""
    try:
        first_seen, scan_id, revision, own = json.loads(base64.urlsafe_b64decode(token[:MAX_TOKEN]))
        if datetime.fromisoformat(first_seen).tzinfo is None:
            raise ValueError(first_seen)
        found = Cursor(str(first_seen), str(scan_id), int(revision))
    except (binascii.Error, ValueError, TypeError, RecursionError) as e:
        raise _refused("it is none that this daemon gave") from e
    if own != filters:
        raise _refused("it belongs to a listing with other filters")
    return found


def filters_of(request: scan_service_pb2.ListScansRequest) -> str:
    """Return a short name for the request's filters."""
    bare = scan_service_pb2.ListScansRequest()
    bare.CopyFrom(request)
    bare.ClearField("page_size")
    bare.ClearField("page_token")
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()[:16]


def _refused(why: str) -> InvalidInput:
    return InvalidInput(
        "page_token", why=why, mend="Begin again without a token, and keep the filters from page to page",
        field="page_token",
    )  # fmt: skip
