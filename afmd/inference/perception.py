"""One run of the segmenter's network serves both questions: which pixels are spoilt, and what became of the scan.

Rule: a scan is looked at once. The classifier asks first and leaves what was seen for the segmenter, which takes it;
what nobody takes is dropped with the scan, or with the next one.
"""

import threading
import weakref
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from afmd.domain.scan import Scan
from afmd.inference import planes
from afmd.inference.ghosts import ghosts_in
from afmd.inference.manifest import Model
from afmd.inference.sessions import Session, shared_session
from afmd.inference.tiling import tiled
from afmd.inference.tipchange import Limits, TipChange
from afmd.inference.traits import traits

LOGITS, MEANS, LARGEST = range(3)
KEPT: Final = 4
"""Scans looked at but not yet segmented: one for each worker at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """``logits``: float32 (outputs, rows, cols), of the faults of each nature and of features.

    ``summary``: float32 (summary,), means and largest values of all tiles, then the scan's `traits`.
    ``ghosts``: True where a second apex drew its ghosts, (rows, cols); None without a sure sign of one.
    ``changed``: True for lines that another tip drew, (rows,); None where there is none, or nobody to tell.
    """

    logits: NDArray[np.float32]
    summary: NDArray[np.float32]
    ghosts: NDArray[np.bool_] | None = None
    changed: NDArray[np.bool_] | None = None


class Perception:
    """Runs the segmenter's network over scans, and the one that looks along their lines; safe from any thread."""

    def __init__(self, session: Session, tipchange: TipChange | None = None) -> None:
        self._session = session
        self.tipchange = tipchange
        self._kept: dict[int, tuple[weakref.ref[NDArray[np.float32]], object, Seen]] = {}
        self._lock = threading.Lock()

    def look(self, scan: Scan) -> Seen:
        """Return what the network sees, and keep it for `take`."""
        seen = self.see(scan)
        key = id(scan.heights)
        with self._lock:
            while len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = (weakref.ref(scan.heights, lambda _: self._kept.pop(key, None)), scan.retrace, seen)
        return seen

    def take(self, scan: Scan) -> Seen:
        """Return what was seen of this very scan and forget it, or look now."""
        with self._lock:
            kept = self._kept.pop(id(scan.heights), None)
        if kept is not None and kept[0]() is scan.heights and kept[1] is scan.retrace:
            return kept[2]
        return self.see(scan)

    def see(self, scan: Scan) -> Seen:
        """Run the network over every tile, and take the traits of the whole."""
        native = planes.segmenter_planes(scan.heights, scan.retrace)
        whole = traits(scan.heights, native)  # first: logits are large, and no copy need lie beside them
        ghosts = ghosts_in(native, whole)
        changed = None if self.tipchange is None else self.tipchange.changed(native)
        logits, summary = self.through(native)
        return Seen(logits, np.concatenate([summary, whole]), ghosts, changed)

    def through(self, native: planes.Plane) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits and summary of planes (planes, rows, cols), as in `Seen` but without the traits."""
        means: list[NDArray[np.float32]] = []
        largest: list[NDArray[np.float32]] = []

        def predict(tile: NDArray[np.float32]) -> NDArray[np.float32]:
            outputs = self._session.all(tile[None])
            means.append(outputs[MEANS][0])
            largest.append(outputs[LARGEST][0])
            return np.asarray(outputs[LOGITS][0])

        logits = tiled(native, predict)
        return logits, np.concatenate([np.mean(means, axis=0), np.max(largest, axis=0)]).astype(np.float32)


_perceptions: dict[tuple[str, tuple[str, Limits] | None, int], Perception] = {}
_lock = threading.Lock()


def shared_perception(model: Model, *, tipchange: Model | None = None, threads: int = 1) -> Perception:
    """Return the one perception of this process through these weights. Raises ``ModelError``.

    ``tipchange``: the network that looks along the lines, where there is one to be asked.
    """
    along = None if tipchange is None else TipChange(tipchange, threads=threads)
    key = (model.sha256, None if along is None else (along.backend.version, along.limits), threads)
    with _lock:
        if key not in _perceptions:
            _perceptions[key] = Perception(shared_session(model, threads=threads), along)
        return _perceptions[key]
