"""Who gets in: tokens, roles, certificates. The files are real ones; the certificates are made for the test."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from served import Served

from afmd.errors import AfmdError, NotAuthenticated, NotPermitted, SettingsError
from afmd.rpc.access import Access, Role
from afmd.rpc.server import examine
from afmd.settings import Server
from afmd_client.v1 import daemon_service_pb2 as pb
from afmd_client.v1 import event_service_pb2
from afmd_client.v1.daemon_service_pb2_grpc import DaemonServiceStub
from afmd_client.v1.event_service_pb2_grpc import EventServiceStub

VIEWER = "viewer-hush-0123456789"
OPERATOR = "operator-hush-0123456789"
PATIENCE_S = 30


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text(f"# people\nviewer eve {VIEWER}\n\noperator olga {OPERATOR}\n", encoding="utf-8")
    return file


@pytest.fixture
def faults() -> list[tuple[str, Exception]]:
    return []


@pytest.fixture
def access(tokens: Path, faults: list[tuple[str, Exception]]) -> Access:
    return Access(tokens, on_fault=lambda where, fault: faults.append((where, fault)))


def bearing(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def rewrite(file: Path, text: str) -> None:
    """Change a file in a way that no clock is too coarse to show."""
    before = file.stat()
    file.write_text(text, encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))


def test_each_token_has_its_owner_and_role(access: Access) -> None:
    assert access.admit(bearing(VIEWER), role=Role.VIEWER).name == "eve"
    assert access.admit(bearing(OPERATOR), role=Role.VIEWER).name == "olga"
    assert access.admit(bearing(OPERATOR), role=Role.OPERATOR).role is Role.OPERATOR


def test_a_viewer_may_not_operate(access: Access) -> None:
    with pytest.raises(NotPermitted) as caught:
        access.admit(bearing(VIEWER), role=Role.OPERATOR)

    assert VIEWER not in str(caught.value)


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        bearing(""),
        bearing(VIEWER[:-1]),
        bearing(VIEWER + "x"),
        bearing(VIEWER.upper()),
        (("authorization", f"Basic {VIEWER}"),),
        (("authorization", VIEWER),),
        (("authorization-bin", VIEWER.encode()),),
    ],
)
def test_whatever_is_not_a_known_token_is_not_authenticated(access: Access, metadata: Any) -> None:
    with pytest.raises(NotAuthenticated) as caught:
        access.admit(metadata, role=Role.VIEWER)

    assert "hush" not in str(caught.value)


def test_new_tokens_hold_without_a_restart_and_old_ones_no_more(access: Access, tokens: Path) -> None:
    access.admit(bearing(VIEWER), role=Role.VIEWER)
    rewrite(tokens, "viewer eve another-hush-0123456789\n")

    assert access.admit(bearing("another-hush-0123456789"), role=Role.VIEWER).name == "eve"
    with pytest.raises(NotAuthenticated):
        access.admit(bearing(VIEWER), role=Role.VIEWER)


@pytest.mark.parametrize("broken", ["", "viewer eve\n", "root eve some-hush-0123456789\n"])
def test_a_broken_file_leaves_the_old_tokens_in_force_and_is_reported_once(
    access: Access, tokens: Path, faults: list[tuple[str, Exception]], broken: str
) -> None:
    rewrite(tokens, broken)

    access.admit(bearing(VIEWER), role=Role.VIEWER)
    access.admit(bearing(VIEWER), role=Role.VIEWER)

    assert [where for where, _ in faults] == ["server.tokens"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no token"),
        ("# nobody\n", "holds no token"),
        ("viewer eve\n", "not of the form"),
        ("viewer eve a hush with spaces\n", "not of the form"),
        ("admin eve some-hush-0123456789\n", "not of the form"),
        ("viewer eve short\n", "fewer than 16"),
    ],
)
def test_a_bad_file_keeps_the_daemon_from_starting_and_its_secrets_from_the_log(
    tokens: Path, text: str, why: str
) -> None:
    tokens.write_text(text, encoding="utf-8")

    with pytest.raises(SettingsError, match=why) as caught:
        Access(tokens, on_fault=lambda *_: None)

    assert "hush" not in str(caught.value)


def test_a_missing_file_keeps_the_daemon_from_starting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        Access(tmp_path / "nowhere", on_fault=lambda *_: None)


def test_without_tokens_the_machines_own_users_operate() -> None:
    assert Access(None, on_fault=lambda *_: None).admit((), role=Role.OPERATOR).role is Role.OPERATOR


def test_a_call_without_a_token_ends_with_unauthenticated_and_a_reason(
    serve: Callable[..., Served], tokens: Path
) -> None:
    served = serve(tokens=tokens)
    with grpc.insecure_channel(served.address) as channel:
        daemon, events = DaemonServiceStub(channel), EventServiceStub(channel)
        with pytest.raises(grpc.RpcError) as unary:
            daemon.GetStatus(pb.GetStatusRequest(), timeout=PATIENCE_S)
        with pytest.raises(grpc.RpcError) as stream:
            next(iter(events.Watch(event_service_pb2.WatchRequest(), timeout=PATIENCE_S)))
        answer = daemon.GetStatus(pb.GetStatusRequest(), timeout=PATIENCE_S, metadata=bearing(VIEWER))

    assert answer.version
    info = ErrorInfo()
    for caught in (unary, stream):
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert rpc_status.from_call(caught.value).details[0].Unpack(info)
        assert (info.reason, info.domain) == ("NOT_AUTHENTICATED", "afmd")


def test_health_is_told_to_anyone(serve: Callable[..., Served], tokens: Path) -> None:
    served = serve(tokens=tokens)

    with grpc.insecure_channel(served.address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def pem(tmp_path: Path, authority: trustme.CA) -> dict[str, Path]:
    """The server's certificate and key, and the authority that signed it, as files."""
    own = authority.issue_cert("127.0.0.1")
    files = {name: tmp_path / f"{name}.pem" for name in ("tls_certificate", "tls_key", "authority")}
    files["tls_certificate"].write_bytes(b"".join(blob.bytes() for blob in own.cert_chain_pems))
    files["tls_key"].write_bytes(own.private_key_pem.bytes())
    files["authority"].write_bytes(authority.cert_pem.bytes())
    return files


def status_over(address: str, credentials: grpc.ChannelCredentials) -> str:
    with grpc.secure_channel(address, credentials) as channel:
        return DaemonServiceStub(channel).GetStatus(pb.GetStatusRequest(), timeout=PATIENCE_S).version


def test_tls_serves_who_trusts_the_certificate_and_nobody_in_the_clear(
    serve: Callable[..., Served], pem: dict[str, Path]
) -> None:
    served = serve(tls_certificate=pem["tls_certificate"], tls_key=pem["tls_key"])

    assert status_over(served.address, grpc.ssl_channel_credentials(pem["authority"].read_bytes()))
    with pytest.raises(grpc.RpcError):
        status_over(served.address, grpc.ssl_channel_credentials(trustme.CA().cert_pem.bytes()))
    with grpc.insecure_channel(served.address) as channel, pytest.raises(grpc.RpcError):
        DaemonServiceStub(channel).GetStatus(pb.GetStatusRequest(), timeout=PATIENCE_S)


def test_a_client_certificate_must_be_signed_by_the_authority(
    serve: Callable[..., Served], pem: dict[str, Path], authority: trustme.CA
) -> None:
    served = serve(
        tls_certificate=pem["tls_certificate"], tls_key=pem["tls_key"], tls_client_ca=pem["authority"]
    )  # fmt: skip
    root = pem["authority"].read_bytes()

    def shown(signer: trustme.CA) -> grpc.ChannelCredentials:
        own = signer.issue_cert("client@lab")
        return grpc.ssl_channel_credentials(root, own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())

    assert status_over(served.address, shown(authority))
    with pytest.raises(grpc.RpcError):
        status_over(served.address, shown(trustme.CA()))
    with pytest.raises(grpc.RpcError):
        status_over(served.address, grpc.ssl_channel_credentials(root))


def test_a_certificate_that_cannot_be_read_keeps_the_daemon_from_starting(
    serve: Callable[..., Served], pem: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "noise.pem").write_bytes(b"noise")
    other = tmp_path / "other.pem"
    other.write_bytes(trustme.CA().issue_cert("127.0.0.1").private_key_pem.bytes())
    bad: list[tuple[dict[str, Path], str]] = [
        ({"tls_certificate": tmp_path / "nowhere.pem", "tls_key": pem["tls_key"]}, "tls_certificate"),
        ({"tls_certificate": pem["tls_certificate"], "tls_key": tmp_path / "noise.pem"}, "tls_key"),
        ({"tls_certificate": pem["tls_key"], "tls_key": pem["tls_certificate"]}, "tls_key"),
        ({"tls_certificate": pem["tls_certificate"], "tls_key": other}, "tls_key"),
    ]

    for files, named in bad:
        with pytest.raises(AfmdError, match=named) as caught:
            serve(**files)
        assert isinstance(caught.value, SettingsError)
        with pytest.raises(SettingsError, match=named):
            examine(Server(port=0, **files))
