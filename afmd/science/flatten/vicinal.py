"""Stairs that a fit laid flat as one ramp: vicinal steps too many, too narrow or too rough for levels to show.

On treads that lie whole steps apart exp(2πi · height / step) is one number. Once the mean slope of the stairs is taken
off, it turns with the place as a plane wave does, and where that wave stands in its Fourier spectrum tells the slope
that is missing. Every step height is tried; fine and rough stairs stand out long before a level does, because all
treads speak with one voice.

Rule: the peak must stand out of all that is as fine, and the scanner, fitted on the treads, must leave them level as on
no other slope; a grating's spectrum has other peaks as high. Blazed and dune-like surfaces differ from tilted stairs in
this alone: of stairs, what scanner and mount have added would have to undo their climb by chance.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from afmd.science.flatten.scanner import Scanner
from afmd.science.flatten.thinned import Floats, Thinned
from afmd.science.robust import TINY

Doubles = NDArray[np.float64]

MOST_SAMPLED = 96
"""Lines, and columns, that are looked at."""
PADDED = 1.3
"""Sides of a spectrum over those of what it is of, so that no peak falls between two bins."""
FEWEST_IN_SPAN, MORE_IN_SPAN, TRIES = 0.8, 0.2, 15
"""How many steps high a ramp's teeth may stand, with the texture and what lies on them: the first try, and how many
more each next one takes."""
OCTAVES = ((4.0, 8.0), (8.0, 16.0), (16.0, 32.0), (32.0, 45.0))
"""Steps in the frame: fewer show as levels, more are texture."""
VOICE = 0.1
"""Least share of the pixels that speak with one voice."""
STANDS_OUT, STANDS_OUT_ALONE = 2.0, 2.6
"""How many times higher than any other that is at least ``AS_FINE`` a peak must be; alone: where the raw heights do not
lean as the stairs do."""
AS_FINE = 0.6
APART = 2.0
"""Steps in the frame from where on two peaks are two."""
LEANS_SO, LEANS_OTHERWISE, LEANS_OTHERWISE_HIGH = 1.5, 4.0, 1.3
"""By how many times their own lean raw heights may differ from stairs, and from where on they contradict them; those
of high steps."""
CRYSTAL_NM = 12.0
"""How high the steps of a crystal may be, bunches among them. What has higher ones was mounted to lie flat, and is
rather a sawtooth."""
LEVELLED = 0.06
"""Raw heights that lean by less than this share of the stairs were levelled by the instrument, and tell nothing."""
LEVEL, NO_SLOPE = 1.45, 0.6
"""How many times higher than any other the peak of no slope, to within so many steps in the frame, must be at last."""
TURNS, PLANE_TURNS = 12, 3
"""Of the fit of step and ramp, and those of them in which the ramp is a plane."""
ON_A_TREAD = 0.25
"""In steps, from the nearest tread: what lies between is a rounded edge."""
LOWEST, HIGHEST = 0.45, 1.5
"""How far the step that is fitted may lie from the one that was tried, as shares of it."""
BESIDE_PX, NEARER = 3, 0.02
"""How far away pixels are beside, and what a pixel of distance costs, in steps between the two."""
ASTRAY = 0.3
"""In steps: how far the scanner fitted on the treads may lie from what they were found by."""


class Stairs(NamedTuple):
    """``step_nm``: height of a step. ``heights``: (lines, columns) nm, with the ramp given back.

    ``treads``: (lines, columns) nm, each pixel's own tread. Both float32.
    """

    step_nm: float
    heights: Floats
    treads: Floats

    def stand(self, frame: Thinned, scanner: Scanner) -> bool:
        """True where ``scanner``, fitted on the treads, leaves them where they were found, and level."""
        flat = scanner.off(frame)
        if float((flat - self.heights).std(dtype=np.float64)) > ASTRAY * self.step_nm:
            return False
        sample, trust = _sampled(flat, frame.votes)
        spectrum, steps = _spectrum(trust * _voices(sample, 1 / self.step_nm)), _slopes(sample.shape).steps
        return float(spectrum[steps < NO_SLOPE].max()) > LEVEL * float(spectrum[steps > APART].max())


class _Slopes(NamedTuple):
    """The slopes of a spectrum, in steps over the frame.

    ``down``: (rows,). ``across``: (columns,). ``steps``: (rows, columns), their length. ``octaves``: where in a
    flattened spectrum those of each of the ``OCTAVES`` are.
    """

    down: Doubles
    across: Doubles
    steps: Doubles
    octaves: list[NDArray[np.intp]]


class _Peak(NamedTuple):
    """``voice``: share of the pixels that speaks with one voice. ``down``, ``across``: in steps over the frame."""

    voice: float
    stands_out: float
    per_nm: float
    down: float
    across: float


def find_stairs(frame: Thinned, scanner: Scanner) -> Stairs | None:
    """Return the stairs that ``scanner`` has laid flat as a ramp, or None where there are none."""
    flat = scanner.off(frame)
    sample, trust = _sampled(flat, frame.votes)
    low, high = np.quantile(sample[trust > 0], (0.01, 0.99))
    sample -= (low + high) / 2
    peak = _loudest(sample, trust, span=max(high - low, TINY))
    if peak is None:
        return None
    step, ramp = _fitted(sample, trust, peak)
    if not LOWEST < step * peak.per_nm < HIGHEST:
        return None
    heights = flat - np.float32((low + high) / 2) - (_basis(flat.shape) @ ramp).astype(np.float32).reshape(flat.shape)
    alone = not leans_so(frame, heights)
    if (alone and peak.stands_out < STANDS_OUT_ALONE) or leans_otherwise(frame, heights, step_nm=step):
        return None
    return Stairs(step, heights, np.round(heights / np.float32(step)) * np.float32(step))


def leans_so(frame: Thinned, heights: Floats) -> bool:
    """True where the frame's raw heights lean as ``heights`` (lines, columns; nm) do, rather than not at all."""
    raw, _, apart = _leans(frame, heights)
    return apart < LEANS_SO * raw


def leans_otherwise(frame: Thinned, heights: Floats, *, step_nm: float) -> bool:
    """True where the frame's raw heights lean plainly otherwise than ``heights`` (lines, columns; nm) do.

    ``step_nm``: how high the steps of ``heights`` are; the higher ones are the sooner contradicted.
    """
    raw, own, apart = _leans(frame, heights)
    plainly = LEANS_OTHERWISE if step_nm < CRYSTAL_NM else LEANS_OTHERWISE_HIGH
    return raw > LEVELLED * own and apart > plainly * raw


def _leans(frame: Thinned, heights: Floats) -> tuple[float, float, float]:
    """Return how far the raw heights and ``heights`` rise over the frame, and how far the two planes lie apart, nm."""
    raw, own = (_plane(*_sampled(one, frame.votes)) for one in (frame.heights, heights))
    return float(np.hypot(*raw)), float(np.hypot(*own)), float(np.hypot(*(raw - own)))


def _plane(sample: Doubles, trust: Doubles) -> Doubles:
    """Return how far the least-squares plane rises over the frame, down and across, nm (2,)."""
    plane, weight = _basis(sample.shape)[:, :3], np.sqrt(trust.ravel())
    return np.asarray(np.linalg.lstsq(plane * weight[:, None], sample.ravel() * weight, rcond=None)[0][1:])


def _sampled(heights: Floats, votes: Floats) -> tuple[Doubles, Doubles]:
    """Return every so many of the pixels, or all where none of those is trusted, and their votes, whose sum is 1."""
    every = tuple(slice(None, None, -(-side // MOST_SAMPLED)) for side in heights.shape)
    if not votes[every].any():
        every = (slice(None), slice(None))
    trust = votes[every].astype(np.float64)
    return heights[every].astype(np.float64), trust / trust.sum()


def _voices(sample: Doubles, per_nm: float) -> NDArray[np.complex128]:
    """Return exp(2πi · height / step) of every pixel, for steps of 1 / ``per_nm``."""
    return np.asarray(np.exp(2j * np.pi * per_nm * sample))


def _spectrum(voices: NDArray[np.complex128]) -> Floats:
    """Return which share of the pixels speaks with one voice on each of the ``_slopes``, float32."""
    slopes = _slopes(voices.shape)
    return np.abs(fft.fft2(voices.astype(np.complex64), s=(len(slopes.down), len(slopes.across))))


@lru_cache(maxsize=4)
def _slopes(shape: tuple[int, int]) -> _Slopes:
    down, across = (fft.fftfreq(fft.next_fast_len(round(PADDED * side))) * side for side in shape)
    steps = np.hypot(down[:, None], across[None, :])
    return _Slopes(down, across, steps, [np.flatnonzero((steps >= one) & (steps < end)) for one, end in OCTAVES])


def _loudest(sample: Doubles, trust: Doubles, *, span: float) -> _Peak | None:
    """Return the peak that most pixels speak for, of those that stand out, over all step heights."""
    found, per_nm = [], FEWEST_IN_SPAN / span
    voices, turn = trust * _voices(sample, per_nm), _voices(sample, MORE_IN_SPAN / span)
    for _ in range(TRIES):
        found += _peaks(_spectrum(voices), _slopes(sample.shape), per_nm)
        voices *= turn
        per_nm += MORE_IN_SPAN / span
    return max(found, default=None)


def _peaks(spectrum: Floats, slopes: _Slopes, per_nm: float) -> list[_Peak]:
    """Return the highest peak of every octave that stands out."""
    found = []
    for octave in slopes.octaves:
        if not octave.size:
            continue
        place = octave[spectrum.ravel()[octave].argmax()]
        row, column = np.unravel_index(place, spectrum.shape)
        if (voice := float(spectrum[row, column])) >= VOICE:
            down, across = float(slopes.down[row]), float(slopes.across[column])
            near = np.ix_(np.abs(slopes.down - down) < APART, np.abs(slopes.across - across) < APART)
            others = np.where(slopes.steps > AS_FINE * slopes.steps[row, column], spectrum, 0)
            others[near] = 0
            if (stands_out := voice / float(others.max())) >= STANDS_OUT:
                found.append(_Peak(voice, stands_out, per_nm, down, across))
    return found


def _fitted(sample: Doubles, trust: Doubles, peak: _Peak) -> tuple[float, Doubles]:
    """Return the height of a step, and the ramp under which most pixels lie on a tread, a plane and then bent, as
    coefficients of ``_basis``; both in nm.

    Texture takes some pixels for those of another tread, which would make steps too low. So the treads of the pixels
    beside, along the stairs, stand in as instruments: they are the same, and their texture is another.
    """
    basis, pairs = _basis(sample.shape).reshape(*sample.shape, -1), _beside(sample.shape, peak)
    step, ramp = 1 / peak.per_nm, np.array([0.0, peak.down, peak.across, 0.0, 0.0, 0.0]) / peak.per_nm
    for turn in range(TURNS):
        off = sample - basis @ ramp
        zero = np.angle(np.sum(trust * _voices(off, 1 / step))) * step / (2 * np.pi)
        tread = np.round((off - zero) / step)
        weight = np.sqrt(trust) * np.maximum(0, 1 - ((off - zero - step * tread) / (ON_A_TREAD * step)) ** 2)
        known = basis.shape[2] if turn >= PLANE_TURNS else 3
        told = np.concatenate([tread[..., None], basis[..., :known]], axis=2)
        gram, pull = np.zeros((known + 1, known + 1)), np.zeros(known + 1)
        for own, other in pairs:
            instruments = np.concatenate([told[other][..., :1], told[own][..., 1:]], axis=2)
            instruments *= (weight[own] * weight[other])[..., None]
            flat = instruments.reshape(-1, known + 1).T
            gram += flat @ told[own].reshape(-1, known + 1)
            pull += flat @ sample[own].ravel()
        step, *ramp[:known] = np.linalg.lstsq(gram, pull, rcond=None)[0]
        if not LOWEST < step * peak.per_nm < HIGHEST:
            break
    return float(step), ramp


def _beside(shape: tuple[int, ...], peak: _Peak) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Return the pixels that have one beside them along the stairs, and those beside: either way."""
    ways = [(y, x) for y in range(BESIDE_PX + 1) for x in range(-BESIDE_PX, BESIDE_PX + 1) if (y, x) > (0, 0)]
    climb = [abs(y * peak.down / shape[0] + x * peak.across / shape[1]) + NEARER * np.hypot(y, x) for y, x in ways]
    along = np.array(ways[int(np.argmin(climb))])
    one, other = (
        tuple(slice(max(0, -by), side - max(0, by)) for by, side in zip(way, shape, strict=True))
        for way in (along, -along)
    )
    return [(one, other), (other, one)]


def _basis(shape: tuple[int, ...]) -> Doubles:
    """Return a constant, slopes and squares at every pixel, (pixels, 6); slopes rise by one over the frame."""
    y, x = (one.ravel() for one in np.meshgrid(*(np.linspace(-0.5, 0.5, side) for side in shape), indexing="ij"))
    return np.stack([np.ones_like(y), y, x, y * y, x * x, x * y], axis=1)
