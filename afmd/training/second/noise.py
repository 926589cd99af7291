"""Noise along time, on the way there, back and in both turns: fast, as the loop leaves it, and slow.

Rule: noise is added to what the loop records; what is left of it in the mean of a line belongs to the background.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft, signal

from afmd.training.second.samples.fields import between
from afmd.training.second.samples.grid import Heights

TURN_SHARE = 8
"""A turn takes a line's time divided by this."""
ROUGHEST = 0.12
"""Standard deviation of the fast noise at most, as a share of the relief."""
WHITE = 0.1
"""Share of scans whose fast noise is white; in the others the loop has rounded it."""


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Noise of both passes, as seen from left to right, nm.

    ``trace``, ``retrace``: (rows, cols), with lines of mean 0. ``trace_lines``, ``retrace_lines``: (rows, 1), their
    means before. ``fast_nm``: standard deviation of the fast part. ``jitter_nm``: how far lines hop besides.
    """

    trace: Heights
    retrace: Heights
    trace_lines: Heights
    retrace_lines: Heights
    fast_nm: float
    jitter_nm: float

    @property
    def spread_nm(self) -> float:
        """Standard deviation of the trace's noise."""
        return float(self.trace.std())


def heard(rng: np.random.Generator, shape: tuple[int, int], relief_nm: float) -> Noise:
    """Draw the noise of a scan of so many rows and columns; a high relief is scanned with more of it."""
    fast = max(rng.uniform(0.02, 0.05), relief_nm * between(rng, 0.0008, 0.05))
    fast = min(fast, ROUGHEST * relief_nm)
    trace, retrace = _slow(rng, shape, exponent=rng.uniform(0.7, 1.6))
    spread = (trace - trace.mean(1, keepdims=True)).std()
    scale = fast * between(rng, 0.1, 1.0) / max(spread, 1e-12)
    trace, retrace = trace * scale, retrace * scale
    jitter = fast * rng.choice([0, 0, 0.5, 2])
    limit = 0.35 * relief_nm / max(np.ptp(trace.mean(1)), 1e-9)
    if limit < 1 and rng.random() < 0.7:
        trace, retrace = trace * limit, retrace * limit
    memory = 0.0 if rng.random() < WHITE else rng.uniform(0.6, 0.98)
    loudness = fast * _loudness(rng, shape[0])
    trace = trace + loudness * _fast(rng, shape, memory=memory)
    retrace = retrace + loudness * _fast(rng, shape, memory=memory)[:, ::-1]
    trace_lines, retrace_lines = trace.mean(1, keepdims=True), retrace.mean(1, keepdims=True)
    return Noise(
        trace - trace_lines, retrace - retrace_lines, trace_lines, retrace_lines, fast_nm=fast, jitter_nm=jitter
    )


def period(cols: int) -> tuple[int, int]:
    """Return how many pixels' time a turn takes and a whole line, there and back."""
    turn = cols // TURN_SHARE
    return turn, 2 * (cols + turn)


def _fast(rng: np.random.Generator, shape: tuple[int, int], *, memory: float) -> Heights:
    """Return noise of standard deviation 1, in the direction of motion; from pixel to pixel ``memory`` of it stays."""
    white = rng.standard_normal(shape)
    white[:, 0] /= np.sqrt(1 - memory * memory)
    return np.asarray(signal.lfilter([np.sqrt(1 - memory * memory)], [1, -memory], white, axis=1))


def _loudness(rng: np.random.Generator, rows: int) -> Heights:
    """Return how loud the noise of each line is, (rows, 1), about 1: it swells and fades within some lines."""
    memory = np.exp(-1 / between(rng, 0.5, 30.0))
    steps = rng.normal(0, np.sqrt(1 - memory * memory), rows)
    steps[0] /= np.sqrt(1 - memory * memory)
    return np.exp(between(rng, 0.03, 0.3) * signal.lfilter([1], [1, -memory], steps))[:, None]


def _slow(rng: np.random.Generator, shape: tuple[int, int], *, exponent: float) -> tuple[Heights, Heights]:
    """Return noise whose power falls with ``exponent`` of the frequency, on trace and retrace."""
    rows, cols = shape
    turn, line = period(cols)
    count = fft.next_fast_len(rows * line, True)
    spectrum = fft.rfft(rng.standard_normal(count, dtype=np.float32))
    frequency = np.arange(spectrum.size, dtype=np.float32)
    frequency[0] = 1
    spectrum *= frequency ** np.float32(-exponent / 2)
    spectrum[0] = 0
    in_time = fft.irfft(spectrum, count)[: rows * line].reshape(rows, line)
    back = in_time[:, cols + turn : 2 * cols + turn][:, ::-1]
    return in_time[:, :cols].astype(np.float64), back.astype(np.float64)
