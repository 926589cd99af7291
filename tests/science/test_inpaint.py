"""Filling: every method's laws, and how far ours can be trusted on real surfaces."""

import json

import numpy as np
import pytest

from afmd.domain.params import PARAMETERS
from afmd.errors import InvalidInput
from afmd.science.inpaint import METHODS, fill
from afmd.science.inpaint.covariance import estimated, spectrum
from afmd.science.inpaint.gaps import NONE, reach

SQUARE = (1.0, 1.0)


def rough(shape=(64, 80), seed=0):
    rng = np.random.default_rng(seed)
    row, col = np.indices(shape)
    return (3 * np.sin(row / 8) * np.cos(col / 10) + rng.normal(0, 0.05, shape)).astype(np.float32)


def holes(shape=(64, 80)):
    drawn = np.zeros(shape, dtype=bool)
    drawn[10] = True
    drawn[30:33, 20:60] = True
    drawn[45:52, 8:15] = True
    return drawn


def cut(shape, kind, seed):
    """Held-out holes over about 5 % of a frame: streaks of one to four lines, or discs."""
    rng = np.random.default_rng(seed)
    drawn = np.zeros(shape, dtype=bool)
    row, col = np.indices(shape)
    while drawn.mean() < 0.05:
        top, left = rng.integers(shape[0]), rng.integers(shape[1])
        if kind == "streaks":
            drawn[top : top + rng.integers(1, 5), left : left + rng.integers(20, shape[1])] = True
        else:
            drawn |= (row - top) ** 2 + (col - left) ** 2 <= rng.integers(2, 9) ** 2
    return drawn


@pytest.fixture(scope="module")
def real_surfaces(scans_dir):
    folder = scans_dir / "surfaces"
    listed = json.loads((folder / "surfaces.json").read_text(encoding="utf-8"))
    return {entry["file"]: np.load(folder / entry["file"]).astype(np.float32) for entry in listed}


def test_the_table_of_methods_is_the_parameters_choice():
    assert set(METHODS) == set(PARAMETERS["fill"].choices)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "evidence"])
def test_only_evidence_looks_under_the_mask(method):
    heights, mask = rough(), holes()
    other = np.where(mask, np.float32(1e6), heights)

    one, two = (fill(each, mask, method=method, pixel_nm=SQUARE) for each in (heights, other))

    np.testing.assert_array_equal(one.heights, two.heights)
    np.testing.assert_array_equal(one.sigma, two.sigma)


@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def test_leaves_every_bit_outside_the_mask(self, method):
        heights, mask = rough(), holes()

        filled = fill(heights, mask, method=method, pixel_nm=SQUARE)

        np.testing.assert_array_equal(filled.heights[~mask].view(np.uint32), heights[~mask].view(np.uint32))
        assert (filled.sigma[~mask] == 0).all()
        assert (filled.sigma[mask] > 0).all()

    @pytest.mark.parametrize("scale", [1e-9, 1e6])
    def test_scales_with_the_unit_of_height(self, method, scale):
        heights, mask = rough(), holes()

        one = fill(heights, mask, method=method, pixel_nm=SQUARE)
        two = fill((heights * scale).astype(np.float32), mask, method=method, pixel_nm=SQUARE)

        np.testing.assert_allclose(two.heights, one.heights * scale, atol=2e-3 * scale)
        np.testing.assert_allclose(two.sigma, one.sigma * scale, rtol=0.05, atol=2e-3 * scale)

    def test_fills_a_flat_frame_flat(self, method):
        heights, mask = np.full((40, 40), 7, np.float32), holes((40, 40))

        np.testing.assert_allclose(fill(heights, mask, method=method, pixel_nm=SQUARE).heights, 7, atol=1e-4)

    def test_fills_holes_at_the_frame_s_border(self, method):
        heights, mask = rough(), np.zeros((64, 80), dtype=bool)
        mask[:3] = mask[-2:] = mask[:, :2] = mask[20:30, -10:] = True

        filled = fill(heights, mask, method=method, pixel_nm=SQUARE).heights

        assert np.isfinite(filled).all()
        assert np.abs(filled[mask]).max() < 3 * np.abs(heights[~mask]).max()

    @pytest.mark.parametrize("shape", [(2, 2), (2, 60), (60, 2), (3, 3), (7, 5)])
    def test_fills_small_and_narrow_frames(self, method, shape):
        heights, mask = rough(shape), np.zeros(shape, dtype=bool)
        mask[0, 0] = mask[-1, -1] = True

        filled = fill(heights, mask, method=method, pixel_nm=SQUARE)

        assert np.isfinite(filled.heights).all()
        assert np.isfinite(filled.sigma).all()

    def test_refuses_a_frame_without_any_data(self, method):
        with pytest.raises(InvalidInput) as told:
            fill(rough(), np.ones((64, 80), dtype=bool), method=method, pixel_nm=SQUARE)
        assert told.value.field == "mask"

    def test_returns_an_unmasked_frame_as_it_is(self, method):
        heights = rough()

        filled = fill(heights, np.zeros((64, 80), dtype=bool), method=method, pixel_nm=SQUARE)

        np.testing.assert_array_equal(filled.heights, heights)
        assert filled.heights is not heights


@pytest.mark.parametrize("method", ["laplace", "biharmonic", "across"])
def test_a_tilted_plane_comes_back(method):
    row, col = np.indices((64, 80))
    plane = (0.3 * row - 0.1 * col).astype(np.float32)

    filled = fill(plane, holes(), method=method, pixel_nm=SQUARE).heights

    np.testing.assert_allclose(filled, plane, atol=0.15)


def test_a_biharmonic_fill_bends_on_where_a_harmonic_one_cuts_off():
    row, col = np.indices((48, 48)) - 24
    bowl = (0.05 * (row**2 + col**2)).astype(np.float32)
    mask = row**2 + col**2 < 64

    left = {m: np.abs(fill(bowl, mask, method=m, pixel_nm=SQUARE).heights - bowl).max() for m in METHODS}

    assert left["biharmonic"] < left["laplace"] / 3


def test_the_pitch_tells_a_harmonic_fill_which_neighbours_are_near():
    heights, mask = np.zeros((21, 21), np.float32), np.zeros((21, 21), dtype=bool)
    heights[:, :8] = heights[:, 13:] = 10
    mask[8:13, 8:13] = True

    near_rows, near_cols = (
        fill(heights, mask, method="laplace", pixel_nm=pitch).heights[10, 10] for pitch in ((1.0, 5.0), (5.0, 1.0))
    )

    assert near_rows < 2
    assert near_cols > 8


def test_directional_takes_the_nearest_of_its_row_and_leaves_stripes_to_telea():
    heights, mask = rough(), np.zeros((64, 80), dtype=bool)
    mask[20, 10:14] = mask[40, 5:70] = True
    stripes = np.zeros_like(mask)
    stripes[40, 5:70] = True

    mixed = fill(heights, mask, method="directional", pixel_nm=SQUARE, stripes=stripes).heights
    telea = fill(heights, mask, method="telea", pixel_nm=SQUARE).heights

    np.testing.assert_array_equal(mixed[20, 10:12], heights[20, 9])
    np.testing.assert_array_equal(mixed[20, 12:14], heights[20, 14])
    np.testing.assert_array_equal(mixed[40], telea[40])


def test_telea_s_radius_turns_its_result():
    heights, mask = rough(), holes()

    one, two = (fill(heights, mask, method="telea", pixel_nm=SQUARE, radius=r).heights for r in (1, 9))

    assert np.abs(one - two)[mask].max() > 0.01


def test_distances_to_data_are_those_of_a_slow_search():
    mask = np.random.default_rng(3).random((12, 15)) < 0.5
    mask[4] = mask[:, 7] = True
    seen = reach(mask)

    for n, (row, col) in enumerate(np.argwhere(mask)):
        lines = (mask[row - 1 :: -1, col] if row else [], mask[row + 1 :, col],
                 mask[row, col - 1 :: -1] if col else [], mask[row, col + 1 :])  # fmt: skip
        told = [next((i + 1 for i, masked in enumerate(line) if not masked), NONE) for line in lines]
        assert seen[:, n].tolist() == told


def test_no_combination_of_heights_has_a_negative_variance():
    covariance = estimated(spectrum(rough((40, 40))))
    row, col = np.indices((12, 12)).reshape(2, -1)

    matrix = covariance.between(row[:, None] - row, col[:, None] - col)

    assert np.linalg.eigvalsh(matrix).min() > -1e-6
    assert covariance.correlation[0, 0] == pytest.approx(1)


class TestSigma:
    """A standard deviation that tells the truth."""

    @pytest.mark.parametrize("kind", ["streaks", "discs"])
    def test_nine_tenths_of_real_heights_lie_in_the_90_percent_interval(self, real_surfaces, kind):
        near, far = [], []
        for seed, heights in enumerate(real_surfaces.values()):
            mask = cut(heights.shape, kind, seed)
            filled = fill(np.where(mask, np.float32(0), heights), mask, method="across", pixel_nm=SQUARE)
            inside = np.abs(filled.heights - heights)[mask] <= 1.645 * filled.sigma[mask]
            distance = reach(mask).min(axis=0)
            near.append(inside[distance <= 2].mean())
            far.append(inside[distance > 2].mean() if (distance > 2).any() else np.nan)

        assert 0.85 <= np.mean(near) <= 0.95
        assert kind == "streaks" or 0.85 <= np.nanmean(far) <= 0.95

    def test_it_grows_with_the_distance_to_data(self):
        heights, mask = rough((128, 128)), np.zeros((128, 128), dtype=bool)
        mask[40:81, 40:81] = True

        sigma = fill(heights, mask, method="across", pixel_nm=SQUARE).sigma

        assert sigma[40, 60] < sigma[44, 60] < sigma[60, 60]

    def test_wider_than_the_surface_s_correlation_nothing_is_known(self):
        rng = np.random.default_rng(0)
        heights, mask = rng.normal(0, 2, (160, 160)).astype(np.float32), np.zeros((160, 160), dtype=bool)
        mask[60:90, 60:90] = True

        sigma = fill(heights, mask, method="across", pixel_nm=SQUARE).sigma

        assert 1.6 < sigma[75, 75] < 2.6

    def test_a_method_further_from_the_best_guess_is_less_certain(self):
        heights, mask = rough(), holes()
        best, nearest = (fill(heights, mask, method=m, pixel_nm=SQUARE) for m in ("across", "directional"))

        assert (nearest.sigma[mask] >= best.sigma[mask]).all()
        assert nearest.sigma[mask].mean() > 1.5 * best.sigma[mask].mean()


@pytest.mark.parametrize(("kind", "lead"), [("streaks", 0.9), ("discs", 1.03)])
def test_on_real_surfaces_ours_is_nearer_the_truth_than_the_others(real_surfaces, kind, lead):
    errors = {method: [] for method in METHODS if method != "evidence"}
    for seed, heights in enumerate(real_surfaces.values()):
        mask = cut(heights.shape, kind, seed)
        span = float(np.subtract(*np.percentile(heights, [99, 1])))
        for method, found in errors.items():
            filled = fill(heights, mask, method=method, pixel_nm=SQUARE).heights
            found.append(float(np.sqrt(np.mean(np.square(filled - heights)[mask]))) / span)

    mean = {method: float(np.mean(found)) for method, found in errors.items()}
    assert mean["across"] < lead * min(value for method, value in mean.items() if method != "across"), mean
    assert mean["across"] < 0.8 * mean["telea"]
