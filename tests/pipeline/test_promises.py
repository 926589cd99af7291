"""What the pipeline promises of every restoration, whoever classifies and segments."""

import numpy as np
import pytest

from afmd.domain.exclusions import Freehand, Polygon, Rectangle
from afmd.domain.findings import ArtifactMap, Backend, Classification, Label
from afmd.domain.params import Params
from afmd.domain.scan import Scan
from afmd.errors import CannotLevel, InvalidInput
from afmd.pipeline.restore import restore

BACKEND = Backend("told", "1")
PIXEL_NM = (2.0, 3.0)


class Told:
    """A classifier and a segmenter that say what the test tells them."""

    backend = BACKEND

    def __init__(
        self, label: Label, artifact: np.ndarray, *, sure: float = 0.9, ghosts: np.ndarray | None = None
    ) -> None:
        rest = (1 - sure) / 3
        self._found = Classification(label, {one: sure if one is label else rest for one in Label}, False, BACKEND)
        self._artifact, self._ghosts = artifact.astype(np.float32), ghosts

    def classify(self, scan: Scan) -> Classification:
        return self._found

    def segment(self, scan: Scan) -> ArtifactMap:
        return ArtifactMap(self._artifact, None, BACKEND, ghosts=self._ghosts)


def spoilt_scan(rows=96, cols=128, seed=0):
    """A rough tilted surface, five of its lines lifted by 30 nm: (truth, scan, mask)."""
    rng = np.random.default_rng(seed)
    r, c = np.mgrid[:rows, :cols].astype(float)
    truth = 2 * np.sin(r / 9) * np.cos(c / 11) + rng.normal(0, 0.05, (rows, cols))
    mask = np.zeros((rows, cols), dtype=bool)
    mask[[20, 21, 50, 51, 80], 30:110] = True
    heights = truth + 0.1 * r - 0.05 * c + 30 * mask
    return truth, Scan.from_heights(heights, pixel_nm=PIXEL_NM), mask


def run(scan, mask, *, label=Label.NOT_TRACKING, params=None, exclusions=(), sure=0.9, ghosts=None):
    told = Told(label, mask, sure=sure, ghosts=ghosts)
    ticks = iter(range(1000))
    return restore(
        scan,
        params=params or Params(),
        exclusions=exclusions,
        classifier=told,
        segmenter=told,
        clock=lambda: next(ticks) / 1000,
    )


def away(heights, truth):
    """Rms distance to the truth, planes aside."""
    rows, cols = truth.shape
    r, c = np.mgrid[:rows, :cols].reshape(2, -1) / max(rows, cols)
    basis = np.stack([np.ones(r.size), r, c], axis=1)
    rest = (heights - truth).ravel()
    return float(np.std(rest - basis @ np.linalg.lstsq(basis, rest, rcond=None)[0]))


@pytest.mark.parametrize("preset", ["best", "published"])
def test_the_restored_scan_is_nearer_the_truth_than_the_raw_one(preset):
    truth, scan, mask = spoilt_scan()

    result = run(scan, mask, params=Params(preset))

    assert away(result.restored, truth) < away(scan.heights, truth) / 3


@pytest.mark.parametrize("preset", ["best", "published"])
def test_outside_what_was_touched_filling_changes_no_height_to_the_last_bit(preset):
    _, scan, mask = spoilt_scan()

    result = run(scan, mask, params=Params(preset))

    assert result.touched.any()
    same = ~result.touched
    np.testing.assert_array_equal(result.restored[same].view(np.uint32), result.flattened[same].view(np.uint32))
    assert (result.sigma[same] == 0).all()
    assert (result.sigma[result.touched] > 0).all()
    assert not (result.touched & ~result.mask).any()


def test_a_good_scan_is_levelled_and_never_filled():
    _, scan, mask = spoilt_scan()

    result = run(scan, mask, label=Label.GOOD)

    assert not result.touched.any()
    assert result.mask.any()
    np.testing.assert_array_equal(result.restored, result.flattened)


def test_a_scan_that_is_mostly_artefact_is_reported_and_not_filled():
    _, scan, _ = spoilt_scan()
    mask = np.zeros(scan.heights.shape, dtype=bool)
    mask[:60] = True

    result = run(scan, mask)

    assert "spoilt" in result.refusal
    assert not result.touched.any()
    assert result.quality.verdict


def test_the_scan_that_was_given_is_not_changed():
    _, scan, mask = spoilt_scan()
    before = scan.heights.copy()

    run(scan, mask)

    np.testing.assert_array_equal(scan.heights, before)


@pytest.mark.parametrize("scale", [1e-3, 1024.0])
def test_heights_in_other_units_give_the_same_result_in_those_units(scale):
    _, scan, mask = spoilt_scan()
    scaled = Scan.from_heights(scan.heights * np.float32(scale), pixel_nm=PIXEL_NM)

    one, other = run(scan, mask), run(scaled, mask)

    np.testing.assert_array_equal(one.mask, other.mask)
    np.testing.assert_allclose(one.restored * scale, other.restored, atol=2e-4 * scale * float(np.ptp(one.restored)))


@pytest.mark.parametrize(
    "region",
    [
        Rectangle(10, 10, 40, 60),
        Polygon(((9.5, 9.5), (9.5, 59.5), (39.5, 59.5), (39.5, 9.5))),
        Freehand(np.pad(np.ones((30, 50), dtype=bool), ((10, 56), (10, 68)))),
    ],
    ids=["rectangle", "polygon", "freehand"],
)
def test_an_excluded_region_has_no_vote_in_the_ground(region):
    _, scan, mask = spoilt_scan()
    raised = scan.heights.copy()
    raised[10:40, 10:60] += 25
    raised = Scan.from_heights(raised, pixel_nm=PIXEL_NM)

    calm, loud = (run(one, mask, exclusions=[region]) for one in (scan, raised))

    outside = ~calm.excluded
    assert calm.excluded.sum() == 30 * 50
    assert not (calm.touched & calm.excluded & ~calm.mask).any()
    np.testing.assert_allclose(loud.flattened[outside], calm.flattened[outside], atol=1e-3)


def test_an_exclusion_of_another_shape_is_refused_by_name():
    _, scan, mask = spoilt_scan()

    with pytest.raises(InvalidInput) as told:
        run(scan, mask, exclusions=[Freehand(np.ones((3, 3), dtype=bool))])
    assert told.value.field == "exclude"


def test_excluding_everything_says_that_no_ground_is_left():
    _, scan, mask = spoilt_scan()

    with pytest.raises(CannotLevel):
        run(scan, mask, exclusions=[Rectangle(0, 0, *scan.heights.shape)])


def test_published_masks_whole_rows_and_best_does_not():
    _, scan, mask = spoilt_scan()

    published, best = run(scan, mask, params=Params("published")), run(scan, mask)

    assert published.mask[20].all()
    assert not best.mask[20].all()


@pytest.mark.parametrize(("name", "low", "high"), [("thr", 0.3, 0.8), ("lam", 4.0, 12.0), ("min_pix", 1, 200)])
def test_a_stricter_parameter_never_masks_more(name, low, high):
    rng = np.random.default_rng(7)
    _, scan, mask = spoilt_scan()
    doubt = np.where(mask, rng.uniform(0.4, 1, mask.shape), rng.uniform(0, 0.6, mask.shape))

    loose, strict = (run(scan, doubt, params=Params(**{name: value})) for value in (low, high))

    assert strict.mask.sum() < loose.mask.sum()
    if name == "thr":
        assert not (strict.raw_mask & ~loose.raw_mask).any()


def test_a_particle_that_is_hardly_called_stays_as_it_was_measured():
    rng = np.random.default_rng(3)
    heights = rng.normal(0, 0.05, (96, 128))
    heights[40:60, 50:80] += 10
    scan, chance = Scan.from_heights(heights, pixel_nm=PIXEL_NM), np.zeros((96, 128))
    chance[38:62, 48:82] = 0.6

    result, published = (run(scan, chance, params=Params(preset)) for preset in ("best", "published"))

    assert result.mask[40:60, 50:80].all()
    assert not result.touched.any()
    assert not result.sigma.any()
    assert "too doubtfully to be filled" in result.quality.verdict
    np.testing.assert_array_equal(result.restored, result.flattened)
    assert published.touched[40:60, 50:80].all()
    assert run(scan, chance, ghosts=chance > 0).touched[40:60, 50:80].all()


def test_an_unsure_class_is_abstained_from():
    _, scan, mask = spoilt_scan()

    assert run(scan, mask, sure=0.4).abstained
    assert not run(scan, mask, sure=0.9).abstained


def test_every_stage_is_timed_in_its_order():
    _, scan, mask = spoilt_scan()

    timings = run(scan, mask).timings_ms

    assert list(timings)[:3] == ["classify", "segment", "flatten"]
    assert all(spent > 0 for spent in timings.values())


@pytest.mark.parametrize("shape", [(2, 2), (2, 300), (300, 2), (64, 48)])
@pytest.mark.parametrize("preset", ["best", "published"])
def test_small_and_narrow_scans_come_through(shape, preset):
    heights = np.random.default_rng(1).normal(size=shape)
    scan = Scan.from_heights(heights, pixel_nm=1)

    result = run(scan, np.zeros(shape, dtype=bool), params=Params(preset, order=0))

    assert result.restored.shape == shape
    assert np.isfinite(result.restored).all()


def test_a_scan_without_relief_stays_flat():
    scan = Scan.from_heights(np.full((64, 64), 7.0), pixel_nm=1)

    result = run(scan, np.zeros((64, 64), dtype=bool))

    assert np.ptp(result.restored) < 1e-6
