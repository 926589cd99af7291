"""An image as its tip can have made it: shifted lines and raised edges put back, what is masked filled.

Rule: pure, and shared by whatever undoes the tip; what is not clearly a fault stays.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from afmd.domain.tip import Tip
from afmd.science.tip.edges import lift_of, lowered
from afmd.science.tip.lines import unshifted
from afmd.science.tip.workpiece import neutral

LEAST_SHIFT: Final = 3e-3
"""Share of the radius by which a line must stand apart to be put back."""

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Mended:
    """``image``: float32 (rows, cols) nm, what is masked filled, shifted lines and raised edges put back.

    ``noise_nm``: standard deviation of white noise. ``lift_nm``: by how much edges had been raised, or 0.
    """

    image: Plane
    noise_nm: float
    lift_nm: float


def mended(heights: Plane, *, pixel_nm: tuple[float, float], tip: Tip, mask: NDArray[np.bool_] | None = None) -> Mended:
    """Return levelled, finite heights (rows, cols) nm without what no tip does. Raises ``InvalidInput``: absurd tip."""
    pitch = float(np.sqrt(pixel_nm[0] * pixel_nm[1]))
    image = np.asarray(heights, np.float32)
    if mask is not None and mask.any():
        image = neutral(image, ~mask)
    noise = noise_rms(image, mask)
    image = unshifted(image, mask, least=LEAST_SHIFT * max(tip.radius_nm, pitch), noise=noise)
    lift = lift_of(image, pixel_nm=pixel_nm, tip=tip, noise_nm=noise, mask=mask)
    return Mended(lowered(image, lift, pixel_nm=pixel_nm, noise_nm=noise), noise, lift.most * pitch)


def noise_rms(image: Plane, mask: NDArray[np.bool_] | None = None) -> float:
    """Return the standard deviation of white noise in nm, 0 for a picture without any.

    From the median magnitude of the second difference both ways (Immerkær 1996), which smooth surfaces hardly feel.
    """
    if min(image.shape) < 3:
        return 0.0
    once = image[:-2] - 2 * image[1:-1] + image[2:]
    twice = np.abs(once[:, :-2] - 2 * once[:, 1:-1] + once[:, 2:])
    sample = twice.ravel() if mask is None else twice[~mask[1:-1, 1:-1]]
    sample = sample[:: max(1, sample.size // 40_000) | 1]
    return float(np.median(sample)) / (6 * 0.67449) if sample.size else 0.0
