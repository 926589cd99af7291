"""From the recorded passes to the scan that a file holds. Rule: what is subtracted here is reported as background."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from afmd.domain.scan import Channel, Direction, Frame, Scan
from afmd.twin.artifacts.scene import Scene
from afmd.twin.draw import Draw
from afmd.twin.grid import Heights
from afmd.twin.plan import Streams

PASSES = (Direction.TRACE, Direction.RETRACE)
Value = TypeVar("Value", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class File:
    """The scan, and how it was written.

    ``own``: 0 where the heights are the trace, 1 for the retrace. ``up``: the bottom row was scanned first.
    ``subtracted``: (2, rows, cols) nm. ``lsb_nm``: height of one step of the converter.
    """

    scan: Scan
    own: int
    up: bool
    subtracted: Heights
    lsb_nm: float

    def turned(self, values: NDArray[Value]) -> NDArray[Value]:
        """Bring (rows, cols) from the order of time to row 0 at the top."""
        return _turned(values, up=self.up)

    def nm(self, values: Heights) -> NDArray[np.float32]:
        """The same, as float32."""
        return self.turned(values).astype(np.float32)


def saved(streams: Streams, scene: Scene, heights: Heights, error: Heights, *, own: int) -> File:
    """Level as instruments do, quantise, and turn the frame as the file is."""
    draw = streams.draw("saving")
    up = draw.chance("frame_up", 0.5)
    subtracted = _subtracted(draw, heights)
    levelled = heights - subtracted
    bits = draw.choice("bits", (16, 16, 16, 32))
    lsb = max(float(np.ptp(levelled)), 1e-6) * draw.log("range_over_span", 1.0, 40.0) / 2.0**bits
    whole = np.round(levelled / lsb) * lsb
    volts = draw.log("volts_per_nm", 0.002, 0.02)

    def written(values: Heights) -> NDArray[np.float32]:
        return _turned(values, up=up).astype(np.float32)

    channels = (
        Channel("Height", PASSES[own], "nm", written(whole[own])),
        Channel("Height", PASSES[1 - own], "nm", written(whole[1 - own])),
        Channel("Amplitude Error", PASSES[own], "V", written(error[own] * volts)),
        Channel("Phase", PASSES[own], "°", written(_phase(draw, scene, error[own]))),
    )
    rows = heights.shape[1]
    meta = {"Scan rate": f"{1 / scene.line_s:.6g}", "Bytes/pixel": str(bits // 8)}
    scan = Scan(
        name=f"twin-{streams.recipe.stream}-{streams.seed}", heights=channels[0].values,
        pixel_nm=(scene.grid.down_nm, scene.grid.across_nm), channels=channels, retrace=channels[1].values,
        direction=PASSES[own], frame=Frame.UP if up else Frame.DOWN, rows_expected=rows, meta=MappingProxyType(meta),
    )  # fmt: skip
    return File(scan, own, up, subtracted, lsb)


def _turned(values: NDArray[Value], *, up: bool) -> NDArray[Value]:
    return np.ascontiguousarray(values[::-1] if up else values)


def _subtracted(draw: Draw, heights: Heights) -> Heights:
    """Nothing, the mean, a plane, or a polynomial of each line (which leaves shadows beside features)."""
    how = draw.choice("levelled", ("raw", "offset", "plane", "line_0", "line_1"), (0.45, 0.1, 0.25, 0.1, 0.1))
    if how == "raw":
        return np.zeros_like(heights)
    _, rows, cols = heights.shape
    across = np.linspace(-1, 1, cols)
    means = heights.mean(axis=2, keepdims=True)
    slopes = (heights * across).sum(axis=2, keepdims=True) / (across**2).sum() * across
    if how == "line_0":
        return np.broadcast_to(means, heights.shape)
    if how == "line_1":
        return np.asarray(means + slopes)
    if how == "offset":
        return np.broadcast_to(means.mean(axis=1, keepdims=True), heights.shape)
    down = np.linspace(-1, 1, rows)[:, None]
    tilt = (means * down).sum(axis=1, keepdims=True) / (down**2).sum()
    return np.asarray(means.mean(axis=1, keepdims=True) + slopes.mean(axis=1, keepdims=True) + tilt * down)


def _phase(draw: Draw, scene: Scene, error: Heights) -> Heights:
    """A lag that follows the amplitude error and the material: other where a feature is."""
    scale = float(np.std(error)) or 1.0
    edges = 20 * np.tanh(ndimage.uniform_filter1d(error, 2, axis=1) / (2 * scale))
    material = draw.uniform("phase_contrast_deg", -15, 15) * scene.grid.cropped(scene.feature)
    return np.asarray(edges + material + draw.rng.standard_normal(error.shape))
