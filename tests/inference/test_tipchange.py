"""A tip that changes in mid-scan draws lines of another kind; which ones is told by all lines of the frame."""

import shutil

import numpy as np
import pytest
from scipy import ndimage

from afmd.domain.scan import Scan
from afmd.errors import ModelError
from afmd.files.nanoscope.reader import read_scan
from afmd.inference import load_manifest, network_segmenter, planes, weights_folder
from afmd.inference.tipchange import CHANNELS, Limits, TipChange, bands, line_numbers, told

REAL = ("images/kpg20080408.007", "images/old_bruker.002", "surfaces/AR_20211011.npy", "surfaces/sample_1_um_scale.npy")


def grains(shape=(200, 240)) -> np.ndarray:
    rng = np.random.default_rng(3)
    heights = np.zeros(shape)
    heights[tuple(rng.integers(side, size=900) for side in shape)] = rng.uniform(0.5, 1.5, 900)
    return 400 * ndimage.gaussian_filter(heights, 2.5) + rng.normal(0, 0.02, shape)


@pytest.fixture(params=REAL)
def surface(scans_dir, request) -> np.ndarray:
    file = scans_dir / request.param
    return np.load(file) if file.suffix == ".npy" else read_scan(file).heights


def blunt(heights: np.ndarray, lines: slice) -> np.ndarray:
    """The same with a paraboloid tip in some lines, 8 pixels wide where it goes half of the relief down, and a step."""
    row, col = (np.linspace(-1, 1, side) for side in heights.shape)
    plane = 3 * ((heights * row[:, None]).mean() * row[:, None] + (heights * col).mean() * col)
    level = heights - plane
    relief = np.ptp(np.percentile(level, (0.5, 99.5)))
    rise = -0.5 * relief * (np.arange(-15, 16) / 8) ** 2
    drawn = ndimage.grey_dilation(ndimage.grey_dilation(level, structure=rise[:, None]), structure=rise[None])
    found = heights.copy()
    found[lines] = (drawn + plane + 0.05 * relief)[lines]
    return found


def changed(heights: np.ndarray) -> np.ndarray | None:
    model = load_manifest(weights_folder()).model("tipchange")
    return TipChange(model).changed(planes.segmenter_planes(heights.astype(np.float32)))


def test_lines_of_a_real_surface_that_a_blunter_tip_drew_are_found(surface):
    rows = len(surface)
    truth = np.zeros(rows, bool)
    truth[2 * rows // 5 : 3 * rows // 5] = True

    found = changed(blunt(surface, slice(2 * rows // 5, 3 * rows // 5)))

    assert found is not None
    assert (found & truth).sum() > 0.9 * (found | truth).sum()


def test_one_tip_for_the_whole_frame_is_no_change(surface):
    assert changed(surface) is None
    assert changed(blunt(surface, slice(None))) is None


def test_what_is_told_of_lines_has_neither_unit_nor_offset_nor_tilt():
    heights = grains()
    row, col = np.indices(heights.shape)
    other = 1e-3 * (heights + 50 + 0.2 * row - 0.1 * col)

    one, two = (told(line_numbers(planes.segmenter_planes(h.astype(np.float32)))) for h in (heights, other))

    assert one.shape == (CHANNELS, 200)
    assert one.dtype == np.float32
    np.testing.assert_allclose(one, two, atol=0.02)


def test_lines_are_called_where_they_stand_out_and_only_there():
    odds = np.full(100, -6.0, np.float32)
    odds[40:60] = 1.0

    assert bands(odds, Limits(sure=0.0, contrast=4.0)).nonzero()[0].tolist() == list(range(40, 60))
    assert not bands(odds, Limits(sure=2.0, contrast=4.0)).any()
    assert not bands(odds + 5, Limits(sure=0.0, contrast=8.0)).any()


def test_of_two_bands_the_one_is_called_that_is_sure_in_the_mean():
    odds = np.full(100, -6.0, np.float32)
    odds[20:40], odds[60:80] = 1.0, -1.0

    assert bands(odds, Limits(sure=0.0, contrast=4.0)).nonzero()[0].tolist() == list(range(20, 40))


def test_a_stamp_has_no_lines_of_another_tip():
    assert changed(grains((20, 20))) is None


def test_the_segmenter_reports_them_and_leaves_them_to_levelling(surface):
    rows = len(surface)
    heights = blunt(surface, slice(2 * rows // 5, 3 * rows // 5))

    found = network_segmenter().segment(Scan.from_heights(heights.astype(np.float32), pixel_nm=1.0))

    inside = slice(2 * rows // 5 + 5, 3 * rows // 5 - 5)
    assert found.changed is not None
    assert found.reported is not None
    assert (found.artifact[inside] >= 0.5).mean() > 0.3
    assert found.reported[inside].mean() > 0.2


def test_weights_of_another_recipe_are_refused(tmp_path):
    folder = shutil.copytree(weights_folder(), tmp_path / "weights")
    manifest = folder / "manifest.toml"
    before, own = manifest.read_text(encoding="utf-8").split("[tipchange]")
    manifest.write_text(before + "[tipchange]" + own.replace("recipe = 1", "recipe = 99", 1), encoding="utf-8")

    with pytest.raises(ModelError, match="recipe 99"):
        network_segmenter(folder)


def test_a_folder_without_them_still_segments(tmp_path):
    folder = shutil.copytree(weights_folder(), tmp_path / "weights")
    manifest = folder / "manifest.toml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("[tipchange", "[unknown"), encoding="utf-8")

    found = network_segmenter(folder).segment(Scan.from_heights(grains().astype(np.float32), pixel_nm=1.0))

    assert found.artifact.shape == (200, 240)
