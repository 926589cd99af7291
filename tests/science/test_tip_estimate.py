"""The tip from its own picture: near the truth, through noise and artefacts, and silent where nothing is told."""

from dataclasses import replace

import numpy as np
import pytest
from tip_scenes import Scene, scene

import afmd
from afmd.domain.tip import TipEstimate
from afmd.errors import InvalidInput
from afmd.science.tip import estimated
from afmd.twin.pairs import pair, paper_b


def told(of: Scene, mask: object = None) -> TipEstimate:
    return estimated(of.image, pixel_nm=of.pixel_nm, trusted=of.clear == 0 if mask is None else ~np.asarray(mask))


@pytest.mark.parametrize("noise_nm", [0.0, 0.3])
@pytest.mark.parametrize(("kind", "radius_nm"), [("blocks", 10.0), ("blocks", 16.0), ("rough", 10.0)])
def test_the_radius_is_read_from_what_the_tip_recorded(kind: str, radius_nm: float, noise_nm: float) -> None:
    found = told(scene(kind, radius_nm=radius_nm, noise_nm=noise_nm))

    assert found.tells
    assert found.radius_nm == pytest.approx(radius_nm, rel=0.08)
    assert abs(found.radius_nm - radius_nm) < 3 * found.spread_nm


@pytest.mark.parametrize(("kind", "noise_nm", "seed"), [("fractal", 0.3, 5), ("fractal", 0.3, 10), ("cuboids", 0.0, 1)])
def test_neither_noise_on_rough_ground_nor_a_lone_wall_sharpens_the_tip(kind: str, noise_nm: float, seed: int) -> None:
    of = pair(30_000_000 + seed, recipe=paper_b(kind, noise_nm=noise_nm))

    assert afmd.estimate_tip(of.image, pixel_nm=1.0).radius_nm == pytest.approx(10, rel=0.1)


def test_walls_show_the_half_angle() -> None:
    assert told(scene("blocks")).half_angle_deg == pytest.approx(22, abs=1)
    assert told(scene("rough")).half_angle_deg is None


def test_a_blunter_tip_is_read_as_blunter() -> None:
    radii = [told(scene(noise_nm=0.1, radius_nm=radius)).radius_nm for radius in (6.0, 9.0, 13.0, 18.0)]

    assert radii == sorted(radii)


def test_lengths_scale_together() -> None:
    small = scene(noise_nm=0.1)
    large = replace(small, image=4 * small.image, pixel_nm=(4.0, 4.0))

    assert told(large).radius_nm == pytest.approx(4 * told(small).radius_nm, rel=1e-3)


def test_pixels_need_not_be_square() -> None:
    assert told(scene(pixel_nm=(1.0, 0.6), side=160)).radius_nm == pytest.approx(10, rel=0.1)


def test_a_constant_changes_nothing_and_the_picture_stays() -> None:
    plain = scene(noise_nm=0.2)
    before = plain.image.copy()

    assert told(replace(plain, image=plain.image + 100)).radius_nm == pytest.approx(told(plain).radius_nm, rel=1e-2)
    np.testing.assert_array_equal(plain.image, before)


def test_masked_artefacts_have_no_say() -> None:
    clean = scene()
    spoilt, mask = clean.image.copy(), clean.clear
    mask[::11, 20:100] = True
    spoilt[mask] += 40

    found = told(replace(clean, image=spoilt), mask)

    assert found.radius_nm == pytest.approx(told(clean).radius_nm, rel=0.05)


def test_lines_that_jump_a_little_do_not_sharpen_the_tip() -> None:
    clean = scene(noise_nm=0.1)
    offsets = np.random.default_rng(5).normal(0, 0.15, (len(clean.image), 1)).astype(np.float32)

    assert told(replace(clean, image=clean.image + offsets)).radius_nm == pytest.approx(10, rel=0.1)


def silent(heights: object, pixel_nm: float = 1.0) -> TipEstimate:
    found = afmd.estimate_tip(heights, pixel_nm=pixel_nm)  # type: ignore[arg-type]
    assert not found.tells
    assert np.isnan(found.radius_nm)
    with pytest.raises(InvalidInput, match="cannot tell"):
        _ = found.tip
    return found


def test_flat_ground_tells_nothing() -> None:
    assert "sharp" in silent(np.random.default_rng(0).normal(0, 0.1, (128, 128))).reason


def test_a_sloping_plane_tells_nothing() -> None:
    silent(np.add.outer(np.arange(100.0), np.arange(100.0)))


def test_pixels_as_coarse_as_the_tip_tell_nothing() -> None:
    silent(scene(radius_nm=10.0, pixel_nm=(10.0, 10.0), side=100).image, pixel_nm=10.0)


@pytest.mark.parametrize("noise_nm", [0.0, 0.3])
def test_round_particles_only_bound_the_tip(noise_nm: float) -> None:
    found = silent(scene("domes", noise_nm=noise_nm).image)

    assert "round" in found.reason
    assert 10 < found.at_most_nm < 20


def test_a_picture_that_is_all_masked_tells_nothing() -> None:
    found = afmd.estimate_tip(scene().image, pixel_nm=1.0, mask=np.ones((128, 128), dtype=bool))

    assert "trusted" in found.reason


def test_a_frame_of_few_pixels_is_no_error() -> None:
    assert "few" in silent(np.zeros((8, 40))).reason


def test_the_tip_that_is_told_carries_its_spread() -> None:
    tip = told(scene(noise_nm=0.3)).tip

    assert 0 < tip.radius_sigma_nm < 0.2 * tip.radius_nm


def test_rough_ground_finer_than_the_pixels_is_not_taken_for_the_tip() -> None:
    fine = scene("rough", radius_nm=3.0, side=400).image

    assert "coarse" in silent(fine[::4, ::4], pixel_nm=4.0).reason


def test_a_smooth_sample_is_not_taken_for_a_giant_tip() -> None:
    of = scene("blocks", noise_nm=0.1)

    assert "sample's own" in silent(10 * of.image, pixel_nm=10.0).reason
