"""Surfaces that repeat on a lattice: calibration gratings, arrays of holes or posts.

Where a lattice lies along the lines, every line through its holes differs from those between them, and a fit takes
that for offsets that rise and fall with the lattice's own period.

Rule: what repeats with the lattice is the sample's. A lattice shows as a sharp line in the spectrum off both axes,
where neither line offsets nor the scanner's shape can be.
"""

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.thinned import Floats
from afmd.science.flatten.waves import PROFILE_PX, Wave, bend_of, multiples_of, spectrum, strongest

Doubles = NDArray[np.float64]

OFF_AXIS = 3
"""Bins of the spectrum that a wave along an axis takes up beside it."""
LATTICE, SHARP, BESIDE, LOOKED_AT = 0.15, 12.0, 9, 32
"""Least height of a lattice's line, as a share of the wave's amplitude, and over the median of so many bins around it:
true ripples on 18 frames of DNA had at most 4 there, gratings 70 and more. So many lines are looked at, the tallest."""
EXPLAINS, FEWEST_WAVES, LEAST, SHARP_HERE = 0.65, 3.0, 0.1, 8.0
"""Share of the offsets that a wave with the lattice's period explains, and its waves in the frame, from which on it is
the lattice's; the same bounds as above for a line that lies just where the wave has its own."""


PARTS, SLOWEST_ASKEW = 8, 0.12
"""Into how many parts the lines are cut, and the highest frequency, per line, that is looked at."""
TURN, STEADY, UNEVEN = 0.6, 0.1, 0.15
"""By how much, in radians, a wave's phase must turn along the lines, how far it departs from that at most, as a share,
and how uneven the parts' waves are at most."""


def is_a_lattice(flat: Floats, wave: Wave) -> bool:
    """True where ``flat`` (lines, columns; nm) repeats on a slant: its spectrum has a sharp line off both axes.

    ``wave``: beside which the line must not be too low.
    """
    height = _thinned_spectrum(flat)
    off_axis = height[OFF_AXIS : 1 - OFF_AXIS, OFF_AXIS:]
    tallest = np.argsort(off_axis, axis=None)[-LOOKED_AT:]
    rows, cols = np.unravel_index(tallest[off_axis.flat[tallest] > LATTICE * wave.amplitude], off_axis.shape)
    return _sharpest(height, rows + OFF_AXIS, cols + OFF_AXIS) > SHARP


def without_lattices_wave(
    offsets: Doubles, flat: Floats, *, at: NDArray[np.intp], length: int, whole: Floats | None = None
) -> Doubles:
    """Return the (lines,) ``offsets`` without the wave that a lattice in ``flat`` (lines, columns) has put there; nm.

    Or a grating that lies a little askew in ``whole``, the same before offsets were taken off, of every pixel.
    ``at``: where the lines lie in a frame of ``length`` lines.
    """
    places = at.astype(np.float64)
    wave = strongest(places, offsets, axis=0, length=length)
    if wave is None or wave.frequency * length < FEWEST_WAVES:
        return offsets
    repeats = wave.explains >= EXPLAINS and _repeats_with(flat, wave, length)
    if not repeats and (whole is None or not lies_askew(whole, wave, places, length)):
        return offsets
    bend = bend_of(places, length)
    design = np.column_stack([bend, multiples_of(wave, places)])
    found = np.linalg.lstsq(design, offsets, rcond=None)[0]
    found[: bend.shape[1]] = 0
    return np.asarray(offsets - design @ found)


def _repeats_with(flat: Floats, wave: Wave, length: int) -> bool:
    """True where the spectrum has a sharp line, off the axis, just at the wave's own frequency down the frame."""
    if min(flat.shape) <= 2 * OFF_AXIS:
        return False
    height = _thinned_spectrum(flat)
    waves = round(wave.frequency * length)
    near = np.array([waves - 1, waves, waves + 1])
    rows = np.concatenate([near, -near]) % len(height)
    col = OFF_AXIS + int(height[rows, OFF_AXIS:].max(axis=0).argmax())
    row = int(rows[height[rows, col].argmax()])
    high = height[row, col] > LEAST * wave.amplitude
    return bool(high and _sharpest(height, np.array([row]), np.array([col])) > SHARP_HERE)


def lies_askew(whole: Floats, wave: Wave, places: Doubles, length: int) -> bool:
    """True where a wave's crests are not square to its axis: its phase turns steadily from one side to the other.

    What lines add, they add to all of their pixels at once; a slow tone of the instrument turns by its own phase within
    a line, which is less than this; and a scanner's own wave along the lines is alike on all of them. ``whole``: nm,
    the wave's axis first; ``places``: px along it, of ``length``.
    """
    if wave.frequency > SLOWEST_ASKEW or whole.shape[1] < 2 * PARTS:
        return False
    columns = np.array([np.median(part, axis=1) for part in np.array_split(whole, PARTS, axis=1)]).T
    angle = 2 * np.pi * wave.frequency * places
    design = np.column_stack([np.exp(1j * angle), np.exp(-1j * angle), bend_of(places, length)])
    found = np.linalg.lstsq(design, columns.astype(np.complex128), rcond=None)[0][0]
    size, phase = np.abs(found), np.unwrap(np.angle(found))
    across = np.linspace(-0.5, 0.5, PARTS)
    turn, middle = np.polyfit(across, phase, 1)
    departs = float((phase - turn * across - middle).std())
    return bool(abs(turn) > TURN and departs < STEADY * abs(turn) and size.std() < UNEVEN * size.mean())


def _thinned_spectrum(flat: Floats) -> Floats:
    """Return the spectrum of at most ``PROFILE_PX`` lines and columns of ``flat``, nm, (waves down, waves along)."""
    return spectrum(flat[tuple(slice(None, None, -(-side // PROFILE_PX)) for side in flat.shape)])


def _sharpest(height: Floats, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> float:
    """Return how many times the highest of these lines rises above the median of the bins around it; 0 for none."""
    if len(rows) == 0:
        return 0.0
    near = np.arange(BESIDE) - BESIDE // 2
    down = np.clip(rows[:, None] + near, 0, len(height) - 1)[:, :, None]
    along = np.clip(cols[:, None] + near, 0, height.shape[1] - 1)[:, None, :]
    usual = np.median(height[down, along].reshape(len(rows), BESIDE**2), axis=1)
    return float((height[rows, cols] / np.maximum(usual, np.finfo(np.float32).tiny)).max())
