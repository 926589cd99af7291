import numpy as np
import pytest
import scenes

from afmd.domain.params import Params
from afmd.science.flatten import level
from afmd.science.flatten.digits import between_digits

SHAPE = (256, 256)
DIGIT_NM = 1.0


def in_digits(surface: np.ndarray) -> np.ndarray:
    return np.float32(np.round(surface / DIGIT_NM) * DIGIT_NM)


def bow(rise_nm: float) -> np.ndarray:
    down, across = np.meshgrid(*(np.linspace(-1, 1, side) for side in SHAPE), indexing="ij")
    return rise_nm * (0.6 * down**2 + 0.4 * across**2 + 0.5 * down - 0.3 * across)


@pytest.mark.parametrize("rise", [8.0, 40.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_bow_in_coarse_digits_is_levelled_to_within_them(rise, seed):
    rng = np.random.default_rng(seed)
    truth = np.where(scenes.substrate(rng, SHAPE, rms=1, length=9) > 1.6, 10.0, 0.0)

    flat = level(in_digits(truth + bow(rise)), pixel_nm=4.0, params=Params()).heights

    assert scenes.rms_error(flat, truth) < 0.5 * DIGIT_NM


def test_no_height_is_moved_by_more_than_half_a_digit():
    surface = bow(20.0)

    smooth = between_digits(in_digits(surface))

    assert smooth is not None
    assert np.abs(smooth - in_digits(surface)).max() <= 0.5001 * DIGIT_NM
    assert np.abs(smooth - surface).mean() < 0.5 * np.abs(in_digits(surface) - surface).mean()


def test_fine_digits_and_frames_of_one_height_stay_as_they_are():
    rng = np.random.default_rng(0)

    assert between_digits(in_digits(bow(20.0) + rng.normal(0, 1.5, SHAPE))) is None
    assert between_digits(np.zeros(SHAPE, np.float32)) is None
