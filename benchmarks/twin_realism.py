"""Where real scans lie among simulated ones, in statistics that know neither nm nor the sample.

    OMP_NUM_THREADS=1 python benchmarks/twin_realism.py [SCANS_DIR] [SIMULATED]

Each statistic is turned into a normal score by its rank among the simulated scans; a real scan's distance is the
Mahalanobis distance of its scores, given as the share of simulated scans that lie nearer to the middle. Real scans are
covered where that share is below about 0.98; the three scores named are the most unusual ones.
"""

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

import afmd
from afmd.twin import EVERYTHING, simulate
from afmd.twin.gallery import plane_levelled

LOW, HIGH = (0.015, 0.12), (0.12, 0.5)
"""Bands of the spectrum, cycles a pixel."""


def main() -> None:
    scans = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "shared" / "scans"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 400
    real = dict(_real(scans))
    simulated = [statistics(simulate(seed, recipe=EVERYTHING).scan.heights) for seed in range(count)]
    names = list(simulated[0])
    table = np.array([list(one.values()) for one in simulated])
    scores = _scores(table, table)
    spread = np.linalg.inv(np.cov(scores.T) + 0.05 * np.eye(len(names)))
    nearness = np.sort(_distance(scores, spread))
    print(f"{'real scan':28s} nearer  most unusual")
    for name, values in real.items():
        own = _scores(np.array([list(values.values())]), table)
        share = np.searchsorted(nearness, _distance(own, spread)[0]) / count
        worst = np.argsort(-np.abs(own[0]))[:3]
        print(f"{name[:28]:28s} {share:6.3f}  " + ", ".join(f"{names[i]} {own[0, i]:+.1f} σ" for i in worst))


def statistics(heights: NDArray[np.float32]) -> dict[str, float]:
    """Scale-free statistics of one scan, (rows, cols) in any unit."""
    raw = np.asarray(heights, dtype=np.float64)
    plane = plane_levelled(raw).astype(np.float64)
    steps = np.median(np.diff(raw, axis=0), axis=1)
    lines = plane_levelled(raw - np.concatenate([[0.0], np.cumsum(steps)])[:, None]).astype(np.float64)
    relief, bend = _span(lines), _robust(np.diff(raw, 2, axis=1))
    within = _robust(np.diff(raw, axis=0) - steps[:, None])
    found = {
        "noise / relief": _log(bend / relief),
        "bend at 2 px / 1 px": _log(_robust(raw[:, 4:] - 2 * raw[:, 2:-2] + raw[:, :-4]) / bend),
        "bend at 8 px / 1 px": _log(_robust(raw[:, 16:] - 2 * raw[:, 8:-8] + raw[:, :-16]) / bend),
        "line offsets / relief": max(_log(_robust(steps) / relief), -4.0),
        "line offsets / difference": max(_log(_robust(steps) / within), -2.5),
        "slow / fast bend": _log(_robust(np.diff(raw, 2, axis=0)) / bend),
        "tilt / relief": max(_log(np.ptp(raw - plane) / _span(plane)), -2.0),
        "drift": max(_log(_span(plane) / relief), -0.05),
    }
    for axis, side in ((1, "fast"), (0, "slow")):
        slope = np.diff(lines, axis=axis)
        found[f"{side} slope, low"] = _spectral_slope(lines if axis == 0 else raw, axis, LOW)
        found[f"{side} slope, high"] = _spectral_slope(lines if axis == 0 else raw, axis, HIGH)
        found[f"{side} steepness, kurtosis"] = _log(_moment(slope, 4))
    low, quarter, middle, upper, high = np.percentile(lines, [5, 25, 50, 75, 95])
    found["heights, skewness"] = _moment(lines, 3)
    found["heights, kurtosis"] = _log(_moment(lines, 4))
    found["heights, upper half"] = (high - middle) / (high - low)
    found["heights, middle half"] = (upper - quarter) / (high - low)
    return found


def _real(scans: Path) -> list[tuple[str, dict[str, float]]]:
    images = [(path.name, afmd.read(path).heights) for path in sorted((scans / "images").iterdir())]
    listed = json.loads((scans / "surfaces" / "surfaces.json").read_text())
    maps = [(one["file"], np.load(scans / "surfaces" / one["file"])) for one in listed]
    return [(name, statistics(heights)) for name, heights in images + maps]


def _scores(values: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks = [np.searchsorted(np.sort(among[:, i]), values[:, i]) for i in range(values.shape[1])]
    share = np.stack(ranks, axis=1) / (len(among) + 1)
    return norm.ppf(np.clip(share, 0.5 / len(among), 1 - 0.5 / len(among)))


def _distance(scores: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.einsum("ij,jk,ik->i", scores, spread, scores)


def _spectral_slope(heights: NDArray[np.float64], axis: int, band: tuple[float, float]) -> float:
    lines = np.moveaxis(heights, axis, 1)
    window = np.hanning(lines.shape[1])
    power = (np.abs(np.fft.rfft((lines - lines.mean(axis=1, keepdims=True)) * window, axis=1)) ** 2).mean(axis=0)
    frequency = np.fft.rfftfreq(lines.shape[1])
    inside = (frequency > band[0]) & (frequency < band[1])
    return float(np.polyfit(np.log(frequency[inside]), np.log(power[inside] + 1e-30), 1)[0])


def _moment(values: NDArray[np.float64], order: int) -> float:
    centred = values - values.mean()
    return float((centred**order).mean() / centred.std() ** order)


def _robust(values: NDArray[np.float64]) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _span(values: NDArray[np.float64]) -> float:
    return float(np.subtract(*np.percentile(values, [99.5, 0.5])))


def _log(value: float) -> float:
    return float(np.log10(value + 1e-9))


if __name__ == "__main__":
    main()
