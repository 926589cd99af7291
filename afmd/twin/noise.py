"""Noise of a good scan. Rule: it is made in time order, trace then retrace, line after line, as it is recorded.

White detector noise, 1/f^α noise of the whole chain, a weak mains hum, building vibration, and an unsteady contact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from afmd.twin.draw import Draw
from afmd.twin.grid import Heights


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """``sensor``: (2, rows, cols) nm added to the recorded heights, trace and retrace in spatial order.

    ``loop``: the same shape, noise of the amplitude signal, which the feedback loop colours.
    ``sigma_nm``: the pixel-to-pixel standard deviation that all of it leaves in a recorded line.
    """

    sensor: Heights
    loop: Heights
    sigma_nm: float


def scan_noise(draw: Draw, shape: tuple[int, int], *, sigma_nm: float, line_s: float, most_nm: float) -> Noise:
    """Draw the noise of one frame.

    ``line_s``: the time of one line, there and back. ``most_nm``: the flicker noise stays below, or the sample would be
    lost in it.
    """
    rows, cols = shape
    split = draw.uniform("loop_noise_share", 0.2, 0.95)
    white = draw.rng.standard_normal((rows, 2 * cols), dtype=np.float32) * (sigma_nm * np.sqrt(1 - split))
    flicker = min(draw.log("flicker_over_white", 0.05, 10.0) * sigma_nm, most_nm)
    pink = _flicker(draw, rows * 2 * cols) * flicker
    hum = _hum(draw, rows, 2 * cols, step_s=line_s / (2 * cols)) * sigma_nm * draw.log("hum_over_white", 0.01, 0.25)
    loop = draw.rng.standard_normal((2, rows, cols), dtype=np.float32) * (sigma_nm * np.sqrt(split))
    unsteady = _unsteady(draw, rows * 2 * cols, line=2 * cols) * 0.6 * max(3 * sigma_nm, 0.4 * most_nm)
    sensor = split_passes(white + (pink + unsteady).reshape(rows, 2 * cols) + hum)
    return Noise(sensor=sensor, loop=loop.astype(np.float64), sigma_nm=sigma_nm)


def split_passes(series: NDArray[np.floating]) -> Heights:
    """Turn (rows, 2 cols) in time order into (2, rows, cols) in spatial order."""
    cols = series.shape[1] // 2
    return np.stack([series[:, :cols], series[:, cols:][:, ::-1]]).astype(np.float64)


def _flicker(draw: Draw, count: int) -> NDArray[np.float32]:
    """1/f^α noise with unit spread from one pixel to the next few hundred."""
    fast = fft.next_fast_len(count, real=True)
    frequency = fft.rfftfreq(fast).astype(np.float32)
    frequency[0] = frequency[1]
    shape = np.maximum(frequency, 1e-5) ** np.float32(-draw.uniform("flicker_exponent", 0.7, 1.5) / 2)
    series = fft.irfft(fft.rfft(draw.rng.standard_normal(fast, dtype=np.float32)) * shape, n=fast)[:count]
    return np.asarray(series / series.std(), dtype=np.float32)


def _unsteady(draw: Draw, count: int, *, line: int) -> NDArray[np.float32]:
    """Faint streaks of good scans: stretches of up to half a line that lie up to 1 higher or lower, in either pass."""
    events = draw.rng.poisson(draw.log("unsteady_per_line", 0.003, 2.0) * count / line)
    start = draw.rng.integers(0, count, events)
    length = (line * draw.log("unsteady_length", 0.01, 0.25) * draw.rng.uniform(0.2, 2.0, events)).astype(np.int64)
    height = (
        draw.log("unsteady_height", 0.05, 1.0) * draw.rng.uniform(0.2, 1.0, events) * draw.rng.choice([-1, 1], events)
    )
    steps = np.bincount(start, height, count) - np.bincount(np.minimum(start + length, count - 1), height, count)
    return np.asarray(np.clip(np.cumsum(steps), -1, 1), dtype=np.float32)


def _hum(draw: Draw, rows: int, steps: int, *, step_s: float) -> NDArray[np.float32]:
    """Mains and two harmonics, (rows, steps) in time order, of unit spread at most."""
    mains = draw.choice("mains_hz", (50.0, 60.0))
    total = np.zeros((rows, steps), dtype=np.float32)
    for harmonic, weight in ((1, 1.0), (2, draw.rng.random()), (3, 0.5 * draw.rng.random())):
        total += weight * wave(rows, steps, per_step=mains * harmonic * step_s, phase=draw.rng.random())
    return np.asarray(total / np.float32(1.5), dtype=np.float32)


def wave(rows: int, steps: int, *, per_step: float, phase: float | NDArray[np.float64] = 0.0) -> NDArray[np.float32]:
    """A sine of ``per_step`` cycles a step, run on from line to line, (rows, steps); ``phase`` in cycles, or (rows,).

    sin(a + b) from the sines of a (rows) and b (steps): two outer products in place of a sine for each step.
    """
    line = 2 * np.pi * (np.mod(per_step * steps * np.arange(rows), 1.0) + phase)
    along = 2 * np.pi * per_step * np.arange(steps)
    total = np.outer(np.sin(line), np.cos(along)) + np.outer(np.cos(line), np.sin(along))
    return np.asarray(total, dtype=np.float32)
