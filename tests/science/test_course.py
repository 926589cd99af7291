"""Ridges, trenches and lost bands along the lines, which a scanner on its course does not follow, and slips undone."""

import numpy as np
import pytest
import scenes

from afmd.domain.params import Params
from afmd.science.flatten import level
from afmd.science.flatten.course import led_straight

SIDE = 256
HEIGHT_NM = 40.0


def band(first: int, last: int, *, edge: float) -> np.ndarray:
    """A ridge over whole lines whose edges rise over some, (rows, 1)."""
    line = np.arange(SIDE)[:, None] + 0.5
    return HEIGHT_NM * np.clip(np.minimum(line - first, last - line) / edge, 0, 1)


def levelled(rng: np.random.Generator, surface: np.ndarray) -> np.ndarray:
    own = scenes.scanner(rng, (SIDE, SIDE), relief=150, offsets=0.001, walk=0.0005)
    rough = scenes.substrate(rng, (SIDE, SIDE), rms=0.4, length=2)
    return level(surface + rough + own, pixel_nm=4.0, params=Params()).heights


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("edge", [2.5, 5])
def test_a_lone_ridge_or_trench_along_the_lines_keeps_its_height(seed, sign, edge):
    flat = levelled(np.random.default_rng(seed), sign * band(100, 125, edge=edge))

    step = np.median(flat[108:118]) - np.median(np.concatenate([flat[80:96], flat[129:145]]))
    assert sign * step == pytest.approx(HEIGHT_NM, rel=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_a_slip_that_is_undone_at_once_stays_undone(seed):
    slipped = np.where(band(100, 125, edge=1e-6) > 0, HEIGHT_NM, 0.0)

    flat = levelled(np.random.default_rng(seed), slipped)

    assert abs(np.median(flat[104:121]) - np.median(flat[80:96])) < 0.05 * HEIGHT_NM


def lines(offsets: np.ndarray) -> np.ndarray:
    """A flat sample under these offsets, float32 (rows, 64)."""
    noise = np.random.default_rng(3).normal(0, 0.1, (len(offsets), 64))
    return np.float32(offsets[:, None] + noise)


def test_a_scanner_that_wanders_steps_once_or_creeps_is_believed():
    down = np.linspace(0, 1, SIDE)
    wandering = 30 * np.sin(9 * down)
    stepped = np.where(down > 0.6, HEIGHT_NM, 0.0)
    creeping = 60 * np.exp(-down / 0.04)
    for offsets in (wandering, stepped, creeping):
        assert led_straight(offsets, lines(offsets), span_nm=60) is offsets


def test_the_course_under_a_band_is_that_of_the_lines_beside_it():
    down = np.linspace(-1, 1, SIDE)
    course = 20 * down + 15 * down**2
    offsets = course + band(60, 90, edge=4)[:, 0]

    straight = led_straight(offsets, lines(offsets), span_nm=HEIGHT_NM)

    np.testing.assert_allclose(straight, course, atol=0.01 * HEIGHT_NM)


def test_too_few_lines_tell_of_no_course():
    offsets = band(10, 14, edge=2)[:20, 0]
    assert led_straight(offsets, lines(offsets), span_nm=HEIGHT_NM) is offsets
