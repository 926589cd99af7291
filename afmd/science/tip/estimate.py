"""The tip from its own picture. Rule: where the picture cannot tell, that is the answer.

Blind reconstruction after Villarrubia (J. Res. Natl. Inst. Stand. Technol. 102 (1997) 425, section 6) with two numbers
in place of a free shape: the largest rounded cone whose opening still reproduces the picture within its noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.domain.tip import Tip, TipEstimate
from afmd.science.tip.evidence import against, onset, rough_crossing
from afmd.science.tip.flanks import half_angle_deg, sharpest_deg
from afmd.science.tip.roundness import only_round
from afmd.science.tip.workpiece import Workpiece, prepared, windows

LEAST_SIDE_PX = 24
LEAST_RADIUS_PX = 1.5
COARSEST_RADIUS_PX = 4.3
"""On coarser grids any surface looks as if a tip of three to four pixels had taken it."""
BLUNTEST_NM = 60.0
"""Smooth samples are commoner than tips more blunt than this."""
MOST_RADIUS_PX = 26.0
BEST_RADIUS_PX = 20.0
"""A tip that is larger on the grid is looked at on a coarser one, where noise is less."""
SURE = 4.0
"""Mean evidence over its own standard error, from tile to tile, below which there is none."""
MOST_SPREAD = 0.15
FLOOD_PX, FLOOD_RADII = 24.0, 2.2
"""How deep below the highest heights is looked, at first and then closely."""
AROUND = np.geomspace(0.55, 1.75, 24)
"""Radii that are looked at closely, over the rough one."""
STARTS = (0.9, 1.0, 1.12)
"""Where an onset is sought, over the rough radius."""
MOST_SHARE = 0.14
"""Evidence at an onset, as a share of that at one and a half times its radius; what is more set in earlier."""
FOLDS = 16
OWN_SHARE, OWN_PIXELS = 0.02, 0.15
"""What the method itself adds to the spread, as a share of the radius and in pixels: its error without noise."""


def estimated(
    heights: NDArray[np.float32], *, pixel_nm: tuple[float, float], trusted: NDArray[np.bool_]
) -> TipEstimate:
    """Return the tip's radius and half-angle with their spread, or why the picture cannot tell.

    ``heights``: float32 (rows, cols) nm, levelled. ``trusted``: True where a height may testify.
    """
    if trusted.sum() < LEAST_SIDE_PX**2 or min(heights.shape) < LEAST_SIDE_PX:
        return _untold("too few trusted pixels are left")
    sight = _first_sight(heights, pixel_nm, trusted)
    if sight is None:
        return _untold("nothing in it is sharp enough to betray a tip: it is too flat, too noisy or too smooth")
    radius, spread = _looked_at_closely(sight)
    if not np.isfinite(radius) or spread > MOST_SPREAD * radius:
        return _untold("its features do not agree on one radius")
    spread = float(np.hypot(spread, OWN_SHARE * radius + OWN_PIXELS * sight.pitch))
    at_most = radius + 2 * spread
    objection = _objection(sight, radius, max(pixel_nm))
    if objection:
        return _untold(objection, at_most=at_most)
    return TipEstimate(radius, spread, half_angle_deg(sight.whole), at_most_nm=at_most)


def _objection(sight: "_Sight", radius: float, coarser_nm: float) -> str:
    """Return why the radius is no more than an upper bound, or nothing."""
    if radius < COARSEST_RADIUS_PX * coarser_nm:
        return f"its pixels of {coarser_nm:.3g} nm are too coarse to show the apex"
    if radius > BLUNTEST_NM:
        return f"what looks like a tip of {radius:.0f} nm is more likely the sample's own shape"
    if only_round(sight.pieces[0].flooded(FLOOD_RADII * radius), Tip(radius, sight.sharpest_deg)):
        return "only round summits betray it, whose own radius adds to the tip's"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    whole: Workpiece
    pieces: Sequence[Workpiece]
    sharpest_deg: float
    radius: float

    @property
    def pitch(self) -> float:
        return _mean_pitch(self.whole)


def _first_sight(
    heights: NDArray[np.float32], pixel_nm: tuple[float, float], trusted: NDArray[np.bool_]
) -> _Sight | None:
    """Return grid and rough radius of the finest grid on which evidence sets in, or of a coarser and better one."""
    best, coarser = None, 1
    while True:
        step = _step(pixel_nm, coarser)
        if min(side // by for side, by in zip(heights.shape, step, strict=True)) < LEAST_SIDE_PX:
            return best
        found = _sight(prepared(heights, trusted, pixel_nm, step=step), finest=coarser == 1)
        if found is None and best is not None:
            return best
        if found is not None:
            best = found
            if found.radius <= BEST_RADIUS_PX * found.pitch:
                return best
        coarser *= 2


def _sight(whole: Workpiece, *, finest: bool) -> _Sight | None:
    """Return a rough radius on this grid, or None where no evidence sets in that is more than chance."""
    pitch, sharp = _mean_pitch(whole), sharpest_deg(whole)
    pieces = windows(whole)
    shallow = [piece.flooded(FLOOD_PX * pitch) for piece in pieces[:2]]
    radii = np.geomspace(LEAST_RADIUS_PX if finest else 3.5, MOST_RADIUS_PX, 9 if finest else 7) * pitch
    blur = _blur_px(whole, 3 * pitch)
    seen: list[NDArray[np.float64]] = []
    for radius in radii:
        seen.append(against(shallow, float(radius), half_angle_deg=sharp, blur_px=blur))
        if len(seen) > 4 and seen[-1].mean() > 0.15 and seen[-3].mean() > 0.03:
            break
    tiles, radii = np.array(seen), radii[: len(seen)]
    radius = rough_crossing(radii, tiles.mean(axis=1))
    if not np.isfinite(radius):
        return None
    beyond = np.array([np.interp(np.log(1.5 * radius), np.log(radii), tile) for tile in tiles.T])
    sure = beyond.mean() * np.sqrt(beyond.size) > SURE * beyond.std()
    return _Sight(whole, pieces, sharp, radius) if sure else None


def _looked_at_closely(sight: _Sight) -> tuple[float, float]:
    """Return radius and its standard deviation, a jackknife over the tiles; or NaN where no onset is found.

    One look around the rough radius is enough; a second one around its result would creep down on rough ground.
    """
    radii, blur = sight.radius * AROUND, _blur_px(sight.whole, sight.radius)
    pieces = [piece.flooded(FLOOD_RADII * sight.radius) for piece in sight.pieces]
    tiles = np.array([against(pieces, float(r), half_angle_deg=sight.sharpest_deg, blur_px=blur) for r in radii])
    found = _largest_onset(radii, tiles.mean(axis=1), rough=sight.radius)
    return found, _jackknife(radii, tiles, about=found) if np.isfinite(found) else float("inf")


def _largest_onset(radii: NDArray[np.float64], means: NDArray[np.float64], *, rough: float) -> float:
    """Return the largest onset at which evidence has not long set in, else the smallest, NaN where there is none.

    Balls among sharp bodies have a later onset of their own.
    """
    onsets = [onset(radii, means, about=start * rough) for start in STARTS]
    onsets = sorted(radius for radius in onsets if np.isfinite(radius))
    shares = [np.interp([0.7 * radius, radius, 1.5 * radius], radii, means) for radius in onsets]
    early = [
        radius
        for radius, (creep, here, ahead) in zip(onsets, shares, strict=True)
        if here - creep < MOST_SHARE * (ahead - creep)
    ]
    return early[-1] if early else (*onsets, float("nan"))[0]


def _jackknife(radii: NDArray[np.float64], tiles: NDArray[np.float64], *, about: float) -> float:
    count = tiles.shape[1]
    folds = min(FOLDS, count)
    if folds < 2:
        return float("inf")
    left_out = [np.delete(tiles, np.arange(k, count, folds), axis=1).mean(axis=1) for k in range(folds)]
    radius = np.array([onset(radii, means, about=about) for means in left_out])
    radius = radius[np.isfinite(radius)]
    if len(radius) < max(2, folds // 2):
        return float("inf")
    return float(np.sqrt((len(radius) - 1) * radius.var()))


def _blur_px(piece: Workpiece, radius: float) -> float:
    """Return the width of the Gaussian that leaves noise of 1.5 % of the radius, and no less than a tenth of it."""
    needed = piece.white_nm / (2 * np.sqrt(np.pi) * 0.015 * radius)
    return float(np.clip(max(0.1 * radius / _mean_pitch(piece), needed), 0.6, 1.5))


def _step(pixel_nm: tuple[float, float], coarser: int) -> tuple[int, int]:
    aim = coarser * min(pixel_nm)
    return max(1, round(aim / pixel_nm[0])), max(1, round(aim / pixel_nm[1]))


def _mean_pitch(piece: Workpiece) -> float:
    return float(np.sqrt(piece.pitch[0] * piece.pitch[1]))


def _untold(reason: str, *, at_most: float = float("inf")) -> TipEstimate:
    return TipEstimate(float("nan"), float("nan"), at_most_nm=at_most, reason=reason)
