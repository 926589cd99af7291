"""A scan takes arrays as they come, keeps its own copy, and assumes no pixel size."""

import numpy as np
import pytest

from afmd.domain.scan import Channel, Direction, Scan, checked_heights, checked_mask, checked_pitch
from afmd.errors import InvalidInput

HEIGHTS = np.arange(12.0).reshape(3, 4)


def test_heights_are_copied_and_cannot_be_changed():
    given = HEIGHTS.copy()
    scan = Scan.from_heights(given, pixel_nm=2, retrace=given + 1, name="a")
    given[:] = 0

    np.testing.assert_array_equal(scan.heights, HEIGHTS.astype(np.float32))
    assert scan.heights.dtype == scan.retrace.dtype == np.float32
    for array in (scan.heights, scan.retrace, Channel("Phase", Direction.TRACE, "°", HEIGHTS.copy()).values):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


@pytest.mark.parametrize("given", [HEIGHTS[:, ::2], HEIGHTS.T, HEIGHTS.astype(np.int16), HEIGHTS.tolist()])
def test_any_layout_and_kind_of_number_is_taken(given):
    taken = checked_heights(given)

    assert taken.flags.c_contiguous
    np.testing.assert_array_equal(taken, np.asarray(given, dtype=np.float32))


@pytest.mark.parametrize("given", [np.zeros((1, 9)), np.zeros(9), np.zeros((2, 2, 2)), 3.0, np.full((3, 3), np.nan)])
def test_what_is_no_finite_image_is_refused(given):
    with pytest.raises(InvalidInput) as refused:
        Scan.from_heights(given, pixel_nm=1)
    assert refused.value.field == "heights"


def test_both_passes_must_be_of_the_same_frame():
    with pytest.raises(InvalidInput) as refused:
        Scan.from_heights(HEIGHTS, pixel_nm=1, retrace=HEIGHTS.T)
    assert refused.value.field == "retrace"


def test_one_pitch_is_for_both_axes_and_two_are_down_and_across():
    assert checked_pitch(2) == (2.0, 2.0)
    assert checked_pitch((1.5, 3)) == (1.5, 3.0)
    assert checked_pitch(np.float32(0.5)) == (0.5, 0.5)


@pytest.mark.parametrize("pitch", [0, -1, float("nan"), float("inf"), (1,), (1, 2, 3), (1, 0)])
def test_a_pitch_that_is_no_length_is_refused(pitch):
    with pytest.raises(InvalidInput) as refused:
        Scan.from_heights(HEIGHTS, pixel_nm=pitch)
    assert refused.value.field == "pixel_nm"


def test_a_capture_that_stopped_early_is_partial():
    assert not Scan.from_heights(HEIGHTS, pixel_nm=1).partial
    assert Scan("a", HEIGHTS.astype(np.float32), (1, 1), rows_expected=8).partial


def test_a_mask_has_one_value_for_each_pixel():
    np.testing.assert_array_equal(checked_mask([[0, 2], [1, 0]], shape=(2, 2)), [[False, True], [True, False]])
    with pytest.raises(InvalidInput):
        checked_mask(np.zeros((2, 3)), shape=(3, 2))
