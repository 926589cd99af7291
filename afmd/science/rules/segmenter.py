"""Spoilt pixels by rules. Rule: each detector has one threshold, set so that clean scans stay clean; any one suffices.

The probability is ½ where a detector reaches its threshold and rises with the square of what it says over it. The
thresholds are the values that 0.1 to 0.2 % of the pixels of clean simulated scans exceed (``benchmarks/rules.py``).
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import ArtifactMap, Backend
from afmd.domain.scan import Scan
from afmd.science.rules.lines import clipped, rough_and_smooth
from afmd.science.rules.passes import disagreement
from afmd.science.rules.spikes import hits
from afmd.science.rules.streaks import RUNS, streaks
from afmd.science.rules.version import VERSION

Plane = NDArray[np.float32]

THRESHOLDS: Mapping[str, float] = MappingProxyType(
    {
        "streak_5": 10.0, "streak_15": 4.5, "streak_45": 5.0, "hit": 5.0, "rough": 4.0, "smooth": 4.0,
        "above": 7.0, "below": 7.0,
    }
)  # fmt: skip
CERTAIN = 4.0
"""What a clipped pixel says over its threshold."""


class RulesSegmenter:
    """Finds spoilt pixels from line statistics, and from the other pass where there is one."""

    @property
    def backend(self) -> Backend:
        """Who speaks."""
        return Backend(name="rules", version=VERSION)

    def segment(self, scan: Scan) -> ArtifactMap:
        """Return per-pixel probabilities, float32 of the scan's own shape; features are not told."""
        return ArtifactMap(artifact=probability(excess(scan.heights, scan.retrace)), feature=None, backend=self.backend)


def excess(heights: Plane, retrace: Plane | None) -> Plane:
    """Return what the loudest detector says over its threshold, float32 (rows, cols); 1 is on the threshold."""
    most = np.zeros_like(heights)
    for run in RUNS:
        _louder(most, streaks(heights, run), f"streak_{run}")
    _louder(most, hits(heights), "hit")
    rough, smooth = rough_and_smooth(heights)
    _louder(most, rough[:, None], "rough")
    _louder(most, smooth[:, None], "smooth")
    most[clipped(heights)] = CERTAIN
    if retrace is not None:
        above, below = disagreement(heights, retrace)
        _louder(most, above, "above")
        _louder(most, below, "below")
    return most


def probability(over: Plane) -> Plane:
    """Return ``over``² / (1 + ``over``²): ½ on the threshold."""
    square = np.square(over)
    return np.asarray(square / (1 + square))


def _louder(most: Plane, plane: Plane, name: str) -> None:
    np.maximum(most, plane * np.float32(1 / THRESHOLDS[name]), out=most)
