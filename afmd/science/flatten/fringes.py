"""Fringes: laser light that the sample reflects into the detector beside the cantilever's own.

Both interfere, and the heights rise and fall by some nanometres, a few times over the frame and in any direction. On a
flat and shiny sample that is more than its steps. Found as the one wave in what levelling has left, and taken off where
the surface is far tidier without it: flatter, less steep, its levels sharper.

Rule: a wave that light cannot make, that has overtones, or that is all there is of the relief, is the sample's.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from afmd.domain.levelling import Disturbance, DisturbanceKind
from afmd.science.flatten.guesses import Leftover, leftover
from afmd.science.flatten.scanner import Scanner
from afmd.science.flatten.terms import Ground
from afmd.science.flatten.thinned import Floats, Thinned, thinned
from afmd.science.robust import TINY, middle

Doubles = NDArray[np.float64]
Waves = tuple[float, float]

FEWEST, MOST = 1.5, 24.0
"""Waves over the frame: fewer are a bend of the scanner, more a texture's."""
SHORTEST_NM, HIGHEST_NM = 400.0, 12.0
"""The least distance of two fringes, half a wavelength of the light of such lasers and some, and their greatest
amplitude, a small part of it."""
PER_WAVE = 4
"""Steps of the search, per wave over the frame."""
SAMPLED = 80
"""Lines and columns that are looked at, at least, where there are so many."""
STANDS_OUT, APART = 2.0, 2.0
"""How many times higher than any other that is so many waves away."""
AMONG_ALIKE, FEWEST_AMONG_ALIKE = 1.5, 2.5
"""The same, where each is measured by the mean of those that are as many, beside steps higher than the fringes; and
from how many waves over the frame on there are enough of these."""
OVERTONES, OVERTONE, SHARP = (2, 3), 0.04, 8.0
"""Multiples of a grating's wave, which has walls or ridges: how high, as a share of it, and as a multiple of what is
around, these must be for it to be one."""
AROUND = 2.5 * np.array([(np.cos(turn), np.sin(turn)) for turn in np.linspace(0, 2 * np.pi, 12, endpoint=False)])
OUTLIERS = (0.01, 0.99)
TIDIER, WIDER, FLATTER, RELIEF_LEFT = 0.9, 1.02, 0.8, 0.3
"""By how much, in ln nm, the surface must be tidier without; to which share its levels' width and its slope must sink;
which share of its span must be left."""
TURNS, FAR = 6, 1.5
"""Of the robust fit, and from how many usual departures on a pixel counts little."""


class Fringes(NamedTuple):
    """``wave``: float32 (rows, cols) nm, the sinusoid that ``disturbance`` tells of."""

    wave: Floats
    disturbance: Disturbance


def fringes_left(ground: Ground) -> Fringes | None:
    """Return the fringes in the heights of levelled ``ground``, or None."""
    frame = thinned(ground)
    number = _number_of(frame)
    if number is None:
        return None
    rows, cols = ground.heights.shape
    pitch = np.array(ground.pixel_nm)
    period_nm = 1 / max(float(np.hypot(*(np.array(number) / (pitch * (rows, cols))))), TINY)
    sine, cosine = _fitted(frame, number)
    amplitude = float(np.hypot(sine, cosine))
    if period_nm < SHORTEST_NM or amplitude > HIGHEST_NM:
        return None

    def at(down: Doubles, across: Doubles) -> Floats:
        phase = np.pi * (number[0] * down[:, None] + number[1] * across[None, :])
        return (sine * np.sin(phase) + cosine * np.cos(phase)).astype(np.float32)

    before, after = _look(frame), _look(replace(frame, heights=frame.heights - at(frame.down, frame.across)))
    if not (_tidier_without(before, after) and RELIEF_LEFT * before.span_nm < after.span_nm < before.span_nm):
        return None
    told = Disturbance(DisturbanceKind.FRINGES, amplitude, number[0] / rows, number[1] / cols)
    return Fringes(at(np.linspace(-1, 1, rows), np.linspace(-1, 1, cols)), told)


def _tidier_without(before: Leftover, after: Leftover) -> bool:
    """True where the surface is far tidier after than before, by each of the signs."""
    tidier = after.disorder < before.disorder - TIDIER
    no_wider = after.substrate.sigma < WIDER * before.substrate.sigma
    return tidier and no_wider and after.slope_nm < FLATTER * before.slope_nm


def _look(frame: Thinned) -> Leftover:
    return leftover(frame, Scanner(np.zeros(1), np.zeros(len(frame.rows))))


def _number_of(frame: Thinned) -> Waves | None:
    """Return how many waves of the strongest kind run over the frame (down, across), or None where none stands out."""
    lines, columns = (slice(None, None, max(1, side // SAMPLED)) for side in frame.heights.shape)
    votes, lines_at, columns_at = frame.votes[lines, columns], frame.down[lines], frame.across[columns]
    heights = frame.heights[lines, columns]
    if np.count_nonzero(votes) < SAMPLED:
        return None
    heights = np.clip(heights, *np.quantile(heights[votes > 0], OUTLIERS))
    weight = votes * np.outer(1 - lines_at**2, 1 - columns_at**2)
    pull = weight * (heights - (weight * heights).sum() / max(float(weight.sum()), TINY))
    down, across = np.arange(-MOST, MOST + 0.1, 1 / PER_WAVE), np.arange(0, MOST + 0.1, 1 / PER_WAVE)
    size = np.abs(_turns(down, lines_at) @ pull @ _turns(across, columns_at).T)
    first = _standing_out(size, down, across)
    if first is None:
        return None

    def missed(number: Doubles) -> float:
        return -abs(complex(_turns(number[:1], lines_at)[0] @ pull @ _turns(number[1:], columns_at)[0]))

    found = optimize.fmin(missed, np.array(first), xtol=1e-3, ftol=np.inf, disp=False)
    for times in OVERTONES:
        own = -missed(times * found)
        around = np.median([-missed(times * found + beside) for beside in AROUND])
        if own > -OVERTONE * missed(found) and own > SHARP * around:
            return None
    return float(found[0]), float(found[1])


def _standing_out(size: Doubles, down: Doubles, across: Doubles) -> Waves | None:
    """Return the wave that stands out of all, or, beside higher steps, of those that are as many; None without one.

    ``size``: of each number of waves over the frame, (down, across).
    """
    many = np.hypot(down[:, None], across[None, :])
    size = size * np.where(many < FEWEST, 0, np.sqrt(many))
    first, stands_out = _strongest(size, down, across)
    if stands_out > STANDS_OUT:
        return first
    first, stands_out = _strongest(_among_alike(size, many), down, across)
    return first if stands_out > AMONG_ALIKE else None


def _strongest(size: Doubles, down: Doubles, across: Doubles) -> tuple[Waves, float]:
    """Return the highest of the waves (down, across), and how many times higher it is than any that lies apart."""
    line, column = divmod(int(size.argmax()), len(across))
    first = (float(down[line]), float(across[column]))
    away = [np.hypot(down[:, None] - sign * first[0], across[None, :] - sign * first[1]) for sign in (1, -1)]
    others = size[(away[0] >= APART) & (away[1] >= APART)]
    return first, float(size[line, column] / max(others.max(initial=0), TINY))


def _among_alike(size: Doubles, many: Doubles) -> Doubles:
    """Return each wave's size over the geometric mean of all that are as many over the frame; 0 for the fewest."""
    count = many.round().astype(np.intp).ravel()
    logarithm = np.log(np.maximum(size, TINY)).ravel()
    usual = np.bincount(count, logarithm) / np.maximum(np.bincount(count), 1)
    return np.where(many < FEWEST_AMONG_ALIKE, 0, np.exp(logarithm - usual[count]).reshape(size.shape))


def _turns(number: Doubles, place: Doubles) -> NDArray[np.complex128]:
    """Return conjugate waves, (waves, places); ``place``: −1 … 1 over the frame."""
    return np.asarray(np.exp(-1j * np.pi * np.outer(number, place)))


def _fitted(frame: Thinned, number: Waves) -> tuple[float, float]:
    """Return sine and cosine of the wave, nm, by robust least squares."""
    phase = np.pi * (number[0] * frame.down[:, None] + number[1] * frame.across[None, :]).ravel()
    design = np.column_stack([np.sin(phase), np.cos(phase), np.ones_like(phase)])
    votes, heights = frame.votes.ravel().astype(np.float64), frame.heights.ravel().astype(np.float64)
    weight, found = votes, np.zeros(3)
    for _ in range(TURNS):
        pull = design.T * weight
        found = np.linalg.lstsq(pull @ design, pull @ heights, rcond=None)[0]
        rest = heights - design @ found
        usual = max(middle(np.abs(rest[votes > 0])), TINY)
        weight = votes / (1 + (rest / (FAR * usual)) ** 2)
    return float(found[0]), float(found[1])
