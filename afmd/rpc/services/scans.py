"""Lists scans and sends their arrays and pictures. Rule: whatever a client names is looked up, never opened."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from afmd.domain.events import Entry
from afmd.domain.ports import LedgerReader, Renderer, ResultReader, ScanQuery, StoredArray
from afmd.errors import InvalidInput, LimitReached
from afmd.rpc import arrays, paging, wire
from afmd.rpc.arrays import ArrayRequest
from afmd.rpc.pool import Pools
from afmd.rpc.refusals import Context
from afmd.settings import Server
from afmd_client.v1 import array_pb2, scan_pb2
from afmd_client.v1 import scan_service_pb2 as pb
from afmd_client.v1.scan_service_pb2_grpc import ScanServiceServicer

USUAL_PAGE = 100
MOST_PAGE_BYTES = 3 * 1024 * 1024
"""A page is closed before it grows beyond this: no message may be larger than 4 MiB."""
LEAST_PX = 64
USUAL_PX = 1024
WAIT_S = 10.0
"""How long an array waits for its turn before it is refused."""


class ScanService(ScanServiceServicer):
    """Serves ``afmd.v1.ScanService``."""

    def __init__(
        self, server: Server, *, ledger: LedgerReader, results: ResultReader, renderer: Renderer, pools: Pools
    ) -> None:
        self._server = server
        self._ledger = ledger
        self._results = results
        self._renderer = renderer
        self._pools = pools
        self._turns = asyncio.Semaphore(server.max_transfers)

    async def ListScans(self, request: pb.ListScansRequest, context: Context) -> pb.ListScansResponse:
        """Give one page of scans, newest first."""
        del context
        return await self._pools.ledger.run(self._page, request)

    async def GetScan(self, request: pb.GetScanRequest, context: Context) -> pb.GetScanResponse:
        """Tell everything known of one scan."""
        del context
        scan_id = arrays.checked_id(request.scan_id, field="scan_id")
        return pb.GetScanResponse(scan=wire.scan_to_wire(await self._pools.ledger.run(self._ledger.entry, scan_id)))

    async def ReadArray(
        self, request: pb.ReadArrayRequest, context: Context
    ) -> AsyncGenerator[pb.ReadArrayResponse, None]:
        """Send a header, then the bytes of one array."""
        del context
        wanted = arrays.request_from_wire(request.array)
        async with self._turn():
            header, content = await self._pools.results.run(self._array, wanted)
            yield pb.ReadArrayResponse(header=header)
            for chunk in arrays.chunks(content, size=self._chunk_bytes):
                yield pb.ReadArrayResponse(chunk=chunk)

    async def RenderImage(
        self, request: pb.RenderImageRequest, context: Context
    ) -> AsyncGenerator[pb.RenderImageResponse, None]:
        """Send a header, then the bytes of a picture of one array."""
        del context
        wanted = arrays.request_from_wire(request.array)
        longest_px = self._checked_px(request.longest_px)
        async with self._turn():
            header, content = await self._pools.drawing.run(
                self._picture, wanted, longest_px=longest_px, colour_map=request.colour_map
            )
            yield pb.RenderImageResponse(header=header)
            for chunk in arrays.chunks(content, size=self._chunk_bytes):
                yield pb.RenderImageResponse(chunk=chunk)

    @property
    def _chunk_bytes(self) -> int:
        return self._server.chunk_kib * 1024

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for one of the places for arrays on their way. Raises ``LimitReached``."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._turns.acquire()
        except TimeoutError as e:
            raise LimitReached(
                "array", why=f"{self._server.max_transfers} are on their way to other clients",
                mend="Try again later, or raise server.max_transfers",
            ) from e  # fmt: skip
        try:
            yield
        finally:
            self._turns.release()

    def _page(self, request: pb.ListScansRequest) -> pb.ListScansResponse:
        size = self._checked_size(request.page_size)
        filters = paging.filters_of(request)
        begun = paging.cursor(request.page_token, filters) if request.page_token else None
        revision = begun.revision if begun else self._ledger.revision()
        before = (begun.first_seen, begun.scan_id) if begun else None
        entries = self._ledger.entries(_query(request, before=before), limit=size + 1)
        scans = _fitting([wire.scan_to_wire(entry) for entry in entries[:size]])
        page = pb.ListScansResponse(scans=scans, revision=revision)
        if len(scans) < len(entries):
            last = entries[len(scans) - 1]
            page.next_page_token = paging.Cursor(last.first_seen.isoformat(), last.scan_id, revision).token(filters)
        return page

    def _checked_size(self, page_size: int) -> int:
        if page_size < 0:
            raise InvalidInput(
                "page_size", why=f"{page_size} is negative", mend="Give a positive number, or 0", field="page_size"
            )  # fmt: skip
        return min(page_size or USUAL_PAGE, self._server.max_page)

    def _checked_px(self, longest_px: int) -> int:
        wanted = longest_px or min(USUAL_PX, self._server.max_image_px)
        if wanted < LEAST_PX:
            raise InvalidInput(
                "longest_px", why=f"{wanted} is less than {LEAST_PX}", mend=f"Give {LEAST_PX} or more, or 0",
                field="longest_px",
            )  # fmt: skip
        if wanted > self._server.max_image_px:
            raise LimitReached(
                f"longest_px {wanted}", why=f"this daemon draws at most {self._server.max_image_px} pixels",
                mend="Ask for fewer, or raise server.max_image_px",
            )  # fmt: skip
        return wanted

    def _array(self, wanted: ArrayRequest) -> tuple[array_pb2.ArrayHeader, memoryview]:
        entry, stored = self._stored(wanted)
        return arrays.array_to_wire(stored, repair=wanted.repair or entry.repair)

    def _picture(
        self, wanted: ArrayRequest, *, longest_px: int, colour_map: str
    ) -> tuple[array_pb2.ImageHeader, memoryview]:
        entry, stored = self._stored(wanted)
        png = self._renderer.image(
            stored,
            longest_px=longest_px,
            colour_map=colour_map,
            title=f"{entry.name} · {wanted.channel or wanted.kind.replace('_', ' ')}",
        )
        return arrays.image_to_wire(png, repair=wanted.repair or entry.repair)

    def _stored(self, wanted: ArrayRequest) -> tuple[Entry, StoredArray]:
        entry = self._ledger.entry(wanted.scan_id)
        stored = self._results.array(entry, wanted.kind, repair=wanted.repair, channel=wanted.channel)
        return entry, stored


def _fitting(scans: list[scan_pb2.Scan]) -> list[scan_pb2.Scan]:
    """Return as many scans, from the first, as one message holds; at least one where there is one."""
    room = MOST_PAGE_BYTES
    for n, scan in enumerate(scans):
        room -= scan.ByteSize()
        if room < 0:
            return scans[: max(n, 1)]
    return scans


def _query(request: pb.ListScansRequest, *, before: tuple[str, str] | None) -> ScanQuery:
    has_since, has_until = request.HasField("since"), request.HasField("until")
    return ScanQuery(
        states=wire.states_from_wire(request.states),
        labels=wire.labels_from_wire(request.labels),
        since=wire.time_from_wire(request.since, field="since") if has_since else None,
        until=wire.time_from_wire(request.until, field="until") if has_until else None,
        before=before,
    )
