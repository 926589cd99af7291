"""Classification and segmentation by rules, without any learned weight."""

import numpy as np

from afmd.domain.findings import ArtifactMap, Backend, Classification, Label
from afmd.domain.scan import Scan
from afmd.science.robust import mad_sigma

VERSION = "0"


class RulesSegmenter:
    """Per-pixel artefact probability from line statistics."""

    backend = Backend(name="rules", version=VERSION)

    def segment(self, scan: Scan) -> ArtifactMap:
        """Return per-pixel probabilities, float32 of the scan's own shape."""
        heights = scan.heights
        if heights.shape[0] < 3:
            return ArtifactMap(artifact=np.zeros_like(heights), feature=None, backend=self.backend)
        step = np.zeros_like(heights)
        step[1:-1] = heights[1:-1] - (heights[:-2] + heights[2:]) / 2
        sigma = mad_sigma(step)
        odd = np.abs(step) / np.float32(10 * sigma) if sigma > 0 else np.zeros_like(heights)
        return ArtifactMap(artifact=(odd / (1 + odd)).astype(np.float32), feature=None, backend=self.backend)


class RulesClassifier:
    """The class of a scan from what the segmenter finds."""

    backend = Backend(name="rules", version=VERSION)

    def classify(self, scan: Scan) -> Classification:
        """Return the class of the whole scan."""
        share = float((RulesSegmenter().segment(scan).artifact > 0.5).mean())
        bad = share / (share + 0.01)
        odds = {
            Label.GOOD: 1 - bad, Label.NOT_TRACKING: bad, Label.TIP_CONTAMINATION: 0.0, Label.IMAGING_ARTIFACT: 0.0,
        }  # fmt: skip
        label = max(odds, key=lambda one: odds[one])
        return Classification(label=label, probabilities=odds, abstained=False, backend=self.backend)
