"""What every detector says of one scan. Rule: each has one threshold, set so that clean scans stay clean.

The thresholds leave less than 0.1 % of the pixels of clean simulated scans above them (``benchmarks/rules.py``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import Clipped
from afmd.domain.scan import Scan
from afmd.science.rules.clipping import ends
from afmd.science.rules.falls import falls
from afmd.science.rules.hits import hits
from afmd.science.rules.passes import disagreement
from afmd.science.rules.streaks import line_steps, streaks

Plane = NDArray[np.float32]

THRESHOLDS: Mapping[str, float] = MappingProxyType({"streak": 3.3, "hit": 6.0, "alone": 6.0})
"""In σ of what each detector measures."""
PLAIN = 4.0
"""What a clipped pixel, or one that falls at the tip's own rate, says over its threshold."""
CALM = 1e-3
"""Largest share of single hits outside streaks among which a streak is no chance run of them."""
SURER = np.float32(3)
"""By how much louder it is then."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Planes of a scan's own shape, float32, each over its threshold: above 1 the detector speaks.

    ``alone``: what the other pass does not show; all 0 where there is none. ``falling``: bool, True in tails that fall
    at the tip's own rate.
    """

    streak: Plane
    hit: Plane
    alone: Plane
    clipped: Clipped
    falling: NDArray[np.bool_]

    def excess(self) -> Plane:
        """Return what the loudest detector says; float32, new. Where hits are rare, a streak is sure of itself."""
        lonely = np.count_nonzero((self.hit > 1) & (self.streak <= 1))
        loud = SURER if lonely <= CALM * self.hit.size else np.float32(1)
        most = np.maximum(np.where(self.streak > 1, loud * self.streak, self.streak), self.hit)
        np.maximum(most, self.alone, out=most)
        most[self.clipped.anywhere | self.falling] = PLAIN
        return most


def gathered(scan: Scan) -> Evidence:
    """Ask every detector."""
    steps = line_steps(scan.heights)
    streak = streaks(steps)
    streak /= np.float32(THRESHOLDS["streak"])
    hit = hits(steps)
    hit /= np.float32(THRESHOLDS["hit"])
    if scan.retrace is None:
        alone = np.zeros_like(hit)
    else:
        alone = disagreement(scan.heights, scan.retrace)
        alone /= np.float32(THRESHOLDS["alone"])
    return Evidence(streak, hit, alone, ends(scan.heights), falls(scan.heights))


class Handover:
    """One slot: what the classifier gathered is taken by the segmenter, once, if it asks about the same scan."""

    def __init__(self) -> None:
        self._slot: tuple[Scan, Evidence] | None = None

    def put(self, scan: Scan, evidence: Evidence) -> None:
        """Keep the evidence on this scan, and forget any other."""
        self._slot = (scan, evidence)

    def take(self, scan: Scan) -> Evidence:
        """Return the evidence on this scan, kept or gathered; nothing is kept after."""
        slot, self._slot = self._slot, None
        return slot[1] if slot is not None and slot[0] is scan else gathered(scan)


HANDOVER = Handover()
