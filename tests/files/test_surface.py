"""The drawn block: what is in front hides what is behind, and lengths can be read off."""

import numpy as np
import pytest

from afmd.files import surface

GREYS = np.repeat(np.linspace(0, 1, 256)[:, None], 3, axis=1)
RED_AND_BLUE = np.array([[1.0, 0, 0]] * 128 + [[0, 0, 1.0]] * 128)


def drawn(heights: np.ndarray, *, colours: np.ndarray = GREYS, pitch: tuple[float, float] = (1, 1)) -> surface.Surface:
    return surface.draw(heights.astype(np.float32), pixel_nm=pitch, limits=(0, 10), colours=colours, width_px=200)


def test_a_plain_surface_is_one_colour_between_its_corners() -> None:
    picture = drawn(np.full((30, 40), 5.0)).picture
    lit = picture[(picture[..., 3] == 1) & (np.ptp(picture[..., :3], axis=2) < 1e-6)]

    _, counts = np.unique(lit[:, 0].round(3), return_counts=True)
    assert len(lit) > 0.3 * picture[..., 3].size
    assert counts.max() > 0.98 * counts.sum()


def test_the_picture_is_as_wide_as_asked_and_transparent_around() -> None:
    picture = drawn(np.zeros((30, 40))).picture

    assert picture.shape[1] == pytest.approx(200, abs=1)
    assert picture[0, 0, 3] == picture[-1, -1, 3] == picture[0, -1, 3] == 0


def test_a_ridge_in_front_hides_the_valley_behind() -> None:
    low_behind_high = np.zeros((60, 60))
    low_behind_high[50:] = 18.0
    open_valley = low_behind_high[::-1]

    assert _red(drawn(low_behind_high, colours=RED_AND_BLUE)) < 0.8 * _red(drawn(open_valley, colours=RED_AND_BLUE))


def test_a_step_is_as_high_as_the_upright_scale_says() -> None:
    low, high = drawn(np.zeros((30, 30))), drawn(np.full((30, 30), 10.0))

    assert len(high.picture) - len(low.picture) == pytest.approx(10 * low.upright_px_per_nm, abs=2)


def test_the_corners_span_the_base() -> None:
    front, right, back, left = drawn(np.zeros((30, 60))).corners

    assert front[1] > left[1] > back[1]
    assert front[1] > right[1] > back[1]
    assert left[0] == pytest.approx(0)
    assert right[0] == pytest.approx(200, abs=1)
    assert np.linalg.norm(right - front) > np.linalg.norm(left - front), "the frame is wider than deep"


def test_exaggeration_is_how_much_steeper_than_nature_it_looks() -> None:
    assert drawn(np.zeros((50, 100)), pitch=(2.0, 2.0)).exaggeration == pytest.approx(0.20 * 200 / 10)


@pytest.mark.parametrize("heights", [np.full((4, 4), 1e9), np.full((4, 4), -1e9), np.eye(64) * 1e6])
def test_spikes_stay_in_a_picture_of_bounded_size(heights: np.ndarray) -> None:
    assert len(drawn(heights).picture) < 400


def _red(made: surface.Surface) -> float:
    red, green, blue, opaque = np.moveaxis(made.picture, -1, 0)
    return float(((red > green + 0.1) & (red > blue + 0.1) & (opaque > 0.5)).mean())
