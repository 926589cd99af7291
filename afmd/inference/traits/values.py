"""How many numbers become few. Rule: robust, without a unit, at a cost that does not grow with the frame."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from afmd.inference import planes

Values = NDArray[np.float64]
Image = NDArray[np.float32]

LARGEST: Final = 30.0
TINY: Final = 1e-12
_SAMPLES = 1 << 12
_PERCENTILES = (0.1, 0.5, 1, 5, 25, 50, 75, 95, 99, 99.5, 99.9)
_LOWER, _MIDDLE, _UPPER = 4, 5, 6
_FLOOR = 1e-6


def sampled(values: NDArray[Any]) -> NDArray[Any]:
    """Return at most 4096 of the values, by an odd stride, so that no column is met again and again: (samples,)."""
    return values.reshape(-1)[:: stride(values.size)]


def stride(count: int) -> int:
    """Return the odd stride of `sampled`."""
    return max(1, -(-count // _SAMPLES)) | 1


def quantiles(values: NDArray[Any], percents: Sequence[float]) -> Values:
    """Return percentiles of each row, (…, percents), linear between ranks; rows are sorted, which is vectorised."""
    ranked = np.sort(values, axis=-1)
    below, above, share = _ranks(tuple(percents), ranked.shape[-1])
    low = ranked[..., below].astype(np.float64)
    return np.asarray(low + share * (ranked[..., above] - low))


@lru_cache(maxsize=64)
def _ranks(percents: tuple[float, ...], count: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Values]:
    """Return between which two of ``count`` ranks each percentile lies, and how far, (percents,) each."""
    place = np.asarray(percents) / 100 * (count - 1)
    below = place.astype(np.intp)
    return below, np.minimum(below + 1, count - 1), place - below


def medians(values: NDArray[Any]) -> Values:
    """Return the median of each row, (…,)."""
    ranked = np.sort(values, axis=-1)
    low, high = ranked[..., (ranked.shape[-1] - 1) // 2], ranked[..., ranked.shape[-1] // 2]
    return np.asarray(low + 0.5 * (np.asarray(high, np.float64) - low))


def spread(values: NDArray[Any]) -> float:
    """Return 1.4826 MAD of a sample; never 0."""
    sample = sampled(values)
    return float(planes.MAD_TO_SIGMA * medians(np.abs(sample - medians(sample)))) or TINY


def outline(values: NDArray[Any]) -> Values:
    """Return the shape of a distribution, (14,): ten quantiles in half-widths from the median, four ratios of tails."""
    q = quantiles(sampled(values), _PERCENTILES)
    half = max(float(q[_UPPER] - q[_LOWER]), 1e-3 * float(q[-1] - q[0]), TINY)
    q = (q - q[_MIDDLE]) / half
    tails = (ratio(q[10], -q[0]), ratio(q[8], -q[2]), ratio(-q[0], -q[2]), ratio(q[10], q[8]))
    return np.concatenate([np.arcsinh(q[:_MIDDLE]), np.arcsinh(q[_LOWER + 2 :]), tails])


def ratio(one: float, other: float) -> float:
    """Return ln(one / other) of two numbers that are hardly below 0."""
    return float(np.log((max(one, 0.0) + _FLOOR) / (max(other, 0.0) + _FLOOR)))


def log(value: ArrayLike, *, floor: float = TINY) -> Any:
    """Return ln(value + floor)."""
    return np.log(np.asarray(value, np.float64) + floor)


def tidy(values: Values) -> Image:
    """Return float32 values, what is not finite as 0, none beyond ±30."""
    return np.clip(np.nan_to_num(values, nan=0.0, posinf=LARGEST, neginf=-LARGEST), -LARGEST, LARGEST).astype(
        np.float32
    )
