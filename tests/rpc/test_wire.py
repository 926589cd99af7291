"""Conversions: every word of the domain has its place on the wire, and odd facts do not break it."""

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from served import READ, RESTORED

from afmd import errors
from afmd.domain.events import Entry, Event, Fingerprint, State
from afmd.domain.findings import Label
from afmd.domain.params import Params
from afmd.rpc import arrays, wire
from afmd.rpc.refusals import reason_of, status_of
from afmd_client import wire as client_wire
from afmd_client.nouns import Backend, Deconvolution, Disturbance, Jump, Levelling, Tip
from afmd_client.v1 import error_pb2, event_service_pb2, scan_pb2

NOW = datetime(2024, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def event(state: State = State.RESTORED, name: str = "a.001", **facts: Any) -> event_service_pb2.Event:
    return wire.event_to_wire(Event(7, NOW, "id", name, state, MappingProxyType(facts)))


def entry(state: State, **facts: Any) -> scan_pb2.Scan:
    return wire.scan_to_wire(
        Entry("id", "a.001", "sub/a.001", Fingerprint(1, 1), "0" * 64, state, 7, NOW, NOW, 1, MappingProxyType(facts))
    )


def every_error() -> list[type[errors.AfmdError]]:
    found, todo = [], [errors.AfmdError]
    while todo:
        kind = todo.pop()
        found.append(kind)
        todo += kind.__subclasses__()
    return [kind for kind in found if kind.__module__ == "afmd.errors"]


def test_every_state_and_class_of_the_domain_is_on_the_wire_and_none_besides() -> None:
    assert set(wire.STATES.values()) == set(scan_pb2.ScanState.values()) - {0}
    assert set(wire.LABELS.values()) == set(scan_pb2.Label.values()) - {0}
    assert set(wire.DIRECTIONS.values()) == set(scan_pb2.Direction.values()) - {0}
    assert len(arrays.KINDS) == len(set(arrays.KINDS.values())) == 11


def test_states_and_classes_come_back_as_they_went() -> None:
    assert wire.states_from_wire(wire.STATES.values()) == frozenset(State)
    assert wire.labels_from_wire(wire.LABELS.values()) == frozenset(Label)


def test_every_error_has_a_reason_in_the_proto_and_every_reason_an_error() -> None:
    reasons = {reason_of(kind("what", why="why", mend="mend")) for kind in every_error()}

    named = {name.removeprefix("ERROR_REASON_") for name in error_pb2.ErrorReason.keys()}  # noqa: SIM118 — no dict

    assert reasons == named - {"UNSPECIFIED"}


@pytest.mark.parametrize("kind", every_error())
def test_every_error_is_a_status_that_says_what_why_and_mend(kind: type[errors.AfmdError]) -> None:
    status = status_of(kind("what", why="why", mend="mend"))

    assert status.message == "what: why. mend."
    assert status.code > 0
    assert b"mend" in status.details[0].value


def test_every_fact_of_the_agreed_list_reaches_the_client() -> None:
    told = event(**READ, **RESTORED, repair=1, outputs=["heights.txt"])

    assert (told.revision, told.time.ToDatetime(UTC)) == (7, NOW)
    assert told.grid.rows_planned == 8
    assert len(told.channels) == 2
    assert told.classification.label == scan_pb2.LABEL_NOT_TRACKING
    assert told.repair.verdict == RESTORED["verdict"]
    assert told.repair.total_ms == pytest.approx(231.4)
    assert list(told.repair.outputs) == ["heights.txt"]


def test_what_a_step_did_not_learn_is_unset() -> None:
    told = event(State.SETTLED)

    unset = [not told.HasField(name) for name in ("grid", "classification", "repair", "problem", "original")]  # type: ignore[arg-type]
    assert all(unset)


def test_a_figure_that_is_not_known_is_unset_and_a_zero_is_not() -> None:
    told = event(masked_share=0.0, touched_share=None, confidence=None)

    assert told.repair.HasField("masked_share")
    assert not told.repair.HasField("touched_share")
    assert not told.repair.HasField("confidence")


def test_a_probability_that_is_not_a_number_is_left_out() -> None:
    told = event(label="good", probabilities={"good": None, "not_tracking": 0.4})

    assert [p.label for p in told.classification.probabilities] == [scan_pb2.LABEL_NOT_TRACKING]


def test_the_parameters_of_a_repair_keep_their_types() -> None:
    params = Params("published", thr=0.4)

    told = event(params=params.as_dict()).repair.params

    values = {name: getattr(value, value.WhichOneof("kind") or "") for name, value in told.values.items()}
    assert {"preset": told.preset, **values} == params.as_dict()
    assert {name: type(value) for name, value in values.items()} == {
        name: type(value) for name, value in params.as_dict().items() if name != "preset"
    }


@pytest.mark.parametrize("state", [State.REFUSED, State.FAILED, State.VANISHED])
def test_a_reason_is_told_in_the_states_that_have_one(state: State) -> None:
    facts = {"reason": "STORAGE_ERROR", "what": "disk", "why": "it is full", "mend": "Make room"}

    assert entry(state, **facts).problem.reason == "STORAGE_ERROR"


def test_a_reason_that_is_overcome_is_not_told_any_more() -> None:
    assert not entry(State.COMPLETE, reason="STORAGE_ERROR", why="it was full", label="good").HasField("problem")


def test_a_duplicate_names_its_original() -> None:
    told = event(State.DUPLICATE, duplicate_of="other", original_name="b.001")

    assert (told.original.scan_id, told.original.name) == ("other", "b.001")


def test_a_file_name_that_is_no_utf8_is_told_as_well_as_can_be() -> None:
    assert event(name="a\udcff.001").name == "a?.001"
    status = status_of(errors.NotFound("a\udcff.001", why="no", mend="no"))
    assert status.message.startswith("a?.001")


def test_what_became_of_the_tip_goes_over_the_wire_and_comes_back() -> None:
    told = {
        "method": "certainty", "backend": "certainty@1", "refusal": "", "estimated": True, "touched_share": 0.25,
        "form": "cone", "radius_nm": 9.5, "radius_sigma_nm": 0.4, "half_angle_deg": 21.0,
    }  # fmt: skip

    repair = client_wire.event(event(repair=1, deconvolution=told)).repair

    assert repair is not None
    assert repair.deconvolution == Deconvolution(
        tip=Tip("cone", 9.5, 0.4, 21.0), estimated=True, method="certainty", backend=Backend("certainty", "1"),
        refusal="", touched_share=0.25,
    )  # fmt: skip


def test_how_a_scan_was_levelled_goes_over_the_wire_and_comes_back() -> None:
    told = {
        "method": "joint", "direction": "row", "order": 2, "jumps": [{"row": 12, "col": 0, "height_nm": 4.5}],
        "disturbances": [{"kind": "fringes", "amplitude_nm": 1.25, "down": 0.01, "across": -0.02}],
    }  # fmt: skip

    repair = client_wire.event(event(repair=1, levelling=told)).repair

    assert repair is not None
    assert repair.levelling == Levelling(
        "joint", "row", 2, jumps=(Jump(12, 0, 4.5),), disturbances=(Disturbance("fringes", 1.25, 0.01, -0.02),)
    )
    older = client_wire.event(event(repair=1)).repair
    assert older is not None
    assert older.levelling is None


def test_a_tip_that_nobody_knows_is_unset_and_a_removal_that_nobody_asked_for_too() -> None:
    refused = client_wire.event(event(repair=1, deconvolution={"refusal": "it does not tell", "estimated": True}))
    silent = client_wire.event(event(repair=1, deconvolution=None))

    assert refused.repair is not None
    assert refused.repair.deconvolution is not None
    assert refused.repair.deconvolution.tip is None
    assert refused.repair.deconvolution.refusal == "it does not tell"
    assert silent.repair is not None
    assert silent.repair.deconvolution is None
