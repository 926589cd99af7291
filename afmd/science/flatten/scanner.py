"""What the scanner adds to the heights, as the joint method models it. Rule: one shape for all lines, one offset each.

The shape along the line is a polynomial without its constant, which belongs to the lines' offsets; ``twist`` tilts the
first line one way and the last the other, as crossed piezo axes do.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.thinned import Floats, Thinned

Doubles = NDArray[np.float64]


class Scanner(NamedTuple):
    """``shape``: coefficients (order,) of ``powers``, nm. ``offsets``: (lines,) nm. ``twist``: nm at the corners."""

    shape: Doubles
    offsets: Doubles
    twist: float = 0.0

    def plus(self, shape: Doubles, offsets: Doubles, twist: float) -> "Scanner":
        """Return the sum of this scanner and a change of each of its parts."""
        return Scanner(self.shape + shape, self.offsets + offsets, self.twist + twist)

    def along(self, across: Doubles) -> Floats:
        """Return the shape at ``across`` (−1 … 1), float32 nm."""
        return np.asarray(powers(across, len(self.shape)) @ self.shape, dtype=np.float32)

    def off(self, frame: Thinned) -> Floats:
        """Return the frame's heights without the scanner, new."""
        flat = frame.heights - self.along(frame.across)
        flat -= self.offsets[:, None].astype(np.float32)
        if self.twist:
            flat -= twisted(self.twist, frame.down, frame.across)
        return flat


def powers(across: Doubles, order: int) -> Doubles:
    """Return Legendre polynomials 1..``order`` at ``across``, (columns, order)."""
    columns = [np.ones_like(across), across]
    for n in range(2, order + 1):  # Bonnet's recurrence; numpy's own takes four times as long for so few
        columns.append((columns[-1] * across * (2 * n - 1) - columns[-2] * (n - 1)) / n)
    return np.stack(columns[1 : order + 1], axis=1)


def twisted(twist: float, down: Doubles, across: Doubles) -> Floats:
    """Return the twist at (lines, columns), float32 nm."""
    return (twist * down).astype(np.float32)[:, None] * across.astype(np.float32)[None, :]
