"""GetStatus: how the daemon fares. Rule: it answers also while the capture folder or the ledger does not."""

from datetime import UTC, datetime

from afmd.domain.ports import LedgerReader, StatusSource
from afmd.rpc import wire
from afmd.rpc.guard import Streams
from afmd.rpc.pool import Pool
from afmd.rpc.refusals import Context
from afmd_client.v1 import daemon_service_pb2 as pb
from afmd_client.v1.daemon_service_pb2_grpc import DaemonServiceServicer


class DaemonService(DaemonServiceServicer):
    """Serves ``afmd.v1.DaemonService``."""

    def __init__(self, *, status: StatusSource, ledger: LedgerReader, streams: Streams, pool: Pool) -> None:
        self._status = status
        self._ledger = ledger
        self._streams = streams
        self._pool = pool

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        """Tell how the daemon fares now."""
        del request, context
        status = await self._pool.run(self._status.status)
        oldest = await self._pool.run(self._ledger.oldest_revision)
        response = wire.status_to_wire(status, oldest_revision=oldest, now=datetime.now(UTC))
        response.streams, response.streams_limit = self._streams.open, self._streams.limit
        return response
