import numpy as np
import pytest
import scenes

from afmd.domain.params import Params
from afmd.science.flatten import level
from afmd.science.flatten.hum import hum_in

SIDE = (256, 256)
ROW, COL = np.indices(SIDE).astype(float)


def tone(down: float, across: float) -> np.ndarray:
    return np.sin(2 * np.pi * (down * ROW + across * COL) + 0.7)


def scan(kind: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    truth = getattr(scenes, kind)(rng, SIDE)
    relief = float(np.ptp(truth))
    scanner = scenes.scanner(rng, SIDE, relief=relief, offsets=0.01, walk=0.001)
    return truth, truth + scanner + rng.normal(0, 0.01 * relief, SIDE)


@pytest.mark.parametrize("kind", ["dna", "particles", "terraces", "cells"])
@pytest.mark.parametrize("down", [0.41, -0.23])
def test_hum_is_taken_off_whatever_the_sample(kind, down):
    truth, heights = scan(kind)
    hum = 0.1 * np.ptp(truth) * tone(down, 0.0713)

    def error(measured: np.ndarray) -> float:
        levelled = level(measured.astype(np.float32), pixel_nm=2.0, params=Params(level="joint"))
        return scenes.rms_error(levelled.heights, truth)

    assert error(heights + hum) < 1.1 * error(heights)


def test_overtones_of_hum_go_with_it():
    truth, heights = scan("dna")
    hum = 0.1 * np.ptp(truth) * (tone(0.41, 0.0713) + 0.7 * tone(0.82, 0.1426))

    first, second = hum_in((heights + hum).astype(np.float32))

    assert np.sqrt(np.mean((first.wave + second.wave - hum) ** 2)) < 0.05 * hum.std()
    assert first.number == pytest.approx((0.41, 0.0713), abs=1e-3)
    assert first.amplitude == pytest.approx(0.1 * np.ptp(truth), rel=0.05)


def test_hum_may_swell_a_little():
    truth, heights = scan("dna")
    hum = 0.1 * np.ptp(truth) * tone(0.41, 0.0713)
    swollen = hum * (1 + 0.3 * np.sin(2 * np.pi * ROW / 256))

    (found,) = hum_in((heights + swollen).astype(np.float32))

    assert np.sqrt(np.mean((found.wave - hum) ** 2)) < 0.1 * hum.std()


@pytest.mark.parametrize("kind", ["dna", "particles", "terraces", "cells", "grains", "fractal"])
def test_no_sample_hums(kind):
    assert not hum_in(scan(kind)[1].astype(np.float32))


@pytest.mark.parametrize(
    "wave",
    [
        tone(0.11, 0.05),
        tone(0.41, 0.001),
        tone(0.41, 0.07) * (ROW < 120),
        tone(0.41, 0.07) * (COL < 120),
        np.sin(2 * np.pi * (0.41 * ROW + 0.07 * COL + 3 * (ROW / 256) ** 2)),
        tone(0.21, 0.05) + tone(-0.19, 0.17),
    ],
    ids=[
        "that a surface could have", "of the lines' offsets", "of some lines", "of a part of them", "that drifts",
        "of a fine lattice",
    ],
)  # fmt: skip
def test_a_wave_is_no_hum(wave):
    _, heights = scan("dna")

    assert not hum_in((heights + 0.1 * np.ptp(heights) * wave).astype(np.float32))


@pytest.mark.parametrize("angle", [0.05, 0.4, 0.9])
@pytest.mark.parametrize("pitch", [9.0, 16.0, 24.0])
def test_the_overtones_of_a_grating_are_no_hum(angle, pitch):
    across = (np.cos(angle) * ROW + np.sin(angle) * COL) / pitch
    bars = 50.0 * (across % 1 < 0.3) + np.random.default_rng(1).normal(0, 0.2, SIDE)

    assert not hum_in(bars.astype(np.float32))


def test_a_frame_too_small_to_tell_has_no_hum():
    assert not hum_in(tone(0.41, 0.07)[:40].astype(np.float32))
