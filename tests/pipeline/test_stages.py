"""The stages that decide something, one by one."""

from dataclasses import replace

import numpy as np
import pytest

from afmd.domain.findings import ArtifactMap, Backend, Classification, Clipped, Label, Segmentation
from afmd.domain.levelling import Disturbance, DisturbanceKind, Jump, Levelling
from afmd.domain.params import Params
from afmd.domain.scan import Scan
from afmd.pipeline.stages import (
    LEAST_GROUND,
    classified,
    doubted,
    filled,
    ground_of,
    holes_in,
    overruled,
    refused,
    segmented,
    spared,
)
from afmd.pipeline.stopwatch import Stopwatch
from afmd.science import inpaint
from afmd.science.flatten import Levelled
from afmd.science.mask import Masks

SHAPE = (20, 30)


def rows(first, last):
    drawn = np.zeros(SHAPE, dtype=bool)
    drawn[first:last] = True
    return drawn


def levelled_as(method, *waves, jumps=(), span_nm=20.0):
    heights = np.linspace(0, span_nm, np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    return Levelled(heights, np.zeros_like(heights), Levelling(method, jumps=jumps, disturbances=waves))


NONE = rows(0, 0)
LINES = Scan.from_heights(rows(0, 7), pixel_nm=1)


def test_ground_is_neither_spoilt_nor_excluded_nor_a_feature():
    ground = ground_of(rows(0, 4), excluded=rows(3, 6), feature=rows(10, 12), params=Params("best"))

    np.testing.assert_array_equal(ground, rows(6, 10) | rows(12, 20))


def test_published_lets_features_vote_as_the_paper_does():
    ground = ground_of(rows(0, 4), excluded=NONE, feature=rows(10, 12), params=Params("published"))

    np.testing.assert_array_equal(ground, rows(4, 20))


def test_features_vote_where_there_is_hardly_anything_else():
    ground = ground_of(rows(0, 13), excluded=NONE, feature=rows(13, 20), params=Params())

    np.testing.assert_array_equal(ground, rows(13, 20))


def test_features_that_cover_half_of_a_frame_are_a_level_of_the_ground():
    ground = ground_of(rows(0, 2), excluded=NONE, feature=rows(8, 18), params=Params())

    np.testing.assert_array_equal(ground, rows(2, 20))


def test_spoilt_pixels_vote_only_where_nothing_else_is_left_and_excluded_ones_never():
    ground = ground_of(rows(0, 20), excluded=rows(0, 5), feature=None, params=Params())

    np.testing.assert_array_equal(ground, rows(5, 20))
    assert not ground_of(rows(0, 20), excluded=rows(0, 20), feature=None, params=Params()).any()


def test_a_little_ground_is_enough():
    spoilt = np.ones(SHAPE, dtype=bool)
    spoilt.reshape(-1)[: int(np.ceil(LEAST_GROUND * spoilt.size))] = False

    np.testing.assert_array_equal(ground_of(spoilt, excluded=NONE, feature=None, params=Params()), ~spoilt)


@pytest.mark.parametrize(("spoilt", "refuse", "told"), [(10, 0.5, False), (11, 0.5, True), (19, 1.0, False)])
def test_a_scan_is_refused_above_the_share_that_is_allowed(spoilt, refuse, told):
    reason = refused(LINES, rows(0, spoilt), params=Params(refuse=refuse))

    assert bool(reason) is told
    assert not told or "55%" in reason


def test_a_scan_of_one_height_is_refused_whatever_is_allowed():
    assert "same height" in refused(Scan.from_heights(np.full(SHAPE, 7.0), pixel_nm=1), NONE, params=Params(refuse=1.0))


def test_a_scan_without_one_good_pixel_is_refused_whatever_is_allowed():
    assert refused(LINES, rows(0, 20), params=Params(refuse=1.0))


class Sure:
    """Says that every scan is good, as surely as it was told, or abstains."""

    backend = Backend("sure", "1")

    def __init__(self, sure: float, *, abstains: bool = False) -> None:
        rest = dict.fromkeys(Label, (1 - sure) / 3)
        self.found = Classification(Label.GOOD, {**rest, Label.GOOD: sure}, abstains, self.backend)

    def classify(self, _: Scan) -> Classification:
        return self.found


@pytest.mark.parametrize(("sure", "own", "told"), [(0.6, False, False), (0.49, False, True), (0.9, True, True)])
def test_it_abstains_where_the_backend_does_or_is_unsure(sure, own, told):
    scan = Scan.from_heights(np.arange(32 * 40).reshape(32, 40), pixel_nm=1)

    assert classified(scan, params=Params(abstain=0.5), classifier=Sure(sure, abstains=own)).abstained is told


@pytest.mark.parametrize("heights", [np.arange(31 * 300).reshape(31, 300), np.full((300, 300), 7.0)])
def test_a_frame_that_tells_nothing_has_no_class(heights):
    found = classified(Scan.from_heights(heights, pixel_nm=1), params=Params(), classifier=Sure(0.9))

    assert found.abstained
    assert set(found.probabilities.values()) == {0.25}


def test_a_stage_entered_twice_adds_up_and_a_failing_one_is_timed():
    ticks = iter([0.0, 0.001, 1.0, 1.004, 2.0, 2.01])
    watch = Stopwatch(lambda: next(ticks))

    for _ in range(2):
        with watch("fill"):
            pass
    with pytest.raises(ZeroDivisionError), watch("smooth"):
        raise ZeroDivisionError

    assert {name: round(ms, 6) for name, ms in watch.timings_ms().items()} == {"fill": 5, "smooth": 10, "total": 15}


def masked(spoilt: np.ndarray, ghosts: np.ndarray | None = None) -> Segmentation:
    return Segmentation(spoilt.astype(np.float32), spoilt, spoilt, None, Backend("rules", "1"), ghosts)


@pytest.mark.parametrize(
    ("label", "last", "unsure"), [("good", 0, False), ("good", 12, True), ("not_tracking", 12, False)]
)
def test_a_good_scan_of_which_much_is_masked_is_not_sure(label, last, unsure):
    sure = Classification(Label(label), {Label(label): 0.9}, False, Backend("rules", "1"))

    found = doubted(sure, masked(rows(0, last)))

    assert (found.abstained, found.label) == (unsure, sure.label)


@pytest.mark.parametrize(
    ("label", "good", "preset", "is_spared"),
    [
        ("good", 0.9, "best", True),
        ("good", 0.9, "published", True),
        ("not_tracking", 0.15, "best", True),
        ("not_tracking", 0.15, "published", False),
        ("not_tracking", 0.05, "best", False),
    ],
)
def test_what_is_good_or_may_well_be_is_spared_and_the_paper_asks_the_class_alone(label, good, preset, is_spared):
    chances = {Label.GOOD: good, Label.NOT_TRACKING: 1 - good}
    found = Classification(Label(label), chances, False, Backend("rules", "1"))

    assert spared(found, masked(rows(0, 1)), Params(preset)) is is_spared
    assert doubted(found, masked(rows(0, 1))).abstained is (label != "good" and good > 0.1)


@pytest.mark.parametrize(
    ("label", "good", "preset", "filled_rows"),
    [
        ("good", 0.6, "best", NONE),
        ("not_tracking", 0.3, "best", rows(4, 6)),
        ("not_tracking", 0.3, "published", rows(0, 2) | rows(4, 6)),
        ("not_tracking", 0.05, "best", rows(0, 2) | rows(4, 6)),
    ],
)
def test_of_a_scan_that_may_be_good_what_is_sure_is_filled_alone(label, good, preset, filled_rows):
    found = Classification(Label(label), {Label.GOOD: good, Label.NOT_TRACKING: 1 - good}, False, Backend("rules", "1"))
    spoilt = rows(0, 2) | rows(4, 6)
    seen = replace(masked(spoilt), probability=np.where(rows(4, 6), np.float32(0.99), np.float32(0.8)))

    np.testing.assert_array_equal(holes_in(spoilt, found, seen=seen, params=Params(preset)), filled_rows)


def spots(count: int) -> np.ndarray:
    drawn = np.zeros(SHAPE, dtype=bool)
    drawn[2 * (np.arange(count) // 10) + 1, 3 * (np.arange(count) % 10) + 1] = True
    return drawn


@pytest.mark.parametrize(
    ("spoilt", "chance", "preset", "told"),
    [
        (spots(12), 0.99, "best", Label.IMAGING_ARTIFACT),
        (spots(12), 0.99, "published", Label.GOOD),
        (spots(12), 0.8, "best", Label.GOOD),
        (spots(9), 0.99, "best", Label.GOOD),
        (rows(4, 6), 0.99, "best", Label.NOT_TRACKING),
        (rows(4, 6) & (np.arange(SHAPE[1]) < 20), 0.99, "best", Label.GOOD),
    ],
)
def test_many_sure_spots_or_a_surely_lost_line_are_not_a_good_scan(spoilt, chance, preset, told):
    chances = dict.fromkeys(Label, 0.1) | {Label.GOOD: 0.7}
    found = Classification(Label.GOOD, chances, False, Backend("rules", "1"))
    seen = replace(masked(spoilt), probability=np.full(SHAPE, np.float32(chance)))

    after = overruled(found, spoilt, seen=seen, level=levelled_as("joint"), params=Params(preset))

    assert after.label is told
    assert after is found or max(after.probabilities, key=lambda one: after.probabilities[one]) is told
    assert sum(after.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("kind", "label", "told"),
    [
        (DisturbanceKind.FRINGES, Label.GOOD, Label.IMAGING_ARTIFACT),
        (DisturbanceKind.HUM, Label.GOOD, Label.IMAGING_ARTIFACT),
        (DisturbanceKind.RIPPLE, Label.GOOD, Label.GOOD),
        (DisturbanceKind.HUM, Label.NOT_TRACKING, Label.NOT_TRACKING),
    ],
)
def test_a_scan_from_which_hum_or_fringes_were_taken_off_was_not_good(kind, label, told):
    found = Classification(label, dict.fromkeys(Label, 0.1) | {label: 0.7}, False, Backend("rules", "1"))
    wave = Disturbance(kind, 1.0, 0.3, 0.1)

    def after(span_nm):
        level = levelled_as("joint", wave, span_nm=span_nm)
        return overruled(found, NONE, seen=masked(NONE), level=level, params=Params()).label

    assert after(20.0) is told
    assert after(1000.0) is label, "beside such a surface the wave is faint"


@pytest.mark.parametrize(
    ("jumps", "told"),
    [
        ([(5, 2.0)], Label.IMAGING_ARTIFACT),
        ([(5, -2.0), (40, 2.0)], Label.IMAGING_ARTIFACT),
        ([(5, 1.0)], Label.GOOD),
        ([(5, 2.0), (8, -2.0)], Label.GOOD),
        ([(line, 2.0) for line in range(0, 100, 20)], Label.GOOD),
    ],
)
def test_a_scan_that_jumped_for_good_was_not_good_but_lines_that_come_back_may_be(jumps, told):
    found = Classification(Label.GOOD, dict.fromkeys(Label, 0.1) | {Label.GOOD: 0.7}, False, Backend("rules", "1"))
    level = levelled_as("joint", jumps=tuple(Jump(line, 0, height_nm) for line, height_nm in jumps))

    assert overruled(found, NONE, seen=masked(NONE), level=level, params=Params()).label is told


def test_where_a_second_apex_is_sure_the_scan_cannot_well_be_good():
    found = Classification(Label.NOT_TRACKING, {Label.GOOD: 0.4, Label.NOT_TRACKING: 0.6}, False, Backend("rules", "1"))
    seen = masked(rows(0, 1), ghosts=rows(0, 1))

    assert not spared(found, seen, Params())
    assert not doubted(found, seen).abstained


def test_a_wave_over_the_field_is_reported_and_left_to_levelling():
    waves = np.ones((40, 40), bool)
    waves[10:13] = False
    chance = np.where(waves, 0.8, 0.9).astype(np.float32)

    class Rippled:
        backend = Backend("r", "1")

        def segment(self, scan):
            return ArtifactMap(chance, None, self.backend, waves)

    heights = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)
    seen, masks = segmented(Scan.from_heights(heights, pixel_nm=1.0), params=Params(), segmenter=Rippled())

    assert seen.mask.all()
    assert seen.raw_mask.all()
    np.testing.assert_array_equal(masks.final.any(axis=1).nonzero()[0], [10, 11, 12])


def hole_with_ghosts():
    heights = np.random.default_rng(3).normal(0, 1, SHAPE).astype(np.float32)
    heights[8:12, 10:16] -= 9  # lower than anything that the surroundings expect
    touched = rows(0, 0)
    touched[8:12, 10:16] = True
    masks = Masks(raw=touched, grown=touched, stripes=NONE, final=touched)
    return Scan.from_heights(heights, pixel_nm=1.0), touched, masks


def test_a_ghost_is_filled_without_looking_at_it_and_never_higher_than_it_was_measured():
    scan, touched, masks = hole_with_ghosts()
    seen = masked(touched, ghosts=touched)
    done = filled(scan, scan.heights, touched, masks=masks, seen=seen, params=Params())
    raised = np.where(touched, 50, scan.heights).astype(np.float32)
    again = filled(scan, raised, touched, masks=masks, seen=seen, params=Params())

    np.testing.assert_array_equal(done.heights, np.where(touched, scan.heights, done.heights))
    assert np.abs(again.heights[touched]).max() < 5, "what was measured there is not looked at"
    np.testing.assert_array_equal(done.heights[~touched], scan.heights[~touched])


def test_published_fills_as_the_paper_does_and_knows_of_no_ghosts():
    scan, touched, masks = hole_with_ghosts()
    params = Params("published")
    done = filled(scan, scan.heights, touched, masks=masks, seen=masked(touched, ghosts=touched), params=params)

    plain = inpaint.fill(
        scan.heights, touched, method=params.fill, pixel_nm=scan.pixel_nm, radius=params.radius, stripes=NONE
    )
    np.testing.assert_array_equal(done.heights, plain.heights)
    assert (done.heights > scan.heights)[touched].all()


@pytest.mark.parametrize(("end", "height"), [(0, -9), (0, 50), (1, 9), (1, -50)])
def test_what_is_clipped_is_filled_without_looking_at_it_and_never_within_the_range(end, height):
    scan, touched, masks = hole_with_ghosts()
    flattened = np.where(touched, height, scan.heights).astype(np.float32)
    clipped = [NONE, NONE]
    clipped[end] = touched
    seen = replace(masked(touched), clipped=Clipped(*clipped))

    done = filled(scan, flattened, touched, masks=masks, seen=seen, params=Params())

    if abs(height) > 10:  # the range ends far beyond what the surroundings expect, and says nothing
        assert np.abs(done.heights[touched]).max() < 5
    else:
        np.testing.assert_array_equal(done.heights[touched], height)


def test_a_scan_that_is_clipped_is_not_good_and_what_is_clipped_is_masked_for_sure():
    class Blind:
        backend = Backend("b", "1")

        def segment(self, scan):
            return ArtifactMap(np.zeros(scan.heights.shape, np.float32), None, self.backend)

    down, across = np.mgrid[:96, :96]
    heights = 0.3 * across + 0.1 * down + 4 * np.exp(-((down % 32 - 16) ** 2 + (across % 32 - 16) ** 2) / 60)
    limit = np.quantile(heights, 0.9)
    true = heights >= limit
    noise = np.random.default_rng(2).normal(0, 0.02, heights.shape)
    scan = Scan.from_heights(np.float32(np.minimum(heights, limit) + noise), pixel_nm=1.0)
    good = Classification(Label.GOOD, dict.fromkeys(Label, 0.1) | {Label.GOOD: 0.7}, False, Backend("rules", "1"))

    seen, masks = segmented(scan, params=Params(), segmenter=Blind())

    assert seen.clipped is not None
    assert (seen.clipped[1] == true).mean() > 0.98
    assert not seen.clipped[0].any()
    assert masks.grown[true].mean() > 0.98
    after = overruled(good, masks.final, seen=seen, level=levelled_as("joint"), params=Params())
    assert after.label is Label.IMAGING_ARTIFACT
    assert segmented(scan, params=Params("published"), segmenter=Blind())[0].clipped is None
