"""Blank lines are told from lines of the sample, of the end of the range, and of a surface without noise."""

import numpy as np
import pytest

from afmd.science.blank import FEWEST, scanned_lines

ROWS = 40
ALL = slice(0, ROWS)


def noisy(seed=3):
    return np.random.default_rng(seed).normal(5, 1, (ROWS, 50)).astype(np.float32)


@pytest.mark.parametrize("value", [0.0, 5.0, -900.0])
@pytest.mark.parametrize(("first", "last"), [(0, 9), (0, 32), (30, ROWS), (ROWS - FEWEST, ROWS)])
def test_lines_of_one_value_at_an_end_are_blank(value, first, last):
    heights = noisy()
    heights[first:last] = value

    assert scanned_lines(heights) == (slice(last, ROWS) if first == 0 else slice(0, first))


def test_both_ends_may_be_blank():
    heights = noisy()
    heights[:5], heights[-6:] = 0, -1

    assert scanned_lines(heights) == slice(5, ROWS - 6)


def test_lines_that_repeat_the_last_one_are_blank_and_that_one_is_not():
    heights = noisy()
    heights[26:] = heights[25]

    assert scanned_lines(heights) == slice(0, 26)
    assert scanned_lines(heights[::-1]) == slice(ROWS - 26, ROWS)


def test_a_few_lines_are_lost_and_not_blank():
    heights = noisy()
    heights[ROWS - FEWEST + 1 :] = 0

    assert scanned_lines(heights) == ALL


def test_lines_of_one_value_in_between_are_not_blank():
    heights = noisy()
    heights[10:30] = 0

    assert scanned_lines(heights) == ALL


def test_the_end_of_the_range_is_not_blank_where_other_lines_reach_it():
    heights = np.minimum(noisy(), 6.5)
    heights[30:] = 6.5

    assert scanned_lines(heights) == ALL


def test_a_surface_without_noise_has_no_blank_lines():
    post = np.zeros((ROWS, 50), np.float32)
    post[15:25, 20:30] = 10
    bars = np.tile(np.float32([0, 0, 0, 7, 7]), (ROWS, 10))

    assert scanned_lines(post) == scanned_lines(bars) == ALL
    assert scanned_lines(np.zeros((ROWS, 50), np.float32)) == ALL
