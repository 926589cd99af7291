"""The half-angle from the steepest slopes. Rule: no picture is steeper than the tip that took it."""

import numpy as np
from numpy.typing import NDArray

from afmd.science.tip.workpiece import Workpiece

LEAST_DEG, MOST_DEG = 5.0, 45.0
MARGIN = 0.9
LEAST_SLOPE = 1.0
PILE = 0.9
"""Slopes from this share of the steepest on count as the flank's own."""
LEAST_SHARE = 2e-3


def sharpest_deg(piece: Workpiece) -> float:
    """Return a half-angle that is surely not too blunt for the picture, in [5, 45] degrees.

    A narrower cone under the same apex opens everything that the true one does, so that the radius alone is judged.
    """
    slope = float(np.quantile(_slopes(piece), 0.995))
    return float(np.clip(MARGIN * np.degrees(np.arctan(1 / max(slope, 1e-3))), LEAST_DEG, MOST_DEG))


def half_angle_deg(piece: Workpiece) -> float | None:
    """Return the half-angle at which the steepest slopes pile up, or None where they do not.

    Walls steeper than the tip are all recorded with the tip's own slope; a surface without such walls has ever fewer
    slopes towards the steepest.
    """
    slopes = _slopes(piece)
    top = float(np.quantile(slopes, 0.999))
    if top < LEAST_SLOPE:
        return None
    near = (slopes > PILE * top) & (slopes <= top / PILE)
    below = (slopes > PILE**3 * top) & (slopes <= PILE**2 * top)
    if near.mean() < LEAST_SHARE or near.sum() < 1.2 * below.sum():
        return None
    return float(np.degrees(np.arctan(1 / float(np.median(slopes[near])))))


def _slopes(piece: Workpiece) -> NDArray[np.float32]:
    down, across = np.gradient(piece.smoothed(piece.heights, 0.7), *piece.pitch)
    return np.asarray(np.hypot(down, across)[piece.trusted], dtype=np.float32)
