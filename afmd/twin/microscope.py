"""One simulated scan: sample, tip, raster, loop, scanner, noise, and what went wrong.

Rule: every scan with a fault is run twice with the same noise, with and without it; the difference *is* the artefact.
"""

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from afmd.domain.findings import Label
from afmd.domain.scan import Channel, Direction, Frame, Scan
from afmd.errors import InvalidInput
from afmd.twin.artifacts import FAULTS
from afmd.twin.artifacts.scene import Scene, Spoilt, Stage
from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Heights
from afmd.twin.noise import Noise, scan_noise
from afmd.twin.recipe import KINDS, TRAINING, Recipe
from afmd.twin.scanner import Field, scanner_field
from afmd.twin.servo import Loop, follow, steepest_falls
from afmd.twin.surfaces import FAMILIES
from afmd.twin.tip import Tip, imaged_by

MARGIN_SHARE = 0.1
MIN_SIDE, MAX_SIDE = 32, 4096
MOVED_OVER_NOISE, MOVED_OVER_RELIEF = 2.0, 0.01
VISIBLE_SHARE, VISIBLE_OVER_NOISE, VISIBLE_OVER_RELIEF = 0.01, 3.0, 0.05
NEGLIGIBLE_SHARE = 5e-4


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """A scan and everything that is true about it. Arrays are (rows, cols), row 0 at the top, as in ``scan.heights``.

    ``truth``: float32 nm, the sample itself. ``imaged``: float32 nm, the sample dilated by the good tip: the best that
    levelling and filling can reach, and what they are judged against. ``background``: float32 nm, scanner field, line
    offsets, and what the instrument subtracted before saving. ``displacement``: float32 nm, heights with the artefact
    minus heights without it, background aside. So heights = imaged + the loop's own error + displacement + background
    + noise. ``error``: float32 nm, the amplitude error of the same pass. ``artifact``: True where the displacement
    (for waves its envelope) exceeds ``parameters["threshold_nm"]``: twice the pixel noise, at least 1 % of the relief.
    ``feature``: True where the sample stands out of its substrate. ``label``: the class of the leading artefact.
    ``kinds``: artefacts present, the leading one first. ``visible``: at least 1 % of the pixels moved, by a median of
    at least 3 times the noise and 5 % of the relief. ``severity``: drawn strength, 0 hardly above the noise, 1 as high
    as the relief; 0 for good scans. ``parameters``: everything that was drawn, JSON-ready.
    """

    truth: NDArray[np.float32]
    imaged: NDArray[np.float32]
    scan: Scan
    error: NDArray[np.float32]
    artifact: NDArray[np.bool_]
    feature: NDArray[np.bool_]
    label: Label
    kinds: tuple[str, ...]
    visible: bool
    severity: float
    displacement: NDArray[np.float32]
    background: NDArray[np.float32]
    parameters: dict[str, Any]


def simulate(seed: int, *, shape: tuple[int, int] | None = None, recipe: Recipe | None = None) -> Simulated:
    """Simulate one scan; the same seed, shape and recipe give the same scan.

    ``shape``: rows and columns, 32 to 4096 each; drawn from the recipe if None. ``recipe``: ``TRAINING`` if None.
    Raises ``InvalidInput``.
    """
    recipe = recipe or TRAINING
    streams = _Streams(seed, recipe)
    plan = _plan(streams.draw("plan"), recipe, shape)
    sample = _sample(streams, plan)
    scene, noise = _mount(streams, plan, sample)
    return _Recording(streams, plan, scene, noise).finished()


class _Streams:
    """One independent stream for each part, so that a change in one leaves the others as they were."""

    def __init__(self, seed: int, recipe: Recipe) -> None:
        if seed < 0:
            raise InvalidInput("seed", why=f"{seed} is negative", mend="Give 0 or more", field="seed")
        self.seed, self.recipe, self.draws = seed, recipe, dict[str, Draw]()

    def draw(self, part: str) -> Draw:
        key = (self.recipe.stream, *part.encode())
        self.draws[part] = Draw(np.random.SeedSequence(self.seed, spawn_key=key), bands=self.recipe.bands)
        return self.draws[part]

    def values(self) -> dict[str, Any]:
        return {part: draw.values for part, draw in self.draws.items()}


@dataclass(frozen=True, slots=True)
class _Plan:
    rows: int
    cols: int
    surface: str
    kinds: tuple[str, ...]
    severities: tuple[float, ...]
    blemish: str


def _plan(draw: Draw, recipe: Recipe, shape: tuple[int, int] | None) -> _Plan:
    rows, cols = shape or recipe.shapes[int(draw.rng.integers(len(recipe.shapes)))]
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in (rows, cols)):
        raise InvalidInput(
            "shape", why=f"{rows} × {cols} is not within {MIN_SIDE}..{MAX_SIDE}", mend="Give another", field="shape"
        )
    surface = draw.choice("surface", *zip(*recipe.surfaces, strict=True))
    if draw.chance("good", recipe.good):
        blemish = draw.choice("blemish", ("spike", "scar")) if draw.rng.random() < recipe.blemish else ""
        return _Plan(rows, cols, surface, (), (), blemish)
    return _Plan(rows, cols, surface, *_troubles(draw, recipe), "")


def _troubles(draw: Draw, recipe: Recipe) -> tuple[tuple[str, ...], tuple[float, ...]]:
    names, weights = zip(*recipe.kinds, strict=True)
    kinds, severities = [draw.choice("kind_1", names, weights)], [draw.uniform("severity_1", *recipe.severity)]
    for number in (2, 3):
        if draw.rng.random() >= recipe.companion:
            break
        kind = draw.choice(f"kind_{number}", names, weights)
        if kind in kinds:
            continue
        same = KINDS[kind] is KINDS[kinds[0]]
        kinds.append(kind)
        severities.append(draw.uniform(f"severity_{number}", 0.0, severities[0] * (0.9 if same else 0.35)))
    return tuple(kinds), tuple(severities)


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    grid: Grid
    heights: Heights
    feature: NDArray[np.bool_]


def _sample(streams: _Streams, plan: _Plan) -> _Sample:
    family = FAMILIES[plan.surface]
    draw = streams.draw("surface")
    width = draw.log("frame_nm", *family.widths_nm)
    aspect = draw.choice("pixel_aspect", (1.0, 1.0, 1.0, 2.0, 0.5, 1.5))
    across = width / min(plan.rows, plan.cols)
    margins = [max(8, round(MARGIN_SHARE * side)) for side in (plan.rows, plan.cols)]
    grid = Grid(
        plan.rows + 2 * margins[0], plan.cols + 2 * margins[1], down_nm=across * aspect, across_nm=across,
        margin_rows=margins[0], margin_cols=margins[1],
    )  # fmt: skip
    made = family.make(draw, grid)
    return _Sample(grid, made.heights - made.heights.mean(), made.feature)


def _mount(streams: _Streams, plan: _Plan, sample: _Sample) -> tuple[Scene, Noise]:
    draw = streams.draw("microscope")
    tip = Tip(
        radius_nm=draw.log("tip_radius_nm", 2, 25), left_deg=draw.uniform("left_deg", 8, 35),
        right_deg=draw.uniform("right_deg", 8, 35), slow_deg=draw.uniform("slow_deg", 8, 35),
    )  # fmt: skip
    imaged = imaged_by(tip, sample.heights, sample.grid)
    relief = max(float(np.subtract(*np.quantile(sample.grid.cropped(imaged), [0.995, 0.005]))), 0.05)
    line_s = 1.0 / draw.log("line_hz", 0.3, 4.0)
    wanted = max(draw.log("noise_share", 3e-4, 0.02) * relief, draw.log("noise_floor_nm", 0.01, 0.08))
    noise = scan_noise(streams.draw("noise"), (plan.rows, plan.cols), sigma_nm=wanted, line_s=line_s)
    scene = Scene(
        grid=sample.grid, surface=sample.heights, imaged=imaged, feature=sample.feature, tip=tip,
        loop=_tuned(draw, sample.grid.row_cropped(imaged), noise_nm=wanted), relief_nm=relief, noise_nm=wanted,
        line_s=line_s, severity=0.0,
    )  # fmt: skip
    return scene, noise


def _tuned(draw: Draw, path: Heights, *, noise_nm: float) -> Loop:
    """A loop as an operator would leave it: fast enough for all but the steepest falls of this sample."""
    integral = draw.uniform("integral", 0.25, 0.8)
    fall = max(steepest_falls(path, draw.uniform("fall_quantile", 0.97, 1.0)), 3 * noise_nm)
    free = fall * draw.log("headroom", 1.0, 5.0) / integral
    return Loop(
        integral=integral, proportional=draw.uniform("proportional", 0.0, 0.3), free_nm=free,
        engaged_nm=free * draw.log("engaged_over_free", 1.0, 6.0), cantilever_px=draw.log("cantilever_px", 0.1, 0.7),
        piezo_px=draw.log("piezo_px", 0.1, 0.5),
    )  # fmt: skip


class _Recording:
    """Runs the frame with and without its faults, in time order, and puts the results together."""

    def __init__(self, streams: _Streams, plan: _Plan, scene: Scene, noise: Noise) -> None:
        self.streams, self.plan, self.scene, self.noise = streams, plan, scene, noise
        self.draw = streams.draw("recording")
        self.field: Field = scanner_field(
            streams.draw("scanner"), scene.shape, relief_nm=scene.relief_nm, noise_nm=noise.sigma_nm,
            frame_nm=scene.grid.frame_nm,
        )  # fmt: skip
        self.envelope = np.zeros(scene.shape)
        self.offsets = np.zeros(scene.shape[0])
        kinds = plan.kinds or ((plan.blemish,) if plan.blemish else ())
        self.faults = tuple(zip(kinds, plan.severities or (0.0,) * len(kinds), strict=True))
        self.fault_draws = {kind: streams.draw(kind) for kind in kinds}

    def finished(self) -> Simulated:
        clean, clean_error = self._run(())
        heights, error = (clean, clean_error) if not self.faults else self._run(self.faults)
        background = np.stack([self.field.trace, self.field.retrace])
        raw = heights + background + self.offsets[:, None] + self.noise.sensor
        clipped = self._staged(Stage.CLIP, raw)
        displacement = heights - clean + (clipped - raw)
        return _assembled(self, clipped, displacement, error, background + self.offsets[:, None])

    def _run(self, faults: tuple[tuple[str, float], ...]) -> tuple[Heights, Heights]:
        """Heights and amplitude error, (2, rows, cols) each, before background and sensor noise."""
        staged = self._staged if faults else _untouched
        grid = self.scene.grid
        seen = grid.row_cropped(staged(Stage.TIP, self.scene.imaged))
        paths = staged(Stage.PATH, np.stack([seen, _displaced(seen, self.field.shift_px, grid.margin_cols)]))
        loop = staged(Stage.LOOP, self.scene.loop)
        lead = ((0, 0), (0, 0), (grid.margin_cols, grid.margin_cols))
        trace, retrace, error, back_error = follow(paths[0], paths[1], np.pad(self.noise.loop, lead), loop)
        heights = grid_cols(np.stack([trace, retrace]), grid)
        return staged(Stage.SIGNAL, heights), grid_cols(np.stack([error, back_error]), grid)

    def _staged(self, stage: Stage, values: Any) -> Any:
        for kind, severity in self.faults:
            if FAULTS[kind].stage is not stage:
                continue
            result = FAULTS[kind].act(self.fault_draws[kind], replace(self.scene, severity=severity), values)
            values = self._noted(result) if isinstance(result, Spoilt) else result
        return values

    def _noted(self, spoilt: Spoilt) -> Heights:
        if spoilt.offsets is not None:
            self.offsets = self.offsets + spoilt.offsets
        if spoilt.envelope is not None:
            self.envelope = np.maximum(self.envelope, np.abs(spoilt.envelope))
        return spoilt.values


def _untouched(stage: Stage, values: Any) -> Any:
    del stage
    return values


def grid_cols(values: Heights, grid: Grid) -> Heights:
    """Cut the margin off the columns."""
    return values[..., grid.margin_cols : grid.cols - grid.margin_cols]


def _displaced(seen: Heights, shift_px: NDArray[np.float64], margin: int) -> Heights:
    """The same lines as the retrace passes them: displaced along the fast axis by ``shift_px`` at each column."""
    cols = seen.shape[1]
    at = np.clip(np.arange(cols) + np.pad(shift_px, margin, mode="edge"), 0, cols - 1.001)
    whole = at.astype(np.int64)
    part = at - whole
    return np.asarray(seen[:, whole] * (1 - part) + seen[:, whole + 1] * part)


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """Which pass is the scan's own, which way the rows go, and how the file is saved."""

    own: int
    up: bool
    step_nm: float = field(default=0.0)

    def turned(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(values[::-1] if self.up else values)

    def nm(self, values: Heights) -> NDArray[np.float32]:
        return self.turned(values).astype(np.float32)


def _assembled(
    run: _Recording, heights: Heights, displacement: Heights, error: Heights, background: Heights
) -> Simulated:
    draw, scene = run.draw, run.scene
    own = int(draw.chance("retrace_is_height", 0.4))
    subtracted = _saved_levelled(draw, heights)
    heights, background = heights - subtracted, background - subtracted
    bits = draw.choice("bits", (16, 16, 16, 32))
    step = float(np.ptp(heights)) * draw.log("range_over_span", 1.0, 60.0) / 2.0**bits
    way = _Pass(own=own, up=draw.chance("frame_up", 0.5), step_nm=step)
    moved = np.maximum(np.abs(displacement[own]), run.envelope)
    threshold = max(MOVED_OVER_NOISE * scene.noise_nm, MOVED_OVER_RELIEF * scene.relief_nm)
    artifact = moved > threshold
    label, visible = _judged(run, artifact, moved, draw)
    draw.values.update(step_nm=step, threshold_nm=threshold, moved_share=float(artifact.mean()))
    parameters = _parameters(run, threshold)
    return Simulated(
        truth=way.nm(scene.grid.cropped(scene.surface)), imaged=way.nm(scene.grid.cropped(scene.imaged)),
        scan=_as_scan(run, way, np.round(heights / step) * step, error), error=way.nm(error[own]),
        artifact=way.turned(artifact), feature=way.turned(scene.grid.cropped(scene.feature)), label=label,
        kinds=run.plan.kinds, visible=visible, severity=max(run.plan.severities, default=0.0),
        displacement=way.nm(displacement[own]), background=way.nm(background[own]), parameters=parameters,
    )  # fmt: skip


def _judged(run: _Recording, artifact: NDArray[np.bool_], moved: Heights, draw: Draw) -> tuple[Label, bool]:
    """The class, and whether a person would see it. Where nothing moved, the scan is good whatever was intended."""
    share = float(artifact.mean())
    typical = float(np.median(moved[artifact])) if artifact.any() else 0.0
    draw.values["moved_typically_nm"] = typical
    good = not run.plan.kinds or share < NEGLIGIBLE_SHARE
    enough = max(VISIBLE_OVER_NOISE * run.scene.noise_nm, VISIBLE_OVER_RELIEF * run.scene.relief_nm)
    visible = not good and share >= VISIBLE_SHARE and typical >= enough
    return (Label.GOOD if good else KINDS[run.plan.kinds[0]]), visible


def _saved_levelled(draw: Draw, heights: Heights) -> Heights:
    """What the instrument's software subtracted before the file was saved: nothing, a plane, or each line's fit."""
    how = draw.choice("saved", ("raw", "offset", "plane", "line_0", "line_1"), (0.4, 0.1, 0.3, 0.1, 0.1))
    _, rows, cols = heights.shape
    across = np.linspace(-1, 1, cols)
    means = heights.mean(axis=2, keepdims=True)
    slopes = (heights @ across)[..., None] / (across @ across) * across
    if how == "line_0":
        return np.broadcast_to(means, heights.shape)
    if how == "line_1":
        return np.asarray(means + slopes)
    if how == "raw":
        return np.zeros_like(heights)
    if how == "offset":
        return np.full_like(heights, heights.mean())
    down = np.linspace(-1, 1, rows)[:, None]
    tilt = (means[..., 0] @ down[:, 0] / (down[:, 0] @ down[:, 0]))[:, None, None]
    return np.asarray(means.mean(axis=1, keepdims=True) + slopes.mean(axis=1, keepdims=True) + tilt * down)


def _parameters(run: _Recording, threshold: float) -> dict[str, Any]:
    scene = run.scene
    return {
        "seed": run.streams.seed, "stream": run.streams.recipe.stream, "shape": list(scene.shape),
        "pixel_nm": [scene.grid.down_nm, scene.grid.across_nm], "relief_nm": scene.relief_nm,
        "noise_nm": scene.noise_nm, "threshold_nm": threshold, "kinds": list(run.plan.kinds),
        "severities": list(run.plan.severities), **run.streams.values(),
    }  # fmt: skip


def _as_scan(run: _Recording, way: _Pass, heights: Heights, error: Heights) -> Scan:
    values, other = way.nm(heights[way.own]), way.nm(heights[1 - way.own])
    directions = (Direction.TRACE, Direction.RETRACE)
    own, opposite = directions[way.own], directions[1 - way.own]
    volts = run.draw.log("volts_per_nm", 0.002, 0.02)
    channels = (
        Channel("Height", own, "nm", values),
        Channel("Height", opposite, "nm", other),
        Channel("Amplitude Error", own, "V", way.nm(error[way.own] * volts)),
        Channel("Phase", own, "°", way.nm(_phase(run, error[way.own]))),
    )
    grid, parameters = run.scene.grid, run.draw.values
    return Scan(
        name=f"twin-{run.streams.recipe.stream}-{run.streams.seed}", heights=values,
        pixel_nm=(grid.down_nm, grid.across_nm), channels=channels, retrace=other, direction=own,
        frame=Frame.UP if way.up else Frame.DOWN, rows_expected=run.plan.rows,
        meta=MappingProxyType(
            {"Scan rate": f"{1 / run.scene.line_s:.6g}", "Bytes/pixel": str(int(parameters["bits"]) // 8)}
        ),
    )  # fmt: skip


def _phase(run: _Recording, error: Heights) -> Heights:
    """A lag that follows the amplitude error and the material: other where a feature is."""
    scale = 20.0 / max(float(np.std(error)), 1e-9)
    material = run.draw.uniform("phase_contrast_deg", -15, 15) * run.scene.grid.cropped(run.scene.feature)
    noise = run.draw.rng.standard_normal(error.shape)
    return np.asarray(40 * np.tanh(0.5 * scale * ndimage.uniform_filter1d(error, 2, axis=1) / 20) + material + noise)
