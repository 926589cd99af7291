"""The class of a scan by rules."""

from types import MappingProxyType

import numpy as np

from afmd.domain.findings import Backend, Classification, Label
from afmd.domain.scan import Scan
from afmd.science.rules.evidence import HANDOVER, gathered
from afmd.science.rules.version import VERSION


class RulesClassifier:
    """Tells whether a scan is good from what the segmenter finds."""

    @property
    def backend(self) -> Backend:
        """Who speaks."""
        return Backend(name="rules", version=VERSION)

    def classify(self, scan: Scan) -> Classification:
        """Return the class of the whole scan."""
        evidence = gathered(scan)
        HANDOVER.put(scan, evidence)
        share = float(np.mean(evidence.excess() > 1))
        bad = share / (share + 0.005)
        odds = {
            Label.GOOD: 1 - bad, Label.NOT_TRACKING: bad, Label.TIP_CONTAMINATION: 0.0, Label.IMAGING_ARTIFACT: 0.0,
        }  # fmt: skip
        label = max(odds, key=lambda one: odds[one])
        return Classification(label, MappingProxyType(odds), abstained=False, backend=self.backend)
