"""The loop follows, and something is added: spikes, waves, drift at the start, the end of the scanner's range.

Rule: what comes in time meets both passes at their own moments; what is fixed in space meets both alike.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from afmd.training.second.instrument import Instrument, Passes
from afmd.training.second.noise import period
from afmd.training.second.samples.fields import between
from afmd.training.second.samples.grid import Heights
from afmd.training.second.specimen import Specimen

Indices = NDArray[np.intp]


def spike(rng: np.random.Generator, instrument: Instrument, strength: float, passes: Passes) -> Passes:
    """Single pixels, all over the frame or around one place, some with a tail of two more."""
    rows, cols = instrument.specimen.shape
    patch = rng.random() < 0.3
    centre = (rng.uniform(0, rows), rng.uniform(0, cols))
    share = rng.uniform(0.002, 0.012) * strength
    typical = rng.uniform(0.25, 2.2)
    up = 0.95 if rng.random() < 0.6 else 0.5
    tailed = rng.random() < 0.5
    tall = instrument.specimen.relief_nm * min(max(strength, 0.3), 2)

    def spiked(heights: Heights) -> Heights:
        result = heights.copy()
        count = max(3, int(result.size * share))
        if patch:
            row = (centre[0] + rng.normal(0, 0.12, count) * rows).astype(int) % rows
            col = (centre[1] + rng.normal(0, 0.2, count) * cols).astype(int) % cols
        else:
            row, col = rng.integers(0, rows, count), rng.integers(0, cols, count)
        height = tall * rng.exponential(typical, count) * np.where(rng.random(count) < up, 1, -1) * 0.7
        np.add.at(result, (row, col), height)
        for behind in (1, 2) if tailed else ():
            inside = col + behind < cols
            np.add.at(result, (row[inside], col[inside] + behind), height[inside] * 0.4**behind)
        return result

    return passes.each(spiked, moving=True)


def ripple(rng: np.random.Generator, instrument: Instrument, strength: float, passes: Passes) -> Passes:
    """A wave: in time, nearly in step with the lines, or of light between sample and cantilever, fixed in space."""
    rows, cols = instrument.specimen.shape
    height = instrument.specimen.relief_nm * rng.uniform(0.04, 0.22) * strength
    height = height + 3.2 * instrument.noise.spread_nm * min(strength, 1)
    form = _wave(rng, instrument.specimen)
    envelope = height * _envelope(rng, rows)

    def wave(time: Indices) -> Heights:
        angle = form.angle(time)
        return np.asarray(envelope * (np.sin(angle) + form.overtone * np.sin(2 * angle)))

    turn, line = period(cols)
    row, col = np.arange(rows)[:, None], np.arange(cols)[None]
    there: Indices = row * line + col
    back: Indices = row * line + 2 * cols + turn - 1 - col
    retrace = passes.retrace
    if retrace is not None:
        retrace = retrace + wave(back)
    return replace(passes, trace=passes.trace + wave(there), retrace=retrace)


def start_drift(rng: np.random.Generator, instrument: Instrument, strength: float, passes: Passes) -> Passes:
    """The first lines bend up or down, and some swing."""
    specimen = instrument.specimen
    rows = specimen.shape[0]
    lines = rows * rng.uniform(0.03, 0.16)
    time = np.arange(rows)[:, None] / lines
    height = specimen.relief_nm * rng.uniform(0.3, 3) * strength * rng.choice([-1, 1])
    drift = height * np.exp(-(time ** rng.uniform(0.8, 1.3)))
    drift = drift * (1 + rng.normal(0, 0.05) * specimen.across)
    if rng.random() < 0.25:
        drift = drift * np.cos(time * rng.uniform(0.5, 2))
    return passes.each(lambda heights: heights + drift)


def saturation(rng: np.random.Generator, _: Instrument, strength: float, passes: Passes) -> Passes:
    """The scanner's range ends within the heights, at the top, the bottom, or both."""
    share = np.clip(rng.uniform(0.015, 0.22) * strength, 0.002, 0.4)
    end = str(rng.choice(["top", "bottom", "both"], p=[0.5, 0.38, 0.12]))
    lowest = -np.inf if end == "top" else float(np.quantile(passes.trace, share))
    highest = np.inf if end == "bottom" else float(np.quantile(passes.trace, 1 - share))
    clipped = passes.each(lambda heights: np.clip(heights, lowest, highest))
    return replace(clipped, limits=(lowest, highest))


@dataclass(frozen=True, slots=True)
class _Wave:
    """``angle``: the wave's phase in rad, from the time in pixels. ``overtone``: the second harmonic's share."""

    angle: Callable[[Indices], Heights]
    overtone: float


def _wave(rng: np.random.Generator, specimen: Specimen) -> _Wave:
    """Draw a wave's form: of any frequency in time, nearly in step with the lines (steep stripes), or in space."""
    rows, cols = specimen.shape
    form = str(rng.choice(["time", "time", "line", "space"]))
    pace = _pace(rng, form, cols)
    start = rng.uniform(0, 6.3)
    overtone = float(rng.choice([0, 0, 0.3]))
    wander = rng.normal(0, 0.6) * np.cumsum(rng.standard_normal(rows))[:, None] / np.sqrt(rows) * 2
    across, down = rng.normal(0, 1), rng.normal(0, 1)
    fringes = rng.uniform(2, 14) / np.hypot(across, down)

    def in_space(_: Indices) -> Heights:
        place = across * specimen.across / 2 + down * specimen.down / 2
        return np.asarray(2 * np.pi * fringes * place + start)

    def in_time(time: Indices) -> Heights:
        return np.asarray(2 * np.pi * pace * time + start + wander)

    return _Wave(in_space if form == "space" else in_time, overtone)


def _pace(rng: np.random.Generator, form: str, cols: int) -> float:
    """Draw a wave's frequency in time, per pixel."""
    if form == "time":
        return 1 / between(rng, 5, cols * 0.4)
    if form == "line":
        _, line = period(cols)
        return float((int(rng.integers(1, 40)) + rng.uniform(-0.08, 0.08)) / line)
    return 0.0


def _envelope(rng: np.random.Generator, rows: int) -> Heights:
    """Draw how strong a wave is on each line, (rows, 1): all alike, some lines only, or swelling."""
    choice = rng.random()
    if choice < 0.4:
        first = rng.uniform(0, 0.7)
        last = first + rng.uniform(0.1, 0.45)
        place = np.linspace(0, 1, rows)[:, None]
        return np.clip(np.minimum(place - first, last - place) / 0.03, 0, 1)
    if choice < 0.6:
        swell = ndimage.gaussian_filter1d(rng.standard_normal(rows), rows / 20)
        return np.asarray(np.clip(1 + 0.7 * swell * np.sqrt(rows / 6), 0, 2.5))[:, None]
    return np.ones((rows, 1))
