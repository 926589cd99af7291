"""Interference fringes on flat samples, and the samples that look like them."""

import numpy as np
import pytest
import scenes

from afmd.domain.params import Params
from afmd.science.flatten import Levelled, level

SHAPE = (256, 256)
PITCH_NM = 20.0


def wave(*, down: float, across: float, amplitude: float, phase: float = 0.7) -> np.ndarray:
    """So many waves over the frame."""
    y, x = np.meshgrid(*(np.linspace(0, 1, side) for side in SHAPE), indexing="ij")
    return amplitude * np.sin(2 * np.pi * (down * y + across * x) + phase)


def steps(rng: np.random.Generator) -> np.ndarray:
    """Terraces 1.5 nm apart."""
    return 0.5 * scenes.terraces(rng, SHAPE)


def islands(rng: np.random.Generator) -> np.ndarray:
    """Flat islands 1.5 nm high on a flat ground."""
    covered = scenes.substrate(rng, SHAPE, rms=1, length=12) > 0.8
    return 1.5 * covered + scenes.substrate(rng, SHAPE, rms=0.15, length=3)


def levelled(rng: np.random.Generator, surface: np.ndarray, *, pitch_nm: float = PITCH_NM) -> Levelled:
    scanner = scenes.scanner(rng, SHAPE, relief=60, offsets=0.001, walk=0.0003)
    heights = surface + scanner + rng.normal(0, 0.04, SHAPE)
    return level(heights, pixel_nm=pitch_nm, params=Params())


@pytest.mark.parametrize(("down", "across"), [(-1.5, 3.3), (1.2, 4.8)])
@pytest.mark.parametrize("sample", [steps, islands])
@pytest.mark.parametrize("seed", range(2))
def test_fringes_come_off_flat_samples(seed, sample, down, across):
    truth = sample(np.random.default_rng(seed))

    flat = levelled(np.random.default_rng(seed + 50), truth + wave(down=down, across=across, amplitude=1.2))

    assert scenes.rms_error(flat.heights, truth) < 0.35
    (told,) = flat.levelling.disturbances
    assert told.kind == "fringes"
    assert told.amplitude_nm == pytest.approx(1.2, rel=0.15)
    assert (256 * told.down, 256 * told.across) == pytest.approx((down, across), abs=0.1)


@pytest.mark.parametrize("seed", [0, 2])
def test_fringes_lower_than_the_steps_beside_them_stand_out_among_waves_as_long(seed):
    truth = steps(np.random.default_rng(seed))

    flat = levelled(np.random.default_rng(seed + 50), truth + wave(down=1.4, across=6.4, amplitude=0.6))

    assert [one.kind for one in flat.levelling.disturbances] == ["fringes"]
    assert scenes.rms_error(flat.heights, truth) < 0.3


@pytest.mark.parametrize("seed", range(3))
def test_stairs_show_once_fringes_are_off_and_then_span_more_than_they_did_laid_flat(seed):
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(*(np.linspace(0, 1, side) for side in SHAPE), indexing="ij")
    edges = 7 * (0.85 * y + 0.3 * x) + scenes.substrate(rng, SHAPE, rms=0.12, length=20)
    truth = -0.35 * np.floor(edges) + scenes.substrate(rng, SHAPE, rms=0.1, length=2)

    flat = levelled(rng, truth + wave(down=0.3, across=3.1, amplitude=0.4))

    assert [one.kind for one in flat.levelling.disturbances] == ["fringes"]
    assert scenes.rms_error(flat.heights, truth) < 0.2


@pytest.mark.parametrize(
    ("amplitude", "waves", "pitch_nm"), [(30.0, 3.3, PITCH_NM), (1.2, 6.3, 5.0)], ids=["high", "narrow"]
)
def test_a_wavy_sample_keeps_its_waves(amplitude, waves, pitch_nm):
    """Of a height, or a pitch, that light does not make."""
    rng = np.random.default_rng(4)
    own = wave(down=1.5, across=waves, amplitude=amplitude)

    flat = levelled(rng, steps(rng) * amplitude + own, pitch_nm=pitch_nm)

    assert np.vdot(flat.heights, own) / np.vdot(own, own) > 0.9


def test_nothing_but_a_wave_is_the_samples():
    rng = np.random.default_rng(4)
    own = wave(down=1.5, across=4.3, amplitude=5.0)

    flat = levelled(rng, own)

    assert np.vdot(flat.heights, own) / np.vdot(own, own) > 0.9
