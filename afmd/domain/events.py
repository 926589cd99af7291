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
VANISHED   the file went away, or was overwritten, before it was read; it may come back

A scan that has results is never lost to its file's fate: a further repair starts at COMPLETE, and where it is given up
(by error or by a restart) the scan goes back there with the repair that was in force.

Facts that several rooms read: ``label`` (the class) and ``params``; ``reason``, ``what``, ``why`` and ``mend`` (why
REFUSED or FAILED; ``why`` alone of VANISHED); ``retry`` (False: FAILED for good, unless a person asks) and ``retries``
(so far); ``duplicate_of`` (a scan_id) and ``original_name`` (of a DUPLICATE).
A fact set to None is forgotten.
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
        State.SEEN: frozenset({State.SETTLED, State.DUPLICATE, State.REFUSED, State.FAILED, State.VANISHED}),
        State.SETTLED: frozenset({State.READ, State.DUPLICATE, State.REFUSED, State.FAILED, State.VANISHED}),
        State.READ: frozenset(
            {State.RESTORED, State.REPORTED, State.COMPLETE, State.REFUSED, State.FAILED, State.SETTLED}
        ),
        State.RESTORED: frozenset({State.COMPLETE, State.FAILED, State.SETTLED}),
        State.REPORTED: frozenset({State.COMPLETE, State.FAILED, State.SETTLED}),
        State.COMPLETE: frozenset({State.READ, State.COMPLETE}),
        State.FAILED: frozenset({State.SEEN, State.SETTLED, State.REFUSED, State.VANISHED}),
        State.DUPLICATE: frozenset({State.SETTLED}),
        State.REFUSED: frozenset(),
        State.VANISHED: frozenset({State.SEEN, State.SETTLED}),
    }
)
"""READ → COMPLETE: a further repair was given up. COMPLETE → COMPLETE: another repair is put in force. FAILED or
VANISHED → SEEN: the file is looked at anew. DUPLICATE → SETTLED: the scan it repeated went away before it was read."""

AT_REST = frozenset({State.DUPLICATE, State.COMPLETE, State.REFUSED, State.FAILED, State.VANISHED})
"""States in which nothing more happens by itself."""

HAS_RESULTS = frozenset({State.RESTORED, State.REPORTED, State.COMPLETE})
"""States in which arrays can be fetched."""

WITHOUT_CLAIM = frozenset({State.SEEN, State.DUPLICATE, State.VANISHED})
"""States that do not own their content: another scan of the same content may be repaired instead."""


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


@dataclass(frozen=True, slots=True)
class Repair:
    """One repair of one scan; ``number`` counts from 1.

    ``facts`` are those of the step that made its results (``params`` among them). ``finished`` is when every output
    was on disk, or None where that never came.
    """

    number: int
    created: datetime
    finished: datetime | None
    facts: Mapping[str, Any]
