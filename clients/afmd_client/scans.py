"""Lists of scans, fetched a page at a time as they are read. Rule: no page is asked for before it is needed."""

from collections.abc import Callable, Iterator

from afmd_client import wire
from afmd_client.nouns import Scan
from afmd_client.v1 import scan_service_pb2 as pb


class Scans(Iterator[Scan]):
    """Scans, newest first.

    ``revision``: how far the daemon's ledger had got when the list began; ``watch(after_revision=revision)`` gives
    every change that the list may not show.
    """

    def __init__(self, page: Callable[[str], pb.ListScansResponse]) -> None:
        """``page`` fetches the page of a token, the first one for an empty token."""
        self._page = page
        self._first: pb.ListScansResponse | None = None
        self._scans = self._all()

    def __next__(self) -> Scan:
        return next(self._scans)

    @property
    def revision(self) -> int:
        """Return the list's revision; fetches the first page if that has not been done."""
        return self._head().revision

    def _head(self) -> pb.ListScansResponse:
        if self._first is None:
            self._first = self._page("")
        return self._first

    def _all(self) -> Iterator[Scan]:
        page = self._head()
        while True:
            yield from map(wire.scan, page.scans)
            if not page.next_page_token:
                return
            page = self._page(page.next_page_token)
