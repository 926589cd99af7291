"""Tails of parachuting: off whatever it flew, the tip comes down at one rate.

Rule: in the air the loop's error saturates, so that heights fall by integral gain times saturated error from pixel to
pixel. Along the lines of such a scan many straight pieces have one slope, none like it goes up, and hardly anything
falls faster, though much rises faster. The walls of a sample go up as they go down.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.science.robust import TINY, mad_sigma, row_medians

Plane = NDArray[np.float32]

PIECE_PX: Final = 5
"""Length of a straight piece."""
MOST_LINES: Final = 128
"""As many lines are asked whether there is such a rate."""
MOST_SAMPLES: Final = 1 << 13
"""As many slopes tell the ground's own."""
FEWEST_COLUMNS: Final = 32
STRAIGHT, STEEP, STEEP_OF_RELIEF = 2.0, 6.0, 0.004
"""How far a piece's pixels may lie off it, in noise; its least slope per pixel: in standard errors, of the relief."""
ONE_RATE = 0.2
"""In ln: how far slopes of one rate lie apart."""
FASTER, FASTER_SIGMAS = 3.0, 5.0
"""What falls or rises so many times faster, and so much beyond the noise, is held by nothing."""
LEAST_SHARE, LEAST_EDGES = 0.012, 0.001
"""Shares of the pixels: on pieces of the rate, and on edges that rise faster."""
RISING, NARROW, HELD = 0.25, 2.2, 0.15
"""Most pieces that rise at the rate, least height of the rate's peak over its surroundings, most falls over rises."""
NONE_RISING, NARROWER, HARDLY_HELD, LARGER_SHARE = 0.02, 3.0, 0.65, 0.02
"""The same where faster falls have another cause: the rate must show the plainer."""
_BIN, _BINS = 0.1, 90
_BESIDE, _AROUND, _SLOPES = 3, 15, 400
_TURNS, _WITHIN = 3, 3.0


@dataclass(frozen=True, slots=True)
class Rate:
    """The rate at which the tip came down.

    ``nm``: by how much heights fall per pixel. ``way``: 1 where they fall to the right, -1 to the left. ``ground``:
    coefficients of the ground's own slope along the line, nm per pixel, highest power first. ``noise``: σ, nm.
    """

    nm: float
    way: int
    ground: NDArray[np.float64]
    noise: float


def falls(heights: Plane) -> NDArray[np.bool_]:
    """Return True where heights (rows, cols) fall at the one rate at which the tip comes down; False without one."""
    found = np.zeros(heights.shape, bool)
    if heights.shape[1] < FEWEST_COLUMNS:
        return found
    rate = falling_rate(heights[:: max(1, len(heights) // MOST_LINES)])
    if rate is None:
        return found
    slope, straight = _pieces(heights, rate.noise)
    down = -rate.way * (slope - _ground(rate.ground, slope.shape[1]))
    at_rate = np.abs(np.log(np.maximum(down, TINY) / rate.nm)) < ONE_RATE
    found[:, PIECE_PX // 2 : -(PIECE_PX // 2)] = straight & at_rate
    return cv2.dilate(found.view(np.uint8), np.ones((1, PIECE_PX), np.uint8)).view(np.bool_)


def falling_rate(lines: Plane) -> Rate | None:
    """Return the rate at which the tip came down along these lines (lines, cols), or None where there is none."""
    noise = mad_sigma(np.diff(lines[::4], n=2, axis=1)) / 6**0.5
    slope, straight = _pieces(lines, noise)
    if not straight.any():
        return None
    ground = _ground_slope(slope, straight)
    relief = _relief(lines, ground)
    slope -= _ground(ground, slope.shape[1])
    least = max(STEEP * noise / 10**0.5, STEEP_OF_RELIEF * relief, TINY)
    steps = lines[:, 2:] - lines[:, :-2] - 2 * _ground(ground, lines.shape[1] - 2)
    found = [_rate(slope[straight], steps, way, least=least, noise=noise) for way in (1, -1)]
    share, nm, way = max(found)
    return Rate(nm, way, ground, noise) if share > 0 else None


def _rate(slope: Plane, steps: Plane, way: int, *, least: float, noise: float) -> tuple[float, float, int]:
    """Return the share of the pixels on pieces that fall at the commonest rate, 0 where it is no rate of a tip in the
    air, that rate, nm per pixel, and ``way``.
    """
    down, up = (_counts(sign * slope, least) for sign in (-way, way))
    commonest = int(down.argmax())
    nm = least * float(np.exp(_BIN * (commonest + 0.5)))
    far = FASTER * nm + FASTER_SIGMAS * noise
    faster, edges = (np.count_nonzero(sign * steps > far) for sign in (-way, way))
    share, held = float(down[commonest]) / steps.size, (faster + _BESIDE) / (edges + _BESIDE)
    rising = up[commonest] / max(down[commonest], 1)
    around = np.convolve(down, np.full(_AROUND, 1 / _AROUND), "same")[commonest]
    narrow = down[commonest] / max(around, TINY)
    plain = held < HELD and rising < RISING and narrow > NARROW
    plainer = held < HARDLY_HELD and rising < NONE_RISING and narrow > NARROWER and share > LARGER_SHARE
    told = share > LEAST_SHARE and edges > LEAST_EDGES * steps.size and (plain or plainer)
    return share * (1 - min(held, 1.0)) if told else 0.0, nm, way


def _counts(down: Plane, least: float) -> NDArray[np.float64]:
    """Return how many pieces fall at each rate from ``least`` on, within three bins of a tenth in ln."""
    at = np.log(down[down > least] / least) / _BIN
    return np.convolve(np.histogram(at, _BINS, (0, _BINS))[0], np.ones(_BESIDE), "same")


def _pieces(lines: Plane, noise: float) -> tuple[Plane, NDArray[np.bool_]]:
    """Return the slope of every piece, nm per pixel, and True where it is straight: (lines, cols - 4) each."""
    slope, *bends = (
        np.asarray(cv2.filter2D(lines, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)
        for kernel in _kernels()
    )
    off: Plane = np.square(bends).sum(axis=0, dtype=np.float32)
    inner = (slice(None), slice(PIECE_PX // 2, -(PIECE_PX // 2)))
    return slope[inner], off[inner] < (PIECE_PX - 2) * (STRAIGHT * noise) ** 2


@lru_cache(maxsize=1)
def _kernels() -> tuple[NDArray[np.float32], ...]:
    """Return the filters for a piece's slope, and for what lies off a straight line: orthonormal, (1, 5) each."""
    at = np.arange(PIECE_PX) - PIECE_PX // 2
    basis, _ = np.linalg.qr(np.vander(at, PIECE_PX, increasing=True).astype(np.float64))
    slope = at / np.square(at).sum()
    return tuple(kernel[None].astype(np.float32) for kernel in (slope, *basis[:, 2:].T))


def _ground_slope(slope: Plane, straight: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the commonest slope along the line, a parabola of its place from -1 to 1, as coefficients."""
    values = slope[straight]
    place = np.broadcast_to(np.linspace(-1, 1, slope.shape[1], dtype=np.float32), slope.shape)[straight]
    every = max(1, values.size // MOST_SAMPLES) | 1
    values, place = values[::every], place[::every]
    low, high = np.percentile(values, (2, 98))
    at = (_SLOPES * (values - low) / max(float(high - low), TINY)).astype(np.intp)
    counts = np.bincount(at[(at >= 0) & (at < _SLOPES)], minlength=_SLOPES)
    commonest = int(np.convolve(counts, np.ones(9), "same").argmax())
    found, width = np.array([0.0, 0.0, low + (commonest + 0.5) / _SLOPES * (high - low)]), float(high - low) / 8
    for _ in range(_TURNS):
        rest = values - np.polyval(found, place)
        near = np.abs(rest) < width
        if np.count_nonzero(near) < _AROUND:
            break
        found = found + np.polyfit(place[near], rest[near], 2)
        width = min(width, _WITHIN * mad_sigma(rest[near]) + TINY)
    return found


def _ground(coefficients: NDArray[np.float64], cols: int) -> Plane:
    return np.polyval(coefficients, np.linspace(-1, 1, cols)).astype(np.float32)


def _relief(lines: Plane, ground: NDArray[np.float64]) -> float:
    """Return the height between the lowest and the highest half per cent, without ground slope and line offsets."""
    bare = (lines - np.cumsum(_ground(ground, lines.shape[1])))[:, ::2]
    low, high = np.percentile(bare - row_medians(bare)[:, None], (0.5, 99.5))
    return float(high - low)
