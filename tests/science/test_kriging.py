"""Kriging across gaps: laws that hold for any surface."""

import numpy as np
import pytest

from afmd.science.inpaint.filling import fill


def surface(rows=80, cols=90, seed=0):
    rng = np.random.default_rng(seed)
    r, c = np.mgrid[:rows, :cols]
    return (5 * np.sin(r / 12) + 3 * np.cos(c / 10) + rng.normal(0, 0.02, (rows, cols))).astype(np.float32)


def holes(rows=80, cols=90):
    """A streak that ends inside the frame, a block, and an L, so that every corner of a hole occurs."""
    mask = np.zeros((rows, cols), dtype=bool)
    mask[30:33, 10:80] = True
    mask[50:58, 20:31] = True
    mask[62:66, 50:70] = mask[62:75, 50:54] = True
    return mask


def filled(heights, mask):
    return fill(heights, mask, method="across", pixel_nm=(1.0, 1.0)).heights


@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_a_mirrored_scan_is_filled_with_the_mirror_image(axis):
    heights, mask = surface(), holes()

    there = filled(np.flip(heights, axis).copy(), np.flip(mask, axis).copy())

    np.testing.assert_allclose(np.flip(there, axis), filled(heights, mask), atol=0.02)


def test_a_smooth_surface_comes_back_up_to_the_corners_of_the_hole():
    truth, mask = surface(), holes()

    error = np.abs(filled(np.where(mask, 99, truth).astype(np.float32), mask) - truth)[mask]

    assert error.max() < 0.5
    assert np.sqrt(np.mean(error**2)) < 0.06


def test_what_lies_under_the_mask_is_not_looked_at():
    heights, mask = surface(), holes()
    other = np.where(mask, -1e4, heights).astype(np.float32)

    np.testing.assert_array_equal(filled(heights, mask), filled(other, mask))
