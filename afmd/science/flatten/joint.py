"""The scanner as one smooth surface and one offset for each line, found together on trusted substrate."""

import numpy as np

from afmd.domain.params import Params
from afmd.science.flatten.lines import median
from afmd.science.flatten.polynomials import frame_polynomial
from afmd.science.flatten.terms import Background, Ground


def joint(ground: Ground, params: Params) -> Background:
    """Fit the scanner's smooth surface and each line's offset together."""
    smooth = frame_polynomial(ground, order=min(params.order, 2))
    lines = median(ground.without(smooth), Params(direction="row"))
    return Background(np.asarray(smooth + lines.surface), direction="row", order=min(params.order, 2))
