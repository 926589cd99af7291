"""Single hits: pixels that stand above or below both lines around them, by more than lines differ.

Rule: a hit is one line thick; what two lines share is a feature of the sample.
"""

import numpy as np
from numpy.typing import NDArray

from afmd.science.rules.streaks import sampled_sigma

Plane = NDArray[np.float32]


def hits(steps: Plane) -> Plane:
    """Return by how many σ of line-to-line steps each pixel stands out of both neighbouring lines, on one side.

    ``steps``: from ``line_steps``. Float32 (rows, cols); the first and last lines have but one neighbour and get 0.
    """
    result = np.zeros((steps.shape[0] + 1, steps.shape[1]), dtype=np.float32)
    sigma = sampled_sigma(steps)
    if len(result) < 3 or sigma == 0:
        return result
    out, back = steps[:-1], -steps[1:]
    hit = result[1:-1]  # of what stands out on opposite sides, both terms are below 0
    np.minimum(out, back, out=hit)
    np.maximum(hit, -np.maximum(out, back, out=back), out=hit)
    np.maximum(hit, 0, out=hit)
    hit /= np.float32(sigma)
    return result
