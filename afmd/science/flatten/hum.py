"""Hum: one sinusoid over the whole frame that swings too fast from line to line to be a surface.

Mains and other steady tones add to every height. In a raster they become one sharp line of the spectrum, whose phase
steps by the same amount from each line to the next. No tip resolves a surface that swings within a few lines, over all
the frame in one phase: what does is the instrument's, and is taken off before anything else is looked at.

Rule: a wave that a sample could have, by its pitch or for want of one phase, is left alone.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, optimize

from afmd.science.flatten.waves import hann, spectrum

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Wavenumber = tuple[float, float]

FASTEST_SURFACE = 0.15
"""Cycles per line from which on no surface swings."""
LEAST_CYCLES = 3
"""Along the line: slower tones are offsets of the lines, and levelling knows these."""
SIDE = 256
"""Side of the part of a frame that is asked first, px."""
LEAST_SIDE = 64
SHARP, AROUND = 60.0, 12
"""How many times the spectrum's median so many bins around it a line must be."""
OF_A_LATTICE, CLOSE, FEWEST_PERIODS, OFF_AXIS = 20.0, 5, 4, 2
"""How many times the median so many bins around it a slow line is that is a grating's, from how many periods of it in a
frame on; the lines' offsets fill fewer bins along the line than the last."""
TILES, ONE_PHASE, EVEN = 4, 0.98, 0.25
"""Into how many parts along each side a frame is cut; how nearly they must swing in one phase, and how evenly."""
MOST = 3
"""A tone and two overtones, at most."""


class Tone(NamedTuple):
    """A wave over the whole frame: cycles per pixel (down, across), its amplitude, nm, and itself, float32, nm."""

    number: Wavenumber
    amplitude: float
    wave: Floats


def hum_in(heights: Floats) -> list[Tone]:
    """Return the tones of the hum in ``heights`` (rows, cols; nm), strongest first; none where there is no hum.

    Two tones of like strength, neither of which is the other's overtone, are a fine lattice's, and none.
    """
    tones: list[Tone] = []
    if min(heights.shape) < LEAST_SIDE or _sharpest(middle_of(heights)) is None:
        return tones
    rest = heights
    for _ in range(MOST):
        tone = _tone_in(rest)
        if tone is None:
            break
        if tones and tone.amplitude > tones[0].amplitude / 2 and not _is_overtone(tone, tones[0]):
            return []
        tones.append(tone)
        rest = rest - tone.wave
    return tones


def _is_overtone(tone: Tone, first: Tone) -> bool:
    """True where a tone has twice or three times the frequency of the first."""
    rows, cols = tone.wave.shape
    own, of_first = np.array(tone.number), np.array(first.number)
    away = [sign * own - times * of_first for sign in (1, -1) for times in range(2, MOST + 1)]
    return any((np.abs((one + 0.5) % 1 - 0.5) < (2 / rows, 2 / cols)).all() for one in away)


def _tone_in(heights: Floats) -> Tone | None:
    """Return the strongest tone, or None."""
    start = _sharpest(heights)
    if start is None:
        return None
    rows, cols = heights.shape
    window = hann(heights.shape)
    windowed = (heights - heights.mean()) * window
    wide = np.array([0.4 / rows, 0.4 / cols])
    simplex = np.array([start, start + wide * (1, 0), start + wide * (0, 1)])

    def missed(place: Doubles) -> float:
        return -abs(_pulled(windowed, (float(place[0]), float(place[1]))))

    place = optimize.fmin(
        missed, np.array(start), initial_simplex=simplex, xtol=1e-3 / max(rows, cols), ftol=np.inf, disp=False
    )
    number = float(place[0]), float(place[1])
    if not _in_one_phase(heights, number):
        return None
    amplitude = 2 * _pulled(windowed, number) / window.sum(dtype=np.float64)
    down, across = _phases(rows, number[0]), _phases(cols, number[1])
    wave = (amplitude * np.outer(down.conj(), across.conj())).real.astype(np.float32)
    return Tone(number, abs(amplitude), wave)


def _sharpest(heights: Floats) -> Wavenumber | None:
    """Return where the spectrum's highest fast line is, cycles per pixel (down, across), or None where it is not sharp.

    Or where a slow line is: of a grating or a lattice, whose overtones are as fast.
    """
    rows, cols = heights.shape
    size = spectrum(heights)
    down, across = fft.fftfreq(rows), fft.rfftfreq(cols)
    fast = (np.abs(down) >= FASTEST_SURFACE)[:, None] & (np.arange(across.size) >= LEAST_CYCLES)
    slow = (np.abs(down) < FASTEST_SURFACE)[:, None] & (np.arange(across.size) >= OFF_AXIS)
    slow &= np.hypot(rows * down[:, None], np.arange(across.size)) >= FEWEST_PERIODS
    place, height, sharpness = line_of(size, fast, reach=AROUND)
    _, other, how_sharp = line_of(size, slow, reach=CLOSE)
    if sharpness <= SHARP or (how_sharp > OF_A_LATTICE and other > height / 2):
        return None
    return float(down[place[0]]), float(across[place[1]])


def line_of(size: Floats, among: NDArray[np.bool_], *, reach: int) -> tuple[tuple[int, int], float, float]:
    """Return the bin of a spectrum's highest line ``among`` some bins, its height, nm, and that over the median of
    those within ``reach``."""
    rows, cols = size.shape
    line, column = divmod(int(np.where(among, size, 0).argmax()), cols)
    around = np.ix_(
        np.arange(line - reach, line + reach + 1) % rows,
        np.arange(max(0, column - reach), min(cols, column + reach + 1)),
    )
    known = size[around][among[around]]
    middle = float(np.median(known)) if known.size else np.inf
    height = float(size[line, column])
    return (line, column), height, height / middle if middle else 0.0


def _in_one_phase(heights: Floats, number: Wavenumber) -> bool:
    """True where all parts of a frame swing alike, with so many cycles per pixel (down, across)."""
    rows, cols = (side // TILES for side in heights.shape)
    window, parts = hann((rows, cols)), []
    for top in range(0, TILES * rows, rows):
        for left in range(0, TILES * cols, cols):
            part = heights[top : top + rows, left : left + cols]
            turn = np.exp(-2j * np.pi * (number[0] * top + number[1] * left))
            parts.append(_pulled((part - part.mean()) * window, number) * turn)
    pulled = np.array(parts)
    size = np.abs(pulled)
    return bool(abs(pulled.mean()) > ONE_PHASE * size.mean() and size.std() < EVEN * size.mean())


def _pulled(windowed: Floats, number: Wavenumber) -> complex:
    """Return the sum of ``windowed`` times the conjugate wave; in float32, for this is asked some dozens of times."""
    down = _phases(windowed.shape[0], number[0])
    lines = np.stack([down.real, down.imag]).astype(np.float32) @ windowed
    return complex((lines[0] + 1j * lines[1]) @ _phases(windowed.shape[1], number[1]))


def _phases(count: int, number: float) -> NDArray[np.complex128]:
    """Return the conjugate of a wave of ``number`` cycles per pixel at so many pixels, (count,)."""
    return np.asarray(np.exp(-2j * np.pi * number * np.arange(count)))


def middle_of(heights: Floats) -> Floats:
    """Return the part in the middle, at most ``SIDE`` lines and columns (a view)."""
    top, left = (max(0, (side - SIDE) // 2) for side in heights.shape)
    return heights[top : top + SIDE, left : left + SIDE]
