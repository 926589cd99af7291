"""What the daemon tells, as frozen values. Rule: lengths in nm, shares and probabilities in [0, 1], times in UTC.

A state, class or direction that this client is too old to know reads as ``UNKNOWN``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a scan stands."""

    UNKNOWN = "unknown"
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

    @property
    def has_results(self) -> bool:
        """True where arrays can be fetched."""
        return self in {State.RESTORED, State.REPORTED, State.COMPLETE}

    @property
    def at_rest(self) -> bool:
        """True where nothing more happens by itself."""
        return self in {State.DUPLICATE, State.COMPLETE, State.REFUSED, State.FAILED, State.VANISHED}


class Label(StrEnum):
    """What a scan as a whole was found to be."""

    UNKNOWN = "unknown"
    GOOD = "good"
    NOT_TRACKING = "not_tracking"
    TIP_CONTAMINATION = "tip_contamination"
    IMAGING_ARTIFACT = "imaging_artifact"


class Direction(StrEnum):
    """Which way the tip moved along the fast axis."""

    UNKNOWN = "unknown"
    TRACE = "trace"
    RETRACE = "retrace"


class ArrayKind(StrEnum):
    """Which array of a scan; each has the scan's rows and columns, row 0 at the top.

    RAW, FLATTENED, RESTORED: heights, float32, nm. RAW_MASK, MASK: spoilt pixels, bool. TOUCHED: filled pixels, bool.
    SIGMA: standard deviation of filled heights, float32, nm, 0 elsewhere. CHANNEL: a signal, float32, in its own unit.
    SURFACE: heights without the tip's shape, float32, nm, with the standard deviation SURFACE_SIGMA; CONTACT: where
    the tip touched, bool. These three only of scans whose `Repair.deconvolution` has no refusal.
    """

    RAW = "raw"
    FLATTENED = "flattened"
    RESTORED = "restored"
    RAW_MASK = "raw_mask"
    MASK = "mask"
    TOUCHED = "touched"
    SIGMA = "sigma"
    CHANNEL = "channel"
    SURFACE = "surface"
    SURFACE_SIGMA = "surface_sigma"
    CONTACT = "contact"


@dataclass(frozen=True, slots=True)
class Grid:
    """The height image's pixels; ``pixel_nm`` is the pitch (down, across). ``rows`` may fall short of the plan."""

    rows: int
    cols: int
    pixel_nm: tuple[float, float]
    rows_planned: int


@dataclass(frozen=True, slots=True)
class Channel:
    """One recorded signal."""

    name: str
    direction: Direction
    unit: str

    def __str__(self) -> str:
        return f"{self.name}/{self.direction}"


@dataclass(frozen=True, slots=True)
class Backend:
    """Who judged: ``rules`` or a model, and its version."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True)
class Classification:
    """A judgement on the whole scan; ``abstained`` means that no class was sure enough to be claimed."""

    label: Label
    probabilities: Mapping[Label, float]
    abstained: bool
    classifier: Backend | None

    @property
    def probability(self) -> float | None:
        """Return the probability of ``label``."""
        return self.probabilities.get(self.label)


@dataclass(frozen=True, slots=True)
class Tip:
    """A tip, apex down; ``radius_sigma_nm`` is the standard deviation of its radius."""

    form: str
    radius_nm: float
    radius_sigma_nm: float
    half_angle_deg: float

    def __str__(self) -> str:
        spread = f" ± {self.radius_sigma_nm:.2g}" if self.radius_sigma_nm else ""
        return f"{self.form}, radius {self.radius_nm:.3g}{spread} nm, half-angle {self.half_angle_deg:.3g}°"


@dataclass(frozen=True, slots=True)
class Deconvolution:
    """What became of the tip's shape; ``refusal`` says why a surface was left alone, ``tip`` is then perhaps None."""

    tip: Tip | None
    estimated: bool
    method: str
    backend: Backend
    refusal: str
    touched_share: float | None


@dataclass(frozen=True, slots=True)
class Jump:
    """A shift of the whole height signal that was undone: from pixel (row, col) on, all lay ``height_nm`` higher."""

    row: int
    col: int
    height_nm: float


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A wave over the frame that was taken off: ``hum``, ``fringes`` or ``ripple``.

    ``amplitude_nm``: half the height from trough to crest; ``down``, ``across``: cycles per pixel.
    """

    kind: str
    amplitude_nm: float
    down: float
    across: float


@dataclass(frozen=True, slots=True)
class Levelling:
    """How a scan was levelled: the method, direction and order really used, and what else was taken off."""

    method: str
    direction: str
    order: int
    jumps: tuple[Jump, ...]
    disturbances: tuple[Disturbance, ...]


@dataclass(frozen=True, slots=True)
class Repair:
    """One repair of a scan. What is not known (yet) is None or empty.

    ``refusal`` says why a scan was reported and not filled. ``outputs`` are file names on the daemon's side.
    ``levelling`` is None where the daemon does not tell, ``deconvolution`` where the removal of the tip's shape was not
    asked for.
    """

    number: int
    masked_share: float | None
    touched_share: float | None
    confidence: float | None
    verdict: str
    refusal: str
    sa_before_nm: float | None
    sa_after_nm: float | None
    outputs: tuple[str, ...]
    segmenter: Backend | None
    params: Mapping[str, bool | int | float | str]
    total_ms: float | None
    deconvolution: Deconvolution | None = None
    levelling: Levelling | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a scan has no result; ``reason`` is stable and for programs."""

    reason: str
    what: str
    why: str
    mend: str


@dataclass(frozen=True, slots=True)
class Original:
    """The scan that first held the same content."""

    scan_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one scan's state. What this step did not learn is None or empty."""

    revision: int
    time: datetime
    scan_id: str
    name: str
    state: State
    grid: Grid | None
    channels: tuple[Channel, ...]
    classification: Classification | None
    repair: Repair | None
    problem: Problem | None
    original: Original | None


@dataclass(frozen=True, slots=True)
class Bookmark:
    """The word that everything up to ``revision`` is known; ``replay_complete`` once, when the replay is over."""

    revision: int
    replay_complete: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """Everything known of one scan. What is not known (yet) is None or empty."""

    scan_id: str
    name: str
    path: str
    sha256: str
    size_bytes: int
    state: State
    revision: int
    first_seen: datetime
    updated: datetime
    grid: Grid | None
    channels: tuple[Channel, ...]
    classification: Classification | None
    repair: Repair | None
    problem: Problem | None
    original: Original | None


@dataclass(frozen=True, slots=True)
class Status:
    """How the daemon fares; ``time`` is its own clock."""

    version: str
    started: datetime
    time: datetime
    draining: bool
    capture_folder: str
    capture_reachable: bool
    output_root: str
    disk_free_bytes: int
    queue: int
    queue_limit: int
    workers: int
    workers_busy: int
    revision: int
    oldest_revision: int
    counts: Mapping[State, int]
    classifier: Backend
    segmenter: Backend
    last_error: str
    streams: int
    streams_limit: int


def plain(value: Any) -> Any:
    """Return any of these values as JSON-ready ones: objects by field name, None left out, times as ISO text."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, getattr(value, f.name)) for f in fields(value))
        return {name: plain(part) for name, part in pairs if part is not None}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, StrEnum) else value
