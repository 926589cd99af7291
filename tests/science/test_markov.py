"""Wide holes all at once: the field's precision, and where its conditional mean lies."""

import numpy as np
import pytest
from scipy import ndimage

from afmd.science.inpaint.canvas import Canvas
from afmd.science.inpaint.covariance import spectrum
from afmd.science.inpaint.filling import fill
from afmd.science.inpaint.markov import NARROWEST, PLATE, Wide, stencil


def rolling(shape=(96, 112), seed=0, width=6):
    noise = np.random.default_rng(seed).standard_normal(shape)
    return (30 * ndimage.gaussian_filter(noise, width)).astype(np.float32)


def blot(shape=(96, 112), radius=14):
    row, col = np.indices(shape)
    return (row - 40) ** 2 + (col - 50) ** 2 <= radius**2


def wide(heights, mask, guess):
    return Wide(Canvas(np.where(mask, guess, heights).astype(np.float32), mask), mask)


def rms(error):
    return float(np.sqrt(np.mean(np.square(error))))


def energy(kernel, frame):
    return float((frame * ndimage.convolve(frame.astype(np.float64), kernel, mode="reflect")).sum())


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.parametrize("surface", ["rolling", "noise", "grating", "steps"])
def test_no_wave_has_a_negative_energy(surface, scale):
    col = np.arange(112)
    heights = {
        "rolling": rolling(),
        "noise": np.random.default_rng(1).standard_normal((96, 112)),
        "grating": np.tile(np.sign(np.sin(col / 2)), (96, 1)),
        "steps": np.tile(np.floor(col / 30), (96, 1)),
    }[surface]

    kernel = stencil(spectrum(heights.astype(np.float32)), scale)

    angle = np.pi * np.arange(33) / 32
    waves = np.cos(angle[:, None] * np.arange(-2, 3))
    assert (waves @ kernel @ waves.T).min() > -1e-6
    assert kernel[2, 2] == 1
    np.testing.assert_array_equal(kernel, kernel[::-1, ::-1])


def test_the_precision_that_a_spectrum_comes_of_is_found_again():
    slope = (1 - np.cos(np.pi * np.arange(128) / 128)) / 2
    across, down = np.meshgrid(slope, slope)
    power = 1 / (0.02 + 0.3 * across + 2 * down + across * down)

    kernel = stencil(power, 1)

    wave = np.cos(np.pi * np.arange(128)[:, None] / 128 * np.arange(-2, 3))
    told = wave @ kernel @ wave.T * power
    assert told.std() < 0.15 * told.mean()


def test_narrow_holes_are_left_alone():
    mask = np.zeros((96, 112), bool)
    mask[20 : 20 + NARROWEST - 1] = mask[60:80, 30 : 30 + NARROWEST - 1] = True

    assert wide(rolling(), mask, 0.0).places.size == 0


def test_the_canvas_is_as_before_afterwards():
    canvas = Canvas(rolling(), blot())
    before = canvas.flat.copy()

    Wide(canvas, blot()).settled(lambda _: PLATE)

    np.testing.assert_array_equal(canvas.flat, before)


@pytest.mark.parametrize("surface", ["plane", "bowl"])
def test_a_plate_carries_slopes_on(surface):
    row, col = np.indices((96, 112)) - 45.0
    heights = {"plane": 0.3 * row - 0.2 * col, "bowl": 0.01 * (row**2 + col**2)}[surface].astype(np.float32)
    mask = blot()
    dent = 5 * np.sin(np.pi * ndimage.distance_transform_edt(mask) / 30).astype(np.float32)

    places = wide(heights, mask, heights - dent)
    left = places.settled(lambda _: PLATE) - heights.reshape(-1)[places.places]

    assert rms(left) < 0.4 * rms(dent.reshape(-1)[places.places])


def test_a_guess_moves_towards_less_energy():
    heights, mask = rolling(), blot()
    kernels = {scale: stencil(spectrum(heights), scale) for scale in (1, 2, 4, 8, 16)}
    dent = 0.3 * np.abs(heights).max() * np.sin(np.pi * ndimage.distance_transform_edt(mask) / 30)
    after = (heights - dent).astype(np.float32)
    places = wide(heights, mask, after)

    before = energy(kernels[1], after)
    after.reshape(-1)[places.places] = places.settled(kernels.__getitem__)

    assert energy(kernels[1], after) < 0.5 * before


def test_the_border_of_a_frame_mirrors():
    heights, mask = rolling(), np.zeros((96, 112), bool)
    mask[:20, :30] = mask[70:, 50:80] = True

    one = wide(heights, mask, 1.0).settled(lambda _: PLATE)
    two = wide(np.flip(heights).copy(), np.flip(mask).copy(), 1.0).settled(lambda _: PLATE)

    np.testing.assert_allclose(one, two[::-1], atol=0.02 * np.abs(heights).max())


def test_wide_holes_in_rough_surfaces_come_nearer_the_truth_than_by_least_bending():
    mask, errors = blot(), {"across": [], "biharmonic": []}
    for seed in range(8):
        waves = np.fft.rfft2(np.random.default_rng(seed).standard_normal(mask.shape))
        down, across = np.fft.fftfreq(96)[:, None], np.fft.rfftfreq(112)
        heights = np.fft.irfft2(waves * np.hypot(np.hypot(down, across), 0.01) ** -1.5, mask.shape).astype(np.float32)
        blank = np.where(mask, np.float32(0), heights)
        for method, found in errors.items():
            filled = fill(blank, mask, method=method, pixel_nm=(1.0, 1.0)).heights
            found.append(rms((filled - heights)[mask]))

    assert np.mean(errors["across"]) < np.mean(errors["biharmonic"])
