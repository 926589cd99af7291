"""Conversions between the domain's nouns and the wire's messages. Rule: no I/O, and no message leaves this room.

Facts become typed fields: ``FACTS`` names every fact that the wire knows; any other stays in the ledger.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from afmd.domain.events import Entry, Event, State
from afmd.domain.findings import Backend, Label
from afmd.domain.ports import Status
from afmd.domain.scan import Direction
from afmd.errors import InvalidInput
from afmd_client.v1 import daemon_service_pb2, event_service_pb2, params_pb2, scan_pb2

T = TypeVar("T", State, Label)

STATES: Mapping[State, scan_pb2.ScanState.ValueType] = MappingProxyType(
    {state: scan_pb2.ScanState.Value(f"SCAN_STATE_{state.name}") for state in State}
)
LABELS: Mapping[Label, scan_pb2.Label.ValueType] = MappingProxyType(
    {label: scan_pb2.Label.Value(f"LABEL_{label.name}") for label in Label}
)
DIRECTIONS: Mapping[Direction, scan_pb2.Direction.ValueType] = MappingProxyType(
    {direction: scan_pb2.Direction.Value(f"DIRECTION_{direction.name}") for direction in Direction}
)
HAVE_A_PROBLEM = frozenset({State.REFUSED, State.FAILED, State.VANISHED})

GRID_FACTS = frozenset({"rows", "cols", "pixel_nm", "rows_expected"})
CLASS_FACTS = frozenset({"label", "probabilities", "abstained", "classifier"})
REPAIR_NUMBERS = ("masked_share", "touched_share", "confidence", "sa_before_nm", "sa_after_nm", "total_ms")
REPAIR_FACTS = frozenset(
    {*REPAIR_NUMBERS, "repair", "verdict", "refusal", "outputs", "segmenter", "params", "deconvolution", "levelling"}
)
PROBLEM_FACTS = frozenset({"reason", "what", "why", "mend", "error"})
ORIGINAL_FACTS = frozenset({"duplicate_of", "original_name"})
FACTS = GRID_FACTS | {"channels"} | CLASS_FACTS | REPAIR_FACTS | PROBLEM_FACTS | ORIGINAL_FACTS


def event_to_wire(event: Event) -> event_service_pb2.Event:
    """Return one event with whatever its step learnt."""
    message = event_service_pb2.Event(
        revision=event.revision,
        time=timestamp(event.time),
        scan_id=event.scan_id,
        name=_text(event.name),
        state=STATES[event.state],
    )
    _tell(message, event.state, event.facts)
    return message


def scan_to_wire(entry: Entry) -> scan_pb2.Scan:
    """Return everything that the ledger knows of one scan."""
    message = scan_pb2.Scan(
        scan_id=entry.scan_id,
        name=_text(entry.name),
        path=_text(entry.path),
        sha256=entry.sha256,
        size_bytes=entry.fingerprint.size_bytes,
        state=STATES[entry.state],
        revision=entry.revision,
        first_seen=timestamp(entry.first_seen),
        updated=timestamp(entry.updated),
    )
    _tell(message, entry.state, entry.facts)
    if entry.repair:
        message.repair.number = entry.repair
    return message


def status_to_wire(status: Status, *, oldest_revision: int, now: datetime) -> daemon_service_pb2.GetStatusResponse:
    """Return how the daemon fares; the server itself adds its streams."""
    counts = ((state, scans) for state, scans in status.counts.items() if scans)
    return daemon_service_pb2.GetStatusResponse(
        version=status.version,
        started=timestamp(status.started),
        time=timestamp(now),
        draining=status.draining,
        capture=daemon_service_pb2.CaptureStatus(
            folder=_text(status.capture_folder), reachable=status.capture_reachable
        ),
        output=daemon_service_pb2.OutputStatus(root=_text(status.output_root), free_bytes=status.disk_free_bytes),
        work=daemon_service_pb2.WorkStatus(
            queue=status.queue,
            queue_limit=status.queue_limit,
            workers=status.workers,
            workers_busy=status.workers_busy,
        ),
        ledger=daemon_service_pb2.LedgerStatus(
            revision=status.revision,
            oldest_revision=oldest_revision,
            counts=[daemon_service_pb2.StateCount(state=STATES[state], scans=scans) for state, scans in counts],
        ),
        classifier=_backend(status.classifier),
        segmenter=_backend(status.segmenter),
        last_error=_text(status.last_error),
    )


def timestamp(time: datetime) -> Timestamp:
    """Return an aware time as the wire has it."""
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def time_from_wire(stamp: Timestamp, *, field: str) -> datetime:
    """Return an aware time in UTC. Raises ``InvalidInput`` where the calendar has no such time."""
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as e:
        raise InvalidInput(field, why=str(e), mend="Give a time between the years 1 and 9999", field=field) from e


def states_from_wire(values: Iterable[int]) -> frozenset[State]:
    """Return the states of a filter. Raises ``InvalidInput``."""
    return _members(values, STATES, field="states")


def labels_from_wire(values: Iterable[int]) -> frozenset[Label]:
    """Return the classes of a filter. Raises ``InvalidInput``."""
    return _members(values, LABELS, field="labels")


def _members(values: Iterable[int], table: Mapping[T, Any], *, field: str) -> frozenset[T]:
    known = {number: member for member, number in table.items()}
    found = []
    for value in values:
        if value not in known:
            raise InvalidInput(
                field, why=f"{value} is none of those that this daemon knows",
                mend=f"Use {', '.join(str(member) for member in table)}", field=field,
            )  # fmt: skip
        found.append(known[value])
    return frozenset(found)


def _tell(message: scan_pb2.Scan | event_service_pb2.Event, state: State, facts: Mapping[str, Any]) -> None:
    """Fill the fields that a scan and an event share."""
    known = {name: value for name, value in facts.items() if value is not None}
    if "rows" in known:
        message.grid.CopyFrom(_grid(known))
    message.channels.extend(_channel(channel) for channel in known.get("channels", ()))
    if "label" in known:
        message.classification.CopyFrom(_classification(known))
    if REPAIR_FACTS & known.keys():
        message.repair.CopyFrom(_repair(known))
    if state in HAVE_A_PROBLEM and PROBLEM_FACTS & known.keys():
        message.problem.CopyFrom(_problem(known))
    if state is State.DUPLICATE and "duplicate_of" in known:
        message.original.scan_id = str(known["duplicate_of"])
        message.original.name = _text(known.get("original_name", ""))


def _grid(facts: Mapping[str, Any]) -> scan_pb2.Grid:
    down, across = facts.get("pixel_nm", (0.0, 0.0))
    return scan_pb2.Grid(
        rows=facts["rows"],
        cols=facts.get("cols", 0),
        pixel_nm=scan_pb2.PixelPitch(down=down, across=across),
        rows_planned=facts.get("rows_expected", facts["rows"]),
    )


def _channel(channel: Mapping[str, str]) -> scan_pb2.Channel:
    return scan_pb2.Channel(
        name=_text(channel["name"]),
        direction=DIRECTIONS[Direction(channel["direction"])],
        unit=_text(channel["unit"]),
    )


def _classification(facts: Mapping[str, Any]) -> scan_pb2.Classification:
    probabilities = facts.get("probabilities", {})
    return scan_pb2.Classification(
        label=LABELS[Label(facts["label"])],
        probabilities=[
            scan_pb2.LabelProbability(label=LABELS[label], probability=probabilities[label])
            for label in Label
            if probabilities.get(label) is not None
        ],
        abstained=facts.get("abstained", False),
        classifier=_backend(facts.get("classifier", "")),
    )


def _repair(facts: Mapping[str, Any]) -> scan_pb2.Repair:
    return scan_pb2.Repair(
        number=facts.get("repair", 0),
        verdict=_text(facts.get("verdict", "")),
        refusal=_text(facts.get("refusal", "")),
        outputs=[_text(name) for name in facts.get("outputs", ())],
        segmenter=_backend(facts["segmenter"]) if "segmenter" in facts else None,
        params=_params(facts["params"]) if "params" in facts else None,
        deconvolution=_deconvolution(facts["deconvolution"]) if "deconvolution" in facts else None,
        levelling=_levelling(facts["levelling"]) if "levelling" in facts else None,
        **{name: facts[name] for name in REPAIR_NUMBERS if name in facts},
    )


def _levelling(told: Mapping[str, Any]) -> scan_pb2.Levelling:
    return scan_pb2.Levelling(
        method=told.get("method", ""), direction=told.get("direction", ""), order=told.get("order", 0),
        jumps=[scan_pb2.Jump(**jump) for jump in told.get("jumps", ())],
        disturbances=[scan_pb2.Disturbance(**wave) for wave in told.get("disturbances", ())],
    )  # fmt: skip


def _deconvolution(told: Mapping[str, Any]) -> scan_pb2.Deconvolution:
    tip = scan_pb2.Tip(
        form=told.get("form", ""), radius_nm=told["radius_nm"], radius_sigma_nm=told.get("radius_sigma_nm") or 0,
        half_angle_deg=told.get("half_angle_deg") or 0,
    ) if told.get("radius_nm") is not None else None  # fmt: skip
    return scan_pb2.Deconvolution(
        tip=tip, estimated=told.get("estimated", False), method=told.get("method", ""),
        backend=_backend(told.get("backend", "")), refusal=_text(told.get("refusal", "")),
        touched_share=told.get("touched_share"),
    )  # fmt: skip


def _params(values: Mapping[str, Any]) -> params_pb2.Params:
    others = {name: _param_value(value) for name, value in values.items() if name != "preset"}
    return params_pb2.Params(preset=values.get("preset", ""), values=others)


def _param_value(value: bool | int | float | str) -> params_pb2.ParamValue:
    if isinstance(value, bool):
        return params_pb2.ParamValue(flag=value)
    if isinstance(value, int):
        return params_pb2.ParamValue(integer=value)
    if isinstance(value, float):
        return params_pb2.ParamValue(number=value)
    return params_pb2.ParamValue(text=_text(value))


def _problem(facts: Mapping[str, Any]) -> scan_pb2.Problem:
    return scan_pb2.Problem(
        reason=str(facts.get("reason", "")),
        what=_text(facts.get("what", "")),
        why=_text(facts.get("why", facts.get("error", ""))),
        mend=_text(facts.get("mend", "")),
    )


def _backend(backend: Backend | str) -> scan_pb2.Backend:
    if isinstance(backend, Backend):
        return scan_pb2.Backend(name=backend.name, version=backend.version)
    name, _, version = backend.partition("@")
    return scan_pb2.Backend(name=name, version=version)


def _text(value: object) -> str:
    """Return text that UTF-8 can carry: a file name may hold bytes that it cannot."""
    return str(value).encode("utf-8", "replace").decode("utf-8")
