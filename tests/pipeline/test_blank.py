"""What was scanned is restored as if there were nothing else, and blank lines are reported, not filled."""

import numpy as np
import pytest

import afmd
from afmd import Scan
from afmd.domain.levelling import Jump, Levelling
from afmd.pipeline.blank import Cut
from afmd.twin import TRAINING, simulate

SHAPE, BLANK = (128, 160), 50


@pytest.fixture(scope="module")
def scanned():
    return simulate(71, shape=SHAPE, recipe=TRAINING.only("lost_lines")).scan


def with_blank(scan, *, above):
    """The scan with blank lines, and the slice of what was scanned."""
    blank = np.zeros((BLANK, SHAPE[1]), np.float32)

    def laid(heights):
        return None if heights is None else np.concatenate([blank, heights] if above else [heights, blank])

    lines = slice(BLANK, None) if above else slice(0, SHAPE[0])
    retrace = laid(scan.retrace)
    return Scan.from_heights(laid(scan.heights), pixel_nm=scan.pixel_nm, retrace=retrace), lines


@pytest.mark.parametrize("above", [True, False])
def test_what_was_scanned_is_restored_as_if_alone(scanned, above):
    stopped, lines = with_blank(scanned, above=above)

    alone, result = afmd.restore(scanned), afmd.restore(stopped)

    assert alone.touched.any()
    assert (result.label, result.probabilities) == (alone.label, alone.probabilities)
    for name in ("raw_mask", "mask", "excluded", "touched", "sigma", "flattened", "restored"):
        np.testing.assert_array_equal(getattr(result, name)[lines], getattr(alone, name))
    assert result.quality.after == alone.quality.after


def test_jumps_are_counted_from_the_first_line_of_the_scan(scanned):
    stopped, _ = with_blank(scanned, above=True)

    found = Cut.of(stopped).levelling(Levelling("joint", jumps=(Jump(3, 7, 2.0),)))

    assert found.jumps == (Jump(3 + BLANK, 7, 2.0),)


@pytest.mark.parametrize("above", [True, False])
def test_blank_lines_are_spoilt_and_nothing_is_put_in_their_place(scanned, above):
    stopped, lines = with_blank(scanned, above=above)
    blank = np.ones(len(stopped.heights), dtype=bool)
    blank[lines] = False

    result, seen = afmd.restore(stopped), afmd.segment(stopped)

    assert result.restored.shape == stopped.heights.shape
    assert result.mask[blank].all()
    assert seen.mask[blank].all()
    assert not result.touched[blank].any()
    assert not result.sigma[blank].any()
    assert np.ptp(result.restored[blank]) == 0
    assert result.restored[blank].min() == result.flattened[lines].min()
    assert ("Lines 1–50" if above else "Lines 129–178") in result.quality.verdict


def test_a_class_is_that_of_what_was_scanned(scanned):
    stopped, _ = with_blank(scanned, above=False)

    assert afmd.classify(stopped).probabilities == afmd.classify(scanned).probabilities


def test_an_excluded_region_keeps_its_place(scanned):
    stopped, _ = with_blank(scanned, above=True)
    region = afmd.Rectangle(BLANK - 10, 20, BLANK + 30, 60)

    result = afmd.restore(stopped, exclude=region)

    np.testing.assert_array_equal(result.excluded, region.painted(stopped.heights.shape))
    np.testing.assert_array_equal(result.restored, np.where(result.touched, result.restored, result.flattened))


def test_lines_that_another_tip_drew_are_counted_from_the_top_of_the_frame(scanned):
    stopped, _ = with_blank(scanned, above=True)
    changed = np.arange(SHAPE[0]) > 100

    np.testing.assert_array_equal(Cut.of(stopped).flags(changed), np.arange(len(stopped.heights)) > 100 + BLANK)
