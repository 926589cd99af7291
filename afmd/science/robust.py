"""Robust location and spread, whole-array and line by line. Rule: a pixel that is not trusted has no vote at all.

Rows are sorted rather than partitioned: NumPy's vectorised sort is ten times faster here than its median.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]

TINY = 1e-12
"""Below any height difference in nm that a microscope could tell; its inverse squared still fits float32."""

HALF_NORMAL = ((0.25, 0.31863936), (0.5, 0.67448975), (0.75, 1.15034938), (0.95, 1.95996398))
"""Quantiles of |x| for a normal x of σ = 1."""

SIGMA_PER_MAD = 1.482602218505602
"""Standard deviation of a normal distribution in units of its median absolute deviation."""


def mad_sigma(values: Floats, *, centre: float | None = None) -> float:
    """Return 1.4826 MAD of all ``values`` (any shape), the robust σ of paper A, section 2.3; 0 for an empty array."""
    if values.size == 0:
        return 0.0
    about = median(values) if centre is None else centre
    return SIGMA_PER_MAD * median(np.abs(values - about))


def median(values: Floats) -> float:
    """Return the median of ``values`` (any shape, at least one, finite): several times faster than NumPy's own.

    NumPy partitions by one rank in vector instructions, by two without.
    """
    half = values.size // 2
    ranked = np.partition(values, half, axis=None)
    return float(ranked[half]) if values.size % 2 else float((ranked[:half].max() + ranked[half]) / 2)


def middle(values: Floats) -> float:
    """Return the upper median of ``values`` (any shape, at least one): a few µs where NumPy's median takes fifty."""
    half = values.size // 2
    return float(np.partition(values, half, axis=None)[half])


def row_medians(values: Floats) -> Floats:
    """Return the median of each row, (rows,), of the values' own type and to the last bit what NumPy gives."""
    half = values.shape[1] // 2
    ranked = np.sort(values, axis=1)
    return np.asarray(ranked[:, half] if values.shape[1] % 2 else (ranked[:, half - 1] + ranked[:, half]) / 2)


def line_median(values: Floats, trusted: Bools | None = None) -> NDArray[np.float64]:
    """Return the median of each row's trusted values, (rows,) float64, NaN where a row has none."""
    return line_quantile(values, trusted, 0.5)


def line_quantile(values: Floats, trusted: Bools | None, share: float) -> NDArray[np.float64]:
    """Return the quantile ``share`` of each row's trusted values, (rows,) float64, NaN where a row has none.

    Linear between order statistics; ``share`` 0.5 is the median.
    """
    ranked, count = _ranked(values, trusted)
    last = np.maximum(count - 1, 0)
    place = share * last
    below = np.floor(place).astype(np.intp)
    line = np.arange(len(ranked))
    low = ranked[line, below].astype(np.float64)
    high = ranked[line, np.minimum(below + 1, last)].astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, low + (place - below) * (high - low), np.nan)


def line_trimmed_mean(values: Floats, trusted: Bools | None, trim: float) -> NDArray[np.float64]:
    """Return each row's mean without the share ``trim`` of its trusted values at either end.

    ``trim`` 0 is the mean and 0.5 the median; (rows,) float64, NaN where a row has no trusted value.
    """
    if trim >= 0.5:
        return line_median(values, trusted)
    ranked, count = _ranked(values, trusted)
    first = np.floor(trim * count).astype(np.intp)
    last = count - first
    rank = np.arange(ranked.shape[1])
    kept = (rank >= first[:, None]) & (rank < last[:, None])
    total = np.sum(ranked, axis=1, where=kept, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(last - first, 1), np.nan)


def _ranked(values: Floats, trusted: Bools | None) -> tuple[Floats, NDArray[np.intp]]:
    """Return each row in rising order with the untrusted behind, and how many of each row are trusted."""
    if trusted is None:
        return np.sort(values, axis=1), np.full(len(values), values.shape[1])
    return np.sort(np.where(trusted, values, np.inf), axis=1), np.count_nonzero(trusted, axis=1)


def bridged(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one value per line, every NaN put on the straight line between its nearest known neighbours.

    Beyond the first and the last known value the nearest one holds. All NaN stays so.
    """
    known = np.flatnonzero(np.isfinite(lines))
    if known.size in (0, lines.size):
        return lines.copy()
    return np.interp(np.arange(lines.size), known, lines[known])


def tukey(residual: Floats, *, sigma: float, cutoff: float = 4.685) -> NDArray[np.float32]:
    """Return Tukey's biweight for each residual: 1 at 0, 0 from ``cutoff`` σ on; float32, new.

    ``cutoff`` 4.685 keeps 95 % efficiency on normal noise.
    """
    weight = residual * np.float32(1.0 / max(cutoff * sigma, TINY))
    with np.errstate(over="ignore"):  # what lies too far out for float32 has no weight either
        weight *= weight
    np.subtract(np.float32(1), weight, out=weight)
    np.maximum(weight, np.float32(0), out=weight)
    weight *= weight
    return weight


def narrow_sigma(values: Floats, votes: Floats | None = None, *, most: int = 12_000) -> float:
    """Return σ of the narrow core around 0, from the quartile of |values|: right even when 70 % lie far out.

    Where so many values are 0 (coarsely digitised heights) a higher quantile speaks. ``votes``: values without a vote
    do not count. At most about ``most`` of them are looked at. 0 where nearly all are 0, or none counts.
    """
    step = max(1, values.size // most) | 1
    near = np.abs(values.ravel()[::step])
    if votes is not None:
        counts = votes.ravel()[::step] > 0
        near = near if counts.all() else near[counts]
    if near.size == 0:
        return 0.0
    for share, sigmas in HALF_NORMAL:
        place = int(share * near.size)
        near.partition(place)
        value = float(near[place])
        if value > 0:
            return value / sigmas
    return 0.0


def shorth(values: Floats, votes: Floats, *, share: float = 0.35) -> NDArray[np.float32]:
    """Return the middle of each row's densest ``share``, roughly its mode; (rows,), 0 for a row without votes.

    (Andrews et al. 1972; the shortest half made shorter, since ground may be a minority of a line.)
    """
    trusted = votes > 0
    if trusted.all():
        return _shorth_of_all(np.sort(values, axis=1), share)
    ranked = np.sort(np.where(trusted, values, np.float32(np.inf)), axis=1)
    count = np.count_nonzero(trusted, axis=1)
    span = np.maximum((share * count).astype(np.intp), 1)
    columns = ranked.shape[1]
    last = np.minimum(np.arange(columns)[None, :] + span[:, None], columns - 1)
    last += columns * np.arange(len(ranked))[:, None]
    with np.errstate(invalid="ignore"):
        width = ranked.take(last) - ranked
    width[np.arange(columns)[None, :] >= (np.maximum(count, 2) - span)[:, None]] = np.inf
    middle = np.minimum(width.argmin(axis=1) + span // 2, np.maximum(count - 1, 0))
    return np.asarray(np.where(count > 0, ranked[np.arange(len(values)), middle], 0), dtype=np.float32)


def _shorth_of_all(ranked: Floats, share: float) -> NDArray[np.float32]:
    span = min(max(int(share * ranked.shape[1]), 1), ranked.shape[1] - 1)
    first = (ranked[:, span:] - ranked[:, : ranked.shape[1] - span]).argmin(axis=1)
    return np.asarray(ranked[np.arange(len(ranked)), first + span // 2], dtype=np.float32)
