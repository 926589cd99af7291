"""Noise of a good scan. Rule: it is made in time order, trace then retrace, line after line, as it is recorded.

White detector noise, 1/f^α noise of the whole chain, a weak mains hum, and building vibration.
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
    hum = _hum(draw, rows * 2 * cols, step_s=line_s / (2 * cols)) * sigma_nm * draw.log("hum_over_white", 0.01, 0.25)
    loop = draw.rng.standard_normal((2, rows, cols), dtype=np.float32) * (sigma_nm * np.sqrt(split))
    sensor = split_passes(white + (pink + hum).reshape(rows, 2 * cols))
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


def _hum(draw: Draw, count: int, *, step_s: float) -> NDArray[np.float32]:
    """Mains and its harmonics, and one mechanical resonance of the building or the stage."""
    time = np.arange(count, dtype=np.float64) * step_s
    mains = draw.choice("mains_hz", (50.0, 60.0))
    total = np.zeros(count)
    for harmonic, weight in ((1, 1.0), (2, draw.rng.random()), (3, 0.5 * draw.rng.random())):
        total += weight * np.sin(2 * np.pi * (mains * harmonic * time + draw.rng.random()))
    return np.asarray(total / np.sqrt(1.5), dtype=np.float32)
