"""The gRPC server: what is bound, offered and bounded, and how it ends. Rule: nothing else in afmd names ``grpc.aio``.

It lives on the daemon's event loop. Its end has two steps: ``drain`` says NOT_SERVING and still answers, so that
watchers hear of the last scan; ``stop`` ends every stream with a status.
"""

import asyncio
from collections.abc import Callable

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from afmd.domain.ports import Bus, LedgerReader, Renderer, ResultReader, StatusSource
from afmd.rpc import address
from afmd.rpc.access import Access
from afmd.rpc.guard import Guard, Streams
from afmd.rpc.pool import Pools
from afmd.rpc.services.daemon import DaemonService
from afmd.rpc.services.events import EventService
from afmd.rpc.services.scans import ScanService
from afmd.settings import Server
from afmd_client.v1.daemon_service_pb2_grpc import add_DaemonServiceServicer_to_server
from afmd_client.v1.event_service_pb2_grpc import add_EventServiceServicer_to_server
from afmd_client.v1.scan_service_pb2_grpc import add_ScanServiceServicer_to_server

MOST_MESSAGE_BYTES = 4 * 1024 * 1024
BESIDE_STREAMS = 128
"""Unary calls that may run beside the streams."""
LAST_WORDS_S = 0.1
"""Time in which health watchers hear NOT_SERVING before their streams end."""

SERVICES = ("afmd.v1.ScanService", "afmd.v1.EventService", "afmd.v1.DaemonService")


class RpcServer:
    """Serves the wire from ``start`` to ``stop``."""

    def __init__(
        self,
        settings: Server,
        *,
        ledger: LedgerReader,
        results: ResultReader,
        renderer: Renderer,
        bus: Bus,
        status: StatusSource,
        on_fault: Callable[[str, Exception], None],
    ) -> None:
        """``on_fault`` is told of every defect (where, what), from the event loop. Raises ``SettingsError``."""
        self._settings = settings
        self._streams = Streams(limit=settings.max_streams, stall_s=settings.stall_s)
        self._access = Access(settings.tokens, on_fault=on_fault)
        self._on_fault = on_fault
        self._pools = Pools.made()
        self._health = health.aio.HealthServicer()
        self._scans = ScanService(
            settings, ledger=ledger, results=results, renderer=renderer, pools=self._pools
        )  # fmt: skip
        self._events = EventService(
            ledger=ledger, bus=bus, pool=self._pools.ledger, bookmark_s=settings.bookmark_s
        )  # fmt: skip
        self._daemon = DaemonService(
            status=status, ledger=ledger, streams=self._streams, pool=self._pools.ledger
        )  # fmt: skip
        self._server: grpc.aio.Server | None = None

    @property
    def streams_open(self) -> int:
        """How many streams are open."""
        return self._streams.open

    async def start(self) -> int:
        """Bind, serve, and return the port. Raises ``AlreadyRunning``, ``SettingsError``."""
        server = grpc.aio.server(
            interceptors=[Guard(self._access, self._streams, on_fault=self._on_fault)],
            options=self._options(),
            maximum_concurrent_rpcs=self._settings.max_streams + BESIDE_STREAMS,
        )
        add_ScanServiceServicer_to_server(self._scans, server)
        add_EventServiceServicer_to_server(self._events, server)
        add_DaemonServiceServicer_to_server(self._daemon, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        port = address.bound(server, self._settings)
        await server.start()
        self._server = server
        for service in SERVICES:
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return port

    async def drain(self) -> None:
        """Say NOT_SERVING to whoever asks for health; calls are still answered."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_s: float) -> None:
        """End every endless stream with UNAVAILABLE, let other calls finish for ``grace_s``, then cut them off."""
        await self.drain()
        if self._server is not None:
            await asyncio.sleep(min(LAST_WORDS_S, grace_s))
            self._streams.end()
            await self._server.stop(grace_s)
            self._server = None
        self._pools.close()

    def _options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.so_reuseport", 0),
            ("grpc.max_send_message_length", MOST_MESSAGE_BYTES),
            ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ]


def examine(settings: Server) -> None:
    """Raise what keeps a server with these settings from starting, and keep nothing bound.

    Raises ``AlreadyRunning``, ``SettingsError``.
    """
    address.credentials(settings)
    Access(settings.tokens, on_fault=_nobody)
    refused = address.refusal(settings)
    if refused is not None:
        raise refused


def _nobody(where: str, error: Exception) -> None:
    del where, error
