"""What speaks against a tip. Rule: a picture is held against what this very tip would have recorded, noise included.

A tip that is too blunt cannot have made the picture: its opening lies below (Villarrubia 1997, section 6). Noise lies
above every opening too; so the opening is made anew into a noisy picture, and what that leaves above its own opening
is taken off. What remains is near 0 up to the true radius and rises steeply beyond.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from afmd.domain.tip import Tip
from afmd.science.tip.morphology import dilate, erode
from afmd.science.tip.shape import kernel
from afmd.science.tip.workpiece import Workpiece

TILE_PX = 24
"""Side of the tiles over which evidence is averaged: about one feature each, so that they count as independent."""
FULL = 0.1
"""A pixel speaks with full voice where it lies this many radii above the opening; a spike says no more than that."""
DEEP = 1.25
"""How far up a tip is looked at, in radii. A rounded cone is open to its own lower part, which so asks for no more."""
GRID_SLACK = 0.4
"""How far between-pixel contacts lift a picture above its opening, in pitch² / radius."""
KINKS = np.exp(np.arange(-0.30, 0.301, 0.01))
KINK_NEAR = (0.65, 1.4)
"""Shares of the radius between which evidence is looked at: farther off it is bent by more than the kink."""
KINK_SIDE, KINK_SETTLED, KINK_ROUNDS = 2, 0.015, 5
RECORDED_LOW = 1.01
"""On simulated frames the kink lies at 0.98 of the radius under bodies, and at 1.03 on rough ground."""
NOTHING = 5e-3
"""Mean evidence of a frame below which there is none."""
BURIED = np.float32(-1e9)


def against(
    pieces: Sequence[Workpiece], radius_nm: float, *, half_angle_deg: float, blur_px: float
) -> NDArray[np.float64]:
    """Return the mean evidence in [-1, 1] of every tile of every piece against a tip of this radius; (tiles,)."""
    tip = Tip(radius_nm, half_angle_deg)
    return np.concatenate([_tiled(evidence(p, tip, blur_px=blur_px, seed=i)) for i, p in enumerate(pieces)])


def evidence(piece: Workpiece, tip: Tip, *, blur_px: float, seed: int = 0) -> NDArray[np.float32]:
    """Return each pixel's evidence against a tip, float32 (rows, cols) in [-1, 1], 0 where not trusted."""
    smooth = piece.smoothed(piece.heights, blur_px)
    relief = min(float(np.ptp(smooth)), DEEP * tip.radius_nm)
    shape = kernel(tip, pixel_nm=piece.pitch, relief_nm=max(relief, 1e-6))
    opened = _opened(smooth, piece.trusted, shape)
    again = piece.smoothed(opened + piece.noise(np.random.default_rng(seed)), blur_px)
    expected = _opened(again, piece.trusted, shape)
    slack = GRID_SLACK * piece.pitch[0] * piece.pitch[1] / tip.radius_nm
    seen, chance = (_voice(gap - slack, tip.radius_nm) for gap in (smooth - opened, again - expected))
    return np.where(piece.trusted, seen - chance, np.float32(0))


def onset(radii: NDArray[np.float64], means: NDArray[np.float64], *, about: float) -> float:
    """Return the radius at which evidence sets in, sought near ``about``, or NaN where it does not; ``radii`` rising.

    Below the true radius evidence creeps up with the radius's logarithm, at most; beyond, it grows with the radius. The
    kink between both is found by least squares: it does not depend on how many features there are, nor on how sharp a
    picture is.
    """
    ends = np.pad(means, 1, mode="edge")
    means = (ends[:-2] + 2 * means + ends[2:]) / 4
    radius = about
    for _ in range(KINK_ROUNDS):
        near = (radii > KINK_NEAR[0] * radius) & (radii < KINK_NEAR[1] * radius)
        before, radius = radius, _kink(radii[near], means[near], radius * KINKS)
        if not abs(radius / before - 1) > KINK_SETTLED:
            break
    return RECORDED_LOW * radius


def _kink(radii: NDArray[np.float64], means: NDArray[np.float64], kinks: NDArray[np.float64]) -> float:
    """Return that of ``kinks`` which leaves the least squares, NaN where none leaves less than a creep alone."""
    if len(radii) < 2 * KINK_SIDE + 1:
        return float("nan")
    creep, _ = np.linalg.qr(np.stack([np.ones_like(radii), np.log(radii)], axis=1))
    rise = np.maximum(radii / kinks[:, None] - 1, 0)
    told = np.minimum((rise > 0).sum(axis=1), (rise == 0).sum(axis=1)) >= KINK_SIDE
    rise, left = rise - rise @ creep @ creep.T, means - creep @ (creep.T @ means)
    along = rise @ left
    gain = np.where(told & (along > 0), along**2 / np.maximum((rise**2).sum(axis=1), 1e-12), 0)
    return float(kinks[gain.argmax()]) if gain.max() > 0 else float("nan")


def rough_crossing(radii: NDArray[np.float64], means: NDArray[np.float64]) -> float:
    """Return the radius at which evidence last rises through a tenth of its largest, or NaN where there is none."""
    level = 0.1 * float(means.max())
    steps = np.flatnonzero((means[:-1] < level) & (means[1:] >= level))
    if level < NOTHING / 10 or not steps.size:
        return float("nan")
    i = int(steps[-1])
    part = (level - means[i]) / (means[i + 1] - means[i])
    return float(radii[i] * (radii[i + 1] / radii[i]) ** part)


def _opened(
    heights: NDArray[np.float32], trusted: NDArray[np.bool_], shape: NDArray[np.float64]
) -> NDArray[np.float32]:
    eroded = erode(np.where(trusted, heights, np.float32(np.inf)), shape)
    eroded[~np.isfinite(eroded)] = BURIED
    return np.asarray(np.minimum(dilate(eroded, shape), heights), dtype=np.float32)


def _voice(gap: NDArray[np.float32], radius_nm: float) -> NDArray[np.float32]:
    return np.asarray(np.clip(gap / np.float32(FULL * radius_nm), 0, 1), dtype=np.float32)


def _tiled(values: NDArray[np.float32]) -> NDArray[np.float64]:
    side = [min(TILE_PX, n) for n in values.shape]
    count = [n // s for n, s in zip(values.shape, side, strict=True)]
    cut = values[: count[0] * side[0], : count[1] * side[1]]
    means = cut.reshape(count[0], side[0], count[1], side[1]).mean(axis=(1, 3), dtype=np.float64)
    return np.asarray(means, dtype=np.float64).ravel()
