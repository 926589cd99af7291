"""Single hits: pixels that stand above or below both lines around them, by more than lines differ here.

Rule: a hit is one line thick; what two lines share is a feature of the sample.
"""

import numpy as np
from numpy.typing import NDArray

from afmd.science.rules.streaks import line_steps, sampled_sigma

Plane = NDArray[np.float32]


def hits(heights: Plane) -> Plane:
    """Return by how many σ of line-to-line steps each pixel stands out of both neighbouring lines, on one side.

    ``heights``: float32 (rows, cols) in any unit; the first and last lines have but one neighbour and get 0.
    """
    result = np.zeros_like(heights)
    if len(heights) < 3:
        return result
    steps = line_steps(heights)
    sigma = sampled_sigma(steps)
    if sigma == 0:
        return result
    out, back = steps[:-1], -steps[1:]
    least = np.minimum(np.abs(out), np.abs(back))
    result[1:-1] = np.where(out * back > 0, least / np.float32(sigma), np.float32(0))
    return result
