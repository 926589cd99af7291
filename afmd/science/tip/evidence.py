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
AHEAD = 1.5
FULL = 0.1
"""A pixel speaks with full voice where it lies this many radii above the opening; a spike says no more than that."""
GRID_SLACK = 0.4
"""How far between-pixel contacts lift a picture above its opening, in pitch² / radius."""
LEAST_AHEAD = 0.25
"""Evidence ahead counts as no less than this share of the largest: what creeps up from nothing is no onset."""
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
    shape = kernel(tip, pixel_nm=piece.pitch, relief_nm=max(float(np.ptp(smooth)), 1e-6))
    opened = _opened(smooth, piece.trusted, shape)
    again = piece.smoothed(opened + piece.noise(np.random.default_rng(seed)), blur_px)
    expected = _opened(again, piece.trusted, shape)
    slack = GRID_SLACK * piece.pitch[0] * piece.pitch[1] / tip.radius_nm
    seen, chance = (_voice(gap - slack, tip.radius_nm) for gap in (smooth - opened, again - expected))
    return np.where(piece.trusted, seen - chance, np.float32(0))


def crossing(radii: NDArray[np.float64], means: NDArray[np.float64], *, pitch_nm: float) -> float:
    """Return the radius at which evidence sets in, or NaN where it does not within ``radii`` (rising).

    Evidence counts from what there is at the least of them. It sets in where it has reached a small share of what it is
    at one and a half times the radius: the share does not depend on how many features there are, nor on how sharp a
    picture is. Of several such places the largest counts.
    """
    log, means = np.log(radii), means - means[0]
    ahead = np.interp(log + np.log(AHEAD), log, means)
    inside = int(np.count_nonzero(log + np.log(AHEAD) <= log[-1] + 1e-6))
    share = means / np.maximum(ahead, max(LEAST_AHEAD * float(means.max()), NOTHING))
    over = (share - _share_at_onset(radii / pitch_nm))[:inside]
    steps = np.flatnonzero((over[:-1] < 0) & (over[1:] >= 0))
    if not steps.size:
        return float("nan")
    i = int(steps[-1])
    part = over[i] / (over[i] - over[i + 1])
    return float(np.exp(log[i] + part * (log[i + 1] - log[i])))


def rough_crossing(radii: NDArray[np.float64], means: NDArray[np.float64]) -> float:
    """Return the radius at which evidence last rises through a tenth of its largest, or NaN where there is none."""
    level = 0.1 * float(means.max())
    steps = np.flatnonzero((means[:-1] < level) & (means[1:] >= level))
    if level < NOTHING / 10 or not steps.size:
        return float("nan")
    i = int(steps[-1])
    part = (level - means[i]) / (means[i + 1] - means[i])
    return float(radii[i] * (radii[i + 1] / radii[i]) ** part)


def _share_at_onset(radius_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share at the true radius, as measured on simulated frames: larger on coarse grids."""
    return np.asarray(0.075 + 0.5 * np.minimum(1 / radius_px, 0.4))


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
