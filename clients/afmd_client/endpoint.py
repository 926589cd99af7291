"""One connection to one daemon: channel, identity, deadlines. Rule: a failed call leaves here as a ``ClientError``."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import grpc

from afmd_client.errors import InvalidInput, from_rpc

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
OPTIONS = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
"""Pings make a dead connection show; a daemon that comes back is found within about two seconds."""

R = TypeVar("R")


class Endpoint:
    """A daemon's address, and how to call it."""

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        root_certificates: bytes | Path | None = None,
        certificate: bytes | Path | None = None,
        key: bytes | Path | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        """Connecting begins with the first call. Raises ``InvalidInput``."""
        self.address = address
        self.timeout_s = timeout_s
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        if root_certificates is None:
            if token and address.rpartition(":")[0] not in LOOPBACK:
                raise InvalidInput(
                    "token", why=f"without TLS it would go to {address} in the clear", mend="Give root_certificates"
                )
            self.channel = grpc.insecure_channel(address, options=OPTIONS)
        else:
            credentials = grpc.ssl_channel_credentials(_pem(root_certificates), _pem(key), _pem(certificate))
            self.channel = grpc.secure_channel(address, credentials, options=OPTIONS)

    def ask(self, method: Callable[..., R], request: Any) -> R:
        """Return the answer of a unary call. Raises ``ClientError``."""
        try:
            return method(request, timeout=self.timeout_s, metadata=self._metadata)
        except grpc.RpcError as e:
            raise from_rpc(e, address=self.address) from e

    def open(self, method: Callable[..., Any], request: Any) -> Any:
        """Return an open stream, which may be cancelled; read it through ``read``."""
        return method(request, metadata=self._metadata)

    def read(self, stream: Iterator[R]) -> Iterator[R]:
        """Return the stream's messages. Raises ``ClientError``."""
        try:
            yield from stream
        except grpc.RpcError as e:
            raise from_rpc(e, address=self.address) from e

    def close(self) -> None:
        """End the connection and every call on it."""
        self.channel.close()


def _pem(source: bytes | Path | None) -> bytes | None:
    if not isinstance(source, Path):
        return source
    try:
        return source.read_bytes()
    except OSError as e:
        raise InvalidInput(str(source), why=e.strerror or str(e), mend="Give a readable PEM file") from e
