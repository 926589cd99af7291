"""Spoilt pixels by rules. Rule: any one detector suffices; the probability is ½ on its threshold."""

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import ArtifactMap, Backend
from afmd.domain.scan import Scan
from afmd.science.rules.evidence import HANDOVER
from afmd.science.rules.version import VERSION

LOUDEST = np.float32(1e6)
"""What is louder is as sure; on coarsely digitised heights any step may be beyond what float32 can square."""


class RulesSegmenter:
    """Finds spoilt pixels from line statistics, and from the other pass where there is one."""

    @property
    def backend(self) -> Backend:
        """Who speaks."""
        return Backend(name="rules", version=VERSION)

    def segment(self, scan: Scan) -> ArtifactMap:
        """Return per-pixel probabilities, float32 of the scan's own shape; features are not told."""
        evidence = HANDOVER.take(scan)
        return ArtifactMap(probability(evidence.excess()), None, self.backend, clipped=evidence.clipped)


def probability(excess: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``excess``² / (1 + ``excess``²): ½ where a detector reaches its threshold."""
    square = np.square(np.minimum(excess, LOUDEST))
    return np.asarray(square / (1 + square))
