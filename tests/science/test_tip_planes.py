"""What the deconvolving network sees: without unit, and nowhere below the truth."""

import numpy as np
import pytest

from afmd.domain.tip import Tip
from afmd.science.tip import planes
from afmd.science.tip.lines import unshifted
from afmd.science.tip.mending import noise_rms
from afmd.science.tip.planes import NAMES, tip_view
from afmd.twin.pairs import imaged, pair, paper_b


@pytest.fixture(scope="module")
def made():
    return pair(11, recipe=paper_b("misc", side=96))


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_scaling_everything_changes_no_plane(made, factor):
    here = tip_view(made.image, pixel_nm=(1.0, 1.5), tip=Tip(8.0, 20.0))
    there = tip_view(made.image * factor, pixel_nm=(factor, 1.5 * factor), tip=Tip(8.0 * factor, 20.0))

    np.testing.assert_allclose(there.planes, here.planes, atol=1e-4)
    assert there.unit_nm == pytest.approx(factor * here.unit_nm)


def test_an_offset_changes_no_plane(made):
    tip = Tip(8.0, 20.0)
    here = tip_view(made.image, pixel_nm=(1.0, 1.0), tip=tip)
    there = tip_view(made.image + np.float32(512), pixel_nm=(1.0, 1.0), tip=tip)

    inner = [planes.HEIGHT, planes.GAP, planes.ROBUST, planes.SLOPE]
    np.testing.assert_allclose(there.planes[inner], here.planes[inner], atol=1e-3)


def test_the_bound_lies_nowhere_below_the_truth(made):
    view = tip_view(made.image, pixel_nm=made.pixel_nm, tip=made.tip)

    assert (view.bound >= made.surface - 1e-4).all()
    assert view.noise_nm == 0


def test_every_plane_is_finite_even_where_all_is_masked(made):
    view = tip_view(made.image, pixel_nm=made.pixel_nm, tip=made.tip, mask=np.ones(made.image.shape, dtype=bool))

    assert view.planes.shape == (len(NAMES), *made.image.shape)
    assert np.isfinite(view.planes).all()
    assert np.isfinite(view.bound).all()


def test_a_masked_pit_does_not_pull_the_bound_down(made):
    mask = np.zeros(made.image.shape, dtype=bool)
    mask[30:33, 40:60] = True
    spoilt = np.where(mask, made.image - 50, made.image).astype(np.float32)

    view = tip_view(spoilt, pixel_nm=made.pixel_nm, tip=made.tip, mask=mask)

    assert (view.bound >= made.surface - 1e-4).all()


def test_noise_is_measured_on_particles_and_none_is_found_without(made):
    rng = np.random.default_rng(0)
    noisy = made.image + rng.normal(0, 0.3, made.image.shape).astype(np.float32)

    assert noise_rms(made.image) == 0
    assert noise_rms(noisy) == pytest.approx(0.3, rel=0.15)


def test_a_shifted_line_is_put_back_and_sound_lines_stay(made):
    shifted = made.image.copy()
    shifted[20] += 1.5
    shifted[61] -= 0.8

    back = unshifted(shifted, None, least=0.03)

    np.testing.assert_allclose(back, made.image, atol=1e-4)
    assert np.array_equal(unshifted(made.image, None, least=0.03), made.image)


def test_the_tip_touches_the_top_of_a_plate_and_not_the_ground_beside_it():
    surface = np.zeros((64, 64))
    surface[24:40, 24:40] = 18

    image = imaged(surface, Tip(10.0, 22.0), pixel_nm=(1.0, 1.0))
    found = tip_view(image, pixel_nm=(1.0, 1.0), tip=Tip(10.0, 22.0)).planes[planes.TOUCHES]

    assert (found[26:38, 26:38] > 0).all()
    assert found[30:34, 41:44].max() == 0
    assert (found[2:6, 2:6] > 0).all()
