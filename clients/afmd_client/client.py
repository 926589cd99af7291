"""The client: one object for one daemon. Rule: every method says what it gives; every failure is a ``ClientError``."""

import weakref
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from afmd_client import arrays, wire
from afmd_client.arrays import Progress, ScanArray
from afmd_client.endpoint import Endpoint
from afmd_client.errors import ClientError, Corrupt
from afmd_client.nouns import ArrayKind, Bookmark, Channel, Label, Scan, State, Status
from afmd_client.scans import Scans
from afmd_client.v1 import daemon_service_pb2, scan_service_pb2
from afmd_client.v1.daemon_service_pb2_grpc import DaemonServiceStub
from afmd_client.v1.event_service_pb2_grpc import EventServiceStub
from afmd_client.v1.scan_service_pb2_grpc import ScanServiceStub
from afmd_client.watch import Watch

DEFAULT_ADDRESS = "127.0.0.1:50551"


class Client:
    """Talks to one daemon; usable from several threads at once. Close it, or use it in a ``with``."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        token: str | None = None,
        root_certificates: bytes | Path | None = None,
        certificate: bytes | Path | None = None,
        key: bytes | Path | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        """Connect at the first call.

        ``token``: who this is, where the daemon asks. ``root_certificates``: PEM; given, the connection is encrypted
        and the daemon must show one that these vouch for. ``certificate`` and ``key``: this client's own, PEM.
        ``timeout_s``: longest wait for an answer that is no stream. Raises ``InvalidInput``.
        """
        self._endpoint = Endpoint(
            address, token=token, root_certificates=root_certificates, certificate=certificate, key=key,
            timeout_s=timeout_s,
        )  # fmt: skip
        self._scans = ScanServiceStub(self._endpoint.channel)
        self._events = EventServiceStub(self._endpoint.channel)
        self._daemon = DaemonServiceStub(self._endpoint.channel)
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every watch and the connection."""
        for watch in tuple(self._watches):
            watch.close()
        self._endpoint.close()

    @property
    def address(self) -> str:
        """Return the daemon's address."""
        return self._endpoint.address

    def watch(
        self,
        after_revision: int = 0,
        *,
        patient: bool = False,
        on_bookmark: Callable[[Bookmark], None] | None = None,
        on_lost: Callable[[ClientError], None] | None = None,
    ) -> Watch:
        """Give every event after a revision, in order, each once, then follow; broken connections are mended.

        ``after_revision``: the last one known; 0 begins at the oldest kept. ``patient``: wait also for a daemon that
        has not answered yet. ``on_bookmark``: told when all is known up to a revision; called while the next event is
        awaited. ``on_lost``: told of each broken connection, before the next try.
        The iteration raises ``HistoryGone`` where the daemon no longer keeps what follows (list, then watch),
        ``Unavailable`` where nobody answers at the first try, and whatever trying again cannot mend.
        """
        watch = Watch(
            lambda request: self._endpoint.open(self._events.Watch, request),
            address=self.address, after_revision=after_revision, patient=patient,
            on_bookmark=on_bookmark, on_lost=on_lost,
        )  # fmt: skip
        self._watches.add(watch)
        return watch

    def scans(
        self,
        *,
        states: Iterable[State | str] = (),
        labels: Iterable[Label | str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int = 0,
    ) -> Scans:
        """List scans, newest first, fetched as they are read; filters join by *and*, empty ones let all pass.

        ``since`` and ``until`` bound the time at which a scan was first seen: from, inclusive, to, exclusive.
        """
        request = scan_service_pb2.ListScansRequest(
            page_size=page_size, states=wire.states(states), labels=wire.labels(labels)
        )  # fmt: skip
        if since is not None:
            request.since.CopyFrom(wire.timestamp(since, field="since"))
        if until is not None:
            request.until.CopyFrom(wire.timestamp(until, field="until"))

        def page(token: str) -> scan_service_pb2.ListScansResponse:
            request.page_token = token
            return self._endpoint.ask(self._scans.ListScans, request)

        return Scans(page)

    def scan(self, scan_id: str) -> Scan:
        """Return everything known of one scan. Raises ``NotFound``."""
        answer = self._endpoint.ask(self._scans.GetScan, scan_service_pb2.GetScanRequest(scan_id=scan_id))
        return wire.scan(answer.scan)

    def array(
        self,
        scan_id: str,
        kind: ArrayKind | str = ArrayKind.RESTORED,
        *,
        channel: Channel | str = "",
        repair: int = 0,
        on_progress: Progress | None = None,
    ) -> ScanArray:
        """Return one array, checked against its SHA-256; see ``ArrayKind`` for what there is.

        ``channel``: for kind ``channel``, one of the scan's channels, or ``NAME/trace``, ``NAME/retrace``.
        ``repair``: its number; 0 is the one in force. Raises ``NotFound``, ``WrongState``, ``Corrupt``.
        """
        request = scan_service_pb2.ReadArrayRequest(
            array=wire.array_name(scan_id, kind, channel=channel, repair=repair)
        )  # fmt: skip
        parts = self._parts(self._scans.ReadArray, request)
        return arrays.received(next(parts), parts, on_progress=on_progress)

    def image(
        self,
        scan_id: str,
        kind: ArrayKind | str = ArrayKind.RESTORED,
        *,
        channel: Channel | str = "",
        repair: int = 0,
        longest_px: int = 0,
        colour_map: str = "",
        on_progress: Progress | None = None,
    ) -> bytes:
        """Return a PNG of one array with scale bar and colour bar; 0 and empty let the daemon choose.

        Raises as ``array``, and ``LimitReached`` for a picture larger than the daemon draws.
        """
        request = scan_service_pb2.RenderImageRequest(
            array=wire.array_name(scan_id, kind, channel=channel, repair=repair),
            longest_px=longest_px, colour_map=colour_map,
        )  # fmt: skip
        parts = self._parts(self._scans.RenderImage, request)
        return arrays.collected(next(parts), parts, on_progress=on_progress).tobytes()

    def status(self) -> Status:
        """Return how the daemon fares."""
        return wire.status(self._endpoint.ask(self._daemon.GetStatus, daemon_service_pb2.GetStatusRequest()))

    def _parts(self, method: Any, request: Any) -> Iterator[Any]:
        """Give a stream's header, then its chunks. Raises ``Corrupt`` where they come in another order."""
        stream = self._endpoint.open(method, request)
        try:
            for n, response in enumerate(self._endpoint.read(stream)):
                part = response.WhichOneof("part")
                if part != ("chunk" if n else "header"):
                    raise Corrupt("array", why=f"part {n} of the stream is {part}", mend="Use a newer client")
                yield getattr(response, part)
        finally:
            stream.cancel()
