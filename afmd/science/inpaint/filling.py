"""One table of filling methods under their known names, and the one function that runs them.

Rule: a method proposes heights for the masked pixels; writing them, and nothing else, happens here alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from afmd.domain.result import Filled
from afmd.errors import InvalidInput
from afmd.science.inpaint.evidence import Weighed, weighed
from afmd.science.inpaint.gaps import Heights, Mask
from afmd.science.inpaint.harmonic import biharmonic, laplace
from afmd.science.inpaint.kriging import Kriged, Values, kriged
from afmd.science.inpaint.passes import laid
from afmd.science.inpaint.published import directional, telea
from afmd.science.inpaint.sigma import standard_deviation


@dataclass(frozen=True, slots=True, eq=False)
class Holes:
    """What a method may look at.

    ``heights``: float32 (rows, cols) nm, not to be written. ``mask``: True = to fill. ``stripes``: the part of it that
    is long and narrow. ``pixel_nm``: (down, across). ``radius``: px, Telea's. ``guess``: the kriging prediction, with
    its standard deviation ``sigma``, float32 (n,) nm.
    """

    heights: Heights
    mask: Mask
    stripes: Mask
    pixel_nm: tuple[float, float]
    radius: int
    guess: Kriged
    sigma: Values

    def judged(self, values: Values) -> Weighed:
        """Return values that came of no model of their errors, with standard deviations.

        The error of any prediction is kriging's own plus its distance from kriging, squared: kriging's error is
        uncorrelated with every combination of the data.
        """
        return Weighed(values, np.hypot(self.sigma, values - self.guess.filled.values))


Method = Callable[[Holes], Weighed]
"""Proposes a height for each masked pixel, in row-major order, and says how far to trust it."""

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "evidence": lambda of: weighed(of.heights, of.mask, guess=of.guess, sigma=of.sigma),
        "across": lambda of: Weighed(of.guess.filled.values, of.sigma),
        "laplace": lambda of: of.judged(laplace(of.heights, of.mask, pixel_nm=of.pixel_nm)),
        "biharmonic": lambda of: of.judged(biharmonic(of.heights, of.mask, pixel_nm=of.pixel_nm)),
        "directional": lambda of: of.judged(directional(of.heights, of.mask, stripes=of.stripes, radius=of.radius)),
        "telea": lambda of: of.judged(telea(of.heights, of.mask, radius=of.radius)),
    }
)
"""``evidence`` also looks at the heights under the mask; all others take them for lost."""


def fill(
    heights: Heights,
    mask: Mask,
    *,
    method: str,
    pixel_nm: tuple[float, float],
    radius: int = 3,
    stripes: Mask | None = None,
    other_pass: Heights | None = None,
) -> Filled:
    """Return new heights, masked pixels filled, and the standard deviation of each of them.

    ``heights``: float32 (rows, cols) nm, levelled. ``mask``: True = to fill; only ``evidence`` looks at what lies under
    it: as measured, or not finite where nothing was. ``method``: a name in ``METHODS``. ``pixel_nm``: pitch (down,
    across). ``radius``: px, Telea's. ``stripes``: what of the mask ``directional`` leaves to Telea. ``other_pass``: the
    opposite pass, float32 (rows, cols) nm, the same orientation, levelled or not; only ``evidence`` looks at it. Raises
    ``InvalidInput`` where no pixel is left to fill from.
    """
    if not mask.any():
        return Filled(heights=heights.copy(), sigma=np.zeros_like(heights))
    if mask.all():
        raise InvalidInput(
            "mask", why="every pixel is masked", mend="Leave some pixels to fill from", field="mask"
        )  # fmt: skip
    other = laid(heights, other_pass, mask) if other_pass is not None and method == "evidence" else None
    guess = kriged(heights, mask, other)
    none = np.zeros_like(mask)
    stripes = none if stripes is None else stripes & mask
    found = METHODS[method](Holes(heights, mask, stripes, pixel_nm, radius, guess, standard_deviation(guess)))
    result, sigma = heights.copy(order="C"), np.zeros(heights.shape, np.float32)
    result.reshape(-1)[guess.pixels.at], sigma.reshape(-1)[guess.pixels.at] = found.values, found.sigma
    return Filled(heights=result, sigma=sigma)
