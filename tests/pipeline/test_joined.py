"""Network and rules as one: each is heard, the rules less."""

from dataclasses import dataclass

import numpy as np

from afmd.domain.findings import ArtifactMap, Backend, Classification, Label
from afmd.domain.scan import Scan
from afmd.pipeline.joined import SURE_RULES, JoinedClassifier, JoinedSegmenter

SCAN = Scan.from_heights(np.zeros((4, 6), np.float32), pixel_nm=1.0)


@dataclass(frozen=True)
class Says:
    name: str
    rows: tuple[int, ...]
    feature: np.ndarray | None = None
    chance: float = 0.95
    reported: np.ndarray | None = None

    @property
    def backend(self) -> Backend:
        return Backend(self.name, f"v-{self.name}")

    def segment(self, scan: Scan) -> ArtifactMap:
        artifact = np.full(scan.heights.shape, 0.1, np.float32)
        artifact[list(self.rows)] = self.chance
        return ArtifactMap(artifact, self.feature, self.backend, self.reported)


def test_a_pixel_is_spoilt_where_either_says_so():
    found = JoinedSegmenter(Says("net", (0,)), Says("rules", (2,))).segment(SCAN)

    np.testing.assert_array_equal((found.artifact >= 0.5)[:, 0], [True, False, True, False])
    assert found.artifact.dtype == np.float32


def test_rules_that_are_hardly_sure_are_not_heard_and_a_network_is():
    barely = 0.5 * (0.5 + SURE_RULES)

    found = JoinedSegmenter(Says("net", (0,), chance=barely), Says("rules", (2,), chance=barely)).segment(SCAN)

    np.testing.assert_array_equal((found.artifact >= 0.5)[:, 0], [True, False, False, False])


def test_what_both_suspect_is_called_and_what_one_doubts_is_not():
    suspected = JoinedSegmenter(Says("net", (0,), chance=0.4), Says("rules", (0,), chance=0.7)).segment(SCAN)
    doubted = JoinedSegmenter(Says("net", (0,), chance=0.2), Says("rules", (0,), chance=0.7)).segment(SCAN)

    assert suspected.artifact[0, 0] >= 0.5
    assert doubted.artifact[0, 0] < 0.5


def test_certainty_stays_certainty():
    found = JoinedSegmenter(Says("net", ()), Says("rules", (1,), chance=1.0)).segment(SCAN)

    np.testing.assert_array_equal(found.artifact[1], 1)
    assert np.isfinite(found.artifact).all()


def test_features_are_the_networks():
    feature = np.full((4, 6), 0.7, np.float32)

    assert JoinedSegmenter(Says("net", (), feature), Says("rules", ())).segment(SCAN).feature is feature


def test_where_rules_call_more_than_a_wave_is_amiss():
    waves = np.ones((4, 6), bool)

    found = JoinedSegmenter(Says("net", (0, 1, 2, 3), reported=waves), Says("rules", (2,))).segment(SCAN)

    np.testing.assert_array_equal(found.reported[:, 0], [True, True, False, True])


def test_the_record_names_both():
    joined = JoinedSegmenter(Says("net", ()), Says("rules", ()))

    assert joined.backend == Backend("net+rules", "v-net+v-rules")
    assert joined.segment(SCAN).backend == joined.backend


@dataclass(frozen=True)
class Calls:
    name: str
    chances: tuple[float, float, float, float]

    @property
    def backend(self) -> Backend:
        return Backend(self.name, f"v-{self.name}")

    def classify(self, scan: Scan) -> Classification:
        probabilities = dict(zip(Label, self.chances, strict=True))
        return Classification(max(Label, key=probabilities.__getitem__), probabilities, False, self.backend)


def pooled(network: tuple[float, float, float, float], rules: tuple[float, float, float, float]) -> Classification:
    return JoinedClassifier(Calls("net", network), Calls("rules", rules)).classify(SCAN)


def test_rules_that_cannot_tell_leave_the_network_its_word():
    found = pooled((0.1, 0.6, 0.1, 0.2), (0.25, 0.25, 0.25, 0.25))

    order = sorted(Label, key=lambda one: found.probabilities[one])
    assert order[-2:] == [Label.IMAGING_ARTIFACT, Label.NOT_TRACKING]
    assert found.probabilities[Label.GOOD] == found.probabilities[Label.TIP_CONTAMINATION]
    assert 0.5 < found.probabilities[Label.NOT_TRACKING] < 0.6
    assert not found.abstained


def test_rules_weigh_less_than_the_network():
    assert pooled((0.2, 0.7, 0.05, 0.05), (0.7, 0.2, 0.05, 0.05)).label is Label.NOT_TRACKING


def test_where_neither_is_sure_no_class_is_told():
    found = pooled((0.3, 0.4, 0.2, 0.1), (0.4, 0.3, 0.2, 0.1))

    assert found.abstained
    assert abs(sum(found.probabilities.values()) - 1) < 1e-9
