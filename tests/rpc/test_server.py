"""The server's beginning and end, what it offers besides the services, and its own defects."""

import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from served import Served

from afmd.errors import AlreadyRunning, SettingsError, StorageError
from afmd.rpc.guard import RULES
from afmd.rpc.server import SERVICES, examine
from afmd.settings import Server
from afmd_client.v1 import array_pb2, event_service_pb2, scan_pb2
from afmd_client.v1 import daemon_service_pb2 as pb
from afmd_client.v1 import scan_service_pb2 as scans
from afmd_client.v1.daemon_service_pb2_grpc import DaemonServiceStub
from afmd_client.v1.event_service_pb2_grpc import EventServiceStub
from afmd_client.v1.scan_service_pb2_grpc import ScanServiceStub

PATIENCE_S = 30
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def status(channel: grpc.Channel) -> pb.GetStatusResponse:
    return DaemonServiceStub(channel).GetStatus(pb.GetStatusRequest(), timeout=PATIENCE_S)


def test_the_status_tells_how_the_daemon_fares(served: Served, channel: grpc.Channel) -> None:
    served.seen("a.001")

    told = status(channel)

    assert (told.version, told.draining, told.last_error) == ("1.2.3", False, "")
    assert (told.capture.folder, told.capture.reachable, told.output.root) == ("/capture", True, "/restored")
    assert told.output.free_bytes == 7 * 2**30
    assert (told.work.queue, told.work.queue_limit, told.work.workers, told.work.workers_busy) == (3, 256, 2, 1)
    assert (told.ledger.revision, told.ledger.oldest_revision) == (1, 1)
    assert {count.state: count.scans for count in told.ledger.counts} == {
        scan_pb2.SCAN_STATE_COMPLETE: 5, scan_pb2.SCAN_STATE_REFUSED: 1,
    }  # fmt: skip
    assert (told.classifier.name, told.segmenter.name, told.segmenter.version) == ("rules", "unet", "ab12cd34")
    assert told.streams_limit == 256


def test_a_second_server_on_the_port_is_an_error(served: Served, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    other = Served(folder, port=served.port)

    with pytest.raises(AlreadyRunning, match=str(served.port)):
        other.start()
    with pytest.raises(AlreadyRunning, match=str(served.port)):
        examine(Server(port=served.port))

    other.close()


def test_a_port_is_free_again_after_the_stop(served: Served) -> None:
    port = served.port
    served.stop()

    examine(Server(port=port))
    assert served.start().port == port


def test_an_address_that_is_not_this_machines_is_a_bad_setting(serve: Callable[..., Served], tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("viewer eve some-secret-0123456789\n")
    certificates = {"tls_certificate": tmp_path / "nowhere", "tls_key": tmp_path / "nowhere", "tokens": tokens}

    with pytest.raises(SettingsError):
        serve(host="203.0.113.7", **certificates)


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_every_service_has_its_health(served: Served, channel: grpc.Channel, service: str) -> None:
    health = health_pb2_grpc.HealthStub(channel)

    answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S)

    assert answer.status == SERVING


def test_health_watchers_hear_of_the_end_before_it_comes(served: Served, channel: grpc.Channel) -> None:
    stream = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
    heard = [next(stream).status]

    served.stop()

    with pytest.raises(grpc.RpcError) as caught:
        heard.extend(answer.status for answer in stream)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert heard == [SERVING, NOT_SERVING]


def test_health_says_not_serving_while_the_daemon_drains(served: Served, channel: grpc.Channel) -> None:
    stream = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
    heard = [next(stream).status]

    assert served.server is not None
    served.wait_for(served.server.drain())

    assert [*heard, next(stream).status] == [SERVING, NOT_SERVING]
    assert status(channel).version == "1.2.3"
    stream.cancel()


def asked(channel: grpc.Channel, **question: Any) -> reflection_pb2.ServerReflectionResponse:
    ask = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
    return next(iter(ask(iter([reflection_pb2.ServerReflectionRequest(**question)]), timeout=PATIENCE_S)))


def test_reflection_names_every_service_and_shows_its_messages(served: Served, channel: grpc.Channel) -> None:
    listed = asked(channel, list_services="")
    shown = asked(channel, file_containing_symbol="afmd.v1.EventService")

    names = {service.name for service in listed.list_services_response.service}
    assert set(SERVICES) | {"grpc.health.v1.Health"} <= names
    assert b"WatchRequest" in shown.file_descriptor_response.file_descriptor_proto[0]


def test_every_method_of_every_service_stands_in_the_table_of_rules(served: Served) -> None:
    from google.protobuf import descriptor_pool

    pool = descriptor_pool.Default()
    offered = {
        f"/{service}/{method.name}"
        for service in (*SERVICES, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection")
        for method in pool.FindServiceByName(service).methods  # type: ignore[no-untyped-call]
    }

    assert offered == set(RULES)


def test_an_unknown_method_is_unimplemented(channel: grpc.Channel) -> None:
    call = channel.unary_unary("/afmd.v1.ScanService/Nothing")

    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=PATIENCE_S)

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_defect_is_internal_with_no_traceback_outside_and_all_of_it_inside(
    served: Served, channel: grpc.Channel
) -> None:
    def stumble() -> None:
        raise ZeroDivisionError("the secret of line 12")

    served.status.before = stumble

    with pytest.raises(grpc.RpcError) as caught:
        status(channel)

    told = caught.value
    assert told.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in told.details() + str(told.trailing_metadata())
    info = ErrorInfo()
    assert rpc_status.from_call(told).details[0].Unpack(info)
    assert info.reason == "INTERNAL"
    ((where, fault),) = served.faults
    assert "GetStatus" in where
    assert where.split()[-1] in info.metadata["mend"]
    assert isinstance(fault, ZeroDivisionError)


def test_an_error_of_the_disk_is_unavailable_and_worth_another_try(served: Served, channel: grpc.Channel) -> None:
    def fail() -> None:
        raise StorageError("ledger", why="the disk is full", mend="Make room")

    served.status.before = fail

    with pytest.raises(grpc.RpcError) as caught:
        status(channel)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == "ledger: the disk is full. Make room."
    kinds = {detail.TypeName() for detail in rpc_status.from_call(caught.value).details}
    assert "google.rpc.RetryInfo" in kinds
    assert served.faults == []


def test_a_very_long_error_still_reaches_the_client(served: Served, channel: grpc.Channel) -> None:
    def fail() -> None:
        raise StorageError("µ" * 10_000, why="ü" * 10_000, mend="…" * 10_000)

    served.status.before = fail

    with pytest.raises(grpc.RpcError) as caught:
        status(channel)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert rpc_status.from_call(caught.value) is not None


def test_a_call_in_hand_may_finish_while_the_server_stops(served: Served, channel: grpc.Channel) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert_opened(go_on)

    served.status.before = hold
    answer = DaemonServiceStub(channel).GetStatus.future(pb.GetStatusRequest(), timeout=PATIENCE_S)  # type: ignore[attr-defined]
    assert begun.wait(PATIENCE_S)
    stopping = threading.Thread(target=served.stop, args=(PATIENCE_S,))
    stopping.start()
    go_on.set()

    assert answer.result().version == "1.2.3"
    stopping.join(PATIENCE_S)
    assert not stopping.is_alive()


def test_a_stop_does_not_wait_for_a_client_that_never_reads(served: Served, channel: grpc.Channel) -> None:
    entry = served.restored("a.001")
    served.results.put(entry.scan_id, "raw", np.zeros((4096, 4096), np.float32))
    name = array_pb2.ArrayName(scan_id=entry.scan_id, kind=array_pb2.ARRAY_KIND_RAW)
    asleep = ScanServiceStub(channel).ReadArray(scans.ReadArrayRequest(array=name))
    next(iter(asleep))

    served.stop(0.2)

    with pytest.raises(grpc.RpcError):
        list(asleep)


def test_clients_that_vanish_in_the_middle_are_no_defects_and_leave_their_places(served: Served) -> None:
    entry = served.restored("a.001")
    served.results.put(entry.scan_id, "raw", np.zeros((1024, 1024), np.float32))
    name = array_pb2.ArrayName(scan_id=entry.scan_id, kind=array_pb2.ARRAY_KIND_RAW)

    for n in range(80):
        with grpc.insecure_channel(served.address) as channel:
            parts = ScanServiceStub(channel).ReadArray(scans.ReadArrayRequest(array=name))
            list(islice(parts, n % 4))
    assert served.server is not None
    server = served.server
    served.stop(PATIENCE_S)

    assert served.faults == []
    assert server.streams_open == 0


def test_a_disk_of_results_that_hangs_holds_up_no_watcher_and_no_list(served: Served, channel: grpc.Channel) -> None:
    entry = served.restored("a.001")
    gate = threading.Event()
    served.results.before = lambda: assert_opened(gate)
    name = array_pb2.ArrayName(scan_id=entry.scan_id, kind=array_pb2.ARRAY_KIND_RAW)
    service = ScanServiceStub(channel)
    stuck = [service.ReadArray(scans.ReadArrayRequest(array=name)) for _ in range(8)]

    listed = service.ListScans(scans.ListScansRequest(), timeout=PATIENCE_S)
    told = next(iter(EventServiceStub(channel).Watch(event_service_pb2.WatchRequest(), timeout=PATIENCE_S)))

    gate.set()
    assert len(listed.scans) == 1
    assert len(told.events) == 5
    for stream in stuck:
        stream.cancel()


def assert_opened(gate: threading.Event) -> None:
    assert gate.wait(PATIENCE_S)
