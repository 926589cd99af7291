"""Shifted lines and raised edges are put back before a tip is undone, and nothing else is touched."""

from dataclasses import replace

import numpy as np
import pytest

from afmd.domain.tip import Tip
from afmd.science.tip.edges import Lift, lift_of, lowered, share_raised
from afmd.science.tip.lines import unshifted
from afmd.science.tip.mending import mended
from afmd.twin.pairs import Pair, pair, paper_b

PIXEL_NM = (1.0, 1.0)


def raised(kind: str, number: int, *, noise_nm: float = 0.0) -> Pair:
    return pair(600 + number, recipe=replace(paper_b(kind, noise_nm=noise_nm), edges=1.0))


def told(of: Pair) -> dict[str, float]:
    return dict(of.parameters["faults"])


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("kind", ["cuboids", "misc", "fractal"])
def test_the_lift_of_edges_is_found_and_taken_off(kind: str, number: int) -> None:
    of = raised(kind, number)

    lift = lift_of(of.image, pixel_nm=PIXEL_NM, tip=of.tip, noise_nm=0.0)
    image = lowered(of.image, lift, pixel_nm=PIXEL_NM, noise_nm=0.0)

    assert lift.most == pytest.approx(told(of)["lift"], abs=0.2)
    assert lift.both == told(of)["both"]
    assert np.abs(image - of.exact).mean() < 0.3 * np.abs(of.image - of.exact).mean()


@pytest.mark.parametrize("kind", ["domes", "cuboids", "misc", "fractal"])
@pytest.mark.parametrize("noise_nm", [0.0, 0.3])
def test_no_lift_is_found_where_none_was(kind: str, noise_nm: float) -> None:
    of = pair(640, recipe=paper_b(kind, noise_nm=noise_nm))

    assert lift_of(of.image, pixel_nm=PIXEL_NM, tip=of.tip, noise_nm=noise_nm) == Lift()


@pytest.mark.parametrize(("kind", "number"), [("misc", 4), ("misc", 3), ("cuboids", 2), ("cuboids", 13)])
def test_a_lift_is_found_among_noise_and_shifted_lines(kind: str, number: int) -> None:
    of = pair(33_000_000 + number, recipe=paper_b(kind, noise_nm=0.3, faults=True))

    found = mended(of.image, pixel_nm=PIXEL_NM, tip=of.tip)

    assert found.lift_nm == pytest.approx(told(of)["lift"], rel=0.35)
    assert np.abs(found.image - of.exact).mean() < np.abs(of.image - of.exact).mean()


@pytest.mark.parametrize("share", [0.93, 1.04, 1.1])
@pytest.mark.parametrize("noise_nm", [0.0, 0.3])
def test_a_tip_that_is_not_quite_what_was_said_is_not_taken_for_a_lift(share: float, noise_nm: float) -> None:
    of = pair(645, recipe=paper_b("cuboids", noise_nm=noise_nm))
    told = Tip(share * of.tip.radius_nm, of.tip.half_angle_deg)

    assert lift_of(of.image, pixel_nm=PIXEL_NM, tip=told, noise_nm=noise_nm) == Lift()


@pytest.mark.parametrize("both", [True, False])
def test_lowering_undoes_raising(both: bool) -> None:
    of = pair(650, recipe=paper_b("misc"))
    lift = Lift(most=2.0, width=1.2, both=both)
    image = of.exact + np.float32(2.0) * share_raised(of.exact, 1.2, both, pixel_nm=PIXEL_NM)

    again = lowered(image, lift, pixel_nm=PIXEL_NM, noise_nm=0.0)

    assert np.abs(again - of.exact).mean() < 0.01 * np.abs(image - of.exact).mean()


def test_a_lift_scales_with_heights_pitch_and_radius() -> None:
    of = raised("cuboids", 1)
    tip = Tip(5 * of.tip.radius_nm, of.tip.half_angle_deg)

    here = mended(of.image, pixel_nm=PIXEL_NM, tip=of.tip)
    there = mended(5 * of.image, pixel_nm=(5.0, 5.0), tip=tip)

    assert there.lift_nm == pytest.approx(5 * here.lift_nm, rel=1e-3)
    np.testing.assert_allclose(there.image, 5 * here.image, atol=1e-2)


def test_no_lift_is_sought_under_a_tip_that_is_not_sure() -> None:
    of = raised("cuboids", 1)
    vague = Tip(of.tip.radius_nm, of.tip.half_angle_deg, radius_sigma_nm=0.5)

    assert lift_of(of.image, pixel_nm=PIXEL_NM, tip=of.tip, noise_nm=0.0) != Lift()
    assert lift_of(of.image, pixel_nm=PIXEL_NM, tip=vague, noise_nm=0.0) == Lift()


def test_a_small_or_wholly_masked_image_is_left_alone() -> None:
    of = raised("cuboids", 2)
    small = of.image[:40, :40]

    assert lift_of(small, pixel_nm=PIXEL_NM, tip=of.tip, noise_nm=0.0) == Lift()
    mask = np.ones(of.image.shape, dtype=bool)
    assert lift_of(of.image, pixel_nm=PIXEL_NM, tip=of.tip, noise_nm=0.0, mask=mask) == Lift()


@pytest.mark.parametrize("shift_nm", [1.2, -0.7])
def test_a_part_of_a_line_that_is_shifted_is_put_back(shift_nm: float) -> None:
    of = pair(660, recipe=paper_b("misc"))
    shifted = of.image.copy()
    shifted[40, 20:90] += np.float32(shift_nm)

    back = unshifted(shifted, None, least=0.03)

    assert np.abs(back - of.image).mean() < 0.3 * np.abs(shifted - of.image).mean()


def test_a_line_beside_what_is_masked_is_not_moved() -> None:
    of = pair(660, recipe=paper_b("misc"))
    spoilt, mask = of.image.copy(), np.zeros(of.image.shape, dtype=bool)
    mask[40, 20:90] = True
    spoilt[mask] -= 30

    back = unshifted(spoilt, mask, least=0.03)

    np.testing.assert_array_equal(back[[39, 41]], of.image[[39, 41]])
