"""Waves over the frame: ripple, mains, singing. Rule: a wave is a peak that rises out of its own ring of the spectrum.

Samples are rough in all directions alike, so that their power depends on the wavelength; a wave added by the
instrument has one wavelength and one direction.
"""

from functools import lru_cache
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.inference import planes
from afmd.inference.traits.values import Image, Values, log, medians

SIDE: Final = 128
"""Pixels to which the frame is shrunk: waves of up to 60 periods are looked for."""
_BANDS: Final = (1.5, 3, 5, 9, 16, 28, 60)
_DIRECTIONS: Final = ((0, 25), (25, 65), (65, 91))
_RINGS_PER_OCTAVE = 4
_AS_THEY_ARE = (planes.ALIGNED, planes.PASS_DIFFERENCE, planes.RELIEF)
_MOST_OVER_GROUND = 3.0
_LINES, _COLUMNS = 128, 256
_SMOOTH = 17
_TINY_SHARE = 1e-12


def of_planes(native: planes.Plane) -> Values:
    """Return the peaks of four planes' spectra, (112,): heights over the ground, lines joined, pass difference, relief.

    The ground is cut at 3 of its asinh widths, so that waves on it outweigh what stands on it.
    """
    ground = np.clip(native[planes.FLAT], -_MOST_OVER_GROUND, _MOST_OVER_GROUND)
    absent = () if native[planes.PASS_PRESENT, 0, 0] else (planes.PASS_DIFFERENCE,)
    others = (_peaks_of_nothing() if plane in absent else _peaks(native[plane]) for plane in _AS_THEY_ARE)
    return np.concatenate([_peaks(ground), *others])


def along_lines(image: Image) -> Values:
    """Return peaks of the lines' mean and median power spectrum in four bands, and its slopes, (12,)."""
    cols = min(image.shape[1], _COLUMNS)
    lines = image[:: max(1, len(image) // _LINES), :cols]
    power = _power(np.fft.rfft((lines - lines.mean(axis=1, keepdims=True)) * np.hanning(cols), axis=1))
    found: list[float] = []
    for spectrum in (log(medians(power.T), floor=1e-20), log(power.mean(axis=0), floor=1e-20)):
        count = len(spectrum)
        edges = (max(1, count // 32), count // 8, count // 4, count // 2, count)
        over = spectrum - _smooth(spectrum)
        found += [float(over[a:b].max()) for a, b in pairwise(edges)]
        means = [float(spectrum[a:b].mean()) for a, b in pairwise(edges)]
        found += [means[3] - means[1], means[1] - means[0]]
    return np.array(found)


def down_lines(native: planes.Plane) -> Values:
    """Return the peak of the lines' own heights, steps and pass differences along the slow axis, (9,)."""
    lines = (
        medians(native[planes.RELIEF]), native[planes.ROW_STEP, :, 0], medians(native[planes.PASS_DIFFERENCE]),
    )  # fmt: skip
    return _peaks_of(np.array(lines, np.float64)).ravel()


def _peaks(plane: Image) -> Values:
    """Return the highest rise of ln power over its ring in every band and direction, and two peaks' facts, (28,)."""
    small = cv2.resize(plane, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    small = (small - small.mean()) * _window()
    power = _power(np.fft.rfft2(small))
    logarithm = np.log(power + _TINY_SHARE * power.max() + 1e-30)
    rise = logarithm - _usual_of_rings(logarithm)[_ring_of()]
    places, starts, inside = _regions()
    share = power / max(float(power[inside].sum()), 1e-30)
    highest = np.maximum.reduceat(rise.reshape(-1)[places], starts)
    return np.array([*highest, *_facts(rise, rise, share), *_facts(share, rise, share)])


@lru_cache(maxsize=1)
def _peaks_of_nothing() -> Values:
    """Return what `_peaks` says of a plane of zeros, whatever its size."""
    return _peaks(np.zeros((SIDE, SIDE), np.float32))


def _power(spectrum: NDArray[np.complexfloating]) -> NDArray[np.floating]:
    """Return the squared magnitude."""
    return np.asarray(np.square(spectrum.real) + np.square(spectrum.imag))


def _usual_of_rings(logarithm: NDArray[np.floating]) -> Values:
    """Return the median of each ring, (rings,): all are ranked at once, each lifted above the one before."""
    places, ends = _rings()
    lift = float(logarithm.max() - logarithm.min()) + 1
    lifts = lift * np.arange(len(ends) - 1)
    ranked = np.sort(logarithm.reshape(-1)[places] + np.repeat(lifts, np.diff(ends)))
    low, high = (ranked[(ends[:-1] + ends[1:] - odd) // 2] for odd in (1, 0))
    return np.asarray((low + high) / 2 - lifts)


def _facts(by: NDArray[np.floating], rise: NDArray[np.floating], share: NDArray[np.floating]) -> list[float]:
    """Return rise, share of the power, rise of the second harmonic, ln wavenumber and direction of the greatest ``by``.

    A grating's walls have harmonics; a ripple is a sine.
    """
    wave, angle, down = _wavenumber(), _direction(), _down()
    row, col = np.unravel_index(int(np.argmax(np.where(_regions()[2], by, -np.inf))), by.shape)
    around = share[np.arange(row - 1, row + 2) % SIDE][:, max(col - 1, 0) : col + 2]
    twice_down, twice_along = 2 * int(down[row, 0]), 2 * int(col)
    harmonic = twice_along < rise.shape[1] and abs(twice_down) < SIDE // 2
    return [
        float(rise[row, col]), float(around.sum()), float(rise[twice_down % SIDE, twice_along]) if harmonic else 0.0,
        float(np.log(wave[row, col])), float(angle[row, col]) / 90,
    ]  # fmt: skip


def _peaks_of(lines: Values) -> Values:
    """Return rise over the median, share and ln place of the highest peak of each row less its parabola, (…, 3)."""
    count = lines.shape[-1]
    parabolas, _ = np.linalg.qr(np.vander(np.linspace(-1, 1, count), 3))
    rest = lines - (lines @ parabolas) @ parabolas.T
    power = _power(np.fft.rfft(rest * np.hanning(count)))[..., 1 : max(count // 4, 4)]
    whole = power.sum(axis=-1)
    logarithm = np.log(power + _TINY_SHARE * whole[..., None] + 1e-30)
    return np.stack(
        [
            logarithm[..., 1:].max(axis=-1) - medians(logarithm), power.max(axis=-1) / np.maximum(whole, 1e-30),
            np.log1p(np.argmax(power, axis=-1)),
        ],
        axis=-1,
    )  # fmt: skip


def _smooth(spectrum: Values) -> Values:
    half = _SMOOTH // 2
    return np.asarray(np.convolve(np.pad(spectrum, half, mode="edge"), np.full(_SMOOTH, 1 / _SMOOTH), "valid"))


@lru_cache(maxsize=1)
def _window() -> Image:
    line = np.hanning(SIDE).astype(np.float32)
    return line[:, None] * line[None, :]


@lru_cache(maxsize=1)
def _down() -> Values:
    return np.asarray(np.fft.fftfreq(SIDE, 1 / SIDE)[:, None])


@lru_cache(maxsize=1)
def _wavenumber() -> Values:
    """Return periods per frame, (128, 65)."""
    return np.asarray(np.hypot(_down(), np.arange(SIDE // 2 + 1)[None, :]))


@lru_cache(maxsize=1)
def _direction() -> Values:
    """Return the angle to the fast axis in degrees, 0..90, (128, 65)."""
    return np.degrees(np.arctan2(np.abs(_down()), np.arange(SIDE // 2 + 1)[None, :]))


@lru_cache(maxsize=1)
def _ring_of() -> NDArray[np.int64]:
    """Return which ring a wavenumber lies in, (128, 65), without a gap."""
    rings = np.round(_RINGS_PER_OCTAVE * np.log2(np.maximum(_wavenumber(), 1)))
    return np.unique(rings, return_inverse=True)[1].reshape(rings.shape)


@lru_cache(maxsize=1)
def _rings() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the flat places of all wavenumbers, ring by ring, and where each ring begins and the last ends."""
    rings = _ring_of().reshape(-1)
    return np.argsort(rings, kind="stable"), np.concatenate([[0], np.cumsum(np.bincount(rings))])


@lru_cache(maxsize=1)
def _regions() -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Return the flat places of each band and direction, one after the other, where each begins, and a mask of all."""
    wave, angle = _wavenumber(), _direction()
    places = [
        np.flatnonzero((wave >= low) & (wave < high) & (angle >= first) & (angle < last))
        for low, high in pairwise(_BANDS)
        for first, last in _DIRECTIONS
    ]
    starts = np.cumsum([0, *map(len, places[:-1])])
    return np.concatenate(places), starts, (wave >= _BANDS[0]) & (wave < _BANDS[-1])
