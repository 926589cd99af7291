"""A standing wave along one axis of the scanner: the ground rises and falls with it, and its gain may swing in step.

measured = true · (1 + gain · sine), where heights count from the scanner's zero, not from the ground (paper A, section
3.2.4). The wave is found as the line that the ground's mean profile is made of; the crests of the features tell the
gain, or, where they are too few, the texture of the ground, which swings as all heights do.

Rule: a wave is the scanner's where every feature swings in step with it, or where every part of the frame shows the
same low wave, aligned to the axis and of one frequency alone, or where the texture swings with a low wave. Any other
is the sample's, and every one on a lattice: that adds up to waves along the axes, and its crests beat with the lines.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from afmd.science.flatten.refine import Fit
from afmd.science.flatten.scanner import twisted
from afmd.science.flatten.thinned import Thinned
from afmd.science.robust import TINY, line_quantile, mad_sigma, narrow_sigma, shorth, tukey

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

FEWEST_WAVES, MOST_WAVES = 2.0, 40.0
"""In the frame; fewer are a bend, more are texture."""
PROFILE_PX = 256
FINER = 16
"""Steps of the search for the frequency, per wave in the frame."""
ORDER = 3
"""Powers of the smooth bend that a profile may have besides its wave."""
DENSEST = 0.15
"""Share of a column that tells where its ground is; features may cover most of it."""
STANDS_OUT, ALONE = 0.5, 0.8
"""Least share of the profile's variance that a wave must explain: to be looked at, and without a gain to prove it."""
MOST_RELIEF, LOW = 0.5, 0.15
"""Greatest amplitude as a share of the relief, likewise."""
LOW_WITH_TEXTURE = 0.3
"""The same where the texture swings too; half the relief is a grating's own."""
ALIKE = 0.5
"""How far the strips' own waves may lie from the whole frame's, as a share of its amplitude."""
FEATURE_SIGMAS = 5.0
FEWEST_CRESTS = 60
STRIPS = 8
FEWEST_PX = 2 * STRIPS
"""Lines, and columns, on which anything can be told of a wave."""
SURE = 5.0
"""Least gain in standard errors, by leaving out each strip across the wave in turn; features and texture together."""
GAIN_RANGE = (0.05, 0.9)
FIRST_GAINS = (0.0, 0.2, 0.4, 0.6)
IN_STEP = 0.5
"""Greatest swing of the features out of step with the ground, as a share of their swing in step."""
TURNS = 4
OFF_AXIS = 3
"""Bins of the spectrum that a wave along an axis takes up beside it."""
LATTICE, SHARP, BESIDE, LOOKED_AT = 0.15, 12.0, 9, 32
"""Least height of a lattice's line, as a share of the wave's amplitude, and over the median of so many bins around it:
true ripples on 18 frames of DNA had at most 4 there, gratings 70 and more. So many lines are looked at, the tallest."""


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
        return replace(frame, heights=frame.heights - self.added(_places(frame, shape, self.axis)))

    def _laid(self, values: Doubles) -> Floats:
        return np.expand_dims(values.astype(np.float32), 1 - self.axis)


class _Gain(NamedTuple):
    """By which share heights swing with a wave, and that in its standard errors; both 0 where it is no gain."""

    size: float
    sure: float

    @classmethod
    def judged(cls, size: float, out: float, error: float) -> Self:
        """Return a gain that lies within its range; ``out``: the swing out of step. All in parts of the height."""
        within = GAIN_RANGE[0] < size < GAIN_RANGE[1] and abs(out) < IN_STEP * size
        return cls(float(size), float(size / max(error, TINY))) if within else cls(0.0, 0.0)


def ground_wave(fit: Fit, frame: Thinned, shape: tuple[int, ...]) -> Wave | None:
    """Return the wave that the ground's profile is mostly made of, or None. ``shape``: of the whole scan."""
    relief = _relief(fit.scanner.off(frame))
    for axis in (1, 0):
        found = _strongest(_places(frame, shape, axis), _profile(fit, frame, axis), axis=axis, length=shape[axis])
        if found is not None and found.amplitude < MOST_RELIEF * relief:
            return found
    return None


def scanners_own(wave: Wave, fit: Fit, frame: Thinned, shape: tuple[int, ...]) -> Wave | None:
    """Return the wave, with its gain, where it is surely the scanner's. ``fit``, ``frame``: once it has been taken off.

    Of features only crests are looked at, so that it does not matter how many flanks there are and what the tip makes
    of them. The greater of the two gains is taken: noise makes either smaller, never greater.
    """
    flat = fit.scanner.off(frame)
    if min(flat.shape) < FEWEST_PX:
        return None
    if _is_a_lattice(flat, least=LATTICE * wave.amplitude):
        return None
    row, col = np.nonzero(_crests(flat) & (flat > FEATURE_SIGMAS * narrow_sigma(fit.rest, fit.weight)))
    at, beside = (row, col) if wave.axis == 0 else (col, row)
    strip = beside * STRIPS // flat.shape[1 - wave.axis]
    places = _places(frame, shape, wave.axis)
    crests = _crests_gain(wave, places[at], flat[row, col], strip)
    texture = _texture_gain(wave, places, flat, fit.weight > 0)
    sure = float(np.hypot(crests.sure, texture.sure)) > SURE
    gain = max(crests.size, texture.size) if sure else 0.0
    if crests.sure <= SURE and wave.amplitude > (LOW_WITH_TEXTURE if gain else LOW) * _relief(flat):
        return None
    return replace(wave, gain=gain) if gain or _is_alike_everywhere(wave, fit, frame, shape) else None


def _places(frame: Thinned, shape: tuple[int, ...], axis: int) -> Doubles:
    """Return where the frame's lines (axis 0) or columns (1) lie in the whole scan, pixels."""
    return frame.rows.astype(np.float64) if axis == 0 else (frame.across + 1) / 2 * (shape[1] - 1)


def _relief(flat: Floats) -> float:
    some = flat.ravel()[:: max(1, flat.size // 32768) | 1]
    low, high = (float(line_quantile(some[None], None, share)[0]) for share in (0.0005, 0.9995))
    return high - low


def _profile(fit: Fit, frame: Thinned, axis: int) -> Doubles:
    """Return the profile of the ground: each line's offset, or each column's usual height about the lines', nm."""
    if axis == 0:
        return fit.scanner.offsets
    return shorth(*_columns(fit, frame), share=DENSEST).astype(np.float64)


def _columns(fit: Fit, frame: Thinned) -> tuple[Floats, Floats]:
    """Return heights about the lines' offsets, nm, and votes of some of the lines, (columns, lines)."""
    every = slice(None, None, -(-len(frame.rows) // PROFILE_PX))
    rest = frame.heights[every] - fit.scanner.offsets[every, None].astype(np.float32)
    rest -= twisted(fit.scanner.twist, frame.down[every], frame.across)
    return np.ascontiguousarray(rest.T), np.ascontiguousarray(frame.votes[every].T)


def _strongest(at: Doubles, profile: Doubles, *, axis: int, length: int) -> Wave | None:
    """Return the strongest wave of a profile, beside a smooth bend, or None where none stands out."""
    at, profile = _binned(at, profile)
    if len(at) < 8 * FEWEST_WAVES:
        return None
    bend = _bend(at, length)
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


def _binned(at: Doubles, profile: Doubles) -> tuple[Doubles, Doubles]:
    """Return means of neighbours, so that no more than ``PROFILE_PX`` are left."""
    every = -(-len(at) // PROFILE_PX)
    whole = len(at) // every * every
    return at[:whole].reshape(-1, every).mean(axis=1), profile[:whole].reshape(-1, every).mean(axis=1)


def _bend(at: Doubles, length: int) -> Doubles:
    """Return orthonormal columns that span every smooth bend at these places."""
    return np.linalg.qr(np.polynomial.legendre.legvander(2 * at / max(length - 1, 1) - 1, ORDER))[0]


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


def _is_a_lattice(flat: Floats, *, least: float) -> bool:
    """True where ``flat`` repeats on a slant, by ``least`` nm or more: its spectrum has a sharp line off both axes."""
    every = tuple(slice(None, None, -(-side // PROFILE_PX)) for side in flat.shape)
    level = flat[every] - flat[every].mean(dtype=np.float64)
    window = np.outer(*(np.hanning(side) for side in level.shape))
    height = 2 / window.sum() * np.abs(fft.rfft2(level * window))
    off_axis = height[OFF_AXIS : 1 - OFF_AXIS, OFF_AXIS:]
    tallest = np.argsort(off_axis, axis=None)[-LOOKED_AT:]
    rows, cols = np.unravel_index(tallest[off_axis.flat[tallest] > least], off_axis.shape)
    near = np.arange(BESIDE) - BESIDE // 2
    down = np.clip(rows[:, None] + OFF_AXIS + near, 0, len(height) - 1)[:, :, None]
    along = np.clip(cols[:, None] + OFF_AXIS + near, 0, height.shape[1] - 1)[:, None, :]
    usual = np.median(height[down, along].reshape(len(rows), BESIDE**2), axis=1)
    return bool(np.any(off_axis[rows, cols] > SHARP * usual))


def _is_alike_everywhere(wave: Wave, fit: Fit, frame: Thinned, shape: tuple[int, ...]) -> bool:
    """True where strips of the frame, from top to bottom, each show the wave: nothing of it is left in any."""
    if wave.axis == 0 or wave.explains < ALONE:
        return False  # down the frame the lines' offsets hold it already
    angle = 2 * np.pi * wave.frequency * _places(frame, shape, wave.axis)
    design = np.column_stack([np.sin(angle), np.cos(angle), np.ones_like(angle)])
    left = []
    for weight, rest in zip(np.array_split(fit.weight, STRIPS), np.array_split(fit.rest, STRIPS), strict=True):
        held = design.T * weight.sum(axis=0, dtype=np.float64)
        pull = design.T @ (weight * rest).sum(axis=0, dtype=np.float64)
        left.append(np.linalg.lstsq(held @ design, pull, rcond=None)[0][:2])
    return float(np.sqrt(np.square(left).sum(axis=1).mean())) < ALIKE * wave.amplitude


def _crests(flat: Floats) -> NDArray[np.bool_]:
    """True where a pixel is the highest of three in a row or in a column."""
    crest = np.zeros(flat.shape, dtype=bool)
    for values, own in ((flat, crest), (flat.T, crest.T)):
        own[1:-1] |= (values[1:-1] > values[:-2]) & (values[1:-1] >= values[2:])
    return crest


def _crests_gain(wave: Wave, at: Doubles, height: Floats, strip: NDArray[np.intp]) -> _Gain:
    """Return by which share the (crests,) heights swing with the wave; none where they are few.

    ``at``: places along the wave. ``strip``: which strip across it each crest lies in.
    """
    if len(at) < FEWEST_CRESTS:
        return _Gain(0.0, 0.0)
    angle = wave.phase(at)
    basis = np.column_stack([np.ones_like(angle), np.sin(angle), np.cos(angle)])
    tried = [_settled(basis, height, strip, first) for first in FIRST_GAINS]
    (mean, swing, out), sums = min(tried, key=lambda one: _spread(basis, height, one[0]))
    others = np.array([_solved(sums.sum(axis=0) - own)[1] for own in sums])
    error = float(np.sqrt((STRIPS - 1) / STRIPS * np.square(others - others.mean()).sum()))
    return _Gain.judged(swing / mean, out / mean, error / abs(mean))


def _texture_gain(wave: Wave, at: Doubles, flat: Floats, ground: NDArray[np.bool_]) -> _Gain:
    """Return by which share the texture of the ``ground`` swings with the wave.

    ``at``: places along the wave. A detector's noise does not swing, so that this is at most the gain.
    """
    rough, own = np.abs(np.diff(flat, 2, axis=1)), ground[:, 1:-1]
    if wave.axis == 1:
        rough, own, at = np.ascontiguousarray(rough.T), np.ascontiguousarray(own.T), at[1:-1]
    strips = zip(*(np.array_split(array, STRIPS, axis=1) for array in (rough, own)), strict=True)
    parts = np.array([line_quantile(values, trusted, 0.5) for values, trusted in strips])
    parts = parts[np.isfinite(parts).any(axis=1)]
    if len(parts) < STRIPS // 2:
        return _Gain(0.0, 0.0)
    usual = np.nanmean(parts, axis=1, keepdims=True)
    shares = np.where(np.isnan(parts), usual, parts) / np.maximum(usual, TINY)
    angle = wave.phase(at)
    bend = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(at)), ORDER)
    swings = np.linalg.lstsq(np.column_stack([np.sin(angle), np.cos(angle), bend]), shares.T, rcond=None)[0][:2]
    gain, out = swings.mean(axis=1)
    return _Gain.judged(float(gain), float(out), float(swings[0].std(ddof=1)) / np.sqrt(len(parts)))


def _settled(basis: Doubles, height: Floats, strip: NDArray[np.intp], first: float) -> tuple[Doubles, Doubles]:
    """Return the robust fit that begins at the gain ``first``, and each strip's normal equations (3, 3 | 1)."""
    found = float(np.median(height / (1 + first * basis[:, 1]))) * np.array([1.0, first, 0.0])
    sums = np.zeros((STRIPS, 3, 4))
    for _ in range(TURNS):
        rest = height - basis @ found
        held = basis * tukey(rest, sigma=mad_sigma(rest)).astype(np.float64)[:, None]
        both = np.column_stack([basis, height])
        sums = np.array([held[own].T @ both[own] for own in (strip == number for number in range(STRIPS))])
        found = _solved(sums.sum(axis=0))
    return found, sums


def _spread(basis: Doubles, height: Floats, found: Doubles) -> float:
    """Return how unlike the heights still are once the swing has been taken out, 1 = as much as they are high."""
    return mad_sigma(height / np.maximum(basis @ found, max(0.1 * abs(found[0]), TINY)))


def _solved(sums: Doubles) -> Doubles:
    return np.asarray(np.linalg.lstsq(sums[:, :3], sums[:, 3], rcond=None)[0])
