"""One table of filling methods under their known names, and the one function that runs them.

Rule: a method proposes heights for the masked pixels; writing them, and nothing else, happens here alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from afmd.domain.result import Filled
from afmd.errors import InvalidInput
from afmd.science.inpaint.gaps import Heights, Mask
from afmd.science.inpaint.harmonic import biharmonic, laplace
from afmd.science.inpaint.kriging import Kriged, kriged
from afmd.science.inpaint.published import directional, telea
from afmd.science.inpaint.sigma import standard_deviation


@dataclass(frozen=True, slots=True, eq=False)
class Holes:
    """What a method may look at.

    ``heights``: float32 (rows, cols) nm, not to be written. ``mask``: True = to fill. ``stripes``: the part of it that
    is long and narrow. ``pixel_nm``: (down, across). ``radius``: px, Telea's. ``guess``: the kriging prediction.
    """

    heights: Heights
    mask: Mask
    stripes: Mask
    pixel_nm: tuple[float, float]
    radius: int
    guess: Kriged


Method = Callable[[Holes], Heights]
"""Returns float32 nm for each masked pixel, in row-major order."""

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "across": lambda holes: holes.guess.filled.values,
        "laplace": lambda holes: laplace(holes.heights, holes.mask, pixel_nm=holes.pixel_nm),
        "biharmonic": lambda holes: biharmonic(holes.heights, holes.mask, pixel_nm=holes.pixel_nm),
        "directional": lambda holes: directional(holes.heights, holes.mask, stripes=holes.stripes, radius=holes.radius),
        "telea": lambda holes: telea(holes.heights, holes.mask, radius=holes.radius),
    }
)


def fill(
    heights: Heights,
    mask: Mask,
    *,
    method: str,
    pixel_nm: tuple[float, float],
    radius: int = 3,
    stripes: Mask | None = None,
) -> Filled:
    """Return new heights, masked pixels filled, and the standard deviation of each of them.

    ``heights``: float32 (rows, cols) nm, levelled. ``mask``: True = to fill; what lies under it is not looked at.
    ``method``: a name in ``METHODS``. ``pixel_nm``: pitch (down, across). ``radius``: px, Telea's. ``stripes``: what of
    the mask ``directional`` leaves to Telea. Raises ``InvalidInput`` where no pixel is left to fill from.

    The error of any method is kriging's own plus its distance from kriging, squared: kriging's error is uncorrelated
    with every combination of the data.
    """
    result, sigma = heights.copy(), np.zeros_like(heights)
    if not mask.any():
        return Filled(heights=result, sigma=sigma)
    if mask.all():
        raise InvalidInput(
            "mask", why="every pixel is masked", mend="Leave some pixels to fill from", field="mask"
        )  # fmt: skip
    guess = kriged(heights, mask)
    none = np.zeros_like(mask)
    values = METHODS[method](Holes(heights, mask, none if stripes is None else stripes & mask, pixel_nm, radius, guess))
    result[mask] = values
    sigma[mask] = np.hypot(standard_deviation(guess), values - guess.filled.values)
    return Filled(heights=result, sigma=sigma)
