"""The tip's morphology: laws, bounds, and Gwyddion's own results."""

import ctypes
import ctypes.util
from ctypes import POINTER, c_double, c_int, c_void_p

import numpy as np
import pytest

from afmd.domain.tip import Tip
from afmd.errors import InvalidInput
from afmd.science.tip import certainty, dilate, erode, kernel, opening
from afmd.science.tip.morphology import LEVELS, erode_coarsely


def domes(rows=60, cols=70, seed=0):
    """Half spheres of 4 to 9 nm on a flat ground, 1 nm pixels."""
    rng = np.random.default_rng(seed)
    r, c = np.mgrid[:rows, :cols].astype(float)
    surface = np.zeros((rows, cols))
    for _ in range(6):
        radius = rng.uniform(4, 9)
        away = (r - rng.uniform(0, rows)) ** 2 + (c - rng.uniform(0, cols)) ** 2
        surface = np.maximum(surface, np.sqrt(np.maximum(radius**2 - away, 0)))
    return surface


def by_definition(field, tip):
    down, across = tip.shape[0] // 2, tip.shape[1] // 2
    padded = np.pad(field, ((down, down), (across, across)), constant_values=np.inf)
    least = np.full(field.shape, np.inf)
    for i in range(tip.shape[0]):
        for j in range(tip.shape[1]):
            least = np.minimum(least, padded[i : i + field.shape[0], j : j + field.shape[1]] + tip[i, j])
    return least


@pytest.mark.parametrize("form", ["cone", "paraboloid", "pyramid"])
def test_the_apex_has_the_radius_that_was_asked_for(form):
    heights = kernel(Tip(10.0, 20.0, form), pixel_nm=(0.1, 0.1), relief_nm=0.2)
    centre = heights.shape[0] // 2

    assert heights[centre, centre] == 0
    assert heights[centre, centre + 5] == pytest.approx(0.5**2 / 20, rel=1e-2)


def test_the_flank_climbs_at_the_half_angle():
    heights = kernel(Tip(5.0, 30.0), pixel_nm=(1.0, 1.0), relief_nm=40)
    line = heights[heights.shape[0] // 2]
    finite = line[np.isfinite(line)]

    assert finite[-1] - finite[-2] == pytest.approx(1 / np.tan(np.radians(30)))


def test_nothing_of_the_tip_is_higher_than_the_relief_can_feel():
    heights = kernel(Tip(8.0, 15.0), pixel_nm=(1.0, 0.5), relief_nm=12)

    assert heights[np.isfinite(heights)].max() <= 12
    assert heights.shape[0] < heights.shape[1]


@pytest.mark.parametrize("form", ["cone", "paraboloid", "pyramid"])
@pytest.mark.parametrize("pixel_nm", [(1.0, 1.0), (0.7, 1.6)])
def test_erosion_is_what_its_definition_says(form, pixel_nm):
    image = domes()
    tip = kernel(Tip(4.0, 20.0, form), pixel_nm=pixel_nm, relief_nm=float(np.ptp(image)))

    np.testing.assert_allclose(erode(image, tip), by_definition(image, tip), atol=1e-12)
    np.testing.assert_allclose(dilate(image, tip), -by_definition(-image, tip), atol=1e-12)


def test_a_lopsided_tip_is_turned_round_between_dilation_and_erosion():
    tip = np.full((3, 5), np.inf)
    tip[1] = [9, 4, 0, 1, 2]
    surface = np.zeros((9, 9))
    surface[4, 4] = 10

    image = dilate(surface, tip)

    assert image[4, 3] == 9
    assert image[4, 5] == 6
    assert (erode(image, tip) >= surface).all()
    assert erode(image, tip)[4, 4] == 10


@pytest.mark.parametrize("form", ["cone", "paraboloid"])
def test_the_coarse_erosion_is_the_erosion_to_within_its_levels(form):
    image = domes().astype(np.float32)
    image[10:14, 20:40] = np.inf
    relief = float(np.ptp(image[np.isfinite(image)]))
    tip = kernel(Tip(6.0, 20.0, form), pixel_nm=(1.0, 1.0), relief_nm=relief)

    np.testing.assert_allclose(erode_coarsely(image, tip), erode(image, tip), atol=1.01 * relief / LEVELS)


def test_the_erosion_is_never_below_the_surface():
    surface = domes(seed=3)
    tip = kernel(Tip(6.0, 22.0), pixel_nm=(1.0, 1.0), relief_nm=float(np.ptp(surface)))

    assert (erode(dilate(surface, tip), tip) >= surface - 1e-12).all()


def test_opening_returns_what_the_tip_recorded_and_betrays_a_blunter_one():
    surface = domes(seed=4)
    sharp, blunt = (kernel(Tip(r, 22.0), pixel_nm=(1.0, 1.0), relief_nm=10) for r in (5.0, 12.0))
    image = dilate(surface, sharp)

    np.testing.assert_allclose(opening(image, sharp), image, atol=1e-12)
    assert (opening(image, blunt) <= image + 1e-12).all()
    assert (opening(image, blunt) < image - 0.1).any()


def test_where_certain_the_erosion_is_the_surface():
    surface = domes(seed=5)
    tip = kernel(Tip(5.0, 22.0), pixel_nm=(1.0, 1.0), relief_nm=10)
    image = dilate(surface, tip)
    eroded = erode(image, tip)

    sure = certainty(image, eroded, tip, slack_nm=1e-9) == 1

    assert 0.3 < sure.mean() < 1
    np.testing.assert_allclose(eroded[sure], surface[sure], atol=1e-9)
    assert (eroded[~sure] > surface[~sure] + 0.1).any()


def test_heights_keep_their_precision_and_are_not_changed():
    image = domes().astype(np.float32)
    before = image.copy()
    tip = kernel(Tip(4.0, 20.0), pixel_nm=(1.0, 1.0), relief_nm=10)

    assert erode(image, tip).dtype == np.float32
    np.testing.assert_array_equal(image, before)


def test_a_measured_tip_keeps_its_shape_on_another_grid():
    fine = kernel(Tip(10.0, 20.0), pixel_nm=(0.5, 0.5), relief_nm=30)
    measured = Tip.from_heights(np.where(np.isfinite(fine), fine, 30), pixel_nm=0.5)
    coarse = kernel(measured, pixel_nm=(1.0, 1.0), relief_nm=8)
    ideal = kernel(Tip(10.0, 20.0), pixel_nm=(1.0, 1.0), relief_nm=8)

    assert measured.radius_nm == pytest.approx(10, rel=0.02)
    np.testing.assert_allclose(coarse[np.isfinite(coarse)], ideal[np.isfinite(ideal)], atol=1e-5)


@pytest.mark.parametrize(
    "bad", [{"radius_nm": -1.0}, {"radius_nm": float("nan")}, {"radius_nm": 5.0, "half_angle_deg": 90.0}]
)
def test_an_impossible_tip_says_what_is_wrong(bad):
    with pytest.raises(InvalidInput) as told:
        Tip(**bad)
    assert told.value.field in bad


def test_a_tip_far_wider_than_the_picture_is_refused():
    with pytest.raises(InvalidInput, match="pixels wide"):
        kernel(Tip(1000.0, 20.0), pixel_nm=(0.1, 0.1), relief_nm=500)


@pytest.fixture(scope="module")
def gwyddion():
    base, name = ctypes.util.find_library("gwyddion2"), ctypes.util.find_library("gwyprocess2")
    if base is None or name is None:
        pytest.skip("Gwyddion's library is not installed")
    ctypes.CDLL(base, mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(name)
    library.gwy_process_type_init()
    library.gwy_data_field_new.restype = c_void_p
    library.gwy_data_field_new.argtypes = [c_int, c_int, c_double, c_double, c_int]
    library.gwy_data_field_get_data.restype = POINTER(c_double)
    library.gwy_data_field_get_data.argtypes = [c_void_p]
    for name in ("gwy_tip_dilation", "gwy_tip_erosion"):
        getattr(library, name).argtypes = [c_void_p] * 5
    return library


def field(library, values):
    rows, cols = values.shape
    new = library.gwy_data_field_new(cols, rows, cols * 1.0, rows * 1.0, 1)
    view(library, new, values.shape)[:] = values
    return new


def view(library, new, shape):
    return np.ctypeslib.as_array(library.gwy_data_field_get_data(new), shape=shape)


@pytest.mark.parametrize(("name", "ours"), [("gwy_tip_dilation", dilate), ("gwy_tip_erosion", erode)])
def test_gwyddion_agrees(gwyddion, name, ours):
    picture = domes(seed=6)
    tip = kernel(Tip(3.0, 30.0), pixel_nm=(1.0, 1.0), relief_nm=10)
    tip = np.where(np.isfinite(tip), tip, 1000.0)
    shape = picture.shape
    result = field(gwyddion, np.zeros(shape))

    getattr(gwyddion, name)(field(gwyddion, tip.max() - tip), field(gwyddion, picture), result, None, None)

    inner = (slice(tip.shape[0], -tip.shape[0]), slice(tip.shape[1], -tip.shape[1]))
    theirs = view(gwyddion, result, shape)[inner]
    np.testing.assert_allclose(theirs - ours(picture, tip)[inner], 0, atol=1e-9)
