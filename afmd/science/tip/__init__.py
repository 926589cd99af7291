"""The tip and what it does to a picture: dilation, erosion, opening, certainty.

Image(x) = max over u of surface(x + u) - tip(u), where tip(u) is the height of the tip's surface above its apex
(Villarrubia, J. Res. Natl. Inst. Stand. Technol. 102 (1997) 425). Erosion is the least upper bound of the surface.
"""

from afmd.science.tip.bound import Bound, Imaging, bounded, radius_doubt
from afmd.science.tip.certainty import certainty
from afmd.science.tip.estimate import estimated
from afmd.science.tip.gated import TOUCHED, Gated, gated
from afmd.science.tip.morphology import dilate, erode, opening
from afmd.science.tip.shape import kernel

__all__ = [
    "TOUCHED", "Bound", "Gated", "Imaging", "bounded", "certainty", "dilate", "erode", "estimated", "gated", "kernel",
    "opening", "radius_doubt",
]  # fmt: skip
