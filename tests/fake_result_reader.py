"""The fake of the port ``ResultReader``: arrays that a test puts there."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from afmd.domain.events import HAS_RESULTS, Entry
from afmd.domain.ports import StoredArray
from afmd.errors import NotFound, WrongState

MASKS = {"raw_mask", "mask", "touched"}


class FakeResultReader:
    def __init__(self) -> None:
        self._arrays: dict[tuple[str, str, str], StoredArray] = {}
        self.before: Callable[[], None] = lambda: None

    def put(
        self, scan_id: str, kind: str, values: NDArray[np.float32] | NDArray[np.bool_], *, channel: str = "",
        unit: str = "nm", pixel_nm: tuple[float, float] = (2.0, 3.0),
    ) -> None:  # fmt: skip
        self._arrays[scan_id, kind, channel] = StoredArray(values, "1" if kind in MASKS else unit, pixel_nm)

    def array(self, entry: Entry, kind: str, *, repair: int = 0, channel: str = "") -> StoredArray:
        self.before()
        if entry.state not in HAS_RESULTS:
            raise WrongState(f"scan {entry.name}", why=f"it is {entry.state}", mend="Wait until it is restored")
        if repair > entry.repair or (entry.scan_id, kind, channel) not in self._arrays:
            raise NotFound(f"array {kind} {channel}", why="there is none", mend="Ask for another")
        return self._arrays[entry.scan_id, kind, channel]

    def folder(self, entry: Entry, *, repair: int = 0) -> Path:
        return Path(entry.scan_id, str(repair or entry.repair))
