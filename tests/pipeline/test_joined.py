"""Two segmenters as one: nobody's word is lost."""

from dataclasses import dataclass

import numpy as np

from afmd.domain.findings import ArtifactMap, Backend
from afmd.domain.scan import Scan
from afmd.pipeline.joined import JoinedSegmenter

SCAN = Scan.from_heights(np.zeros((4, 6), np.float32), pixel_nm=1.0)


@dataclass(frozen=True)
class Says:
    name: str
    rows: tuple[int, ...]
    feature: np.ndarray | None = None

    @property
    def backend(self) -> Backend:
        return Backend(self.name, f"v-{self.name}")

    def segment(self, scan: Scan) -> ArtifactMap:
        artifact = np.full(scan.heights.shape, 0.1, np.float32)
        artifact[list(self.rows)] = 0.9
        return ArtifactMap(artifact, self.feature, self.backend)


def test_a_pixel_is_spoilt_where_either_says_so():
    found = JoinedSegmenter(Says("net", (0,)), Says("rules", (2,))).segment(SCAN)

    np.testing.assert_array_equal((found.artifact >= 0.5)[:, 0], [True, False, True, False])
    assert found.artifact.dtype == np.float32


def test_features_are_those_of_the_one_that_tells_them():
    feature = np.full((4, 6), 0.7, np.float32)

    for one, other in ((Says("net", (), feature), Says("rules", ())), (Says("rules", ()), Says("net", (), feature))):
        assert JoinedSegmenter(one, other).segment(SCAN).feature is feature


def test_the_record_names_both():
    joined = JoinedSegmenter(Says("net", ()), Says("rules", ()))

    assert joined.backend == Backend("net+rules", "v-net+v-rules")
    assert joined.segment(SCAN).backend == joined.backend
