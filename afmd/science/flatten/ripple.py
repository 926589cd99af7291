"""A standing wave along one axis of the scanner: the ground rises and falls with it, and its gain may swing in step.

measured = true · (1 + gain · sine), where heights count from the scanner's zero, not from the ground (paper A, section
3.2.4). The wave is found as the line that the ground's mean profile is made of; the crests of the features tell the
gain, or, where they are too few, the texture of the ground, which swings as all heights do.

Rule: a wave is the scanner's where every feature swings in step with it, or where every part of the frame shows the
same low wave, aligned to the axis and of one frequency alone, or where the texture swings with a low wave. Any other
is the sample's, and every one on a lattice: that adds up to waves along the axes, and its crests beat with the lines;
or with overtones along the lines, which a grating's walls have. (Down the frame they may come of the fit of the lines.)
"""

from dataclasses import replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.lattice import is_a_lattice
from afmd.science.flatten.refine import Fit
from afmd.science.flatten.scanner import twisted
from afmd.science.flatten.thinned import Thinned
from afmd.science.flatten.waves import ORDER, PROFILE_PX, Wave, has_overtones, places_of, strongest
from afmd.science.robust import TINY, line_quantile, mad_sigma, narrow_sigma, shorth, tukey

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

DENSEST = 0.15
"""Share of a column that tells where its ground is; features may cover most of it."""
ALONE = 0.8
"""Least share of the profile's variance that a wave must explain without a gain to prove it."""
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
        at, profile, length = places_of(frame, shape, axis), _profile(fit, frame, axis), shape[axis]
        found = strongest(at, profile, axis=axis, length=length)
        if found is not None and found.amplitude < MOST_RELIEF * relief:
            lines = axis == 1 and has_overtones(found, at, profile, length=length)
            return None if lines else found
    return None


def scanners_own(wave: Wave, fit: Fit, frame: Thinned, shape: tuple[int, ...]) -> Wave | None:
    """Return the wave, with its gain, where it is surely the scanner's. ``fit``, ``frame``: once it has been taken off.

    Of features only crests are looked at, so that it does not matter how many flanks there are and what the tip makes
    of them. The greater of the two gains is taken: noise makes either smaller, never greater.
    """
    flat = fit.scanner.off(frame)
    if min(flat.shape) < FEWEST_PX:
        return None
    if is_a_lattice(flat, wave):
        return None
    row, col = np.nonzero(_crests(flat) & (flat > FEATURE_SIGMAS * narrow_sigma(fit.rest, fit.weight)))
    at, beside = (row, col) if wave.axis == 0 else (col, row)
    strip = beside * STRIPS // flat.shape[1 - wave.axis]
    places = places_of(frame, shape, wave.axis)
    crests = _crests_gain(wave, places[at], flat[row, col], strip)
    texture = _texture_gain(wave, places, flat, fit.weight > 0)
    sure = float(np.hypot(crests.sure, texture.sure)) > SURE
    gain = max(crests.size, texture.size) if sure else 0.0
    if crests.sure <= SURE and wave.amplitude > (LOW_WITH_TEXTURE if gain else LOW) * _relief(flat):
        return None
    return replace(wave, gain=gain) if gain or _is_alike_everywhere(wave, fit, frame, shape) else None


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


def _is_alike_everywhere(wave: Wave, fit: Fit, frame: Thinned, shape: tuple[int, ...]) -> bool:
    """True where strips of the frame, from top to bottom, each show the wave: nothing of it is left in any."""
    if wave.axis == 0 or wave.explains < ALONE:
        return False  # down the frame the lines' offsets hold it already
    angle = 2 * np.pi * wave.frequency * places_of(frame, shape, wave.axis)
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
