"""The wave that a profile of the frame is mostly made of: its frequency, to a fraction of a wave, and its height.

Rule: a smooth bend is no wave.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from afmd.science.flatten.thinned import Thinned
from afmd.science.robust import TINY

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

FEWEST_WAVES, MOST_WAVES = 2.0, 40.0
"""In the frame; fewer are a bend, more are texture."""
PROFILE_PX = 256
FINER = 16
"""Steps of the search for the frequency, per wave in the frame."""
ORDER = 3
"""Powers of the smooth bend that a profile may have besides its wave."""
STANDS_OUT = 0.5
"""Least share of the profile's variance that a wave must explain."""
OVERTONES, HIGHEST = 6, 0.4
"""Up to which multiple of a wave's frequency its overtones go with it, and to how many waves a pixel."""
ANGULAR, PLAIN = 0.1, 5.0
"""Least height of the overtones together, over the wave's, and over what the rest of the profile would leave of them:
lines with walls have .25 and 6 to 40 spreads, true ripples on DNA no more than 4 spreads."""


@dataclass(frozen=True, slots=True)
class Wave:
    """``axis``: 0 where the wave runs down the frame, 1 where along the lines. ``frequency``: per pixel.

    ``sine``, ``cosine``: of the ground's wave, nm. ``explains``: share of the profile's variance. ``gain``: share by
    which heights above the ground swing with it.
    """

    axis: int
    frequency: float
    sine: float
    cosine: float
    explains: float
    gain: float = 0.0

    @property
    def amplitude(self) -> float:
        """Half the height from trough to crest, nm."""
        return float(np.hypot(self.sine, self.cosine))

    def phase(self, places: Doubles) -> Doubles:
        """Return the wave's phase at ``places`` (pixels along the axis), radians: its sine is 1 on the crests."""
        return np.asarray(2 * np.pi * self.frequency * places + np.arctan2(self.cosine, self.sine))

    def at(self, places: Doubles) -> Doubles:
        """Return the ground's wave at ``places`` (pixels along the axis), nm."""
        angle = 2 * np.pi * self.frequency * places
        return np.asarray(self.sine * np.sin(angle) + self.cosine * np.cos(angle))

    def added(self, places: Doubles) -> Floats:
        """Return what the wave adds to the ground, float32 nm, to be broadcast over (rows, cols)."""
        return self._laid(self.at(places))

    def scale(self, places: Doubles) -> Floats:
        """Return how many times too great heights above the ground are, float32, to be broadcast over (rows, cols)."""
        return self._laid(1 + self.gain / self.amplitude * self.at(places))

    def off(self, frame: Thinned, shape: tuple[int, ...]) -> Thinned:
        """Return the frame without the ground's wave. ``shape``: of the whole scan."""
        return replace(frame, heights=frame.heights - self.added(places_of(frame, shape, self.axis)))

    def _laid(self, values: Doubles) -> Floats:
        return np.expand_dims(values.astype(np.float32), 1 - self.axis)


def strongest(at: Doubles, profile: Doubles, *, axis: int, length: int) -> Wave | None:
    """Return the strongest wave of a profile, beside a smooth bend, or None where none stands out."""
    at, profile = _binned(at, profile)
    if len(at) < 8 * FEWEST_WAVES:
        return None
    bend = bend_of(at, length)
    bare = profile - bend @ (bend.T @ profile)
    most = min(MOST_WAVES, len(at) / 4)
    frequency = _first_frequency(bare, most=most) / length
    for finer in (FINER, FINER**2):
        tried = frequency + np.linspace(-1, 1, 9) / (finer * length)
        frequency = float(tried[int(_explained(at, bare, bend, tried).argmax())])
    sine, cosine, left = _fitted(at, bare, bend, frequency)
    explains = 1 - left / max(float(bare @ bare), TINY**2)
    within = FEWEST_WAVES <= frequency * length <= most
    return Wave(axis, frequency, sine, cosine, explains) if within and explains > STANDS_OUT else None


def has_overtones(wave: Wave, at: Doubles, profile: Doubles, *, length: int) -> bool:
    """True where multiples of a wave's frequency stand in the profile, (n,) nm, with it.

    The lines of a grating have walls, and so overtones; what a standing wave adds is a sine. ``at``: places, px.
    """
    at, profile = _binned(at, profile)
    waves = multiples_of(wave, at)
    count = waves.shape[1] // 2
    design = np.column_stack([waves, bend_of(at, length)])
    if count < 2 or len(at) <= design.shape[1]:
        return False
    found = np.linalg.lstsq(design, profile, rcond=None)[0]
    heights = np.hypot(found[:count], found[count : 2 * count])
    spread = float((profile - design @ found).std() * np.sqrt(2 / len(at)))
    together = float(np.sqrt(np.square(heights[1:]).sum()))
    return bool(together > ANGULAR * heights[0] and together > PLAIN * spread * np.sqrt(count - 1))


def multiples_of(wave: Wave, at: Doubles) -> Doubles:
    """Return sines, then cosines, of a wave's frequency and its multiples at these places (n,) px, (n, 2 · count)."""
    multiples = np.arange(1, OVERTONES + 1)
    angle = 2 * np.pi * np.outer(at, multiples[multiples * wave.frequency < HIGHEST] * wave.frequency)
    return np.column_stack([np.sin(angle), np.cos(angle)])


def spectrum(flat: Floats) -> Floats:
    """Return half the height from trough to crest of every wave in ``flat`` (rows, cols; nm), seen through a Hann
    window: float32 nm, (waves down, negative ones last; waves along from 0 on)."""
    window = hann(flat.shape)
    level = flat - flat.mean(dtype=np.float64).astype(np.float32)
    return np.asarray(np.abs(fft.rfft2(level * window)) * np.float32(2 / window.sum(dtype=np.float64)))


def hann(shape: tuple[int, ...]) -> Floats:
    """Return a Hann window of ``shape`` (rows, cols), float32."""
    return np.outer(*(np.hanning(side) for side in shape)).astype(np.float32)


def places_of(frame: Thinned, shape: tuple[int, ...], axis: int) -> Doubles:
    """Return where the frame's lines (axis 0) or columns (1) lie in the whole scan, pixels."""
    return frame.rows.astype(np.float64) if axis == 0 else (frame.across + 1) / 2 * (shape[1] - 1)


def bend_of(at: Doubles, length: int) -> Doubles:
    """Return orthonormal columns that span every smooth bend at these places."""
    return np.linalg.qr(np.polynomial.legendre.legvander(2 * at / max(length - 1, 1) - 1, ORDER))[0]


def _binned(at: Doubles, profile: Doubles) -> tuple[Doubles, Doubles]:
    """Return means of neighbours, so that no more than ``PROFILE_PX`` are left."""
    every = -(-len(at) // PROFILE_PX)
    whole = len(at) // every * every
    return at[:whole].reshape(-1, every).mean(axis=1), profile[:whole].reshape(-1, every).mean(axis=1)


def _first_frequency(bare: Doubles, *, most: float) -> float:
    """Return how many waves the strongest line in the spectrum has, to a fraction of a wave."""
    power = np.abs(np.fft.rfft(bare * np.hanning(len(bare)), FINER * len(bare)))
    waves = np.arange(len(power)) / FINER
    power[(waves < FEWEST_WAVES) | (waves > most)] = 0
    return float(waves[int(power.argmax())])


def _fitted(at: Doubles, bare: Doubles, bend: Doubles, frequency: float) -> tuple[float, float, float]:
    """Return sine and cosine of this frequency, nm, and the sum of squares that they leave."""
    angle = 2 * np.pi * frequency * at
    design = np.column_stack([np.sin(angle), np.cos(angle)])
    design -= bend @ (bend.T @ design)
    best = np.linalg.lstsq(design, bare, rcond=None)[0]
    rest = bare - design @ best
    return float(best[0]), float(best[1]), float(rest @ rest)


def _explained(at: Doubles, bare: Doubles, bend: Doubles, frequencies: Doubles) -> Doubles:
    """Return how much of the sum of squares a wave of each of the (n,) frequencies explains, (n,)."""
    angle = 2 * np.pi * np.outer(frequencies, at)
    waves = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    waves -= (waves @ bend) @ bend.T
    pull, gram = waves @ bare, waves @ waves.swapaxes(1, 2)
    gram += TINY * np.eye(2)
    return np.asarray(np.einsum("ni,ni->n", pull, np.linalg.solve(gram, pull[..., None])[..., 0]))
