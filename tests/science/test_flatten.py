import re

import numpy as np
import pytest
import scenes

from afmd.domain.params import PARAMETERS, Params
from afmd.errors import CannotLevel, InvalidInput
from afmd.science.flatten import METHODS, level

PLANES = ("plane", "poly", "smart", "joint", "facet", "three_point")
SHAPE = (96, 80)


def plane(shape=SHAPE, *, base=1000.0):
    return base + np.add.outer(3.0 * np.arange(shape[0]), -2.0 * np.arange(shape[1]))


def tilted_particles(seed=1, shape=(128, 128)):
    rng = np.random.default_rng(seed)
    truth = scenes.particles(rng, shape)
    return truth, truth + scenes.scanner(rng, shape, relief=40, offsets=0, walk=0)


def levelled(heights, *, ground=None, weights=None, pixel_nm=2.0, **params):
    return level(heights, pixel_nm=pixel_nm, ground=ground, weights=weights, params=Params(**params))


def test_the_table_of_methods_is_what_the_parameter_offers():
    assert set(METHODS) == set(PARAMETERS["level"].choices)


@pytest.mark.parametrize("method", PLANES)
def test_a_plane_levels_to_nothing(method):
    assert np.abs(levelled(plane(), level=method).heights).max() < 2e-3


@pytest.mark.parametrize("method", set(METHODS) - {"none"})
def test_a_constant_levels_to_nothing(method):
    assert np.abs(levelled(np.full(SHAPE, 123.0), level=method).heights).max() < 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_the_input_is_untouched(method):
    heights = tilted_particles()[1].astype(np.float32)
    before = heights.copy()
    ground = np.ones(heights.shape, dtype=bool)
    levelled(heights, ground=ground, level=method)

    np.testing.assert_array_equal(heights, before)
    assert ground.all()


@pytest.mark.parametrize("method", METHODS)
def test_heights_and_background_add_up_to_the_input(method):
    heights = tilted_particles()[1].astype(np.float32)
    result = levelled(heights, level=method)

    np.testing.assert_allclose(result.heights + result.background, heights, rtol=0, atol=1e-3)
    assert result.heights.dtype == result.background.dtype == np.float32
    assert result.levelling.method == method


@pytest.mark.parametrize("method", METHODS)
def test_units_scale_through(method):
    heights = tilted_particles()[1]
    small = levelled(heights, level=method).heights
    large = levelled(heights * 1000, level=method).heights

    np.testing.assert_allclose(large / 1000, small, rtol=0, atol=2e-3 * np.ptp(small))


@pytest.mark.parametrize("method", METHODS)
def test_a_masked_pixel_has_no_vote(method):
    heights = tilted_particles()[1].astype(np.float32)
    ground = np.ones(heights.shape, dtype=bool)
    ground[20:24] = False
    ground[40:60, 30:50] = False
    spoilt = heights.copy()
    spoilt[~ground] += 500

    one, other = levelled(heights, ground=ground, level=method), levelled(spoilt, ground=ground, level=method)

    np.testing.assert_array_equal(one.heights[ground], other.heights[ground])


@pytest.mark.parametrize("method", ["plane", "poly", "smart", "joint", "facet"])
def test_a_masked_particle_does_not_bend_the_ground(method):
    heights = plane()
    ground = np.ones(SHAPE, dtype=bool)
    ground[30:60, 20:50] = False
    heights[~ground] += 300

    rest = levelled(heights, ground=ground, level=method, order=1).heights
    expected = levelled(plane(), level=method, order=1).heights

    np.testing.assert_allclose(rest[ground], expected[ground], atol=5e-3)


def test_without_mask_awareness_the_mask_is_ignored():
    heights = tilted_particles()[1]
    ground = heights < np.median(heights)

    np.testing.assert_array_equal(levelled(heights, ground=ground, mask_aware=False).heights, levelled(heights).heights)


def test_a_weight_of_zero_is_a_mask():
    heights = tilted_particles()[1]
    ground = np.ones(heights.shape, dtype=bool)
    ground[:, 30:50] = False

    by_weight = levelled(heights, weights=ground.astype(float), level="poly").heights
    by_mask = levelled(heights, ground=ground, level="poly").heights

    np.testing.assert_allclose(by_weight, by_mask, atol=1e-4)


@pytest.mark.parametrize("method", set(METHODS) - {"none"})
def test_no_trusted_pixel_is_said_plainly(method):
    with pytest.raises(CannotLevel, match="no pixel is trusted ground"):
        levelled(plane(), ground=np.zeros(SHAPE, dtype=bool), level=method)


@pytest.mark.parametrize(("method", "trusted"), [("plane", 2), ("poly", 5), ("smart", 2), ("joint", 1), ("facet", 3)])
def test_too_few_trusted_pixels_are_counted(method, trusted):
    ground = np.zeros(SHAPE, dtype=bool)
    ground.ravel()[: 97 * trusted : 97] = True

    with pytest.raises(CannotLevel, match=re.compile("trusted")):
        levelled(plane(), ground=ground, level=method, order=2)


def test_lines_wholly_masked_go_with_their_neighbours():
    rng = np.random.default_rng(3)
    lines = np.cumsum(rng.normal(size=SHAPE[0]))
    heights = lines[:, None] + rng.normal(0, 0.01, SHAPE)
    ground = np.ones(SHAPE, dtype=bool)
    ground[40:44] = False
    ground[-2:] = False
    spoilt = np.where(ground, heights, heights + 400)

    for method in ("median", "trimmed_mean", "smart", "joint"):
        rest = levelled(spoilt, ground=ground, level=method, direction="row").heights
        assert rest[ground].std() < 0.5, method
        assert abs(np.median(rest[40:44]) - 400) < 10, method


def test_smart_goes_along_the_steeper_axis():
    down, across = np.indices(SHAPE, dtype=float)

    assert levelled(5 * down + across, level="smart").levelling.direction == "column"
    assert levelled(down + 5 * across, level="smart").levelling.direction == "row"


def test_slopes_are_compared_per_nm_not_per_pixel():
    down, across = np.indices(SHAPE, dtype=float)
    heights = 2 * down + across

    assert levelled(heights, pixel_nm=(1.0, 1.0), level="smart").levelling.direction == "column"
    assert levelled(heights, pixel_nm=(4.0, 1.0), level="smart").levelling.direction == "row"


@pytest.mark.parametrize("direction", ["row", "column", "both"])
def test_smart_takes_each_lines_own_polynomial_off(direction):
    rng = np.random.default_rng(0)
    down, across = np.linspace(-1, 1, SHAPE[0])[:, None], np.linspace(-1, 1, SHAPE[1])[None, :]
    by_row = rng.normal(size=(SHAPE[0], 1)) + rng.normal(size=(SHAPE[0], 1)) * across
    by_column = rng.normal(size=(1, SHAPE[1])) + rng.normal(size=(1, SHAPE[1])) * down
    heights = {"row": by_row, "column": by_column, "both": by_row + by_column}[direction]

    rest = levelled(heights, level="smart", direction=direction, order=1).heights

    assert np.abs(rest).max() < (1e-4 if direction != "both" else 1e-3)


@pytest.mark.parametrize("method", ["median", "trimmed_mean", "median_of_differences"])
def test_line_offsets_vanish(method):
    rng = np.random.default_rng(0)
    surface = scenes.substrate(rng, SHAPE, rms=0.01, length=1)
    heights = surface + rng.normal(size=(SHAPE[0], 1))

    assert levelled(heights, level=method, direction="row").heights.std() < 0.02
    assert levelled(heights.T, level=method, direction="auto").levelling.direction == "column"


def test_trimming_half_of_a_line_is_the_median():
    heights = np.random.default_rng(0).gamma(1.0, size=SHAPE)

    np.testing.assert_allclose(
        levelled(heights, level="trimmed_mean", trim=0.5, direction="row").heights,
        levelled(heights, level="median", direction="row").heights,
        atol=1e-6,
    )
    assert levelled(heights, level="trimmed_mean", trim=0.0, direction="row").heights.mean() == pytest.approx(
        0, abs=1e-6
    )


def test_facet_levelling_keeps_a_staircase_level_where_the_mean_plane_tilts_it():
    rng = np.random.default_rng(0)
    truth = 5.0 * (np.indices((128, 128))[1] // 32) + rng.normal(0, 0.02, (128, 128))
    heights = truth + 0.05 * np.indices((128, 128))[0]

    assert scenes.rms_error(levelled(heights, level="facet").heights, truth) < 0.1
    assert scenes.rms_error(levelled(heights, level="plane").heights, truth) > 1.0


def test_three_named_points_lie_at_zero():
    heights = tilted_particles()[1]
    rest = levelled(heights, level="three_point", points="10,10; 20,100; 110,60", point_radius=0).heights

    assert np.abs([rest[10, 10], rest[20, 100], rest[110, 60]]).max() < 1e-3


@pytest.mark.parametrize("points", ["1,1; 2,2", "1,1; 2,2; 3,3", "1,1; 2,2; 3,900", "a; b; c"])
def test_three_points_that_fix_no_plane_are_refused(points):
    with pytest.raises(InvalidInput, match="points"):
        levelled(plane(), level="three_point", points=points, point_radius=0)


@pytest.mark.parametrize("method", METHODS)
def test_the_smallest_frame_is_levelled(method):
    heights = np.array([[1.0, 2.0], [3.0, 5.0]])

    assert np.isfinite(levelled(heights, level=method, order=0, points="0,0; 0,1; 1,0").heights).all()


@pytest.mark.parametrize("shape", [(2, 64), (64, 2), (3, 5), (7, 300)])
def test_narrow_frames_are_levelled(shape):
    assert np.abs(levelled(plane(shape), level="joint").heights).max() < 1e-2


def test_what_is_no_image_is_refused():
    with pytest.raises(InvalidInput, match="not finite"):
        levelled(np.where(np.eye(8) > 0, np.nan, 1.0))
    with pytest.raises(InvalidInput, match="shape"):
        levelled(np.zeros((1, 5)))
    with pytest.raises(InvalidInput, match="ground"):
        levelled(plane(), ground=np.ones((3, 3)))
    with pytest.raises(InvalidInput, match="weights"):
        levelled(plane(), weights=np.full(SHAPE, -1.0))
    with pytest.raises(InvalidInput, match="pixel_nm"):
        levelled(plane(), pixel_nm=0.0)
