"""The same tips as the daemon's, written down a second time, and the image of a surface under them.

Rule: nothing here is shared with the code that undoes the tip, so that one can prove the other.
"""

import numpy as np
from numpy.typing import NDArray

from afmd.domain.tip import Tip, TipForm
from afmd.errors import InvalidInput
from afmd.twin.grid import Heights


def rise(tip: Tip, down: Heights, across: Heights) -> Heights:
    """Return the tip's height in nm above its apex at offsets in nm that broadcast against each other."""
    if tip.form is TipForm.PARABOLOID:
        return np.asarray((down**2 + across**2) / (2 * tip.radius_nm))
    if tip.form is TipForm.ARRAY:
        raise InvalidInput("tip", why="the twin makes no pairs with a measured one", mend="Take a form", field="tip")
    away = np.maximum(abs(down), abs(across)) if tip.form is TipForm.PYRAMID else np.hypot(down, across)
    slope = 1 / np.tan(np.radians(tip.half_angle_deg))
    foot = tip.radius_nm * np.cos(np.radians(tip.half_angle_deg))
    cap = tip.radius_nm - np.sqrt(np.maximum(tip.radius_nm**2 - np.minimum(away, foot) ** 2, 0))
    return np.asarray(cap + slope * np.maximum(away - foot, 0))


def reach_nm(tip: Tip, relief_nm: float) -> float:
    """Return a distance from the axis beyond which the tip is higher than ``relief_nm``."""
    if tip.form is TipForm.PARABOLOID:
        return float(np.sqrt(2 * tip.radius_nm * relief_nm))
    return float(tip.radius_nm + relief_nm * np.tan(np.radians(tip.half_angle_deg)))


def dilated(
    surface: Heights, tip: Tip, *, pitch_nm: tuple[float, float], margin: tuple[int, int], finer: int = 1
) -> NDArray[np.float32]:
    """Return what ``tip`` records at every ``finer``-th point of the surface that lies a margin inside it.

    ``surface``: float64 (rows, cols) nm at ``pitch_nm``; ``margin``: points left away on each side, which the tip sees
    all the same. Image(x) = max over u of surface(x + u) - tip(u) (Villarrubia 1997, section 3), exact on the points.
    """
    relief = float(np.ptp(surface))
    reach = [min(int(reach_nm(tip, relief) / p), m) for p, m in zip(pitch_nm, margin, strict=True)]
    down, across = (np.arange(-n, n + 1, dtype=np.float64) for n in reach)
    heights = rise(tip, np.multiply(down[:, None], pitch_nm[0]), np.multiply(across[None, :], pitch_nm[1]))
    field = surface.astype(np.float32)
    rows, cols = (n - 2 * m for n, m in zip(surface.shape, margin, strict=True))
    image = np.full((-(-rows // finer), -(-cols // finer)), -np.inf, np.float32)
    lowered = np.empty_like(image)
    for i, j in np.argwhere(heights <= relief):
        top, left = margin[0] + int(down[i]), margin[1] + int(across[j])
        part = field[top : top + rows : finer, left : left + cols : finer]
        np.subtract(part, np.float32(heights[i, j]), out=lowered)
        np.maximum(image, lowered, out=image)
    return image
