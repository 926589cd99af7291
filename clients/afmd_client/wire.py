"""Conversions between the wire's messages and this client's values. Rule: a value that it does not know is UNKNOWN."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from afmd_client.errors import InvalidInput
from afmd_client.nouns import (
    ArrayKind,
    Backend,
    Channel,
    Classification,
    Deconvolution,
    Direction,
    Disturbance,
    Event,
    Grid,
    Jump,
    Label,
    Levelling,
    Original,
    Problem,
    Repair,
    Scan,
    State,
    Status,
    Tip,
)
from afmd_client.v1 import array_pb2, daemon_service_pb2, event_service_pb2, params_pb2, scan_pb2

M = TypeVar("M", State, Label, ArrayKind)

STATES: Mapping[int, State] = {scan_pb2.ScanState.Value(f"SCAN_STATE_{s.name}"): s for s in State if s != "unknown"}
LABELS: Mapping[int, Label] = {scan_pb2.Label.Value(f"LABEL_{x.name}"): x for x in Label if x != "unknown"}
DIRECTIONS: Mapping[scan_pb2.Direction.ValueType, Direction] = {
    scan_pb2.DIRECTION_TRACE: Direction.TRACE,
    scan_pb2.DIRECTION_RETRACE: Direction.RETRACE,
}
KINDS: Mapping[ArrayKind, array_pb2.ArrayKind.ValueType] = {
    ArrayKind.RAW: array_pb2.ARRAY_KIND_RAW,
    ArrayKind.FLATTENED: array_pb2.ARRAY_KIND_FLATTENED,
    ArrayKind.RESTORED: array_pb2.ARRAY_KIND_RESTORED,
    ArrayKind.RAW_MASK: array_pb2.ARRAY_KIND_RAW_MASK,
    ArrayKind.MASK: array_pb2.ARRAY_KIND_FINAL_MASK,
    ArrayKind.TOUCHED: array_pb2.ARRAY_KIND_TOUCHED,
    ArrayKind.SIGMA: array_pb2.ARRAY_KIND_UNCERTAINTY,
    ArrayKind.CHANNEL: array_pb2.ARRAY_KIND_CHANNEL,
    ArrayKind.SURFACE: array_pb2.ARRAY_KIND_SURFACE,
    ArrayKind.SURFACE_SIGMA: array_pb2.ARRAY_KIND_SURFACE_UNCERTAINTY,
    ArrayKind.CONTACT: array_pb2.ARRAY_KIND_CONTACT,
}

REPAIR_NUMBERS = ("masked_share", "touched_share", "confidence", "sa_before_nm", "sa_after_nm", "total_ms")


def event(message: event_service_pb2.Event) -> Event:
    """Return an event."""
    return Event(
        revision=message.revision,
        time=_time(message.time),
        scan_id=message.scan_id,
        name=message.name,
        state=STATES.get(message.state, State.UNKNOWN),
        **_findings(message),
    )


def scan(message: scan_pb2.Scan) -> Scan:
    """Return a scan."""
    return Scan(
        scan_id=message.scan_id,
        name=message.name,
        path=message.path,
        sha256=message.sha256,
        size_bytes=message.size_bytes,
        state=STATES.get(message.state, State.UNKNOWN),
        revision=message.revision,
        first_seen=_time(message.first_seen),
        updated=_time(message.updated),
        **_findings(message),
    )


def status(message: daemon_service_pb2.GetStatusResponse) -> Status:
    """Return how a daemon fares."""
    return Status(
        version=message.version,
        started=_time(message.started),
        time=_time(message.time),
        draining=message.draining,
        capture_folder=message.capture.folder,
        capture_reachable=message.capture.reachable,
        output_root=message.output.root,
        disk_free_bytes=message.output.free_bytes,
        queue=message.work.queue,
        queue_limit=message.work.queue_limit,
        workers=message.work.workers,
        workers_busy=message.work.workers_busy,
        revision=message.ledger.revision,
        oldest_revision=message.ledger.oldest_revision,
        counts=MappingProxyType({STATES.get(c.state, State.UNKNOWN): c.scans for c in message.ledger.counts}),
        classifier=_backend(message.classifier),
        segmenter=_backend(message.segmenter),
        last_error=message.last_error,
        streams=message.streams,
        streams_limit=message.streams_limit,
    )


def states(wanted: Iterable[State | str]) -> list[scan_pb2.ScanState.ValueType]:
    """Return a filter's states. Raises ``InvalidInput``."""
    return [
        scan_pb2.ScanState.Value(f"SCAN_STATE_{_member(State, state, field='states').name}") for state in wanted
    ]  # fmt: skip


def labels(wanted: Iterable[Label | str]) -> list[scan_pb2.Label.ValueType]:
    """Return a filter's classes. Raises ``InvalidInput``."""
    return [scan_pb2.Label.Value(f"LABEL_{_member(Label, label, field='labels').name}") for label in wanted]


def timestamp(time: datetime, *, field: str) -> Timestamp:
    """Return a time as the wire has it. Raises ``InvalidInput`` for one without a time zone."""
    if time.tzinfo is None:
        raise _refused(field, f"{time} has no time zone", "Give one, for instance datetime.now(UTC)")
    stamp = Timestamp()
    stamp.FromDatetime(time.astimezone(UTC))
    return stamp


def array_name(
    scan_id: str, kind: ArrayKind | str, *, channel: Channel | str = "", repair: int = 0
) -> array_pb2.ArrayName:
    """Return the name of one array; ``channel`` as ``NAME/trace`` or ``NAME/retrace``. Raises ``InvalidInput``."""
    wanted = _member(ArrayKind, kind, field="kind")
    named = array_pb2.ArrayName(scan_id=scan_id, kind=KINDS[wanted], repair=repair)
    if channel:
        name, _, direction = str(channel).rpartition("/")
        passes = {str(found): number for number, found in DIRECTIONS.items()}
        if not name or direction not in passes:
            why = f"{str(channel)!r} is not of the form NAME/trace or NAME/retrace"
            raise _refused("channel", why, "Give one of the scan's channels")
        named.channel.CopyFrom(array_pb2.ChannelName(name=name, direction=passes[direction]))
    return named


def _findings(message: scan_pb2.Scan | event_service_pb2.Event) -> dict[str, Any]:
    """Return the fields that a scan and an event share."""
    return {
        "grid": _grid(message.grid) if message.HasField("grid") else None,
        "channels": tuple(map(_channel, message.channels)),
        "classification": _classification(message.classification) if message.HasField("classification") else None,
        "repair": _repair(message.repair) if message.HasField("repair") else None,
        "problem": _problem(message.problem) if message.HasField("problem") else None,
        "original": _original(message.original) if message.HasField("original") else None,
    }


def _grid(message: scan_pb2.Grid) -> Grid:
    pitch = (message.pixel_nm.down, message.pixel_nm.across)
    return Grid(rows=message.rows, cols=message.cols, pixel_nm=pitch, rows_planned=message.rows_planned)


def _channel(message: scan_pb2.Channel) -> Channel:
    direction = DIRECTIONS.get(message.direction, Direction.UNKNOWN)
    return Channel(name=message.name, direction=direction, unit=message.unit)


def _classification(message: scan_pb2.Classification) -> Classification:
    return Classification(
        label=LABELS.get(message.label, Label.UNKNOWN),
        probabilities=MappingProxyType(
            {LABELS.get(p.label, Label.UNKNOWN): p.probability for p in message.probabilities}
        ),
        abstained=message.abstained,
        classifier=_backend(message.classifier) if message.HasField("classifier") else None,
    )


def _repair(message: scan_pb2.Repair) -> Repair:
    known: dict[str, Any] = {field.name: value for field, value in message.ListFields()}
    return Repair(
        number=message.number,
        **{name: known.get(name) for name in REPAIR_NUMBERS},
        verdict=message.verdict,
        refusal=message.refusal,
        outputs=tuple(message.outputs),
        segmenter=_backend(message.segmenter) if message.HasField("segmenter") else None,
        params=MappingProxyType(_params(message.params)),
        deconvolution=_deconvolution(message.deconvolution) if message.HasField("deconvolution") else None,
        levelling=_levelling(message.levelling) if message.HasField("levelling") else None,
    )


def _levelling(message: scan_pb2.Levelling) -> Levelling:
    return Levelling(
        method=message.method,
        direction=message.direction,
        order=message.order,
        jumps=tuple(Jump(one.row, one.col, one.height_nm) for one in message.jumps),
        disturbances=tuple(Disturbance(w.kind, w.amplitude_nm, w.down, w.across) for w in message.disturbances),
    )


def _deconvolution(message: scan_pb2.Deconvolution) -> Deconvolution:
    return Deconvolution(
        tip=_tip(message.tip) if message.HasField("tip") else None,
        estimated=message.estimated,
        method=message.method,
        backend=_backend(message.backend),
        refusal=message.refusal,
        touched_share=message.touched_share if message.HasField("touched_share") else None,
    )


def _tip(message: scan_pb2.Tip) -> Tip:
    return Tip(
        form=message.form,
        radius_nm=message.radius_nm,
        radius_sigma_nm=message.radius_sigma_nm,
        half_angle_deg=message.half_angle_deg,
    )


def _params(message: params_pb2.Params) -> dict[str, bool | int | float | str]:
    """Return the preset, if there is one, and every value by name."""
    values = {name: getattr(value, value.WhichOneof("kind") or "text") for name, value in message.values.items()}
    return {"preset": message.preset, **dict(sorted(values.items()))} if message.preset else values


def _problem(message: scan_pb2.Problem) -> Problem:
    return Problem(reason=message.reason, what=message.what, why=message.why, mend=message.mend)


def _original(message: scan_pb2.Original) -> Original:
    return Original(scan_id=message.scan_id, name=message.name)


def _backend(message: scan_pb2.Backend) -> Backend:
    return Backend(name=message.name, version=message.version)


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def _member(kind: type[M], value: str, *, field: str) -> M:
    known = [member for member in kind if member != "unknown"]
    if value not in known:
        raise _refused(field, f"there is no {value!r}", f"Use one of {', '.join(known)}")
    return kind(value)


def _refused(field: str, why: str, mend: str) -> InvalidInput:
    error = InvalidInput(field, why=why, mend=mend, reason="INVALID_INPUT")
    error.field = field
    return error
