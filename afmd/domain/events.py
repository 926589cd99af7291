"""A scan's life as a table, and the event that each change leaves behind.

A *file* becomes a scan when it is first seen; its identity is its content's sha256, known once it is finished.

SEEN       the file is there, perhaps still growing
SETTLED    finished and still; its content's hash is known
DUPLICATE  the same content is already known under another name: repaired once, and says so
READ       decoded
RESTORED   results exist and can be fetched; pictures follow
REPORTED   judged but not restored (mostly artefact): results exist, with the reason
COMPLETE   every output is on disk, the record last
REFUSED    no scan that we may use; the reason says why
FAILED     our side failed (disk full, ...); tried again at the next start or on request
VANISHED   the file went away before it settled
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class State(StrEnum):
    """Where a scan stands."""

    SEEN = "seen"
    SETTLED = "settled"
    DUPLICATE = "duplicate"
    READ = "read"
    RESTORED = "restored"
    REPORTED = "reported"
    COMPLETE = "complete"
    REFUSED = "refused"
    FAILED = "failed"
    VANISHED = "vanished"


FOLLOWS: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.SEEN: frozenset({State.SETTLED, State.REFUSED, State.FAILED, State.VANISHED}),
        State.SETTLED: frozenset({State.READ, State.DUPLICATE, State.REFUSED, State.FAILED, State.VANISHED}),
        State.READ: frozenset({State.RESTORED, State.REPORTED, State.REFUSED, State.FAILED, State.SETTLED}),
        State.RESTORED: frozenset({State.COMPLETE, State.FAILED, State.SETTLED}),
        State.REPORTED: frozenset({State.COMPLETE, State.FAILED, State.SETTLED}),
        State.COMPLETE: frozenset({State.READ}),
        State.FAILED: frozenset({State.SETTLED, State.REFUSED, State.VANISHED}),
        State.DUPLICATE: frozenset(),
        State.REFUSED: frozenset(),
        State.VANISHED: frozenset({State.SETTLED}),
    }
)

AT_REST = frozenset({State.DUPLICATE, State.COMPLETE, State.REFUSED, State.FAILED, State.VANISHED})
"""States in which nothing more happens by itself."""

HAS_RESULTS = frozenset({State.RESTORED, State.REPORTED, State.COMPLETE})
"""States in which arrays can be fetched."""


@dataclass(frozen=True, slots=True)
class Event:
    """One committed change of one scan's state.

    ``revision`` only grows and survives restarts. ``facts`` holds what this step learnt, as JSON-ready values.
    """

    revision: int
    time: datetime
    scan_id: str
    name: str
    state: State
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a directory listing tells of a file: cheap, and enough to know whether it moved."""

    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Everything the ledger knows of one scan.

    ``path`` is relative to the capture folder, with forward slashes. ``facts`` merges those of every event so far;
    ``revision`` is that of the last. ``repair`` is the number of the repair in force, 0 before the first.
    ``sha256`` is empty until settled.
    """

    scan_id: str
    name: str
    path: str
    fingerprint: Fingerprint
    sha256: str
    state: State
    revision: int
    first_seen: datetime
    updated: datetime
    repair: int
    facts: Mapping[str, Any]
