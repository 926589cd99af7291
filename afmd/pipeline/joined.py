"""Network and rules as one. Rule: each is heard in what it sees; what the rules weigh was chosen on validation scans.

Rules see what is one line high and obeys a law: scars, jumps, lost lines, single hits. A network sees what has a
texture too: bursts, mains, ringing, smear. On simulated scans each misses some of what the other finds.
"""

from types import MappingProxyType
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import ArtifactMap, Backend, Classification, Label
from afmd.domain.ports import Classifier, Segmenter
from afmd.domain.scan import Scan

SURE_RULES = 0.9
"""How sure of a pixel the rules must be before they call it beside a network: it halves what is falsely called."""
WEIGHT_OF_RULES = 0.5
"""Power of the rules' probabilities in the product of both: halves the good scans called spoilt."""
TEMPERATURE = 1.3
"""Divides the pool's logarithms: both look at one scan, so that their agreement counts less than twice."""
EVEN_ODDS = 0.5
"""Where no class has better than even odds, the class is not told."""
CALLED = 0.5
"""From this probability on a pixel is called."""
_LEAST = 1e-4
Speaker = TypeVar("Speaker", Classifier, Segmenter)


class _Joined(Generic[Speaker]):
    """A network and rules that speak together."""

    def __init__(self, network: Speaker, rules: Speaker) -> None:
        self._network: Speaker = network
        self._rules: Speaker = rules

    @property
    def backend(self) -> Backend:
        """Both names and versions, joined by a plus."""
        one, other = self._network.backend, self._rules.backend
        return Backend(f"{one.name}+{other.name}", f"{one.version}+{other.version}")


class JoinedSegmenter(_Joined[Segmenter]):
    """The largest of a network's artefact probability, the rules' own, made shy, and what both say together.

    Together their log odds add, so that what each only suspects is called; the features are the network's.
    """

    def segment(self, scan: Scan) -> ArtifactMap:
        """Return per-pixel probabilities, float32 of the scan's own shape; 0.5 is still where a pixel is called."""
        found = self._network.segment(scan)
        alone = self._rules.segment(scan)
        ruled, both = _shy(alone.artifact), _together(found.artifact, alone.artifact)
        reported = None if found.reported is None else found.reported & (ruled < CALLED)
        artifact = np.maximum(np.maximum(found.artifact, ruled), both)
        return ArtifactMap(artifact, found.feature, self.backend, reported, found.ghosts, found.changed, alone.clipped)


class JoinedClassifier(_Joined[Classifier]):
    """The product of a network's class probabilities and a power of the rules' (a logarithmic opinion pool)."""

    def classify(self, scan: Scan) -> Classification:
        """Return pooled probabilities that sum to 1; abstain where no class has better than even odds."""
        network, rules = (speaker.classify(scan).probabilities for speaker in (self._network, self._rules))
        both = {one: max(network[one], _LEAST) * max(rules[one], _LEAST) ** WEIGHT_OF_RULES for one in Label}
        pooled = {one: share ** (1 / TEMPERATURE) for one, share in both.items()}
        whole = sum(pooled.values())
        chances = {one: share / whole for one, share in pooled.items()}
        best = max(chances, key=lambda one: chances[one])
        return Classification(best, MappingProxyType(chances), chances[best] < EVEN_ODDS, self.backend)


def _together(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities whose log odds are the sum of both, float32 of their shape, new."""
    yes = one * other
    return np.asarray(yes / (yes + (1 - one) * (1 - other) + np.float32(_LEAST**2)))


def _shy(chance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities with their odds divided so that ``SURE_RULES`` becomes one half."""
    odds = np.float32(SURE_RULES / (1 - SURE_RULES))
    return np.asarray(chance / (chance + odds * (1 - chance)), np.float32)
