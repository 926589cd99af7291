"""What came of it: each scan's end, and, where the truth is known, how near the restored surface is to it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.cli.demo.board import Row
from afmd.cli.demo.microscope import Capture
from afmd.twin import Simulated
from afmd_client.client import Client
from afmd_client.nouns import State

Surface = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One scan's end. Errors are rms distances to the true surface over its relief, planes aside, or None."""

    row: Row
    capture: Capture
    raw_error: float | None = None
    restored_error: float | None = None

    @property
    def as_it_should_be(self) -> bool:
        """True where the scan came to an end that it may come to."""
        if self.capture.truth is not None:
            return self.row.state is State.COMPLETE
        return self.row.state in {State.COMPLETE, State.REFUSED, State.DUPLICATE}


def verdicts(client: Client, rows: list[Row], written: Mapping[str, Capture]) -> list[Verdict]:
    """Return a verdict on every file that was written; restored surfaces are fetched over the wire."""
    return [_verdict(client, row, written[row.name]) for row in rows if row.name in written]


def _verdict(client: Client, row: Row, capture: Capture) -> Verdict:
    if capture.truth is None or not row.state.has_results:
        return Verdict(row, capture)
    restored = np.asarray(client.array(row.scan_id, "restored"))
    raw = np.asarray(client.array(row.scan_id, "raw"))
    return Verdict(row, capture, error_of(raw, capture.truth), error_of(restored, capture.truth))


def error_of(heights: Surface, truth: Simulated) -> float:
    """Return the rms distance to the imaged surface over its relief; a plane between the two does not count."""
    relief = float(np.subtract(*np.quantile(truth.imaged, [0.995, 0.005])))
    distance = heights.astype(np.float64) - truth.imaged
    down, across = np.meshgrid(*(np.linspace(-1, 1, side) for side in distance.shape), indexing="ij")
    for shape in (np.ones_like(distance), down, across):  # orthogonal on a full grid, so one after another will do
        distance -= shape * (np.vdot(shape, distance) / np.vdot(shape, shape))
    return float(np.sqrt(np.mean(distance**2))) / max(relief, 1e-9)
