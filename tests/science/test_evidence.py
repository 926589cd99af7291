"""Filling that weighs what was measured in the hole: what it may use, what it may not do, how far it can be trusted."""

import json

import numpy as np
import pytest
from scipy import ndimage

from afmd.science.inpaint import fill
from afmd.science.inpaint.clues import CANDIDATES, PIXEL_CLUES, SCAN_CLUES, Clues
from afmd.science.inpaint.evidence import FURTHEST, judged
from afmd.science.inpaint.gaps import located
from afmd.science.inpaint.kriging import kriged
from afmd.science.inpaint.numbers import packed, unpacked
from afmd.science.inpaint.passes import laid
from afmd.science.inpaint.sigma import standard_deviation
from afmd.science.inpaint.windows import Windows
from afmd.twin import EVALUATION, simulate

EVERY = slice(None)


def terrain(shape=(96, 112), seed=0):
    noise = np.random.default_rng(seed).standard_normal(shape)
    return (20 * ndimage.gaussian_filter(noise, 2) + 0.05 * noise).astype(np.float32)


def streaks(shape=(96, 112)):
    mask = np.zeros(shape, dtype=bool)
    mask[12:16, 10:80] = mask[40:44, 30:] = mask[70:73, :60] = mask[85:87, 20:90] = True
    return mask


def filled(heights, mask, method="evidence"):
    return fill(heights, mask, method=method, pixel_nm=(1.0, 1.0))


def rms(error):
    return float(np.sqrt(np.mean(np.square(error))))


def gathered(heights, mask):
    guess = kriged(heights, mask)
    return Clues(heights, mask, guess=guess, sigma=standard_deviation(guess))


class TestWhatItUses:
    def test_shape_under_a_slipped_zero_is_kept(self):
        truth, mask = terrain(), streaks()
        spoilt = np.where(mask, truth + 15, truth).astype(np.float32)

        error = {method: rms((filled(spoilt, mask, method).heights - truth)[mask]) for method in ("evidence", "across")}

        assert error["evidence"] < 0.75 * error["across"]

    def test_behind_a_step_the_ground_is_not_drawn_out_from_its_top(self):
        truth = np.zeros((96, 128), np.float32)
        truth[20:76, 20:50] = truth[30:60, 80:95] = 10
        truth += np.random.default_rng(0).normal(0, 0.05, truth.shape).astype(np.float32)
        measured = truth.copy()
        for col in range(1, 128):
            measured[:, col] = np.maximum(truth[:, col], measured[:, col - 1] - 0.4)
        mask = measured - truth > 0.2

        best, plain = (filled(measured, mask, method).heights for method in ("evidence", "across"))

        assert rms((best - truth)[mask]) < 0.7 * rms((plain - truth)[mask])
        assert np.mean(best[mask] > measured[mask] + 0.5) < 0.02

    @pytest.mark.parametrize("content", [0.0, 1e9, np.nan, np.inf])
    def test_where_nothing_was_measured_kriging_stands(self, content):
        mask = streaks()
        blank = np.where(mask, np.float32(content), terrain())

        one, two = filled(blank, mask), filled(blank, mask, "across")

        assert np.isfinite(one.heights).all()
        np.testing.assert_array_equal(one.heights, two.heights)
        np.testing.assert_array_equal(one.sigma, two.sigma)

    def test_a_part_that_was_not_measured_is_left_to_kriging(self):
        heights, mask = terrain(), streaks()
        heights[12:16, 10:40] = np.nan

        one, two = filled(heights, mask), filled(heights, mask, "across")

        np.testing.assert_array_equal(one.heights[12:16, 10:40], two.heights[12:16, 10:40])
        assert np.isfinite(one.heights).all()
        assert np.isfinite(one.sigma).all()


class TestWhatItMayNotDo:
    @pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, 1e6])
    def test_whatever_stands_in_a_hole_the_filling_stays_near_what_was_measured_or_expected(self, size):
        heights, mask = terrain(), streaks()
        heights[mask] = np.random.default_rng(1).normal(0, size, np.count_nonzero(mask))
        found = gathered(heights, mask)

        moved = judged(found).values / found.unit_nm

        further = FURTHEST * found.doubt * 1.001 + 1e-4 * (1 + np.abs(found.candidates(EVERY)).max())
        assert (moved <= found.candidates(EVERY).max(axis=0) + further).all()
        assert (moved >= found.candidates(EVERY).min(axis=0) - further).all()

    def test_noise_in_the_holes_costs_little(self):
        truth, mask = terrain(), streaks()
        noisy = truth.copy()
        noisy[mask] = np.random.default_rng(1).normal(0, truth.std(), np.count_nonzero(mask))

        error = {method: rms((filled(noisy, mask, method).heights - truth)[mask]) for method in ("evidence", "across")}

        assert error["evidence"] < 1.15 * error["across"]

    def test_no_candidate_lies_far_beyond_the_data(self):
        heights, mask = terrain(), streaks()
        low, high = heights[~mask].min(), heights[~mask].max()
        heights[mask] += 1e4

        found = gathered(heights, mask)
        guess = kriged(heights, mask).filled.values
        there = guess + found.candidates(EVERY) * np.float32(found.unit_nm)

        assert there.max() < high + 0.51 * (high - low)
        assert there.min() > low - 0.51 * (high - low)

    @pytest.mark.parametrize("axis", [0, 1])
    def test_the_clues_of_a_mirrored_scan_are_the_same(self, axis):
        heights, mask = terrain(), streaks()
        heights[mask] += 5
        heights[40:44] = np.maximum.accumulate(heights[40:44, ::-1], axis=1)[:, ::-1]
        number = np.zeros(mask.shape, np.intp)
        number[mask] = np.arange(np.count_nonzero(mask))

        there = gathered(np.flip(heights, axis).copy(), np.flip(mask, axis).copy())
        here = gathered(heights, mask)

        order = np.flip(number, axis)[np.flip(mask, axis)]
        np.testing.assert_allclose(there.candidates(EVERY), here.candidates(EVERY)[:, order], atol=0.02)
        np.testing.assert_allclose(there.scan, here.scan, atol=0.1)

    def test_clues_are_as_many_as_the_network_takes(self):
        found = gathered(terrain(), streaks())

        count = np.count_nonzero(streaks())
        assert found.pixels(EVERY).shape == (PIXEL_CLUES, count)
        assert found.scan.shape == (SCAN_CLUES,)
        assert found.candidates(EVERY).shape == (CANDIDATES, count)
        assert (found.candidates(EVERY)[0] == 0).all()


@pytest.fixture(scope="module")
def spoilt():
    kinds = ("lost_lines", "jump", "scar", "parachute", "burst", "smear")
    made = (simulate(31_000_000 + n, recipe=EVALUATION.only(kinds[n % 6]), shape=(160, 160)) for n in range(48))
    return [scan for scan in made if scan.visible and scan.artifact.mean() <= 0.3]


class TestTheOtherPass:
    """What a retrace saw where the trace was spoilt."""

    @staticmethod
    def recorded(truth, shift=3):
        """The other pass: displaced, tilted, each line with an offset of its own."""
        rows, cols = np.indices(truth.shape)
        lines = np.random.default_rng(2).normal(0, 8, (len(truth), 1))
        return (np.roll(truth, shift, axis=1) + lines + 0.3 * cols - 0.2 * rows + 500).astype(np.float32)

    def test_it_is_laid_on_this_one_from_what_is_not_masked(self):
        truth, mask = terrain(), streaks()
        heights = np.where(mask, np.float32(99), truth)

        there = laid(heights, self.recorded(truth), mask)

        assert rms((there - truth)[:, 8:-8]) < 0.35 * truth.std()

    def test_what_it_saw_in_a_hole_is_better_than_any_guess(self):
        truth, mask = terrain(), ndimage.binary_dilation(streaks(), np.ones((5, 1)))
        heights = np.where(mask, np.random.default_rng(1).normal(0, 30, truth.shape), truth).astype(np.float32)

        alone = filled(heights, mask)
        both = fill(heights, mask, method="evidence", pixel_nm=(1.0, 1.0), other_pass=self.recorded(truth))

        assert rms((both.heights - truth)[mask]) < 0.7 * rms((alone.heights - truth)[mask])
        assert both.sigma[mask].mean() < alone.sigma[mask].mean()
        np.testing.assert_array_equal(both.heights[~mask], heights[~mask])

    def test_one_that_saw_something_else_costs_little(self):
        truth, mask = terrain(), streaks()
        heights = np.where(mask, truth + 10, truth).astype(np.float32)
        strange = np.random.default_rng(3).normal(0, truth.std(), truth.shape).astype(np.float32)

        alone = filled(heights, mask)
        both = fill(heights, mask, method="evidence", pixel_nm=(1.0, 1.0), other_pass=strange)

        assert rms((both.heights - truth)[mask]) < 1.5 * rms((alone.heights - truth)[mask])

    @pytest.mark.parametrize("shape", [(40, 20), (7, 64), (64, 33)])
    def test_small_frames_and_lost_heights_do_no_harm(self, shape):
        truth, mask = terrain(shape), np.zeros(shape, bool)
        mask[2:4] = mask[-1] = True
        other = truth.copy()
        other[0, :5] = np.nan

        both = fill(truth, mask, method="evidence", pixel_nm=(1.0, 1.0), other_pass=other)

        assert np.isfinite(both.heights).all()
        assert np.isfinite(both.sigma).all()


class TestTrust:
    """Scans, surfaces and parameter ranges that the network was not trained on."""

    def test_nine_tenths_of_heights_under_artefacts_lie_in_the_90_percent_interval(self, spoilt):
        shares = []
        for scan in spoilt:
            heights, mask = scan.scan.heights - scan.background, scan.artifact
            found = filled(heights, mask)
            error = (found.heights - heights + scan.displacement)[mask]
            shares.append(np.mean(np.abs(error) <= 1.645 * found.sigma[mask]))

        assert 0.82 <= np.mean(shares) <= 0.97

    def test_under_artefacts_it_is_nearer_the_truth_than_kriging(self, spoilt):
        errors = {"evidence": [], "across": []}
        for scan in spoilt:
            heights, mask = scan.scan.heights - scan.background, scan.artifact
            truth = heights - scan.displacement
            for method, found in errors.items():
                found.append(rms((filled(heights, mask, method).heights - truth)[mask]) / np.ptp(truth))

        assert np.mean(errors["evidence"]) < 0.8 * np.mean(errors["across"])

    @pytest.mark.parametrize("content", ["noise", "elsewhere"])
    def test_on_real_surfaces_nine_tenths_lie_in_the_90_percent_interval(self, scans_dir, content):
        folder, shares = scans_dir / "surfaces", []
        for seed, entry in enumerate(json.loads((folder / "surfaces.json").read_text(encoding="utf-8"))):
            truth = np.load(folder / entry["file"]).astype(np.float32)[:256, :256]
            rng = np.random.default_rng(seed)
            mask = ndimage.binary_dilation(rng.random(truth.shape) < 1e-3, np.ones((4, 17), bool))
            other = rng.normal(truth.mean(), truth.std(), truth.shape) if content == "noise" else np.roll(truth, 77)
            found = filled(np.where(mask, other, truth).astype(np.float32), mask)
            shares.append(np.mean(np.abs(found.heights - truth)[mask] <= 1.645 * found.sigma[mask]))

        assert 0.82 <= np.mean(shares) <= 0.97


@pytest.mark.parametrize("half", [0, 2, None])
def test_means_over_windows_are_those_of_a_slow_search(half):
    rng = np.random.default_rng(4)
    mask, values = rng.random((14, 17)) < 0.6, rng.standard_normal((14, 17)).astype(np.float32)
    pixels = located(mask)
    found = []
    for windows in (Windows(pixels.lines), Windows(pixels.columns)):
        whole = windows.spread(windows.whole([values[mask]])[0])
        found.append(whole if half is None else windows.near(values[mask], half)[0])
    along, across = found

    for n, (r, c) in enumerate(zip(pixels.row, pixels.col, strict=True)):
        assert along[n] == pytest.approx(slow_mean(values[r], mask[r], c, half), abs=1e-5)
        assert across[n] == pytest.approx(slow_mean(values[:, c], mask[:, c], r, half), abs=1e-5)


def slow_mean(line, masked, at, half):
    begin = end = at
    while begin > 0 and masked[begin - 1] and (half is None or at - begin < half):
        begin -= 1
    while end + 1 < len(line) and masked[end + 1] and (half is None or end - at < half):
        end += 1
    return line[begin : end + 1].mean()


def test_packed_numbers_come_back_in_half_precision():
    arrays = [np.array([[1.5, -2.25]], np.float32), np.array([1e-3], np.float32)]

    back = unpacked(packed(arrays), [(1, 2), (1,)])

    np.testing.assert_array_equal(back[0], arrays[0])
    np.testing.assert_allclose(back[1], arrays[1], rtol=1e-3)
