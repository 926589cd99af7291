"""The tip's shape, removed: bounds, contacts, honesty, and what stands in the way."""

from dataclasses import replace

import numpy as np
import pytest
from fake_tip_network import FakeTipNetwork
from scipy.ndimage import minimum_filter
from tip_scenes import Scene, scene

import afmd
from afmd.domain.result import Deconvolved
from afmd.domain.tip import Tip
from afmd.domain.tip_method import TipMethod
from afmd.errors import InvalidInput, ModelError
from afmd.pipeline.deconvolution import TipPlan, deconvolved, last_stage
from afmd.science.tip import dilate, kernel

HELD_NM = 1e-4


def freed(of: Scene, method: str = "certainty", mask: object = None, **plan: object) -> Deconvolved:
    whole = TipPlan(**{"tip": of.tip, "method": TipMethod(method), **plan})  # type: ignore[arg-type]
    return deconvolved(of.image, pixel_nm=of.pixel_nm, mask=of.clear if mask is None else np.asarray(mask), plan=whole)


def rms(values: object) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.mark.parametrize("kind", ["blocks", "domes", "rough"])
def test_the_erosion_is_nowhere_below_the_truth(kind: str) -> None:
    of = scene(kind)

    assert (freed(of, "erosion").surface >= of.surface - HELD_NM).all()


@pytest.mark.parametrize("kind", ["blocks", "domes", "rough"])
def test_the_tip_s_picture_of_the_result_is_the_picture(kind: str) -> None:
    of = scene(kind)
    found = freed(of)
    again = dilate(found.surface, kernel(of.tip, pixel_nm=of.pixel_nm, relief_nm=float(np.ptp(of.image))))

    assert (again <= of.image + HELD_NM).all()
    assert (again[found.touched] >= of.image[found.touched] - 0.5).mean() > 0.9


@pytest.mark.parametrize("noise_nm", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["blocks", "domes", "rough"])
def test_the_result_is_nearer_the_truth_than_the_picture(kind: str, noise_nm: float) -> None:
    of = scene(kind, noise_nm=noise_nm)
    found = freed(of)

    assert rms(found.surface - of.surface) < 0.7 * rms(of.image - of.surface)


@pytest.mark.parametrize("noise_nm", [0.0, 0.3])
def test_walls_stand_where_they_stood(noise_nm: float) -> None:
    of = scene("blocks", noise_nm=noise_nm)
    area, imaged, bound = (
        np.count_nonzero(heights > 7) for heights in (freed(of).surface, of.image, freed(of, "erosion").surface)
    )
    true = np.count_nonzero(of.surface > 7)

    assert abs(area - true) < 0.3 * true < 0.3 * (bound - true) < 0.3 * (imaged - true)


@pytest.mark.parametrize("noise_nm", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["blocks", "domes", "rough"])
def test_sigma_is_larger_where_nothing_touched_and_covers_the_truth(kind: str, noise_nm: float) -> None:
    of = scene(kind, noise_nm=noise_nm)
    found = freed(of)
    covered = np.abs(found.surface - of.surface) <= 1.645 * found.sigma + 0.01

    assert found.sigma[~found.touched].mean() > found.sigma[found.touched].mean()
    assert covered.mean() > 0.75


def test_where_it_touched_the_height_is_right() -> None:
    of = scene("domes", noise_nm=0.3)
    found = freed(of)

    assert 0.3 < found.touched.mean() < 0.9
    assert rms((found.surface - of.surface)[found.touched]) < 0.4


def test_a_masked_spike_is_no_contact_and_raises_nothing_around() -> None:
    of = scene("blocks")
    spoilt, mask = of.image.copy(), of.clear
    spoilt[3:6, 3:6] += 60
    mask[3:6, 3:6] = True
    before = spoilt.copy()

    found, clean = freed(replace(of, image=spoilt), mask=mask), freed(of)

    assert not found.touched[mask].any()
    assert np.abs(found.surface - clean.surface)[mask].max() < 1
    np.testing.assert_allclose(found.surface[20:, 20:], clean.surface[20:, 20:], atol=1e-3)
    np.testing.assert_array_equal(spoilt, before)


def test_lengths_scale_together() -> None:
    of = scene("blocks", noise_nm=0.2)
    large = replace(of, image=8 * of.image, pixel_nm=(8.0, 8.0), tip=Tip(80.0, 22.0))

    np.testing.assert_allclose(freed(large).surface, 8 * freed(of).surface, atol=0.05)


@pytest.mark.parametrize("pixel_nm", [(1.0, 0.6), (0.7, 1.3)])
def test_pixels_need_not_be_square(pixel_nm: tuple[float, float]) -> None:
    of = scene("blocks", pixel_nm=pixel_nm, side=150)
    found = freed(replace(of, image=of.image[:, :101], surface=of.surface[:, :101]))

    assert found.surface.shape == (150, 101)
    assert rms(found.surface - of.surface[:, :101]) < 0.5 * rms(of.image[:, :101] - of.surface[:, :101])


def test_what_is_not_known_of_the_radius_enters_sigma() -> None:
    of = scene("blocks")
    vague = replace(of, tip=Tip(10.0, 22.0, radius_sigma_nm=2.0))

    assert (freed(vague).sigma >= freed(of).sigma - HELD_NM).all()
    assert freed(vague).sigma.mean() > 1.02 * freed(of).sigma.mean()


def test_an_unknown_tip_is_estimated() -> None:
    of = scene("blocks", noise_nm=0.1)
    found = freed(of, tip=None)

    assert found.estimated
    assert found.tip is not None
    assert found.tip.radius_nm == pytest.approx(10, rel=0.08)
    assert found.tip.radius_sigma_nm > 0
    assert rms(found.surface - of.surface) < 0.6 * rms(of.image - of.surface)


def left_alone(found: Deconvolved, heights: object) -> str:
    np.testing.assert_array_equal(found.surface, heights)
    assert not found.touched.any()
    assert not found.sigma.any()
    return found.refusal


def test_pixels_too_coarse_for_the_tip_leave_the_picture_alone() -> None:
    of = scene("rough", pixel_nm=(9.0, 9.0))

    assert "too coarse" in left_alone(freed(of), of.image)


def test_a_picture_that_does_not_tell_its_tip_is_left_alone() -> None:
    of = scene("domes")

    assert "does not tell" in left_alone(freed(of, tip=None), of.image)


def test_a_tip_far_too_blunt_for_the_frame_is_refused_not_computed() -> None:
    of = scene("blocks")

    assert "pixels wide" in left_alone(freed(replace(of, tip=Tip(5000.0, 80.0))), of.image)


def test_a_scan_that_was_not_restored_is_left_alone() -> None:
    of = scene("blocks")
    found = last_stage(of.image, pixel_nm=(1, 1), mask=of.clear, refusal="mostly artefact", plan=TipPlan(of.tip))

    assert "not restored" in left_alone(found, of.image)


def test_all_masked_is_left_alone() -> None:
    of = scene("blocks")

    assert "masked" in left_alone(freed(of, mask=~of.clear), of.image)


def test_the_network_is_held_to_what_geometry_knows() -> None:
    of = scene("domes")
    bound = freed(of, "erosion")
    for lift in (50.0, -50.0):
        found = freed(of, "network", network=FakeTipNetwork(of.surface + lift))
        assert found.method is TipMethod.NETWORK
        assert (found.surface <= bound.surface + HELD_NM).all()
        inside = minimum_filter(found.touched, 5)
        assert inside.sum() > 100
        np.testing.assert_allclose(found.surface[inside], bound.surface[inside], atol=HELD_NM)
    assert (found.surface[~found.touched] < bound.surface[~found.touched] - 10).all()


@pytest.mark.parametrize("part", [slice(None), slice(30, 110)])
def test_a_shifted_line_does_not_drag_the_network_down(part: slice) -> None:
    of = scene("blocks")
    shifted = of.image.copy()
    level = 5 + int(np.abs(np.diff(of.image, axis=0)).mean(axis=1)[5:-5].argmin())
    shifted[level, part] -= 2

    found = freed(replace(of, image=shifted), "network", network=FakeTipNetwork(of.surface))
    held = freed(replace(of, image=shifted), "erosion")

    assert np.count_nonzero(held.surface < of.surface - 0.5) > 100
    assert np.count_nonzero(found.surface < of.surface - 0.5) == 0


def test_auto_takes_the_network_where_it_knows_the_tip_and_says_who_it_was() -> None:
    of = scene("domes")
    network, stranger = FakeTipNetwork(of.surface), FakeTipNetwork(of.surface, knows=False)

    assert freed(of, "auto", network=network).backend == network.backend
    assert freed(of, "auto", network=stranger).method is TipMethod.CERTAINTY
    assert freed(of, "auto").method is TipMethod.CERTAINTY


def test_a_network_that_is_demanded_and_absent_is_an_error_but_no_reason_to_lose_a_scan() -> None:
    of = scene("domes")
    plan = TipPlan(of.tip, TipMethod.NETWORK, None)

    with pytest.raises(ModelError, match="no weights"):
        deconvolved(of.image, pixel_nm=of.pixel_nm, mask=of.clear, plan=plan)
    assert "no weights" in last_stage(of.image, pixel_nm=of.pixel_nm, mask=of.clear, refusal="", plan=plan).refusal


def test_the_public_call_takes_lists_and_says_what_it_does_not_know() -> None:
    of = scene("blocks", side=64)
    found = afmd.deconvolve(of.image.tolist(), pixel_nm=1.0, tip=afmd.Tip(10.0, 22.0), method="certainty")

    np.testing.assert_array_equal(found.surface, freed(of).surface)
    assert found.surface.dtype == found.sigma.dtype == np.float32
    with pytest.raises(InvalidInput, match="certainty"):
        afmd.deconvolve(of.image, pixel_nm=1.0, method="magic")
