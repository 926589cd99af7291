"""Hum whose phase is another in every line: one tone along each, as strong in all.

Mains and lines are not always in step: the scan's pace is not quite even, or each line waits for a trigger. Then a tone
is no sharp line of the frame's spectrum, but still one of every single line's (compare `hum`). Lines side by side show
the same surface, so that what has nearly one amplitude in all of them, and another phase in each, is the instrument's.

Rule: a wave that goes on from line to line is the sample's, unless it swings within a few of them; so is a grating's
overtone.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from afmd.science.flatten.hum import CLOSE, FASTEST_SURFACE, LEAST_SIDE, OF_A_LATTICE, Tone, line_of, middle_of
from afmd.science.flatten.waves import spectrum
from afmd.science.robust import SIGMA_PER_MAD, TINY, median, middle

Floats = NDArray[np.float32]
Complexes = NDArray[np.complex128]

ORDER = 3
PADDED = 4
LINES = 96
"""About so many lines are asked first."""
SLOWEST = 6
"""Fewest cycles along a line."""
AROUND = 20
SHARP = 25.0
"""How many times the power of the usual frequency so many cycles around it a tone has, in the median of all lines."""
EVEN = 0.33
"""Greatest spread of the lines' amplitudes, over their median: noise in a narrow band has half."""
OUT_OF_STEP = 0.5
"""Which share of all lines must be out of step with the one before by more than any surface."""
COHERENT = 0.8
"""How nearly both halves of a line must swing in one phase."""
STEADY = 0.7
"""From which resultant on the steps of phase from line to line are one."""
MOST_TIMES, ASIDE = 12, 0.75
"""Highest overtone, and by how many bins times its number it may lie aside."""


def line_hum_in(heights: Floats) -> Tone | None:
    """Return the tone in ``heights`` (rows, cols; nm), or None where there is none that is surely hum.

    Its cycles down the frame are the lines' usual step of phase; the wave has the phase of each line.
    """
    if min(heights.shape) < LEAST_SIDE:
        return None
    frequency = _sharpest(_without_course(heights[:: max(1, len(heights) // LINES)]))
    if frequency is None:
        return None
    rest = _without_course(heights)
    lines = _pulled(rest, frequency)
    size = np.abs(lines)
    amplitude = median(size)
    if SIGMA_PER_MAD * median(np.abs(size - amplitude)) > EVEN * amplitude:
        return None
    turn = lines[1:] * lines[:-1].conj()
    apart = np.abs(np.angle(turn)) / (2 * np.pi)
    if np.mean(apart >= FASTEST_SURFACE) < OUT_OF_STEP or _coherence(rest, frequency) < COHERENT:
        return None
    step = complex((turn / np.maximum(np.abs(turn), TINY)).mean())
    number = float(np.angle(step) / (2 * np.pi)), frequency
    if _is_overtone(number, heights, amplitude=amplitude, steady=abs(step) >= STEADY):
        return None
    swing = np.exp(2j * np.pi * frequency * np.arange(heights.shape[1]))
    wave = (amplitude * np.outer(lines / np.maximum(size, TINY), swing)).real.astype(np.float32)
    return Tone(number, amplitude, wave)


def _without_course(heights: Floats) -> Floats:
    """Return the heights, nm, less a polynomial along each line."""
    rest, course = heights - np.float32(heights.mean()), _courses(heights.shape[1])
    return np.asarray(rest - (rest @ course) @ course.T)


def _courses(cols: int) -> Floats:
    """Return orthonormal polynomials along a line, (cols, powers)."""
    return np.linalg.qr(np.vander(np.linspace(-1, 1, cols), ORDER + 1))[0].astype(np.float32)


def _sharpest(rest: Floats) -> float | None:
    """Return the frequency of the sharpest tone that most lines share, cycles per pixel, or None without one."""
    rows, cols = rest.shape
    steps = np.diff(rest, axis=1) * np.hanning(cols - 1).astype(np.float32)
    length = fft.next_fast_len(PADDED * cols, real=True)
    power = np.sort(np.square(np.abs(fft.rfft(steps, length, axis=1))), axis=0)[rows // 2]
    around = ndimage.median_filter(power, 2 * AROUND * PADDED + 1, mode="nearest")
    sharp = power / np.maximum(around, TINY)
    sharp[: SLOWEST * PADDED] = 0
    best = int(sharp.argmax())
    if sharp[best] < SHARP:
        return None
    near = (best + np.linspace(-1, 1, 21)) / length
    return float(near[int(np.argmax([middle(np.abs(_pulled(rest, one))) for one in near]))])


def _is_overtone(number: tuple[float, float], heights: Floats, *, amplitude: float, steady: bool) -> bool:
    """True where a sharp line of the frame's spectrum is higher than the tone and has it for an overtone: a grating's.

    ``number``: the tone's cycles per pixel (down, across), the first of which tells nothing unless it is ``steady``.
    """
    part = middle_of(heights)
    part = part - part.mean(axis=1, keepdims=True)
    course = _courses(part.shape[1])
    part -= (part.mean(axis=0) @ course) @ course.T
    size, (rows, cols) = spectrum(part), part.shape
    off_axis = np.broadcast_to(np.arange(size.shape[1]) > 0, size.shape)
    (down, across), height, sharpness = line_of(size, off_axis, reach=CLOSE)
    if height < amplitude or sharpness < OF_A_LATTICE:
        return False
    times = np.arange(2, MOST_TIMES + 1)
    reach = ASIDE * times
    aside = np.abs(cols * number[1] - times * across) < reach
    if steady or across < SLOWEST:
        apart = number[0] - times * down / rows
        aside &= np.abs(rows * (apart - np.round(apart))) < reach
    return bool(aside.any())


def _pulled(rest: Floats, frequency: float) -> Complexes:
    """Return the tone's complex amplitude in each line, nm, (rows,), under a Hann window."""
    cols = rest.shape[1]
    window = np.hanning(cols + 2)[1:-1]
    swing = window * np.exp(-2j * np.pi * frequency * np.arange(cols)) * 2 / window.sum()
    return np.asarray(rest @ swing.real.astype(np.float32) + 1j * (rest @ swing.imag.astype(np.float32)))


def _coherence(rest: Floats, frequency: float) -> float:
    """Return how nearly the halves of each line swing in one phase, -1 … 1, in the mean of the lines."""
    half = rest.shape[1] // 2
    left, right = _pulled(rest[:, :half], frequency), _pulled(rest[:, half : 2 * half], frequency)
    return float(np.cos(np.angle(left * right.conj()) + 2 * np.pi * frequency * half).mean())
