"""The loop does not follow: tails where it comes down too late, lag, and ringing.

Rule: these follow the direction of motion, so that the retrace mirrors them; the background is too slow to matter.
"""

import numpy as np
from scipy import signal

from afmd.training.second.instrument import Instrument, Passes
from afmd.training.second.samples.grid import Heights, Mask


def parachute(rng: np.random.Generator, instrument: Instrument, strength: float, passes: Passes) -> Passes:
    """Behind steep falls the tip comes down at one rate a pixel; gentle slopes are followed."""
    rows, cols = instrument.specimen.shape
    relief = instrument.specimen.relief_nm
    falls = -np.diff(passes.trace - instrument.background.trace, axis=1)
    falls = falls[falls > 0]
    steep, gentle = (np.quantile(falls, 0.995), 1.3 * np.median(falls)) if falls.size else (1, 0)
    rate = max(steep / (1 + rng.uniform(4, 14) * strength**1.5), relief / (cols * 0.7))
    rate = max(min(rate, 0.22 * relief / max(strength, 0.15)), gentle, 0.006 * relief)
    touched = np.ones(rows, bool)
    if rng.random() < 0.3:
        touched = _stretch(rows, int(rng.integers(0, rows // 2)), rows // 2)

    def late(heights: Heights, background: Heights) -> Heights:
        return np.where(touched[:, None], _falling(heights - background, rate) + background, heights)

    return passes.each_over(instrument.background, late, moving=True)


def smear(rng: np.random.Generator, instrument: Instrument, strength: float, passes: Passes) -> Passes:
    """Everything comes late, by one share of what is left a pixel."""
    rows = instrument.specimen.shape[0]
    share = np.clip(rng.uniform(0.1, 0.4) / strength, 0.04, 0.9)
    weight = min(1, 0.6 + 0.4 * strength)
    touched = np.ones(rows, bool)
    if rng.random() < 0.4:
        first = int(rng.integers(0, rows // 2))
        touched = _stretch(rows, first, int(rows * rng.uniform(0.25, 0.6)))

    def smeared(heights: Heights, background: Heights) -> Heights:
        level = heights - background
        slow, _ = signal.lfilter([share], [1, -(1 - share)], level, axis=1, zi=(1 - share) * level[:, :1])
        return np.where(touched[:, None], heights + weight * (slow - level), heights)

    return passes.each_over(instrument.background, smeared, moving=True)


def ringing(rng: np.random.Generator, instrument: Instrument, strength: float, passes: Passes) -> Passes:
    """The loop answers every step with a wave that dies away; a sample that resonates with it is rung less."""
    relief = instrument.specimen.relief_nm
    period_px = rng.uniform(5, 16)
    damping = np.clip(rng.uniform(0.06, 0.25) / strength**0.7, 0.03, 0.6)
    gain, answer = _resonance(2 * np.pi / period_px, damping)
    weight = np.clip(rng.uniform(0.4, 0.9) * strength, 0.05, 1.5)
    settled = signal.lfilter_zi(gain, answer)

    def rung(heights: Heights, background: Heights) -> Heights:
        level = heights - background
        wave, _ = signal.lfilter(gain, answer, level, axis=1, zi=settled[None] * level[:, :1])
        return np.asarray(heights + weight * (wave - level))

    spread = (rung(passes.trace, instrument.background.trace) - passes.trace).std()
    weight = weight * min(1, 0.13 * relief * min(strength, 2) / max(spread, 1e-12))
    return passes.each_over(instrument.background, rung, moving=True)


def _resonance(pace: float, damping: float) -> tuple[list[float], list[float]]:
    """Return numerator and denominator of a filter of second order that passes a level; ``pace``: rad a pixel."""
    decay = np.exp(-damping * pace)
    turn = pace * np.sqrt(1 - damping**2)
    answer = [1, -2 * decay * np.cos(turn), decay * decay]
    return [sum(answer), 0, 0], answer


def _falling(heights: Heights, rate: float) -> Heights:
    """Return heights that come down by no more than ``rate`` a pixel."""
    result = heights.copy()
    columns = np.ascontiguousarray(heights.T)
    last = columns[0].copy()
    for col in range(1, len(columns)):
        last = np.maximum(columns[col], last - rate)
        result[:, col] = last
    return result


def _stretch(rows: int, first: int, count: int) -> Mask:
    chosen = np.zeros(rows, bool)
    chosen[first : first + count] = True
    return chosen
