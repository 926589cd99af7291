"""Tones whose phase is another in every line, and waves of a sample that look like them."""

import numpy as np
import pytest
import scenes

import afmd
from afmd.domain.levelling import DisturbanceKind
from afmd.domain.params import Params
from afmd.science.flatten import level
from afmd.science.flatten.linehum import line_hum_in

SHAPE = (192, 256)


def hum(rng: np.random.Generator, *, amplitude: float, frequency: float = 0.163) -> np.ndarray:
    """A tone that begins each line where it likes."""
    phase = rng.uniform(0, 2 * np.pi, (SHAPE[0], 1))
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(SHAPE[1]) + phase)


@pytest.mark.parametrize("surface", ["particles", "dna", "fractal", "terraces"])
def test_a_tone_out_of_step_with_the_lines_is_taken_off_and_told(surface):
    rng = np.random.default_rng(1)
    truth = getattr(scenes, surface)(rng, SHAPE)
    amplitude = 0.08 * float(np.ptp(truth))
    heights = truth + scenes.scanner(rng, SHAPE, relief=float(np.ptp(truth)), offsets=0.01)
    spoilt = np.float32(heights + hum(rng, amplitude=amplitude))

    clean, found = (level(one, pixel_nm=4.0, params=Params()) for one in (np.float32(heights), spoilt))

    (told,) = found.levelling.disturbances
    assert told.kind is DisturbanceKind.HUM
    assert told.amplitude_nm == pytest.approx(amplitude, rel=0.15)
    assert np.std(found.heights - clean.heights) < 0.4 * amplitude


def test_a_good_scan_from_which_such_a_tone_was_taken_is_an_imaging_artefact():
    rng = np.random.default_rng(2)
    heights = scenes.particles(rng, SHAPE) + hum(rng, amplitude=3) + rng.normal(0, 0.2, SHAPE)

    assert afmd.restore(afmd.Scan.from_heights(heights, pixel_nm=4.0)).label is not afmd.Label.GOOD


def lattice(rng: np.random.Generator) -> np.ndarray:
    down, across = np.indices(SHAPE)
    return 20 * np.cos(2 * np.pi * 0.12 * across + 0.4 * down) * np.cos(2 * np.pi * 0.1 * down)


def fine_grating(rng: np.random.Generator) -> np.ndarray:
    down, across = np.indices(SHAPE)
    return 20.0 * ((0.1 * across + 0.1 * down) % 1 < 0.5)


def rows_of_posts_on_a_flat(rng: np.random.Generator) -> np.ndarray:
    down, across = np.indices(SHAPE)
    return 30.0 * ((across % 12 < 6) & (down % 12 < 6))


def narrow_noise(rng: np.random.Generator) -> np.ndarray:
    """What a feedback loop near oscillation leaves: one frequency, no one amplitude."""
    spectrum = np.fft.rfft(rng.normal(size=SHAPE), axis=1)
    bins = np.arange(spectrum.shape[1])
    return np.fft.irfft(spectrum * np.exp(-(((bins - 42) / 2) ** 2)), SHAPE[1], axis=1) * 50


@pytest.mark.parametrize("surface", [lattice, fine_grating, rows_of_posts_on_a_flat, narrow_noise])
def test_what_goes_on_from_line_to_line_or_swings_unevenly_is_no_hum(surface):
    rng = np.random.default_rng(3)
    heights = surface(rng) + rng.normal(0, 0.3, SHAPE)

    assert line_hum_in(np.float32(heights)) is None


@pytest.mark.parametrize("degrees", [60, 75, 83, 86, 88])
@pytest.mark.parametrize("periods", [5, 14, 20])
def test_a_gratings_overtones_are_no_hum(degrees, periods):
    rng = np.random.default_rng(degrees)
    truth = scenes.grating(rng, (256, 256), angle=np.radians(degrees), periods=periods)
    own = scenes.scanner(rng, truth.shape, relief=100, offsets=0.03, walk=0.003)

    assert line_hum_in(np.float32(truth + own + rng.normal(0, 0.3, truth.shape))) is None


def test_a_small_frame_tells_of_no_hum():
    assert line_hum_in(np.zeros((40, 200), np.float32)) is None
