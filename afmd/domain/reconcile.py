"""What a listing of the capture folder means, held against what is known. Rule: the listing is the truth.

Pure: from two mappings to the list of differences, in an order that depends on nothing else.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from afmd.domain.events import Fingerprint, State


class Change(StrEnum):
    """How one path differs from what is known of it.

    NEW        nothing is known of this path
    BACK       the file had vanished and is there again
    REWRITTEN  another size: other content, hence another scan
    TOUCHED    the same size at another time: only the content can tell whether it is another scan
    GONE       it was being waited for, and is not there any more
    FORGOTTEN  it is not there any more, and nothing waits for it
    """

    NEW = "new"
    BACK = "back"
    REWRITTEN = "rewritten"
    TOUCHED = "touched"
    GONE = "gone"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of the newest scan at a path; ``state`` may have moved on since, but never back to SEEN."""

    scan_id: str
    fingerprint: Fingerprint
    state: State


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that is not as it was known."""

    path: str
    change: Change


def reconcile(
    listed: Mapping[str, Fingerprint], known: Mapping[str, Known], *, hidden: Collection[str] = ()
) -> list[Difference]:
    """Return every difference: first the paths that are there, oldest file first, then those that are not.

    ``hidden``: paths of files and folders that could not be looked at; of nothing at or below them is it said that it
    is gone. A scan that is still SEEN is being watched, so its growth is no difference.
    """
    found = [Difference(path, change) for path, seen in listed.items() if (change := _there(seen, known.get(path)))]
    found.sort(key=lambda difference: (listed[difference.path].mtime_ns, difference.path))
    missing = sorted(path for path in known if path not in listed and not _below(path, hidden))
    waited = (Change.GONE if known[path].state is State.SEEN else Change.FORGOTTEN for path in missing)
    return found + [Difference(path, change) for path, change in zip(missing, waited, strict=True)]


def _there(seen: Fingerprint, known: Known | None) -> Change | None:
    if known is None:
        return Change.NEW
    if known.state is State.VANISHED:
        return Change.BACK
    if known.state is State.SEEN or seen == known.fingerprint:
        return None
    return Change.REWRITTEN if seen.size_bytes != known.fingerprint.size_bytes else Change.TOUCHED


def _below(path: str, hidden: Collection[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in hidden)
