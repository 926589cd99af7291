"""Bodies in what is called as tails."""

import numpy as np
import pytest

import afmd
from afmd.domain.scan import Scan
from afmd.inference.bodies import bodies_in

NOISE_NM = 0.3


def noisy(heights: np.ndarray) -> np.ndarray:
    return (heights + np.random.default_rng(0).normal(0, NOISE_NM, heights.shape)).astype(np.float32)


def discs(*places: tuple[int, int], side: int = 128, radius: int = 9) -> np.ndarray:
    row, col = np.mgrid[:side, :side]
    return np.max([50.0 * (np.hypot(row - r, col - c) < radius) for r, c in places], axis=0)


def smeared(truth: np.ndarray, *, reach_px: float = 10.0) -> np.ndarray:
    """Heights that fall behind every body as slowly as a tip that drags what it carries."""
    heights = truth.copy()
    for col in range(1, truth.shape[1]):
        last = heights[:, col - 1]
        heights[:, col] = np.maximum(truth[:, col], truth[:, col] + (last - truth[:, col]) * np.exp(-1 / reach_px))
    return heights


def called_with_bodies(heights: np.ndarray) -> np.ndarray:
    return heights > 2.0


@pytest.mark.parametrize("way", [1, -1])
def test_bodies_are_no_part_of_their_tails(way):
    truth = discs((30, 30), (64, 70), (100, 40))
    heights = smeared(truth)
    tail = heights - truth > 8

    found = bodies_in(noisy(heights)[:, ::way], called_with_bodies(heights)[:, ::way]).sound[:, ::way]

    assert found[truth > 0].mean() > 0.95
    assert found[tail].mean() < 0.06


def test_a_body_in_another_s_tail_is_none_of_it():
    truth = discs((64, 30), (64, 58))
    heights = smeared(truth)

    found = bodies_in(noisy(heights), called_with_bodies(heights)).sound

    assert found[truth > 0].mean() > 0.9
    assert found[heights - truth > 8].mean() < 0.06


def test_a_plane_under_the_bodies_changes_nothing():
    heights = smeared(discs((30, 30), (64, 70), (100, 40)))
    tilt = np.add.outer(0.7 * np.arange(128), 3.0 * np.arange(128))

    tilted, flat = (bodies_in(noisy(z), called_with_bodies(heights)) for z in (heights + tilt, heights))

    assert flat.sound.any()
    np.testing.assert_array_equal(tilted.sound, flat.sound)


def ringing(truth: np.ndarray) -> np.ndarray:
    steps = np.diff(truth, axis=1, prepend=truth[:, :1])
    answer = np.exp(-np.arange(40) / 12) * np.cos(2 * np.pi * np.arange(40) / 8)
    return truth + np.apply_along_axis(lambda line: np.convolve(line, answer)[: line.size], 1, steps)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_bodies_that_ring_are_left(share):
    truth = discs((30, 30), (64, 70), (100, 40))
    heights = truth + share * (ringing(truth) - truth)

    bodies = bodies_in(noisy(heights), np.abs(heights) > 2.0)

    assert not bodies.sound.any()
    assert bodies.ringing[truth > 0].mean() > 0.95
    assert not bodies.ringing[truth == 0].any()


def test_ringing_higher_than_the_bodies_is_none_of_them():
    truth = discs((30, 30), (64, 70), (100, 40))
    heights = truth + 1.5 * (ringing(truth) - truth)

    bodies = bodies_in(noisy(heights), np.abs(heights) > 2.0)

    assert bodies.ringing.mean() < 0.01


def test_tails_alone_tell_no_way():
    truth = discs((30, 30), (64, 70), (100, 40))
    heights = smeared(truth)
    tail = (heights - truth > 2) & (heights < 40)

    assert not np.any(bodies_in(noisy(heights), tail))


@pytest.mark.parametrize("share", [0, 1])
def test_nothing_or_everything_called_gives_nothing(share):
    heights = noisy(smeared(discs((30, 30))))

    assert not np.any(bodies_in(heights, np.full(heights.shape, bool(share))))


@pytest.mark.parametrize("shape", [(2, 40), (40, 3), (2, 2)])
def test_a_small_frame_is_taken(shape):
    heights = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    called = np.zeros(shape, bool)
    called[0, 0] = True

    assert np.shape(bodies_in(heights, called)) == (2, *shape)


def test_smeared_particles_are_still_there_after_a_repair():
    rng = np.random.default_rng(0)
    row, col = np.mgrid[:256, :256]
    truth = np.zeros((256, 256))
    for _ in range(14):
        r, c, width, height = rng.integers(20, 236), rng.integers(20, 196), rng.integers(5, 16), rng.uniform(40, 100)
        truth = np.maximum(truth, height * np.clip(1.2 - ((row - r) ** 2 + (col - c) ** 2) / width**2, 0, 1))
    heights = smeared(truth, reach_px=12) + rng.normal(0, 0.4, truth.shape) + rng.normal(0, 0.6, (256, 1)) + 0.02 * col
    scan = Scan.from_heights(heights.astype(np.float32), pixel_nm=4.0)

    result = afmd.restore(scan)

    high = truth > 60
    error = result.restored - truth
    error -= np.median(error)
    assert result.touched.any()
    assert result.touched[high].mean() < 0.3
    assert np.abs(error[high]).mean() < 6
