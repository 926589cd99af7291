"""Two segmenters as one. Rule: a pixel is as spoilt as the surer of them says; neither can take back the other's word.

Rules see what is one line high and obeys a law: scars, jumps, lost lines, spikes. A network sees what has a texture:
bursts, mains, ringing, smear. On simulated scans each misses most of what the other finds.
"""

import numpy as np

from afmd.domain.findings import ArtifactMap, Backend
from afmd.domain.ports import Segmenter
from afmd.domain.scan import Scan


class JoinedSegmenter:
    """The larger of two artefact probabilities at every pixel, and the features of the one that tells them."""

    def __init__(self, first: Segmenter, second: Segmenter) -> None:
        self._both = first, second

    @property
    def backend(self) -> Backend:
        """Both names and versions, joined by a plus."""
        one, other = (segmenter.backend for segmenter in self._both)
        return Backend(f"{one.name}+{other.name}", f"{one.version}+{other.version}")

    def segment(self, scan: Scan) -> ArtifactMap:
        """Return per-pixel probabilities, float32 of the scan's own shape."""
        one, other = (segmenter.segment(scan) for segmenter in self._both)
        feature = one.feature if one.feature is not None else other.feature
        return ArtifactMap(np.maximum(one.artifact, other.artifact), feature, self.backend)
