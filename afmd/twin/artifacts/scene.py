"""What an artefact may know, and what it gives back. Rule: an artefact never changes an array that it was handed."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy import special

from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Heights, Mask
from afmd.twin.servo import Loop
from afmd.twin.tip import Tip

MOVED_OVER_NOISE, MOVED_OVER_RELIEF = 3.0, 0.02


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
    of one line there and back. ``severity``: 0..1. ``extent``: the same for how much of the frame is touched.
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
    extent: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the frame."""
        return self.grid.rows - 2 * self.grid.margin_rows, self.grid.cols - 2 * self.grid.margin_cols

    @property
    def threshold_nm(self) -> float:
        """From how far on a pixel counts as moved: above the noise, and more than any filling would get wrong."""
        return max(MOVED_OVER_NOISE * self.noise_nm, MOVED_OVER_RELIEF * self.relief_nm)

    def amplitude(self, draw: Draw, name: str = "amplitude_nm") -> float:
        """A height in nm: at severity 0 about the mask's threshold, at 1 as high as the relief, log-even."""
        faint, strong = 1.2 * self.threshold_nm, max(1.2 * self.relief_nm, 12 * self.noise_nm)
        return draw.log("strength", 0.7, 1.4) * self._kept(draw, name, float(faint * (strong / faint) ** self.severity))

    def share(self, draw: Draw, name: str, low: float, high: float) -> float:
        """A share that grows with the extent, even in the logarithm, times a draw between 1/2 and 2."""
        middle = float(low * (high / low) ** self.extent)
        value = np.clip(middle * draw.log(f"{name}_spread", 0.5, 2.0), min(low, middle), high)
        return self._kept(draw, name, float(value))

    def gate(self, draw: Draw, *, whole: float) -> NDArray[np.float64]:
        """A smooth envelope over the lines, (rows,), 0..1: with chance ``whole`` all of them, else one stretch."""
        rows = self.shape[0]
        if draw.chance("whole_frame", whole):
            return np.ones(rows)
        half = max(draw.log("half_share", 0.02, 0.3) * rows, 2.0)
        away = np.abs(np.arange(rows) - draw.uniform("centre_share", 0.0, 1.0) * rows) / half
        return np.asarray(special.expit((1 - away) * draw.log("edge", 3, 40)))

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
