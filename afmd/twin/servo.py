"""The feedback loop: what the z piezo did, line by line, while the tip ran over the surface.

Rule: one pixel is one time step, and all lines advance together; a line's state runs on from trace into retrace.

The gap between tip and surface sets the steady oscillation amplitude, which saturates: at ``free_nm`` above the set
point when the tip has lost the surface (A0 - A_set), at ``-engaged_nm`` when it is pressed down (A = 0). The
cantilever follows with a lag; a PI controller on the amplitude error drives the piezo, which has a lag of its own.
Lost contact therefore falls at the constant rate integral × ``free_nm``: parachuting (Sulchek et al. 2002; Kodera
et al. 2006). Too much gain against the lags rings (Schitter et al. 2007).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.twin.grid import Heights

Setting = float | NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """Gains per pixel, saturation in nm of height, lags in pixels; one value, or one for each line.

    ``wave_px``: the period at which the loop rings, 0 where it does not: known to the mask, not to the loop.
    """

    integral: Setting
    proportional: Setting
    free_nm: Setting
    engaged_nm: Setting
    cantilever_px: Setting
    piezo_px: Setting
    wave_px: float = 0.0

    @property
    def late_px(self) -> float:
        """How far behind a slope is recorded: a ramp of s nm a pixel needs the constant error s / integral."""
        return float(np.mean(1.0 / np.asarray(self.integral))) - 1.0

    @property
    def falls_nm(self) -> Setting:
        """How far the tip comes down in one pixel when it has lost the surface."""
        return np.multiply(self.integral, self.free_nm)


def follow(paths: Heights, noise: Heights, loop: Loop) -> tuple[Heights, Heights]:
    """Run the loop over one frame.

    ``paths``: (2, rows, cols) nm, the surface under the tip in trace and retrace, in *spatial* order. ``noise``: noise
    of the amplitude signal in nm, the same shape. Returns new heights and amplitude errors, nm, the same shape and
    order; an error is positive where the tip is too far away.
    """
    under = paths + noise
    path = np.concatenate([under[0], under[1, :, ::-1]], axis=1).T
    z, error = _run(np.ascontiguousarray(path), loop)
    cols = paths.shape[2]
    heights, errors = (np.stack([v[:cols].T, v[cols:][::-1].T]) for v in (z, error))
    return heights, errors


def _run(path: Heights, loop: Loop) -> tuple[Heights, Heights]:
    z = path[0].copy()
    held = z.copy()
    amplitude = np.zeros_like(z)
    gap = np.empty_like(z)
    heights, errors = np.empty_like(path), np.empty_like(path)
    pressed, push = np.negative(loop.engaged_nm), np.negative(loop.proportional)
    cantilever, piezo = _catch_up(loop.cantilever_px), _catch_up(loop.piezo_px)
    for step, under in enumerate(path):
        np.subtract(z, under, out=gap)
        np.maximum(gap, pressed, out=gap)
        np.minimum(gap, loop.free_nm, out=gap)
        gap -= amplitude
        gap *= cantilever
        amplitude += gap
        np.multiply(amplitude, loop.integral, out=gap)
        held -= gap
        np.multiply(amplitude, push, out=gap)
        gap += held
        gap -= z
        gap *= piezo
        z += gap
        heights[step] = z
        errors[step] = amplitude
    return heights, errors


def _catch_up(lag_px: Setting) -> Setting:
    """Share of a difference that a first-order lag makes good in one pixel."""
    return -np.expm1(-1.0 / np.maximum(lag_px, 1e-3))


def steepest_falls(path: Heights, share: float) -> float:
    """The drop in nm from one pixel to the next that only ``1 - share`` of the falling pixels exceed."""
    falls: NDArray[np.float64] = -np.diff(path, axis=1)
    return float(np.quantile(falls[falls > 0], share)) if (falls > 0).any() else 0.0
