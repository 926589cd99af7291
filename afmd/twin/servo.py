"""The feedback loop: what the z piezo did, line by line, while the tip ran over the surface.

Rule: one pixel is one time step, and all lines advance together; a line's state runs on from trace into retrace.

The gap between tip and surface sets the steady oscillation amplitude, which saturates: at ``free_nm`` above the set
point when the tip has lost the surface (A0 - A_set), at ``-engaged_nm`` when it is pressed down (A = 0). The
cantilever follows with a lag; a PI controller on the amplitude error drives the piezo, which has a lag of its own.
Lost contact therefore falls at the constant rate integral × ``free_nm``: parachuting (Sulchek et al. 2002; Butt,
Cappella & Kappl 2005). Too much gain against the lags rings (Schitter et al. 2007).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.twin.grid import Heights


@dataclass(frozen=True, slots=True)
class Loop:
    """Gains per pixel, saturation in nm of height, lags in pixels."""

    integral: float
    proportional: float
    free_nm: float
    engaged_nm: float
    cantilever_px: float
    piezo_px: float


def follow(trace: Heights, retrace: Heights, noise: Heights, loop: Loop) -> tuple[Heights, Heights, Heights, Heights]:
    """Run the loop over one frame.

    ``trace``, ``retrace``: (rows, cols) nm, the surface under the tip in *spatial* order. ``noise``: (2, rows, cols),
    noise of the amplitude signal in nm. Returns new (trace heights, retrace heights, trace error, retrace error), nm,
    spatial order; an error is positive where the tip is too far away.
    """
    path = np.concatenate([trace + noise[0], (retrace + noise[1])[:, ::-1]], axis=1).T
    z, error = _run(np.ascontiguousarray(path), loop)
    cols = trace.shape[1]
    return z[:cols].T, z[cols:].T[:, ::-1], error[:cols].T, error[cols:].T[:, ::-1]


def _run(path: Heights, loop: Loop) -> tuple[Heights, Heights]:
    z = path[0].copy()
    held = z.copy()
    amplitude = np.zeros_like(z)
    gap = np.empty_like(z)
    heights, errors = np.empty_like(path), np.empty_like(path)
    cantilever, piezo = _catch_up(loop.cantilever_px), _catch_up(loop.piezo_px)
    for step, under in enumerate(path):
        np.subtract(z, under, out=gap)
        np.clip(gap, -loop.engaged_nm, loop.free_nm, out=gap)
        gap -= amplitude
        gap *= cantilever
        amplitude += gap
        np.multiply(amplitude, loop.integral, out=gap)
        held -= gap
        np.multiply(amplitude, -loop.proportional, out=gap)
        gap += held
        gap -= z
        gap *= piezo
        z += gap
        heights[step] = z
        errors[step] = amplitude
    return heights, errors


def _catch_up(lag_px: float) -> float:
    """Share of a difference that a first-order lag makes good in one pixel."""
    return float(1.0 - np.exp(-1.0 / lag_px)) if lag_px > 0 else 1.0


def steepest_falls(path: Heights, share: float) -> float:
    """The drop in nm from one pixel to the next that only ``1 - share`` of the falling pixels exceed."""
    falls: NDArray[np.float64] = -np.diff(path, axis=1)
    return float(np.quantile(falls[falls > 0], share)) if (falls > 0).any() else 0.0
