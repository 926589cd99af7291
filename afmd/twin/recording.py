"""A frame being recorded.

Rule: the same microscope, sample and noise can be run again with other faults. Rows are in the order of time, pixels in
the order of space.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from afmd.twin.artifacts import FAULTS
from afmd.twin.artifacts.scene import Scene, Spoilt, Stage
from afmd.twin.draw import Draw
from afmd.twin.grid import Heights, Mask, span
from afmd.twin.noise import Noise, scan_noise
from afmd.twin.plan import Fault, Streams
from afmd.twin.sample import Sample
from afmd.twin.scanner import Field, scanner_field
from afmd.twin.servo import Loop, follow, steepest_falls
from afmd.twin.tip import Tip, imaged_by

LEAST_RELIEF_NM = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Microscope:
    """Everything but the faults: the scene, its noise, and what the scanner adds.

    ``own``: 0 where the trace is to be the scan's heights, 1 for the retrace.
    """

    own: int
    scene: Scene
    noise: Noise
    field: Field


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One recorded frame.

    ``heights``, ``error``: (2, rows, cols) nm, trace and retrace, without background and sensor noise. ``clipped_nm``:
    what clipping took away (2, rows, cols). ``envelope``: (rows, cols) nm. ``offsets``: (rows,) nm. ``wave_px``: the
    period at which the loop rings, or 0.
    """

    heights: Heights
    error: Heights
    clipped_nm: Heights
    envelope: Heights
    offsets: NDArray[np.float64]
    wave_px: float


def mounted(streams: Streams, sample: Sample, shape: tuple[int, int]) -> Microscope:
    """Choose tip, line rate and noise, and tune the loop as an operator would."""
    draw, grid = streams.draw("microscope"), sample.grid
    tip = Tip(
        radius_nm=draw.log("tip_radius_nm", 2, 25), left_deg=draw.uniform("left_deg", 8, 35),
        right_deg=draw.uniform("right_deg", 8, 35), slow_deg=draw.uniform("slow_deg", 8, 35),
    )  # fmt: skip
    imaged = imaged_by(tip, sample.heights, grid)
    relief = max(span(grid.cropped(imaged)), LEAST_RELIEF_NM)
    line_s = 1.0 / draw.log("line_hz", 0.3, 4.0)
    wanted = max(draw.log("noise_share", 5e-5, 0.02) * relief, draw.log("noise_floor_nm", 0.008, 0.08))
    noise = scan_noise(streams.draw("noise"), shape, sigma_nm=wanted, line_s=line_s, most_nm=0.05 * relief)
    scene = Scene(
        grid=grid, surface=sample.heights, imaged=imaged, feature=_imaged_feature(tip, sample, imaged), tip=tip,
        loop=_tuned(draw, grid.row_cropped(imaged), noise_nm=wanted), relief_nm=relief, noise_nm=wanted,
        line_s=line_s, severity=0.0, extent=0.0,
    )  # fmt: skip
    field = scanner_field(
        streams.draw("scanner"), shape, relief_nm=relief, noise_nm=wanted, frame_nm=grid.frame_nm
    )  # fmt: skip
    return Microscope(int(draw.chance("retrace_is_height", 0.4)), scene, noise, field)


def recorded(microscope: Microscope, streams: Streams, faults: Sequence[Fault]) -> Frame:
    """Record one frame with these faults; the same streams give the same faults again."""
    scene, grid = microscope.scene, microscope.scene.grid
    stages = _Stages(scene, streams, faults)
    seen = grid.row_cropped(stages.passed(Stage.TIP, scene.imaged))
    paths = stages.passed(Stage.PATH, _passes(microscope, seen))
    loop = stages.passed(Stage.LOOP, scene.loop)
    noise = np.pad(microscope.noise.loop, ((0, 0), (0, 0), (grid.margin_cols, grid.margin_cols)))
    heights, error = (grid.col_cropped(values) for values in follow(paths, noise, loop))
    heights = stages.passed(Stage.SIGNAL, heights)
    whole = heights + microscope.field.background + stages.offsets[:, None] + microscope.noise.sensor
    clipped = stages.passed(Stage.CLIP, whole) - whole
    return Frame(heights, error, clipped, stages.envelope, stages.offsets, loop.wave_px)


def _imaged_feature(tip: Tip, sample: Sample, imaged: Heights) -> Mask:
    """Return True where the tip that records a pixel touches a feature: wider than a bump, narrower than a pit."""
    if not sample.feature.any():
        return sample.feature
    floor = sample.heights.min()
    features = np.where(sample.feature, sample.heights, floor)
    return np.asarray((imaged_by(tip, features, sample.grid) >= imaged) & (imaged > floor))


def _passes(microscope: Microscope, seen: Heights) -> Heights:
    """What lies under the tip in trace and retrace, (2, rows, cols).

    Where the frame begins is convention: it begins so that the scan's own pass, late by the loop's lag, shows things
    where they are. The other pass is displaced by hysteresis, and late the other way.
    """
    margin, own = microscope.scene.grid.margin_cols, microscope.own
    origin = microscope.scene.loop.late_px * (1 if own == 0 else -1)
    paths = np.empty((2, *seen.shape))
    paths[own] = _displaced(seen, np.full_like(microscope.field.shift_px, origin), margin)
    paths[1 - own] = _displaced(seen, microscope.field.shift_px + origin, margin)
    return _jittered(paths, microscope.field.jitter_px)


class _Stages:
    """Hands the values of each stage through the faults that act there, and keeps what they say beside."""

    def __init__(self, scene: Scene, streams: Streams, faults: Sequence[Fault]) -> None:
        self.scene = scene
        self.faults = [(fault, streams.draw(fault.kind)) for fault in faults]
        self.envelope = np.zeros(scene.shape)
        self.offsets = np.zeros(scene.shape[0])

    def passed(self, stage: Stage, values: Any) -> Any:
        for fault, draw in self.faults:
            if FAULTS[fault.kind].stage is stage:
                scene = replace(self.scene, severity=fault.severity, extent=fault.extent)
                values = self._noted(FAULTS[fault.kind].act(draw, scene, values))
        return values

    def _noted(self, result: Any) -> Any:
        if not isinstance(result, Spoilt):
            return result
        if result.offsets is not None:
            self.offsets = self.offsets + result.offsets
        if result.envelope is not None:
            self.envelope = np.maximum(self.envelope, np.abs(result.envelope))
        return result.values


def _tuned(draw: Draw, path: Heights, *, noise_nm: float) -> Loop:
    """A loop as an operator would leave it: fast enough for all but the steepest falls of this sample."""
    integral = draw.uniform("integral", 0.4, 0.9)
    fall = max(steepest_falls(path, draw.uniform("fall_quantile", 0.98, 1.0)), 3 * noise_nm)
    free = fall * draw.log("headroom", 1.2, 6.0) / integral
    return Loop(
        integral=integral, proportional=draw.uniform("proportional", 0.0, 0.3), free_nm=free,
        engaged_nm=free * draw.log("engaged_over_free", 1.0, 6.0), cantilever_px=draw.log("cantilever_px", 0.1, 0.7),
        piezo_px=draw.log("piezo_px", 0.1, 0.5),
    )  # fmt: skip


def _displaced(seen: Heights, shift_px: NDArray[np.float64], margin: int) -> Heights:
    """The same lines as the retrace passes them: displaced along the fast axis by ``shift_px`` at each column."""
    cols = seen.shape[1]
    at = np.clip(np.arange(cols) + np.pad(shift_px, margin, mode="edge"), 0, cols - 1.001)
    whole = at.astype(np.int64)
    part = at - whole
    return np.asarray(seen[:, whole] * (1 - part) + seen[:, whole + 1] * part)


def _jittered(paths: Heights, jitter_px: NDArray[np.float64]) -> Heights:
    """Each line starts a fraction of a pixel early or late: |jitter| < 1."""
    late = np.clip(jitter_px, 0, 0.99)[..., None]
    early = np.clip(-jitter_px, 0, 0.99)[..., None]
    before, after = np.roll(paths, 1, axis=2), np.roll(paths, -1, axis=2)
    return np.asarray(paths * (1 - late - early) + before * late + after * early)
