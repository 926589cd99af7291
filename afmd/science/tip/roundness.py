"""Whether what betrays a tip may be round itself. Rule: a ball's radius adds to the tip's, and no picture parts them.

Edges and ridges are imaged with the tip's curvature one way and with little the other way; balls with the same both
ways. Rough surfaces lie between.
"""

import numpy as np
from numpy.typing import NDArray

from afmd.domain.tip import Tip
from afmd.science.tip.evidence import evidence
from afmd.science.tip.workpiece import Workpiece

BEYOND = 1.25
ROUND = 0.62
"""Simulated domes give 0.74 and more, edges at most 0.41, rough surfaces at most 0.54."""


def only_round(piece: Workpiece, tip: Tip) -> bool:
    """True where what speaks against a tip a quarter blunter lies on summits that curve alike both ways."""
    pitch = float(np.sqrt(piece.pitch[0] * piece.pitch[1]))
    blur = max(0.15 * tip.radius_nm / pitch, 1.0)
    blunter = Tip(BEYOND * tip.radius_nm, tip.half_angle_deg)
    weight = np.maximum(evidence(piece, blunter, blur_px=blur), 0)
    total = float(weight.sum())
    return total > 0 and float((weight * _evenness(piece, blur)).sum()) > ROUND * total


def _evenness(piece: Workpiece, blur_px: float) -> NDArray[np.float64]:
    """Return the lesser over the greater principal curvature, 0 where the surface does not bulge both ways."""
    smooth = piece.smoothed(piece.heights, blur_px)
    (down, across), pitch = np.gradient(smooth, *piece.pitch), piece.pitch
    (twice_down, mixed), twice_across = np.gradient(down, *pitch), np.gradient(across, pitch[1], axis=1)
    metric = 1 + down**2 + across**2
    gauss = (twice_across * twice_down - mixed**2) / metric**2
    mean = (1 + down**2) * twice_across - 2 * down * across * mixed + (1 + across**2) * twice_down
    mean = -mean / (2 * metric**1.5)
    apart = np.sqrt(np.maximum(mean**2 - gauss, 0))
    return np.asarray(np.clip((mean - apart) / np.maximum(mean + apart, 1e-9), 0, 1), dtype=np.float64)
