"""Figures of merit. Rule: plain numpy on counts and probabilities; each is tested against a case done by hand."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.int64]
RESAMPLES = 1000


def iou(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Return intersection over union; 1 where both are empty."""
    union = np.count_nonzero(found | truth)
    return np.count_nonzero(found & truth) / union if union else 1.0


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Return 2 |A ∩ B| / (|A| + |B|); 1 where both are empty."""
    size = np.count_nonzero(found) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(found & truth) / size if size else 1.0


def confusion(truth: ArrayLike, found: ArrayLike, *, classes: int) -> Matrix:
    """Return counts (classes, classes): row is the truth, column the answer."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (np.asarray(truth), np.asarray(found)), 1)
    return matrix


def recalls(matrix: Matrix) -> NDArray[np.float64]:
    """Return each class's recall, NaN for a class that did not occur."""
    counts = matrix.sum(axis=1)
    return np.asarray(np.divide(np.diag(matrix), counts, out=np.full(len(matrix), np.nan), where=counts > 0))


def f1(matrix: Matrix) -> NDArray[np.float64]:
    """Return each class's F1, 0 where it neither occurred nor was answered."""
    size = matrix.sum(axis=0) + matrix.sum(axis=1)
    return np.asarray(np.divide(2 * np.diag(matrix), size, out=np.zeros(len(matrix)), where=size > 0))


def macro_f1(matrix: Matrix) -> float:
    """Return the plain mean of F1 over the classes."""
    return float(f1(matrix).mean())


def softmax(logits: ArrayLike, *, temperature: float = 1.0) -> NDArray[np.float64]:
    """Return probabilities (n, classes) of logits over ``temperature``."""
    scaled = np.asarray(logits, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def log_loss(chances: NDArray[np.float64], labels: ArrayLike) -> float:
    """Return the mean negative logarithm of the probability given to the true class."""
    own = chances[np.arange(len(chances)), np.asarray(labels)]
    return float(-np.log(np.maximum(own, 1e-12)).mean())


def reliability(
    chances: NDArray[np.float64], labels: ArrayLike, *, bins: int = 10
) -> tuple[NDArray[np.float64], NDArray[np.float64], Matrix]:
    """Return mean confidence, accuracy and count in equal bins of the greatest probability; empty bins are NaN."""
    sure = chances.max(axis=1)
    right = chances.argmax(axis=1) == np.asarray(labels)
    place = np.minimum((sure * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, weights=sure, minlength=bins) / counts
        accuracy = np.bincount(place, weights=right, minlength=bins) / counts
    return confidence, accuracy, counts


def expected_calibration_error(chances: NDArray[np.float64], labels: ArrayLike, *, bins: int = 10) -> float:
    """Return the count-weighted gap between confidence and accuracy (Guo et al., ICML 2017, eq. 3)."""
    confidence, accuracy, counts = reliability(chances, labels, bins=bins)
    full = counts > 0
    return float(np.average(np.abs(confidence - accuracy)[full], weights=counts[full]))


def surest(chances: NDArray[np.float64], *, share: float) -> NDArray[np.bool_]:
    """Return True for the given share of scans whose greatest probability is greatest."""
    keep = max(1, round(share * len(chances)))
    order = np.argsort(-chances.max(axis=1), kind="stable")
    chosen = np.zeros(len(chances), bool)
    chosen[order[:keep]] = True
    return chosen


def interval(
    values: Sequence[float] | NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], float] = lambda v: float(np.mean(v)),
    *,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a statistic over scans (Efron 1979)."""
    data = np.asarray(values, np.float64)
    if not len(data):
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    drawn = [statistic(data[rng.integers(len(data), size=len(data))]) for _ in range(RESAMPLES)]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)
