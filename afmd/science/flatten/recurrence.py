"""A grating whose lines run along the fast axis looks like line offsets that jump to and fro by one height.

Rule: the scanner slips now and then, by any amount; what comes back again and again to the same two heights is the
sample's.
"""

import numpy as np
from numpy.typing import NDArray

from afmd.science.robust import narrow_sigma

Doubles = NDArray[np.float64]

EDGE = 4
"""Lines that an edge may take."""
STANDS_OUT = 5.0
ALIKE = 0.15
MOSTLY = 0.7
FEWEST_EDGES = 6
LEAST_SHARE = 0.15


def without_recurring_levels(offsets: Doubles) -> Doubles:
    """Return the (lines,) offsets without a square wave that the sample must have made; nm."""
    lines = len(offsets)
    if lines < 4 * EDGE:
        return offsets
    rise = offsets[EDGE:] - offsets[:-EDGE]
    far = np.abs(rise) > STANDS_OUT * narrow_sigma(rise)
    if not far.any():
        return offsets
    height = float(np.median(np.abs(rise[far])))
    far &= np.abs(rise) > height / 2
    sign = np.where(far, np.sign(rise), 0.0)
    starts = np.flatnonzero((sign != 0) & (np.concatenate([[0.0], sign[:-1]]) != sign))
    up = _states(starts, sign, lines)
    if not _is_square_wave(np.abs(rise[far]), height, sign[starts], up):
        return offsets
    edges = np.zeros(lines, dtype=bool)
    for shift in range(EDGE + 1):
        edges[shift : shift + len(rise)] |= far
    flat = np.flatnonzero(~edges)
    if flat.size == 0:
        return offsets
    return np.interp(np.arange(lines), flat, (offsets - height * up)[flat])


def _states(starts: NDArray[np.intp], sign: Doubles, lines: int) -> Doubles:
    """Return 1 for each line on the upper level and 0 for each on the lower one."""
    wave = np.zeros(lines)
    np.add.at(wave, starts + EDGE // 2, sign[starts])
    wave = np.cumsum(wave)
    return np.asarray(wave - wave.min())


def _is_square_wave(rises: Doubles, height: float, signs: Doubles, up: Doubles) -> bool:
    """True where edges are many, alike, in turn up and down, and both levels are visited often."""
    alike = float(np.mean(np.abs(rises - height) < ALIKE * height))
    share = float(np.mean(up > 0.5))
    in_turn = len(signs) >= FEWEST_EDGES and bool((signs[1:] == -signs[:-1]).all())
    return in_turn and alike >= MOSTLY and LEAST_SHARE < share < 1 - LEAST_SHARE
