"""One pair: surface, tip, image, and what spoilt it. Rule: every number follows from recipe and seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from afmd.domain.tip import Tip
from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Heights
from afmd.twin.pairs import faults
from afmd.twin.pairs.cone import dilated, reach_nm
from afmd.twin.pairs.kinds import KINDS, PAPER_KINDS, Size
from afmd.twin.pairs.recipes import PairRecipe

MOST_MARGIN_PX = 96


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """``image`` and ``surface``: float32 (rows, cols) nm at ``pixel_nm`` (down, across); ``exact``: the image unspoilt.

    ``parameters``: everything that was drawn, by name.
    """

    seed: int
    kind: str
    image: NDArray[np.float32]
    exact: NDArray[np.float32]
    surface: NDArray[np.float32]
    tip: Tip
    pixel_nm: tuple[float, float]
    noise_nm: float
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Plan:
    kind: str
    tip: Tip
    pixel_nm: tuple[float, float]
    size: Size
    finer: int


def pair(seed: int, *, recipe: PairRecipe) -> Pair:
    """Return the pair of this seed."""
    planning, making, spoiling = (Draw(s) for s in np.random.SeedSequence(seed).spawn(3))
    plan = _planned(planning, recipe)
    exact, surface = _imaged_sample(making, plan, recipe.shape)
    scale = float(np.sqrt(np.prod(plan.pixel_nm)))
    image, noise_nm = _spoilt(spoiling, exact.astype(np.float64), recipe, plan, scale)
    drawn = {"plan": planning.values, "surface": making.values, "faults": spoiling.values}
    return Pair(
        seed=seed, kind=plan.kind, image=image.astype(np.float32), exact=exact, surface=surface, tip=plan.tip,
        pixel_nm=plan.pixel_nm, noise_nm=noise_nm, parameters=drawn,
    )  # fmt: skip


def imaged(surface: Heights, tip: Tip, *, pixel_nm: tuple[float, float]) -> NDArray[np.float32]:
    """Return what ``tip`` records of a whole frame beyond which nothing stands; shape of the surface, float32, nm."""
    reach = reach_nm(tip, float(np.ptp(surface)))
    margin = (int(reach / pixel_nm[0]) + 1, int(reach / pixel_nm[1]) + 1)
    low = float(surface.min())
    wide = np.pad(surface, [(m, m) for m in margin], constant_values=low)
    return dilated(wide, tip, pitch_nm=pixel_nm, margin=margin)


def _planned(draw: Draw, recipe: PairRecipe) -> _Plan:
    kind = draw.choice("kind", tuple(recipe.kinds), tuple(recipe.kinds.values()))
    pixel = draw.log("pixel_nm", *recipe.pixel_nm) if recipe.pixel_nm[0] < recipe.pixel_nm[1] else recipe.pixel_nm[0]
    published = kind in PAPER_KINDS and draw.chance("published", recipe.published)
    finer = 2 if draw.chance("finer", recipe.finer) else 1
    if published:
        tip = recipe.tip or Tip(_radius_nm(draw), draw.uniform("half_angle_deg", 15, 28))
        return _Plan(kind, tip, (1.0, 1.0), Size(), finer)
    low, high = max(1.0, 3.0 / pixel), min(16.0, 25.0 / pixel)
    radius = draw.log("radius_px", low, max(high, 1.2 * low)) * pixel
    wide = draw.log("wide_px", 6, 60) * pixel
    spread = draw.log("spread", 1.05, 1.8)
    high_nm = wide * draw.log("aspect", 0.25, 1.3)
    size = Size((wide / spread, wide), (high_nm / spread, high_nm), paper=False)
    ratio = draw.log("ratio", 0.5, 2.0) if draw.chance("uneven", recipe.uneven) else 1.0
    pitch = (pixel * float(np.sqrt(ratio)), pixel / float(np.sqrt(ratio)))
    tip = recipe.tip or Tip(radius, draw.uniform("half_angle_deg", 8, 35))
    return _Plan(kind, tip, pitch, size, finer if radius / pixel <= 8 else 1)


def _radius_nm(draw: Draw) -> float:
    """Return a radius that is often about ten, and often as large as the published bodies, where least is touched."""
    if draw.chance("about_ten", 0.35):
        return draw.uniform("radius_nm", 9, 11)
    if draw.chance("blunt", 0.4):
        return draw.uniform("radius_nm", 12, 18)
    return draw.log("radius_nm", 3, 18)


def _imaged_sample(draw: Draw, plan: _Plan, shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    fine = (plan.pixel_nm[0] / plan.finer, plan.pixel_nm[1] / plan.finer)
    reach = reach_nm(plan.tip, 1.3 * plan.size.high_nm[1] if plan.kind != "fractal" else 4 * plan.size.high_nm[1])
    margin = (min(int(reach / fine[0]) + 2, MOST_MARGIN_PX), min(int(reach / fine[1]) + 2, MOST_MARGIN_PX))
    rows, cols = (n * plan.finer + 2 * m for n, m in zip(shape, margin, strict=True))
    grid = Grid(rows, cols, *fine, *margin)
    sample = KINDS[plan.kind](draw, grid, plan.size)
    image = dilated(sample, plan.tip, pitch_nm=fine, margin=margin, finer=plan.finer)
    surface = grid.cropped(sample)[:: plan.finer, :: plan.finer]
    return image, surface.astype(np.float32)


def _spoilt(draw: Draw, image: Heights, recipe: PairRecipe, plan: _Plan, scale: float) -> tuple[Heights, float]:
    """Spoil an image; lengths of faults are at 1 nm pixels and grow with the pixel."""
    if draw.chance("edges", recipe.edges):
        image = faults.edge_lifted(
            image, pitch_nm=plan.pixel_nm, lift_nm=scale * draw.uniform("lift", 0.3, 2.5),
            width_nm=scale * draw.uniform("width", 0.7, 2.0), both=draw.chance("both", 0.5),
        )  # fmt: skip
    if draw.chance("tails", recipe.tails):
        steepest = 1 / np.tan(np.radians(plan.tip.half_angle_deg))
        image = faults.tailed(image, pitch_nm=plan.pixel_nm[1], fall=steepest * draw.log("fall", 0.4, 1.5))
    if draw.chance("lines", recipe.lines):
        share, rms = draw.uniform("lines_share", 0.02, 0.12), scale * draw.uniform("lines_nm", 0.3, 1.5)
        image = faults.lined(draw.rng, image, share=share, rms_nm=rms)
    if draw.chance("clean", recipe.clean):
        return image, 0.0
    low, high = recipe.noise_nm
    rms = scale * (draw.log("noise_nm", low, high) if low < high else low)
    return faults.noisy(draw.rng, image, rms_nm=rms), rms
