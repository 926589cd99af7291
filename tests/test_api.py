"""The Python API, as a user's script would call it."""

import subprocess
import sys

import numpy as np
import pytest

import afmd


@pytest.fixture(scope="module")
def scan(scans_dir):
    return afmd.read(scans_dir / "images" / "5.011")


def test_every_public_name_is_there():
    for name in afmd.__all__:
        assert getattr(afmd, name) is not None, name


def test_importing_afmd_loads_no_heavy_room():
    heavy = ["numpy", "scipy", "cv2", "onnxruntime", "grpc", "matplotlib", "pydantic", "torch"]
    code = f"import sys, afmd; print([name for name in {heavy} if name in sys.modules])"

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"


def test_a_scan_has_what_the_documentation_says(scan):
    assert scan.name == "5.011"
    assert scan.heights.shape == (512, 512)
    assert scan.heights.dtype == np.float32
    assert scan.pixel_nm == (9.765625, 9.765625)
    assert [channel.name for channel in scan.channels] == ["Height", "Phase", "Amplitude Error"]
    assert scan.retrace is None
    assert not scan.heights.flags.writeable


def test_classify_names_its_backend_and_sums_to_one(scan):
    found = afmd.classify(scan)

    assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert found.probabilities[found.label] == max(found.probabilities.values())
    assert found.backend.name


def test_segment_and_restore_agree_on_the_mask(scan):
    params = afmd.Params(thr=0.6)
    seen, restored = afmd.segment(scan, params), afmd.restore(scan, params)

    np.testing.assert_array_equal(seen.raw_mask, restored.raw_mask)
    np.testing.assert_array_equal(seen.raw_mask, seen.probability >= 0.6)
    np.testing.assert_array_equal(seen.mask, restored.mask)


def test_exclude_takes_a_region_many_regions_and_a_mask(scan):
    mask = np.zeros(scan.heights.shape, dtype=bool)
    mask[100:200, 50:90] = True
    region = afmd.Rectangle(100, 50, 200, 90)

    results = [afmd.restore(scan, exclude=given) for given in (region, [region], mask)]

    for result in results:
        np.testing.assert_array_equal(result.excluded, mask)
        np.testing.assert_array_equal(result.restored, results[0].restored)


def test_flatten_takes_the_tilt_out_and_leaves_its_input_alone():
    rng = np.random.default_rng(0)
    r, c = np.mgrid[:100, :120]
    rough = rng.normal(0, 0.2, (100, 120))
    tilted = rough + 0.3 * r + 0.1 * c
    before = tilted.copy()

    flat = afmd.flatten(tilted, pixel_nm=5)

    assert flat.dtype == np.float32
    assert np.std(flat) < 1.05 * np.std(rough)
    np.testing.assert_array_equal(tilted, before)


def test_inpaint_fills_the_mask_alone_and_says_how_unsure_it_is():
    r, c = np.mgrid[:80, :90].astype(np.float32)
    truth = (5 * np.sin(r / 12) + 3 * np.cos(c / 10)).astype(np.float32)
    mask = np.zeros(truth.shape, dtype=bool)
    mask[30:33, 10:80] = True
    spoilt = np.where(mask, 99, truth).astype(np.float32)

    filled = afmd.inpaint(spoilt, mask, pixel_nm=1)

    np.testing.assert_array_equal(filled.heights[~mask], spoilt[~mask])
    assert np.abs(filled.heights - truth)[mask].max() < 0.5
    assert (filled.sigma[mask] > 0).all()
    assert (filled.sigma[~mask] == 0).all()


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: afmd.Scan.from_heights(np.full((4, 4), np.nan), pixel_nm=1), "heights"),
        (lambda: afmd.Scan.from_heights(np.zeros((4, 4)), pixel_nm=0), "pixel_nm"),
        (lambda: afmd.flatten(np.zeros(5), pixel_nm=1), "heights"),
        (lambda: afmd.inpaint(np.zeros((4, 4)), np.zeros((3, 4), bool), pixel_nm=1), "mask"),
        (lambda: afmd.Params(thr=2.0), "thr"),
        (lambda: afmd.Params(colour="red"), "colour"),
    ],
)
def test_bad_input_names_the_argument_and_the_way_out(call, field):
    with pytest.raises(afmd.AfmdError) as told:
        call()
    assert told.value.field == field
    assert told.value.mend


def test_a_missing_file_and_a_damaged_one_say_which_they_are(tmp_path, scans_dir):
    with pytest.raises(afmd.AfmdError, match="no_such"):
        afmd.read(tmp_path / "no_such.001")
    with pytest.raises(afmd.AfmdError, match="CRLF"):
        afmd.read(scans_dir / "damaged" / "example1.di")
