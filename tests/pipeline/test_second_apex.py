"""A scan seen through two apexes comes out with one of each feature: the real chain on a measured surface."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import afmd
from afmd.domain.findings import Label
from afmd.domain.scan import Scan

LOWER_NM = 0.4


@pytest.fixture(scope="module")
def molecules(scans_dir: Path) -> np.ndarray:
    """A measured map of DNA, (512, 512) nm, levelled by those who published it."""
    return np.load(scans_dir / "surfaces" / "example_rep_int.npy").astype(np.float32)


@pytest.fixture(scope="module")
def doubled(molecules: np.ndarray) -> np.ndarray:
    """The same as a tip with a second apex beside the first would have seen it."""
    again = ndimage.shift(molecules, (7, 13), order=0, mode="nearest") - np.float32(LOWER_NM)
    return np.maximum(molecules, again)


@pytest.fixture(scope="module")
def done(doubled: np.ndarray) -> afmd.Restoration:
    """What becomes of it."""
    return afmd.restore(Scan.from_heights(doubled, pixel_nm=1.0))


def test_the_tip_is_named(done):
    assert done.label is Label.TIP_CONTAMINATION
    assert not done.abstained


def test_ghosts_are_taken_off(done, molecules, doubled):
    ghosts = doubled > molecules + 0.2
    assert (done.mask & ghosts).sum() > 0.7 * ghosts.sum()

    off = done.restored - molecules
    left = np.abs(off - np.median(off[~ghosts]))[ghosts]
    assert np.median(left) < 0.4 * np.median((doubled - molecules)[ghosts])


def test_no_ghost_is_filled_higher_than_it_was_measured(done, molecules, doubled):
    ghosts = ndimage.binary_erosion(done.touched & (doubled > molecules + 0.2))
    assert (done.restored <= done.flattened)[ghosts].mean() > 0.95


def test_a_single_apex_leaves_the_surface_as_it_is(molecules):
    alone = afmd.restore(Scan.from_heights(molecules, pixel_nm=1.0))

    assert alone.label is Label.GOOD
    assert not alone.touched.any()
