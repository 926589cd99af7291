"""From probability to mask: paper A's steps, one by one."""

from itertools import pairwise

import numpy as np
import pytest

from afmd.domain.params import Params
from afmd.science import mask


def ground(rows=64, cols=96, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, (rows, cols)).astype(np.float32)


def painted(*boxes, shape=(64, 96)):
    """A bool mask of half-open boxes (top, left, bottom, right)."""
    drawn = np.zeros(shape, dtype=bool)
    for top, left, bottom, right in boxes:
        drawn[top:bottom, left:right] = True
    return drawn


def labelled(drawn):
    return mask.by_area(drawn, low=1, high=drawn.size)[1]


def test_the_raw_mask_is_the_probability_at_or_above_thr():
    probability = np.random.default_rng(1).random((64, 96)).astype(np.float32)

    masks = [mask.assemble(ground(), probability, Params(thr=thr, lam=0.0)).raw for thr in (0.2, 0.5, 0.8)]

    for loose, strict in pairwise(masks):
        assert strict.any()
        assert not (strict & ~loose).any()
    np.testing.assert_array_equal(masks[1], probability >= 0.5)


def test_regions_outside_min_pix_and_max_pix_are_dropped():
    drawn = painted((2, 2, 3, 4), (10, 10, 14, 14), (30, 0, 60, 96))

    kept, _ = mask.by_area(drawn, low=3, high=100)

    np.testing.assert_array_equal(kept, painted((10, 10, 14, 14)))


def test_a_single_pixel_is_kept_where_it_is_sure():
    probability = np.zeros((64, 96), dtype=np.float32)
    probability[10, 10], probability[20, 20:22], probability[30, 30] = 0.9, 0.75, 0.6

    best, off, published = (
        mask.assemble(ground(), probability, params).final
        for params in (Params(lam=0.0), Params(lam=0.0, sure=1.0), Params("published", lam=0.0))
    )

    np.testing.assert_array_equal(best, probability > 0.7)
    assert not off.any()
    assert not published.any()


def test_corners_that_touch_make_one_region():
    drawn = np.eye(10, dtype=bool)

    assert mask.by_area(drawn, low=10, high=10)[0].sum() == 10


def test_stripes_are_found_along_both_axes_and_blobs_are_none():
    row, column, blob = (5, 10, 7, 50), (20, 60, 60, 63), (30, 10, 40, 22)

    across, down = mask.stripes(labelled(painted(row, column, blob)), ar=4.0)

    np.testing.assert_array_equal(across, painted(row))
    np.testing.assert_array_equal(down, painted(column))


def test_a_larger_ar_never_calls_more_regions_stripes():
    drawn = painted((5, 10, 9, 30), (20, 10, 22, 60))
    few, many = (mask.stripe_part(drawn, ar=ar) for ar in (20.0, 2.0))

    assert few.sum() < many.sum()
    assert not (few & ~many).any()


def test_expansion_takes_whole_rows_and_whole_columns():
    across, down = painted((5, 10, 6, 50)), painted((20, 60, 60, 61))

    np.testing.assert_array_equal(mask.expanded(across, down), painted((5, 0, 6, 96), (0, 60, 64, 61)))


class TestGrowth:
    """A stripe takes in neighbours that look like it."""

    @staticmethod
    def streak():
        """Heights with a streak of two lines, of which the seed covers the middle of the first."""
        heights = ground()
        heights[20:22, 10:80] += 5
        return heights, painted((20, 30, 21, 60))

    def test_it_reaches_the_rest_of_the_streak_and_nothing_else(self):
        heights, seed = self.streak()

        grown = mask.grown(heights, seed, k=3.0, region=25, grad=1000.0)

        assert grown[20:22, 10:80].mean() > 0.9
        assert not grown[:20].any()
        assert not grown[22:].any()

    @pytest.mark.parametrize(("name", "low", "high"), [("k", 1.0, 4.0), ("region", 3, 30), ("grad", 2.0, 1000.0)])
    def test_a_larger_limit_never_grows_less(self, name, low, high):
        heights, seed = self.streak()
        limits = {"k": 3.0, "region": 15, "grad": 100.0}

        less, more = (mask.grown(heights, seed, **{**limits, name: limit}) for limit in (low, high))

        assert less.sum() < more.sum()
        assert not (less & ~more).any()

    def test_k_0_grows_nothing(self):
        heights, seed = self.streak()

        np.testing.assert_array_equal(mask.grown(heights, seed, k=0.0, region=7, grad=3.0), seed)

    def test_it_stays_within_region_pixels_of_the_seed(self):
        heights, seed = self.streak()

        grown = mask.grown(heights, seed, k=9.0, region=4, grad=1000.0)

        np.testing.assert_array_equal(grown & ~painted((16, 26, 25, 64)), painted())


@pytest.mark.parametrize("preset", ["published", "best"])
def test_masks_do_not_depend_on_the_unit_of_height(preset):
    heights = ground(seed=3)
    heights[30, 20:70] += 4
    probability = np.where(heights > 2, 0.9, 0.1).astype(np.float32)

    one, other = (mask.assemble(heights * scale, probability, Params(preset)) for scale in (1, 1024))

    assert one.final.any()
    np.testing.assert_array_equal(one.final, other.final)


def test_published_grows_and_expands_and_best_takes_what_was_found():
    heights = ground(seed=4)
    heights[30, 10:80] += 4
    probability = np.zeros_like(heights)
    probability[30, 30:60] = 1

    published, best = (mask.assemble(heights, probability, Params(preset, lam=0.0)) for preset in ("published", "best"))

    np.testing.assert_array_equal(best.final[30], probability[30] == 1)
    assert published.final[30].all()
    assert published.grown[30].sum() < 96
    assert published.stripes[30].all()


def test_a_wide_window_finds_the_median_of_bytes_levels():
    heights = ground(seed=5)

    narrow, wide = mask.local_median(heights, 5), mask.local_median(heights, 9)

    assert wide.std() < narrow.std()
    assert abs(float(wide.mean())) < 0.02
    np.testing.assert_array_equal(mask.local_median(np.full((8, 8), 3, np.float32), 9), 3)


@pytest.mark.parametrize(
    ("chance", "box", "taken_nm", "left"),
    [
        (0.6, (20, 30, 40, 50), 20.0, True),
        (0.7, (20, 30, 40, 50), 20.0, False),
        (0.6, (20, 30, 24, 50), 20.0, False),
        (0.6, (20, 30, 40, 50), 5.0, False),
        (0.6, (20, 30, 40, 50), -20.0, False),
    ],
    ids=["broad and unsure", "sure", "thin", "little is lost", "something is gained"],
)
def test_a_broad_region_that_is_hardly_called_does_not_lose_its_heights(chance, box, taken_nm, left):
    touched = painted(box, (50, 10, 51, 80))
    heights = np.linspace(0, 100, touched.size, dtype=np.float32).reshape(touched.shape)
    filled = np.where(touched, heights - np.float32(taken_nm), heights)
    probability = np.where(touched, np.float32(chance), np.float32(0))

    found = mask.doubtful(heights, filled, touched, probability=probability, thr=0.5)

    np.testing.assert_array_equal(found, painted(box) if left else np.zeros_like(touched))


def crack(first: int, last: int, *, swing: int, wide: int) -> np.ndarray:
    """A curve down the frame, bool, on so many pixels of each line."""
    drawn = np.zeros_like(painted())
    for line in range(first, last):
        col = 40 + round(swing * np.sin(line / 4))
        drawn[line, col : col + wide] = True
    return drawn


@pytest.mark.parametrize(
    ("spoilt", "chance", "left"),
    [
        (crack(10, 40, swing=8, wide=2), 0.8, True),
        (crack(10, 40, swing=8, wide=2), 0.97, False),
        (crack(10, 14, swing=8, wide=2), 0.8, False),
        (crack(10, 40, swing=8, wide=6), 0.8, False),
        (crack(10, 40, swing=0, wide=2), 0.8, True),
    ],
    ids=["crack", "sure", "few lines", "thick", "wall"],
)
def test_a_thin_curve_across_the_lines_is_the_samples(spoilt, chance, left):
    heights = np.zeros(spoilt.shape, np.float32)
    filled = np.where(spoilt, np.float32(20), heights)
    probability = np.where(spoilt, np.float32(chance), np.float32(0))

    found = mask.doubtful(heights, filled, spoilt, probability=probability, thr=0.5)

    np.testing.assert_array_equal(found, spoilt if left else np.zeros_like(spoilt))
