"""What an artefact may know, and what it gives back. Rule: an artefact never changes an array that it was handed."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Heights, Mask
from afmd.twin.servo import Loop
from afmd.twin.tip import Tip


class Stage(Enum):
    """Where in the microscope an artefact acts; they are applied in this order."""

    TIP = "tip"
    """On the surface as the tip sees it: heights with margin."""
    PATH = "path"
    """On what lies under the tip along the way: (2, rows, cols with margin), trace and retrace in spatial order."""
    LOOP = "loop"
    """On the feedback loop's settings."""
    SIGNAL = "signal"
    """On the recorded heights: (2, rows, cols)."""
    CLIP = "clip"
    """On the recorded heights with everything in them."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A scan before anything went wrong. Rows are in time order.

    ``surface``, ``imaged``: (rows, cols) with margin, nm, before and after the good tip. ``feature``: the same shape.
    ``relief_nm``: the 0.5-99.5 percentile span of what is imaged. ``noise_nm``: pixel-to-pixel noise. ``line_s``: time
    of one line there and back. ``severity``: 0..1.
    """

    grid: Grid
    surface: Heights
    imaged: Heights
    feature: Mask
    tip: Tip
    loop: Loop
    relief_nm: float
    noise_nm: float
    line_s: float
    severity: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the frame."""
        return self.grid.rows - 2 * self.grid.margin_rows, self.grid.cols - 2 * self.grid.margin_cols

    def amplitude(self, draw: Draw, name: str = "amplitude_nm") -> float:
        """A height in nm: at severity 0 just above the noise, at 1 as high as the relief, even in the logarithm."""
        faint, strong = 2.0 * self.noise_nm, max(1.2 * self.relief_nm, 12 * self.noise_nm)
        return draw.log("strength", 0.7, 1.4) * self._kept(draw, name, float(faint * (strong / faint) ** self.severity))

    def share(self, draw: Draw, name: str, low: float, high: float) -> float:
        """A share that grows with severity, even in the logarithm, times a draw between 1/2 and 2."""
        middle = float(low * (high / low) ** self.severity)
        return self._kept(draw, name, float(np.clip(middle * draw.log(f"{name}_spread", 0.5, 2.0), low, high)))

    @staticmethod
    def _kept(draw: Draw, name: str, value: float) -> float:
        draw.values[name] = float(f"{value:.6g}")
        return value


@dataclass(frozen=True, slots=True, eq=False)
class Spoilt:
    """The stage's values with the artefact in them.

    ``offsets``: (rows,) nm that each line is raised from here on, which belongs to the background, or None.
    ``envelope``: (rows, cols) nm, the local amplitude of a wave, which counts as moved also where the wave passes
    through zero, or None.
    """

    values: Heights
    offsets: NDArray[np.float64] | None = None
    envelope: Heights | None = None
