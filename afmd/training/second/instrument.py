"""The microscope around a specimen: background, noise, the retrace's lag, and what is written to the file.

Rule: heights = what the loop followed + background + noise, clipped where the scanner ends, levelled where the
instrument does so, and rounded to its steps.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from afmd.training.second.noise import Noise, heard
from afmd.training.second.samples.fields import between
from afmd.training.second.samples.grid import Heights, Mask
from afmd.training.second.specimen import Specimen, prepared

HIDDEN_OVER_NOISE, HIDDEN_OVER_RELIEF = 3.0, 0.02
RETRACED, LINE_LEVELLED, RELAXING = 0.5, 0.2, 0.3
"""Shares of scans with a retrace, with lines levelled by the instrument, and with a scanner that still relaxes."""
STEPS = 65536


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """Both passes over the frame, (rows, cols) nm, as seen from left to right; there may be no retrace.

    ``gain``: how much of the noise each pixel has, None for all of it. ``limits``: where the scanner ends, nm.
    """

    trace: Heights
    retrace: Heights | None
    gain: Heights | None = None
    limits: tuple[float, float] = (-np.inf, np.inf)

    def each(self, act: Callable[[Heights], Heights], *, moving: bool = False) -> Self:
        """Let ``act`` change one pass after the other; ``moving``: it gets each in its own direction of motion."""
        trace, retrace = act(self.trace), self.retrace
        if retrace is not None:
            retrace = act(retrace[:, ::-1])[:, ::-1] if moving else act(retrace)
        return replace(self, trace=trace, retrace=retrace)

    def each_over(self, background: "Passes", act: Callable[[Heights, Heights], Heights], *, moving: bool) -> Self:
        """Do as `each`, where ``act`` gets what the background adds to a pass too."""
        trace, retrace = act(self.trace, background.trace), self.retrace
        if retrace is not None and background.retrace is not None:
            if moving:
                retrace = act(retrace[:, ::-1], background.retrace[:, ::-1])[:, ::-1]
            else:
                retrace = act(retrace, background.retrace)
        return replace(self, trace=trace, retrace=retrace)


@dataclass(frozen=True, slots=True, eq=False)
class Instrument:
    """A specimen under the tip. ``lag_px``: (cols,), by how many pixels the retrace is late."""

    specimen: Specimen
    noise: Noise
    background: Passes
    lag_px: Heights
    levels_lines: bool

    @classmethod
    def mounted(cls, rng: np.random.Generator) -> Self:
        """Draw a specimen and the instrument that scans it."""
        specimen = prepared(rng)
        noise = heard(rng, specimen.shape, specimen.relief_nm)
        background = _background(rng, specimen, noise)
        along = np.linspace(0, 1, specimen.shape[1])
        lag = rng.uniform(-0.3, 1.5) + rng.uniform(0, 3.0) * 4 * (along * (1 - along)) * rng.choice([0, 1, 1])
        return cls(specimen, noise, background, lag, levels_lines=bool(rng.random() < LINE_LEVELLED))

    @property
    def threshold_nm(self) -> float:
        """How far a pixel must be moved to count as moved."""
        return max(HIDDEN_OVER_NOISE * self.noise.spread_nm, HIDDEN_OVER_RELIEF * self.specimen.relief_nm)

    def followed(self, imaged: Heights) -> Passes:
        """Return what the loop hands on of an image in the frame, with the background and without noise."""
        heights = imaged - self.specimen.ground
        trace = heights + self.background.trace
        if self.background.retrace is None:
            return Passes(trace, None)
        return Passes(trace, _late(heights, self.lag_px) + self.background.retrace)

    def moved(self, change: Heights) -> Mask:
        """Return True where a change of the trace is more than noise, also in the file if lines are levelled there."""
        left = change - _lines(change) if self.levels_lines else change
        threshold = self.threshold_nm
        return np.asarray((np.abs(change) > threshold) & (np.abs(left) > threshold * 0.999))

    def written(
        self, rng: np.random.Generator, passes: Passes
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return trace and retrace as the file holds them."""
        gain = 1.0 if passes.gain is None else passes.gain
        trace = self._stored(rng, np.clip(passes.trace + self.noise.trace * gain, *passes.limits))
        if passes.retrace is None:
            return trace, None
        return trace, self._stored(rng, np.clip(passes.retrace + self.noise.retrace * gain, *passes.limits))

    def _stored(self, rng: np.random.Generator, heights: Heights) -> NDArray[np.float32]:
        if self.levels_lines:
            heights = heights - _lines(heights)
        span = np.ptp(heights) * rng.choice([1.05, 3, 10, 50])
        step = min(span / STEPS, 0.5 * self.noise.fast_nm)
        centre = heights.mean() * rng.choice([0, 0, 1])
        return np.asarray(np.round((heights - centre) / step) * step + centre, np.float32)


def _background(rng: np.random.Generator, specimen: Specimen, noise: Noise) -> Passes:
    """Draw the scanner's field, drift and hopping lines; the retrace has nearly the same, if there is one."""
    rows, relief, across = specimen.shape[0], specimen.relief_nm, specimen.across
    hops = rng.normal(0, 1, (rows, 1)) * noise.jitter_nm
    field = _field(rng, specimen)
    drift = _drift(rng, rows, relief)
    trace = field + drift + hops + noise.trace_lines
    retraced = rng.random() < RETRACED
    retrace = (
        field * rng.uniform(0.98, 1.02) + drift
        + rng.normal(0, 1) * noise.jitter_nm * rng.standard_normal((rows, 1)) * 0.5 + noise.retrace_lines
        + relief * rng.normal(0, 0.05) + relief * rng.normal(0, 0.02) * across * across
    )  # fmt: skip
    return Passes(trace, retrace if retraced else None)


def _field(rng: np.random.Generator, specimen: Specimen) -> Heights:
    """Draw the tilt of the sample and the bow of the scanner, up to the third order."""
    relief, down, across = specimen.relief_nm, specimen.down, specimen.across
    tilt = relief * between(rng, 0.1, 4.0)
    turn = rng.uniform(0, 6.3)

    def bow(share: float) -> float:
        return float(relief * share * np.exp(rng.normal(-1.9, 0.9)) * rng.choice([-1, 1]))

    return np.asarray(
        tilt / 2 * (np.cos(turn) * across + np.sin(turn) * down)
        + bow(1.0) * (across * across - 1 / 3)
        + bow(0.8) * (down * down - 1 / 3)
        + bow(0.3) * (across**3 - 0.6 * across)
        + bow(0.3) * (down**3 - 0.6 * down)
        + bow(0.3) * across * down
        + bow(0.15) * across * across * down
    )


def _drift(rng: np.random.Generator, rows: int, relief_nm: float) -> Heights:
    """Draw how the zero wanders down the frame, (rows, 1) nm; some scanners still relax at its start."""
    time = np.linspace(0, 1, rows)[:, None]
    waves = np.zeros_like(time)
    for order in (1, 2, 3):
        size = rng.normal(0, 1) / order**1.5
        waves = waves + size * np.sin(np.pi * order * time + rng.uniform(0, 6.3))
    waves = waves * relief_nm * np.exp(rng.normal(-2.0, 0.9))
    if rng.random() < RELAXING:
        waves = waves + relief_nm * rng.normal(0, 0.25) * np.exp(-time / rng.uniform(0.2, 0.6))
    return np.asarray(waves)


def _late(heights: Heights, lag_px: Heights) -> Heights:
    """Return every line read ``lag_px`` further right, linear in between, edges repeated."""
    cols = heights.shape[1]
    place = np.clip(np.arange(cols) + lag_px, 0, cols - 1)
    left = np.minimum(place.astype(int), cols - 2)
    share = place - left
    return np.asarray(heights[:, left] * (1 - share) + heights[:, left + 1] * share)


def _lines(heights: Heights) -> Heights:
    """Return every line's straight fit."""
    along = np.linspace(-1, 1, heights.shape[1])
    slope = (heights @ along / (along @ along))[:, None]
    return np.asarray(heights.mean(1, keepdims=True) + slope * along)
