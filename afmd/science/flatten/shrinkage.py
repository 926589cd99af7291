"""What is the scanner's and what the sample's. Rule: nothing is taken off that the sample would do by itself.

A line offset is alike in every part of the line; the sample is not. So the spectrum of what the parts of the lines
say *against* each other shows how much of the offsets' own spectrum the sample explains; a Wiener filter leaves it in.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct
from scipy.optimize import nnls

from afmd.science.flatten.linesystem import BLOCKS, SURE_NM
from afmd.science.flatten.thinned import Floats, Thinned
from afmd.science.robust import TINY

Doubles = NDArray[np.float64]

HIGHEST_WAVE = 7
BOW_DOUBT = 8.0
"""A bow whose power is less than this many times what the sample's waves suggest is left in, as the sample's."""
LINE_DOUBT = 2.5
"""How many times what it shows elsewhere the sample is given credit for among the lines' offsets."""
TWIST_DWARFS = 60.0
"""A twist is the scanner's when its power exceeds that of the sample's waves this many times."""
TEXTURE_MODES = slice(1, 4)
"""Which waves along the line stand for the sample: long ones, but not the mean."""


def scanner_part(offsets: Doubles, discord: Doubles) -> Doubles:
    """Return the part of the (lines,) ``offsets`` that the sample's ``discord`` (lines, BLOCKS) cannot explain.

    Mean and tilt down the frame always count as the scanner's. Same unit as given.
    """
    line = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(offsets)), 1)
    smooth = line @ np.linalg.lstsq(line, np.column_stack([offsets, discord]), rcond=None)[0]
    rest = dct(offsets - smooth[:, 0], norm="ortho")
    modes = dct(dct(discord - smooth[:, 1:], axis=0, norm="ortho"), axis=1, norm="ortho")
    sample = (modes[1:, TEXTURE_MODES] ** 2).mean(axis=1) / BLOCKS
    rest[1:] *= wiener_gain(rest[1:] ** 2, sample)
    return np.asarray(smooth[:, 0] + idct(rest, norm="ortho"))


def smooth_part(shape: Doubles, power: Doubles) -> Doubles:
    """Return the shape along the lines without what waves of the sample explain.

    ``power``: see ``wave_power``. Waves that vary down the frame too are the sample's; their power tells what it would
    put into a bow by itself. The tilt always counts as the scanner's.
    """
    down, across = np.indices(power.shape)
    kept = shape.copy()
    for order in range(2, len(shape) + 1):
        alike = (down >= 1) & (across >= 1) & (np.abs(down + across - order - 0.5) <= 1)
        own = shape[order - 1] ** 2 / (2 * order + 1)
        kept[order - 1] *= max(0.0, 1 - BOW_DOUBT * float(power[alike].mean()) / max(own, TINY**2))
    return kept


def is_twisted(twist: float, power: Doubles) -> bool:
    """True where a twist (nm) dwarfs every other wave that varies both ways."""
    down, across = np.indices(power.shape)
    others = (down >= 1) & (across >= 1) & (down + across >= 3) & (down + across <= 5)
    return bool(twist**2 / 9 > TWIST_DWARFS * float(power[others].mean()))


def wave_power(rest: Floats, weight: Floats, frame: Thinned) -> Doubles:
    """Return the mean square of each Legendre wave (down, across) in ``rest``, nm².

    ``rest``: (lines, columns) nm, what the scanner leaves of the ground; ``weight``: each pixel's trust.
    """
    waves = np.arange(HIGHEST_WAVE + 1)
    down = np.polynomial.legendre.legvander(frame.down, HIGHEST_WAVE)
    across = np.polynomial.legendre.legvander(frame.across, HIGHEST_WAVE)
    own = down.T @ ((weight * rest) @ across.astype(np.float32))
    norm = (down**2).T @ (weight @ (across**2).astype(np.float32))
    return np.asarray((own / np.maximum(norm, 1e-9)) ** 2 / (2 * waves[:, None] + 1) / (2 * waves[None, :] + 1))


def wiener_gain(power: Doubles, sample: Doubles) -> Doubles:
    """Return signal / (signal + sample) for the modes 1, 2, … of a cosine transform, each in [0, 1].

    ``power``: of signal and sample together; ``sample``: of the sample alone, from elsewhere. The signal's spectrum is
    modelled as white noise, random walk and smooth drift: a + b / k² + c / k⁴ with a, b, c ≥ 0.
    """
    count = len(power)
    mode = np.arange(1, count + 1, dtype=np.float64)
    expected = LINE_DOUBT * _running_mean(sample, np.maximum(1, (0.35 * mode).astype(np.intp))) + SURE_NM**2
    shapes = np.column_stack([np.ones(count), mode**-2, mode**-4])
    first = np.unique(np.round(np.geomspace(1, count + 1, 24)).astype(np.intp))[:-1] - 1
    size = np.diff(np.append(first, count))

    def binned(values: Doubles) -> Doubles:
        return np.asarray((np.add.reduceat(values, first, axis=0).T / size).T)

    seen, known, design = binned(power), binned(expected), binned(shapes)
    amounts = np.zeros(3)
    for _ in range(4):
        error = (design @ amounts + known) / np.sqrt(size)
        amounts = nnls(design / error[:, None], (seen - known) / error)[0]
    signal = shapes @ amounts
    return np.asarray(signal / (signal + expected))


def _running_mean(values: Doubles, reach: NDArray[np.intp]) -> Doubles:
    """Return the mean over ``reach`` neighbours on either side, cut off at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    here = np.arange(len(values))
    low, high = np.maximum(here - reach, 0), np.minimum(here + reach + 1, len(values))
    return np.asarray((total[high] - total[low]) / (high - low))
