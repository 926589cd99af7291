"""Regions that a user draws, painted into masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afmd.domain.exclusions import Freehand, Polygon, Rectangle, union
from afmd.errors import InvalidInput

SHAPE = (7, 9)
CORNER = st.integers(-3, 12)


@given(CORNER, CORNER, CORNER, CORNER)
def test_a_rectangle_paints_exactly_its_half_open_ranges(top, left, bottom, right):
    rectangle = Rectangle(top, left, bottom, right)
    if bottom <= top or right <= left:
        with pytest.raises(InvalidInput):
            rectangle.painted(SHAPE)
        return

    rows, cols = np.indices(SHAPE)
    inside = (rows >= top) & (rows < bottom) & (cols >= left) & (cols < right)
    np.testing.assert_array_equal(rectangle.painted(SHAPE), inside)


@given(st.integers(0, 6), st.integers(0, 8), st.integers(1, 7), st.integers(1, 9))
def test_a_polygon_around_pixel_centres_paints_the_rectangle_of_those_pixels(top, left, height, width):
    bottom, right = top + height, left + width
    t, l, b, r = top - 0.5, left - 0.5, bottom - 0.5, right - 0.5  # noqa: E741

    painted = Polygon(((t, l), (t, r), (b, r), (b, l))).painted(SHAPE)

    np.testing.assert_array_equal(painted, Rectangle(top, left, bottom, right).painted(SHAPE))


def test_the_way_round_a_polygon_and_its_first_corner_do_not_matter():
    corners = ((0.3, 1.2), (5.7, 2.1), (3.1, 7.9))
    painted = Polygon(corners).painted(SHAPE)

    assert 5 < painted.sum() < 30
    np.testing.assert_array_equal(Polygon(corners[::-1]).painted(SHAPE), painted)
    np.testing.assert_array_equal(Polygon((*corners[1:], corners[0])).painted(SHAPE), painted)


def test_two_polygons_that_share_an_edge_paint_each_pixel_once():
    left = Polygon(((0, 0), (0, 4), (6, 4), (6, 0))).painted(SHAPE)
    right = Polygon(((0, 4), (0, 8), (6, 8), (6, 4))).painted(SHAPE)

    assert not (left & right).any()
    np.testing.assert_array_equal(left | right, Polygon(((0, 0), (0, 8), (6, 8), (6, 0))).painted(SHAPE))


@pytest.mark.parametrize(
    "corners", [(), ((0, 0), (1, 1)), ((0, 0), (1, 1), (float("nan"), 2)), ((0, 0), (1, 1), (9e999, 2))]
)
def test_a_polygon_without_an_area_is_refused(corners):
    with pytest.raises(InvalidInput) as refused:
        Polygon(corners).painted(SHAPE)
    assert refused.value.field == "exclude"


def test_a_freehand_mask_is_copied_and_must_have_the_scans_shape():
    drawn = np.zeros(SHAPE, dtype=bool)
    drawn[2, 3] = True
    painted = Freehand(drawn).painted(SHAPE)
    painted[:] = True

    assert drawn.sum() == 1
    with pytest.raises(InvalidInput):
        Freehand(drawn.T).painted(SHAPE)


def test_a_union_excludes_what_any_region_excludes():
    one, two = Rectangle(0, 0, 2, 2), Rectangle(1, 1, 3, 3)

    np.testing.assert_array_equal(union([one, two], SHAPE), one.painted(SHAPE) | two.painted(SHAPE))
    assert not union([], SHAPE).any()
