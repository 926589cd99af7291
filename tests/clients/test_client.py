"""What a client gives: typed values, arrays with their units, errors with their reasons; through a real server."""

import dataclasses
import hashlib
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trustme
from served import RESTORED, Served

from afmd.domain.events import State as DaemonState
from afmd.domain.findings import Label as DaemonLabel
from afmd_client import (
    Channel,
    Client,
    ClientError,
    Corrupt,
    Defect,
    Direction,
    InvalidInput,
    Label,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    ScanArray,
    State,
    TimedOut,
    Unavailable,
    WrongState,
    arrays,
    plain,
)
from afmd_client.v1 import array_pb2


def test_a_scan_is_told_in_typed_values(served: Served, client: Client) -> None:
    entry = served.restored("a.001")

    scan = client.scan(entry.scan_id)

    assert (scan.scan_id, scan.name, scan.state, scan.sha256) == (entry.scan_id, "a.001", State.COMPLETE, entry.sha256)
    assert scan.first_seen == entry.first_seen
    assert scan.grid is not None
    assert (scan.grid.rows, scan.grid.cols, scan.grid.pixel_nm, scan.grid.rows_planned) == (4, 6, (2.0, 3.0), 8)
    assert scan.channels[1] == Channel("Amplitude Error", Direction.RETRACE, "V")
    assert scan.classification is not None
    assert (scan.classification.label, scan.classification.probability) == (Label.NOT_TRACKING, 0.9)
    assert str(scan.classification.classifier) == "rules@1"
    assert scan.repair is not None
    assert (scan.repair.number, scan.repair.touched_share, scan.repair.verdict) == (1, 0.029, RESTORED["verdict"])
    assert dict(scan.repair.params) == RESTORED["params"]
    assert scan.problem is None


def test_what_is_not_known_is_none(served: Served, client: Client) -> None:
    scan = client.scan(served.seen("a.001").scan_id)

    assert (scan.grid, scan.classification, scan.repair, scan.problem, scan.original) == (None,) * 5


def test_every_state_and_class_of_the_daemon_is_known_to_the_client() -> None:
    assert {state.value for state in State} == {state.value for state in DaemonState} | {"unknown"}
    assert {label.value for label in Label} == {label.value for label in DaemonLabel} | {"unknown"}


def test_values_cannot_be_changed(served: Served, client: Client) -> None:
    scan = client.scan(served.restored("a.001").scan_id)

    with pytest.raises(dataclasses.FrozenInstanceError):
        scan.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        scan.repair.params["thr"] = 1  # type: ignore[index, union-attr]


def test_values_are_plain_json_with_what_is_unknown_left_out(served: Served, client: Client) -> None:
    scan = client.scan(served.restored("a.001").scan_id)

    told = json.loads(json.dumps(plain(scan)))

    assert told["state"] == "complete"
    assert told["classification"]["probabilities"]["not_tracking"] == 0.9
    assert datetime.fromisoformat(told["first_seen"]) == scan.first_seen
    assert "problem" not in told


def test_a_list_is_fetched_page_by_page_and_only_as_it_is_read(served: Served, client: Client) -> None:
    for n in range(10):
        served.seen(f"a.{n:03}")
    listing = client.scans(page_size=3)
    first = next(listing)
    served.seen("new.000")

    names = [first.name, *(scan.name for scan in listing)]

    assert names == [f"a.{n:03}" for n in reversed(range(10))]
    assert listing.revision == 10


def test_a_watch_from_a_lists_revision_misses_nothing(served: Served, client: Client) -> None:
    served.seen("a.001")
    listing = client.scans()
    known = listing.revision
    missed = served.seen("a.002")

    assert next(client.watch(known)).scan_id == missed.scan_id


def test_a_list_keeps_to_its_filters(served: Served, client: Client) -> None:
    served.seen("seen.001")
    served.restored("spoilt.001")
    served.restored("good.001", facts={"label": "good"})
    since = served.clock.now()
    served.clock.pass_s(1)
    served.restored("late.001")

    def names(**filters: Any) -> list[str]:
        return [scan.name for scan in client.scans(**filters)]

    assert names(states=["seen"]) == ["seen.001"]
    assert names(labels=[Label.GOOD]) == ["good.001"]
    assert names(since=since) == ["late.001"]
    assert names(until=since, states=[State.COMPLETE]) == ["good.001", "spoilt.001"]


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"states": ["unknown"]}, "states"),
        ({"labels": ["nice"]}, "labels"),
        ({"since": datetime(2024, 5, 1)}, "since"),
        ({"page_size": -1}, "page_size"),
    ],
)
def test_a_bad_filter_is_refused_with_its_name(client: Client, filters: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        next(client.scans(**filters))

    assert caught.value.field == field


def test_an_array_comes_with_its_unit_and_pitch_to_the_last_bit(served: Served, client: Client) -> None:
    heights = np.random.default_rng(1).normal(size=(700, 500)).astype(np.float32)
    entry = served.restored("a.001")
    served.results.put(entry.scan_id, "restored", heights)
    told: list[tuple[int, int]] = []

    array = client.array(entry.scan_id, "restored", on_progress=lambda done, total: told.append((done, total)))

    assert array.dtype == np.float32
    assert np.array_equal(array, heights)
    assert (array.unit, array.pixel_nm, array.repair) == ("nm", (2.0, 3.0), 1)
    assert told == [(2**20, heights.nbytes), (heights.nbytes, heights.nbytes)]


def test_a_mask_comes_as_bool(served: Served, client: Client) -> None:
    mask = np.random.default_rng(1).random((5, 7)) < 0.3
    entry = served.restored("a.001")
    served.results.put(entry.scan_id, "mask", mask)

    array = client.array(entry.scan_id, "mask")

    assert array.dtype == np.bool_
    assert np.array_equal(array, mask)
    assert array.unit == "1"


def test_a_signal_is_asked_for_as_the_scan_names_it(served: Served, client: Client) -> None:
    entry = served.restored("a.001")
    served.results.put(
        entry.scan_id, "channel", np.ones((4, 6), np.float32), channel="Amplitude Error/retrace", unit="V"
    )  # fmt: skip
    signal = client.scan(entry.scan_id).channels[1]

    assert client.array(entry.scan_id, "channel", channel=signal).unit == "V"
    assert client.array(entry.scan_id, "channel", channel="Amplitude Error/retrace").unit == "V"
    with pytest.raises(InvalidInput):
        client.array(entry.scan_id, "channel", channel="Amplitude Error")


def fetched(served: Served, client: Client) -> ScanArray:
    entry = served.restored("a.001")
    served.results.put(entry.scan_id, "raw", np.arange(12, dtype=np.float32).reshape(3, 4))
    return client.array(entry.scan_id, "raw")


@pytest.mark.parametrize(
    "derive",
    [
        lambda a: a * 1000.0,
        lambda a: a - a.mean(),
        lambda a: a[::2],
        lambda a: a[1],
        np.sqrt,
        lambda a: a > 3,
        lambda a: a.mean(axis=0),
    ],
)
def test_what_is_made_of_an_array_claims_no_unit(
    served: Served, client: Client, derive: Callable[[ScanArray], Any]
) -> None:
    derived = derive(fetched(served, client))

    assert type(derived) is np.ndarray
    assert not hasattr(derived, "unit")


@pytest.mark.parametrize("derive", [lambda a: a.T, lambda a: a.copy(), lambda a: a.reshape(-1), lambda a: a.ravel()])
def test_a_view_of_an_array_claims_no_unit(served: Served, client: Client, derive: Callable[[ScanArray], Any]) -> None:
    assert not hasattr(derive(fetched(served, client)), "unit")


def test_figures_of_an_array_are_numbers(served: Served, client: Client) -> None:
    array = fetched(served, client)

    assert float(array.mean()) == 5.5
    assert array[2, 3] == 11.0
    assert array.sum(dtype=np.float64) == 66.0


def test_a_picture_comes_as_bytes(served: Served, client: Client) -> None:
    entry = served.restored("a.001")
    served.results.put(entry.scan_id, "restored", np.zeros((2, 3), np.float32))

    picture = client.image(entry.scan_id, "restored", longest_px=512, colour_map="viridis")

    assert picture == b"\x89PNG\r\n\x1a\n(2, 3) 512 viridis a.001 \xc2\xb7 restored"


def test_the_status_is_told_in_typed_values(served: Served, client: Client) -> None:
    served.seen("a.001")

    status = client.status()

    assert (status.version, status.queue, status.workers_busy, status.revision) == ("1.2.3", 3, 1, 1)
    assert status.counts == {State.COMPLETE: 5, State.REFUSED: 1}
    assert status.started == datetime(2024, 5, 1, 11, tzinfo=UTC)
    assert status.disk_free_bytes == 7 * 2**30


def test_errors_have_the_daemons_reason_and_words(served: Served, client: Client) -> None:
    scan_id = served.seen("a.001").scan_id

    with pytest.raises(NotFound) as missing:
        client.scan("nobody")
    with pytest.raises(WrongState) as early:
        client.array(scan_id, "restored")
    with pytest.raises(InvalidInput) as nonsense:
        client.array(scan_id, "no-such-kind")

    assert (missing.value.reason, early.value.reason) == ("NOT_FOUND", "WRONG_STATE")
    assert str(early.value) == "scan a.001: it is seen. Wait until it is restored."
    assert nonsense.value.field == "kind"
    assert "flattened" in nonsense.value.mend


def test_nobody_at_the_address_is_unavailable_and_says_what_to_do(tmp_path: Path) -> None:
    served = Served(tmp_path).start()
    served.stop()
    with Client(served.address) as client, pytest.raises(Unavailable) as caught:
        client.status()
    served.close()

    assert "no daemon can be reached (connection refused)" in str(caught.value)
    assert caught.value.exit_status == 5


def test_an_answer_that_does_not_come_is_a_time_out(served: Served) -> None:
    gate = threading.Event()
    served.status.before = lambda: assert_opened(gate)

    with Client(served.address, timeout_s=0.05) as client, pytest.raises(TimedOut):
        client.status()

    gate.set()


def assert_opened(gate: threading.Event) -> None:
    assert gate.wait(30)


def test_a_defect_of_the_daemon_is_told_as_one(served: Served, client: Client) -> None:
    def stumble() -> None:
        raise ZeroDivisionError

    served.status.before = stumble

    with pytest.raises(Defect) as caught:
        client.status()

    assert caught.value.reason == "INTERNAL"
    assert "incident" in str(caught.value)


def test_a_token_opens_what_it_may_and_is_never_sent_in_the_clear(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("viewer eve viewer-hush-0123456789\n")
    served = Served(tmp_path, tokens=tokens).start()

    with Client(served.address, token="viewer-hush-0123456789") as client:
        assert client.status().version
    with Client(served.address) as client, pytest.raises(NotAuthenticated) as caught:
        client.status()
    with pytest.raises(InvalidInput, match="in the clear"):
        Client("203.0.113.7:50551", token="viewer-hush-0123456789")

    assert caught.value.mend == "Send the metadata 'authorization: Bearer TOKEN'"
    served.close()


def test_tls_is_spoken_with_whom_the_given_certificates_vouch_for(tmp_path: Path) -> None:
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    (tmp_path / "key.pem").write_bytes(own.private_key_pem.bytes())
    (tmp_path / "certificate.pem").write_bytes(own.cert_chain_pems[0].bytes())
    (tmp_path / "authority.pem").write_bytes(authority.cert_pem.bytes())
    served = Served(
        tmp_path, tls_certificate=tmp_path / "certificate.pem", tls_key=tmp_path / "key.pem",
        tls_client_ca=tmp_path / "authority.pem",
    ).start()  # fmt: skip
    mine = authority.issue_cert("client@lab")

    with Client(
        served.address, root_certificates=tmp_path / "authority.pem",
        certificate=mine.cert_chain_pems[0].bytes(), key=mine.private_key_pem.bytes(),
    ) as client:  # fmt: skip
        assert client.status().version
    with Client(served.address, root_certificates=trustme.CA().cert_pem.bytes()) as client, pytest.raises(Unavailable):
        client.status()
    with pytest.raises(InvalidInput):
        Client(served.address, root_certificates=tmp_path / "nowhere.pem")

    served.close()


def header_of(content: bytes, **other: Any) -> array_pb2.ArrayHeader:
    right = {
        "rows": 2, "cols": 3, "data_type": array_pb2.DATA_TYPE_FLOAT32, "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip
    return array_pb2.ArrayHeader(**{**right, **other})


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"rows": 1, "size_bytes": 12}, "more than"),
        ({"rows": 3, "size_bytes": 36}, "24 of 36"),
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"rows": 3}, "make no 3 × 3"),
        ({"size_bytes": 2**60}, "make no 2 × 3"),
        ({"data_type": 9}, "type 9"),
        ({"data_type": array_pb2.DATA_TYPE_BOOL}, "make no 2 × 3"),
        ({"rows": -2, "cols": -3}, "no -2 × -3"),
    ],
)
def test_bytes_that_are_not_as_promised_are_corrupt(header: dict[str, Any], why: str) -> None:
    content = bytes(range(24))
    promised = header_of(content, **header)

    with pytest.raises(Corrupt, match=why):
        arrays.received(promised, iter([content[:10], content[10:]]))


def test_every_error_has_an_exit_status() -> None:
    kinds = ClientError.__subclasses__()

    assert len(kinds) == 11
    assert {kind.exit_status for kind in kinds} == {1, 2, 5, 7}
    assert NotPermitted.exit_status == 7
