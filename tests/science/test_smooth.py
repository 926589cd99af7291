"""Smoothing: inside the mask only."""

import numpy as np
import pytest

from afmd.science.smooth import inside


def spiky():
    heights = np.zeros((40, 40), np.float32)
    heights[::2, ::2] = 1
    mask = np.zeros((40, 40), dtype=bool)
    mask[10:20, 10:30] = True
    return heights, mask


def test_outside_the_mask_no_bit_changes_and_inside_it_is_smoother():
    heights, mask = spiky()

    smooth = inside(heights, mask, sigma=2.0)

    np.testing.assert_array_equal(smooth[~mask], heights[~mask])
    assert smooth[mask].std() < heights[mask].std() / 5


@pytest.mark.parametrize(("mask", "sigma"), [(True, 0.0), (False, 2.0)])
def test_nothing_to_smooth_is_a_copy(mask, sigma):
    heights, drawn = spiky()

    smooth = inside(heights, drawn if mask else np.zeros_like(drawn), sigma=sigma)

    np.testing.assert_array_equal(smooth, heights)
    assert smooth is not heights


def test_a_wider_gaussian_smooths_more():
    heights, mask = spiky()

    assert inside(heights, mask, sigma=1.5)[mask].std() < inside(heights, mask, sigma=0.6)[mask].std()
