"""The tip is off the surface or slips on it, for some lines or parts of them: lost lines, lift-off, jumps.

Rule: these are events in time, of which the retrace shows its own.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from afmd.training.second.instrument import Instrument, Passes
from afmd.training.second.samples.fields import between
from afmd.training.second.samples.grid import Heights, Mask


def lost_lines(rng: np.random.Generator, instrument: Instrument, strength: float, passes: Passes) -> Passes:
    """Bunches of lines, or parts of them, that hold a level, noise, a walk, or next to nothing of the surface."""
    rows, cols = instrument.specimen.shape
    relief = instrument.specimen.relief_nm
    share = rng.uniform(0.01, 0.12) * min(strength, 1.5)
    thin = rng.random() < 0.3 or strength < 0.5
    lines = np.nonzero(_bunches(rng, rows, share, thin=thin))[0]
    form = str(rng.choice(["flat", "noisy", "wander", "offset"]))
    partly = rng.random() < 0.35
    level = np.median(passes.trace[lines[0]]) + relief * rng.normal(0, 0.8)

    def lost(heights: Heights, background: Heights) -> Heights:
        result = heights.copy()
        for row in lines:
            part = _part(rng, cols) if partly else slice(0, cols)
            if part.stop - part.start < 2:
                continue
            line = result[row]
            held = float(np.median(background[row])) if form == "noisy" else level
            other = _other(rng, form, line, part=part, level=held, relief=relief)
            line[part] = other if strength > 0.6 else (line[part] + strength * (other - line[part]))
        return result

    return passes.each_over(instrument.background, lost, moving=False)


def lift_off(rng: np.random.Generator, instrument: Instrument, strength: float, passes: Passes) -> Passes:
    """From one moment to another the scanner stands at a level above or below all, nearly without noise."""
    rows, cols = instrument.specimen.shape
    relief = instrument.specimen.relief_nm
    count = max(2, int(rows * rng.uniform(0.03, 0.35) * strength))
    off = _off(rng, rows, cols, count=count)
    if rng.random() < 0.6:
        level = passes.trace.max() + relief * rng.uniform(0.1, 2)
    else:
        level = passes.trace.min() - relief * rng.uniform(0.1, 2)
    gain = np.where(off, rng.choice([0, 0.3]), 1.0)
    wobble = relief * 0.005 * rng.standard_normal((rows, cols))
    trace = np.where(off, level + wobble, passes.trace)
    retrace = None if passes.retrace is None else np.where(off, level + wobble[:, ::-1], passes.retrace)
    return replace(passes, trace=trace, retrace=retrace, gain=gain)


def jump(rng: np.random.Generator, instrument: Instrument, strength: float, passes: Passes) -> Passes:
    """The z zero slips: for good, for a while or several, over whole lines, or it creeps back."""
    rows, cols = instrument.specimen.shape
    slips = _Slips(rng, instrument.specimen.relief_nm, strength, rows=rows, cols=cols)
    forms = {
        "step": slips.for_good, "band": slips.for_a_while, "bands": slips.often, "line": slips.lines,
        "relax": slips.relaxing,
    }  # fmt: skip
    forms[str(rng.choice(list(forms)))]()
    zero = slips.zero.reshape(rows, cols)
    retrace = passes.retrace
    if retrace is not None:
        retrace = retrace + np.broadcast_to(zero[:, -1:], zero.shape) * 0.6 + 0.4 * zero
    return replace(passes, trace=passes.trace + zero, retrace=retrace)


class _Slips:
    """``zero``: where the z zero has slipped to, nm, at each pixel in time."""

    def __init__(self, rng: np.random.Generator, relief: float, strength: float, *, rows: int, cols: int) -> None:
        self.rng, self.relief, self.strength = rng, relief, strength
        self.rows, self.cols, self.count = rows, cols, rows * cols
        self.zero = np.zeros(self.count)

    def for_good(self) -> None:
        """Slip once or twice; the smaller part of the scan counts as slipped."""
        for _ in range(int(self.rng.choice([1, 1, 2]))):
            moment = int(self.count * self.rng.uniform(0.05, 0.95))
            own = slice(moment, None) if moment > self.count / 2 else slice(None, moment)
            self.zero[own] += self._height()

    def for_a_while(self) -> None:
        """Slip, and slip back."""
        first = int(self.count * self.rng.uniform(0, 0.95))
        length = int(self.count * self.rng.uniform(0.01, 0.2))
        self.zero[first : first + length] += self._height()

    def often(self) -> None:
        """Slip, and slip back, several times."""
        for _ in range(int(self.rng.integers(2, 7))):
            self.for_a_while()

    def lines(self) -> None:
        """Slip over whole lines."""
        for row in np.nonzero(_bunches(self.rng, self.rows, self.rng.uniform(0.02, 0.1), thin=True))[0]:
            self.zero[row * self.cols : (row + 1) * self.cols] += self._height()

    def relaxing(self) -> None:
        """Slip, and creep back."""
        for _ in range(int(self.rng.integers(1, 4))):
            moment = int(self.count * self.rng.uniform(0, 0.9))
            time = np.arange(self.count - moment)
            height = self._height()
            self.zero[moment:] += height * np.exp(-time / (self.cols * between(self.rng, 1.5, 0.15 * self.rows)))

    def _height(self) -> float:
        return float(self.relief * self.rng.uniform(0.12, 1.2) * self.strength * self.rng.choice([-1, 1]))


def _bunches(rng: np.random.Generator, rows: int, share: float, *, thin: bool) -> Mask:
    """Draw bunches of lines that fill a share of the frame; True on them, (rows,)."""
    chosen = np.zeros(rows, bool)
    thickest = 3 if thin else max(2, 0.06 * rows + 1)
    while chosen.sum() < share * rows:
        count = max(1, round(between(rng, 1, thickest)))
        first = rng.integers(0, rows)
        chosen[first : first + count] = True
    return chosen


def _part(rng: np.random.Generator, cols: int) -> slice:
    """Draw a part of a line, which mostly reaches to its end."""
    first = int(rng.uniform(0, 0.7) * cols)
    return slice(first, cols if rng.random() < 0.5 else int(rng.uniform(first + 5, cols)))


def _other(
    rng: np.random.Generator, form: str, line: Heights, *, part: slice, level: float, relief: float
) -> NDArray[np.float64]:
    """Draw what a part of a line holds instead of the surface."""
    count = part.stop - part.start
    if form == "flat":
        return np.full(count, level) + 0.01 * relief * rng.standard_normal()
    if form == "noisy":
        offset = rng.normal(0, 0.35)
        return np.asarray(level + relief * (offset + rng.uniform(0.2, 0.8) * rng.standard_normal(count)))
    if form == "wander":
        walk = np.cumsum(rng.standard_normal(count))
        return np.asarray(line[part.start] + walk * relief * rng.uniform(0.3, 1.3) / np.sqrt(count))
    offset = relief * rng.uniform(0.3, 2) * (1 if rng.random() < 0.75 else -1)
    return np.asarray(line[part] * 0.1 + 0.9 * line.mean() + offset)


def _off(rng: np.random.Generator, rows: int, cols: int, *, count: int) -> Mask:
    """Draw between which moments, so many lines apart, the tip is off the surface."""
    where = str(rng.choice(["end", "start", "middle"]))
    first = {"end": rows - count, "start": 0}.get(where)
    if first is None:
        first = int(rng.integers(1, max(2, rows - count)))
    moment = first * cols + (0 if where == "start" else int(rng.integers(0, cols)))
    off = np.zeros(rows * cols, bool)
    off[moment : moment + count * cols] = True
    return off.reshape(rows, cols)
