"""Lists, single scans, arrays and pictures, through a real server."""

import hashlib
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo
from grpc_status import rpc_status
from served import Served

from afmd.domain.events import Fingerprint, State
from afmd_client.v1 import array_pb2, scan_pb2
from afmd_client.v1 import scan_service_pb2 as pb
from afmd_client.v1.scan_service_pb2_grpc import ScanServiceStub

PATIENCE_S = 30


@pytest.fixture
def scans(channel: grpc.Channel) -> ScanServiceStub:
    return ScanServiceStub(channel)


def page(scans: ScanServiceStub, **request: Any) -> pb.ListScansResponse:
    return scans.ListScans(pb.ListScansRequest(**request), timeout=PATIENCE_S)


def all_names(scans: ScanServiceStub, **request: Any) -> list[str]:
    names, token = [], ""
    while True:
        answer = page(scans, page_token=token, **request)
        names += [scan.name for scan in answer.scans]
        token = answer.next_page_token
        if not token:
            return names


def array_name(scan_id: str, kind: int = array_pb2.ARRAY_KIND_RESTORED, **more: Any) -> array_pb2.ArrayName:
    return array_pb2.ArrayName(scan_id=scan_id, kind=kind, **more)  # type: ignore[arg-type]


def read(scans: ScanServiceStub, name: array_pb2.ArrayName) -> tuple[array_pb2.ArrayHeader, list[bytes]]:
    first, *rest = scans.ReadArray(pb.ReadArrayRequest(array=name), timeout=PATIENCE_S)
    return first.header, [part.chunk for part in rest]


def refused(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str, str]:
    """Code, reason, and the field or resource that the details name."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    info, bad, resource = ErrorInfo(), BadRequest(), ResourceInfo()
    named = ""
    for detail in rpc_status.from_call(caught.value).details:
        detail.Unpack(info)
        if detail.Unpack(bad):
            named = bad.field_violations[0].field
        if detail.Unpack(resource):
            named = resource.resource_name
    assert info.domain == "afmd"
    return caught.value.code(), info.reason, named


def test_pages_hold_every_scan_once_newest_first(served: Served, scans: ScanServiceStub) -> None:
    for n in range(11):
        served.seen(f"a.{n:03}")

    assert all_names(scans, page_size=4) == [f"a.{n:03}" for n in reversed(range(11))]


def test_pages_do_not_shift_when_new_scans_come(served: Served, scans: ScanServiceStub) -> None:
    for n in range(6):
        served.seen(f"a.{n:03}")
    first = page(scans, page_size=3)
    served.seen("new.000")

    second = page(scans, page_size=3, page_token=first.next_page_token)

    names = [scan.name for scan in (*first.scans, *second.scans)]
    assert names == [f"a.{n:03}" for n in reversed(range(6))]
    assert first.revision == second.revision == 6


def test_the_last_page_says_so_even_when_it_is_full(served: Served, scans: ScanServiceStub) -> None:
    for n in range(4):
        served.seen(f"a.{n:03}")

    full = page(scans, page_size=4)

    assert len(full.scans) == 4
    assert full.next_page_token == ""


def test_a_page_is_never_larger_than_the_bound_nor_than_a_message(serve: Callable[..., Served]) -> None:
    served = serve(max_page=20)
    channels = [{"name": "n" * 1000, "direction": "trace", "unit": "V"}] * 200
    for n in range(60):
        scan_id = served.seen(f"a.{n:03}").scan_id
        served.advanced(scan_id, State.SETTLED, sha256=f"{n:064x}")
        if n < 30:
            served.advanced(scan_id, State.READ, facts={"rows": 4, "cols": 4, "channels": channels})

    with grpc.insecure_channel(served.address) as channel:
        scans = ScanServiceStub(channel)
        assert len(page(scans, page_size=10_000, states=[scan_pb2.SCAN_STATE_SETTLED]).scans) == 20
        assert page(scans, states=[scan_pb2.SCAN_STATE_READ]).ByteSize() < 4 * 2**20
        assert len(all_names(scans, states=[scan_pb2.SCAN_STATE_READ])) == 30


def test_filters_join_by_and_and_their_values_by_or(served: Served, scans: ScanServiceStub) -> None:
    served.seen("seen.001")
    served.restored("tracking.001")
    served.restored("good.001", facts={"label": "good"})
    served.restored("fresh.001", up_to=State.RESTORED)

    by_state = all_names(scans, states=[scan_pb2.SCAN_STATE_SEEN, scan_pb2.SCAN_STATE_RESTORED])
    by_both = all_names(scans, states=[scan_pb2.SCAN_STATE_COMPLETE], labels=[scan_pb2.LABEL_NOT_TRACKING])

    assert by_state == ["fresh.001", "seen.001"]
    assert by_both == ["tracking.001"]


def test_time_bounds_are_from_inclusive_to_exclusive(served: Served, scans: ScanServiceStub) -> None:
    times = []
    for n in range(4):
        event = served.seen(f"a.{n:03}")
        stamp = Timestamp()
        stamp.FromDatetime(served.ledger.entry(event.scan_id).first_seen)
        times.append(stamp)

    assert all_names(scans, since=times[1], until=times[3]) == ["a.002", "a.001"]


@pytest.mark.parametrize(
    ("request_of", "field"),
    [
        ({"page_size": -1}, "page_size"),
        ({"page_token": "nonsense"}, "page_token"),
        ({"page_token": "W10="}, "page_token"),
        ({"page_token": "ä"}, "page_token"),
        ({"states": [0]}, "states"),
        ({"states": [99]}, "states"),
        ({"labels": [77]}, "labels"),
        ({"since": Timestamp(seconds=10**15)}, "since"),
    ],
)
def test_a_bad_listing_is_refused_with_the_fields_name(
    scans: ScanServiceStub, request_of: dict[str, Any], field: str
) -> None:
    assert refused(lambda: page(scans, **request_of)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", field)


def test_a_token_fits_only_the_filters_that_it_came_from(served: Served, scans: ScanServiceStub) -> None:
    for n in range(4):
        served.seen(f"a.{n:03}")
    token = page(scans, page_size=2).next_page_token

    assert refused(lambda: page(scans, page_token=token, labels=[scan_pb2.LABEL_GOOD]))[2] == "page_token"


def test_a_scan_tells_everything_that_is_known(served: Served, scans: ScanServiceStub) -> None:
    entry = served.restored("a.001")

    scan = scans.GetScan(pb.GetScanRequest(scan_id=entry.scan_id)).scan

    assert (scan.name, scan.path, scan.sha256, scan.size_bytes) == ("a.001", "a.001", entry.sha256, 1000)
    assert (scan.grid.rows, scan.grid.cols, scan.grid.rows_planned) == (4, 6, 8)
    assert (scan.grid.pixel_nm.down, scan.grid.pixel_nm.across) == (2.0, 3.0)
    assert [(c.name, c.direction, c.unit) for c in scan.channels] == [
        ("Height", scan_pb2.DIRECTION_TRACE, "nm"),
        ("Amplitude Error", scan_pb2.DIRECTION_RETRACE, "V"),
    ]
    assert scan.classification.label == scan_pb2.LABEL_NOT_TRACKING
    assert sum(p.probability for p in scan.classification.probabilities) == pytest.approx(1.0)
    assert (scan.classification.classifier.name, scan.classification.classifier.version) == ("rules", "1")
    assert (scan.repair.number, scan.repair.touched_share, scan.repair.sa_after_nm) == (1, 0.029, 3.9)
    assert list(scan.repair.outputs) == ["heights.txt", "panels.png", "record.json"]
    assert scan.repair.params.preset == "best"
    kinds = {name: value.WhichOneof("kind") for name, value in scan.repair.params.values.items()}
    assert kinds == {"thr": "number", "order": "integer", "expand": "flag", "fill": "text"}
    assert not scan.HasField("problem")


def test_a_refused_scan_says_why(served: Served, scans: ScanServiceStub) -> None:
    scan_id = served.seen("curve.001").scan_id
    facts = {"reason": "NOT_AN_IMAGE", "what": "curve.001", "why": "it holds force curves", "mend": "Capture an image"}
    served.advanced(scan_id, State.REFUSED, facts=facts)

    problem = scans.GetScan(pb.GetScanRequest(scan_id=scan_id)).scan.problem

    assert {name: getattr(problem, name) for name in facts} == facts


def test_an_unknown_scan_is_not_found_and_named(scans: ScanServiceStub) -> None:
    missing = (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "nobody")

    assert refused(lambda: scans.GetScan(pb.GetScanRequest(scan_id="nobody"))) == missing
    assert refused(lambda: read(scans, array_name("nobody"))) == missing
    assert refused(lambda: scans.GetScan(pb.GetScanRequest()))[2] == "scan_id"


def test_an_array_arrives_as_its_header_says_to_the_last_bit(served: Served, scans: ScanServiceStub) -> None:
    heights = np.random.default_rng(1).normal(size=(700, 500)).astype(np.float32)
    entry = served.restored("a.001")
    served.results.put(entry.scan_id, "restored", heights)

    header, chunks = read(scans, array_name(entry.scan_id))

    content = b"".join(chunks)
    assert np.array_equal(np.frombuffer(content, "<f4").reshape(header.rows, header.cols), heights)
    assert header.sha256 == hashlib.sha256(content).hexdigest()
    assert (header.size_bytes, header.unit, header.repair) == (len(content), "nm", 1)
    assert (header.pixel_nm.down, header.pixel_nm.across) == (2.0, 3.0)
    assert header.data_type == array_pb2.DATA_TYPE_FLOAT32
    assert [len(chunk) for chunk in chunks] == [2**20, len(content) - 2**20]


def test_a_mask_travels_as_bytes_of_0_and_1(served: Served, scans: ScanServiceStub) -> None:
    mask = np.array([[True, False, False], [False, True, True]])
    entry = served.restored("a.001")
    served.results.put(entry.scan_id, "mask", mask)

    header, chunks = read(scans, array_name(entry.scan_id, array_pb2.ARRAY_KIND_FINAL_MASK))

    assert b"".join(chunks) == bytes([1, 0, 0, 0, 1, 1])
    assert (header.data_type, header.unit) == (array_pb2.DATA_TYPE_BOOL, "1")


def test_a_view_with_strides_travels_as_what_it_shows(served: Served, scans: ScanServiceStub) -> None:
    whole = np.arange(60, dtype=">f8").reshape(6, 10)
    entry = served.restored("a.001")
    served.results.put(entry.scan_id, "raw", whole[::-2, 1::3].T)

    header, chunks = read(scans, array_name(entry.scan_id, array_pb2.ARRAY_KIND_RAW))

    shown = np.frombuffer(b"".join(chunks), "<f4").reshape(header.rows, header.cols)
    assert np.array_equal(shown, whole[::-2, 1::3].T)


def test_a_signal_is_found_by_name_and_pass(served: Served, scans: ScanServiceStub) -> None:
    entry = served.restored("a.001")
    served.results.put(entry.scan_id, "channel", np.ones((2, 2), np.float32), channel="A/B Error/retrace", unit="V")
    signal = array_pb2.ChannelName(name="A/B Error", direction=scan_pb2.DIRECTION_RETRACE)

    header, _ = read(scans, array_name(entry.scan_id, array_pb2.ARRAY_KIND_CHANNEL, channel=signal))

    assert header.unit == "V"


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ({"kind": 0}, "array.kind"),
        ({"kind": 42}, "array.kind"),
        ({"repair": -1}, "array.repair"),
        ({"kind": array_pb2.ARRAY_KIND_CHANNEL}, "array.channel"),
        ({"channel": array_pb2.ChannelName(name="Height", direction=scan_pb2.DIRECTION_TRACE)}, "array.channel"),
        (
            {"kind": array_pb2.ARRAY_KIND_CHANNEL, "channel": array_pb2.ChannelName(name="Height")},
            "array.channel",
        ),
        ({"scan_id": ""}, "array.scan_id"),
    ],
)
def test_a_bad_array_name_is_refused_with_the_fields_name(
    served: Served, scans: ScanServiceStub, name: dict[str, Any], field: str
) -> None:
    entry = served.restored("a.001")

    call = refused(lambda: read(scans, array_name(**{"scan_id": entry.scan_id, **name})))

    assert call == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", field)


def test_an_array_that_the_state_does_not_have_is_a_failed_precondition(served: Served, scans: ScanServiceStub) -> None:
    scan_id = served.seen("a.001").scan_id

    assert refused(lambda: read(scans, array_name(scan_id)))[:2] == (
        grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATE",
    )  # fmt: skip


def test_a_picture_comes_in_chunks_and_whole(serve: Callable[..., Served]) -> None:
    served = serve(chunk_kib=16)
    served.renderer._padding = 100_000
    entry = served.restored("a.001")
    served.results.put(entry.scan_id, "mask", np.zeros((2, 3), bool))

    with grpc.insecure_channel(served.address) as channel:
        request = pb.RenderImageRequest(
            array=array_name(entry.scan_id, array_pb2.ARRAY_KIND_FINAL_MASK), longest_px=300
        )  # fmt: skip
        first, *rest = ScanServiceStub(channel).RenderImage(request, timeout=PATIENCE_S)

    content = b"".join(part.chunk for part in rest)
    assert content.startswith(b"\x89PNG\r\n\x1a\n" + "(2, 3) 300  a.001 · mask".encode())
    assert (first.header.media_type, first.header.size_bytes) == ("image/png", len(content))
    assert first.header.sha256 == hashlib.sha256(content).hexdigest()
    assert max(len(part.chunk) for part in rest) == 16 * 1024


@pytest.mark.parametrize(
    ("request_of", "refusal"),
    [
        ({"longest_px": 63}, (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", "longest_px")),
        ({"longest_px": 4097}, (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED", "")),
        ({"colour_map": "no-such-map"}, (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", "colour_map")),
    ],
)
def test_a_picture_beyond_the_bounds_is_refused(
    served: Served, scans: ScanServiceStub, request_of: dict[str, Any], refusal: tuple[Any, ...]
) -> None:
    entry = served.restored("a.001")
    served.results.put(entry.scan_id, "restored", np.zeros((2, 3), np.float32))
    request = pb.RenderImageRequest(array=array_name(entry.scan_id), **request_of)

    assert refused(lambda: list(scans.RenderImage(request, timeout=PATIENCE_S))) == refusal


def test_a_client_that_stops_reading_an_array_loses_it_and_its_place(serve: Callable[..., Served]) -> None:
    served = serve(max_transfers=1, stall_s=0.2)
    entry = served.restored("a.001")
    served.results.put(entry.scan_id, "restored", np.zeros((4096, 4096), np.float32))

    with grpc.insecure_channel(served.address) as channel, grpc.insecure_channel(served.address) as other:
        asleep = ScanServiceStub(channel).ReadArray(pb.ReadArrayRequest(array=array_name(entry.scan_id)))
        next(iter(asleep))
        _, chunks = read(ScanServiceStub(other), array_name(entry.scan_id))
        assert sum(map(len, chunks)) == 4096 * 4096 * 4
        with pytest.raises(grpc.RpcError) as caught:
            list(asleep)

    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_name_that_is_a_path_finds_nothing(served: Served, scans: ScanServiceStub) -> None:
    served.ledger.see("a.001", Fingerprint(1, 1))

    for name in ("../../etc/passwd", "/etc/passwd", "C:\\Windows", "a.001"):
        assert refused(lambda name=name: read(scans, array_name(name)))[:2] == (
            grpc.StatusCode.NOT_FOUND, "NOT_FOUND",
        )  # fmt: skip
