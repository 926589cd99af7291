"""Sudden shifts of the height signal, and what only looks like one."""

import numpy as np
import pytest

import afmd


def ground(rows=128, cols=200, seed=0):
    rng = np.random.default_rng(seed)
    r, c = np.mgrid[:rows, :cols]
    return 3 * np.sin(r / 17) * np.cos(c / 23) + rng.normal(0, 0.1, (rows, cols))


def lines(flat, truth):
    """The median error of every line, nm."""
    error = np.median(flat - truth, axis=1)
    return error - np.median(error)


@pytest.mark.parametrize("spoilt", [[60], [60, 61], [40, 90]])
@pytest.mark.parametrize("masked", [0.0, 0.9, 1.0])
def test_a_spoilt_line_does_not_move_its_neighbours(spoilt, masked):
    truth = ground()
    heights, mask = truth.copy(), np.zeros(truth.shape, dtype=bool)
    heights[spoilt] += 25
    mask[spoilt, : int(masked * truth.shape[1])] = True

    flat = afmd.flatten(heights, pixel_nm=2, mask=mask)

    others = np.setdiff1d(np.arange(len(truth)), spoilt)
    assert np.abs(lines(flat, truth)[others]).max() < 1


@pytest.mark.parametrize("col", [20, 100, 170])
def test_a_jump_inside_a_line_is_undone(col):
    truth = ground()
    heights = truth.copy()
    heights[64, col:] += 30
    heights[65:] += 30

    flat = afmd.flatten(heights, pixel_nm=2)

    assert np.abs(lines(flat, truth)).max() < 1
    assert np.abs((flat - truth)[64] - np.median(flat - truth)).mean() < 1


def test_real_lines_that_were_lost_do_not_move_their_neighbours(scans_dir):
    scan = afmd.read(scans_dir / "images" / "di-1.di")
    mask = np.zeros(scan.heights.shape, dtype=bool)
    mask[428, :450] = True

    background = scan.heights - afmd.flatten(scan.heights, pixel_nm=scan.pixel_nm, mask=mask)

    line = np.median(background, axis=1)
    assert np.abs(line[[427, 429]] - np.median(line[420:436])).max() < 3
