"""The class of a scan by rules. Rule: good is what nothing speaks against; every class names what speaks for it.

Each symptom beyond its usual size adds to its class's log-odds against *good*. Sizes and weights were fitted to
simulated scans, half of them good, so that the probabilities are honest: about as often right as they say; those of
falls at one rate, which speak seldom, were set by hand to weigh as much as streaks. Nothing here tells a contaminated
tip; it only keeps its share of what looks good.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from afmd.domain.findings import Backend, Classification, Label
from afmd.domain.scan import Scan
from afmd.science.rules.evidence import HANDOVER, Evidence, gathered
from afmd.science.rules.spectra import lone_wave, ringing
from afmd.science.rules.version import VERSION

FEWEST = 1e-4
"""Shares of the frame below this are told apart by nothing."""
MOST = 3.0


@dataclass(frozen=True, slots=True)
class Symptom:
    """Speaks for ``label`` with ``weight`` for each unit above ``usual``, up to ``MOST`` units."""

    label: Label
    usual: float
    weight: float


SYMPTOMS: Mapping[str, Symptom] = MappingProxyType(
    {
        "log share of streaks": Symptom(Label.NOT_TRACKING, -6.0, 1.1),
        "log of the strongest streak": Symptom(Label.NOT_TRACKING, 1.8, 0.8),
        "log share of what one pass shows": Symptom(Label.NOT_TRACKING, -5.8, 0.6),
        "log share of single hits": Symptom(Label.IMAGING_ARTIFACT, -6.2, 1.0),
        "log share of falls at one rate": Symptom(Label.NOT_TRACKING, -9.2, 1.1),
        "log share of clipped heights": Symptom(Label.IMAGING_ARTIFACT, -9.2, 1.1),
        "ringing": Symptom(Label.IMAGING_ARTIFACT, 0.42, 1.6),
        "wave in one pass": Symptom(Label.IMAGING_ARTIFACT, 2.7, 0.4),
    }
)
WITHOUT_SYMPTOMS: Mapping[Label, float] = MappingProxyType(
    {Label.GOOD: 0.0, Label.NOT_TRACKING: -1.8, Label.TIP_CONTAMINATION: -1.15, Label.IMAGING_ARTIFACT: -1.4}
)
"""Log-odds where nothing is seen: what the rules miss."""


class RulesClassifier:
    """Tells the class from streaks, hits, falls, clipping, ringing, and from the other pass where there is one."""

    @property
    def backend(self) -> Backend:
        """Who speaks."""
        return Backend(name="rules", version=VERSION)

    def classify(self, scan: Scan) -> Classification:
        """Return the class of the whole scan."""
        evidence = gathered(scan)
        HANDOVER.put(scan, evidence)
        probabilities = weighed(symptoms(scan, evidence))
        label = max(probabilities, key=lambda one: probabilities[one])
        return Classification(label, MappingProxyType(probabilities), abstained=False, backend=self.backend)


def symptoms(scan: Scan, evidence: Evidence) -> dict[str, float]:
    """Return the size of each symptom, by its name in ``SYMPTOMS``."""
    streak = evidence.streak > 1
    other = scan.retrace
    return {
        "log share of streaks": _log_share(streak),
        "log of the strongest streak": float(np.log(max(float(evidence.streak.max()), 1.0))),
        "log share of what one pass shows": _log_share(evidence.alone > 1),
        "log share of single hits": _log_share((evidence.hit > 1) & ~streak),
        "log share of falls at one rate": _log_share(evidence.falling),
        "log share of clipped heights": _log_share(evidence.clipped.anywhere),
        "ringing": ringing(scan.heights),
        "wave in one pass": 0.0 if other is None else lone_wave(scan.heights, other),
    }


def weighed(sizes: Mapping[str, float]) -> dict[Label, float]:
    """Return the probability of each class."""
    odds = dict(WITHOUT_SYMPTOMS)
    for name, symptom in SYMPTOMS.items():
        odds[symptom.label] += symptom.weight * float(np.clip(sizes[name] - symptom.usual, 0.0, MOST))
    share = np.exp(np.array(list(odds.values())) - max(odds.values()))
    return dict(zip(odds, (share / share.sum()).tolist(), strict=True))


def _log_share(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    return float(np.log(np.count_nonzero(mask) / mask.size + FEWEST))
