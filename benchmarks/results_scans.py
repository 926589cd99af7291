"""The evaluation set of ``results.py``: which simulated scans, and how each figure follows from their truth.

Nine kinds of surface, each with all kinds of artefact in turn and some good scans between, over the whole ranges of the
virtual microscope. Rule: nothing is ever tuned on these seeds; a method is developed on others.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from afmd.science.flatten.polynomials import plane_slopes
from afmd.science.flatten.terms import Ground
from afmd.science.roughness import line_residual_nm, mean_gradient
from afmd.twin import KINDS, Recipe, Simulated, simulate

Plane = np.ndarray

SURFACES = {
    "particles": ("particles",),
    "DNA on mica": ("dna",),
    "terraces": ("terraces",),
    "gratings": ("line_grating", "hex_grating", "square_grating"),
    "grains": ("grains",),
    "blends": ("blend",),
    "fractal": ("fractal",),
    "cells": ("cells",),
    "primitives": ("primitives",),
}
FIRST_SEED = 70_000_000
DEVELOPMENT_SEED = 3_000_000
GOOD = 6
FAULTS = (*KINDS, *(None,) * GOOD)
EVERY_PAIR = len(SURFACES) * len(FAULTS)
STREAM = 5
SHAPE = (256, 256)
RIPPLE_SHAPE = (512, 512)
FLAT_GROUND = 0.01
"""Waves of the ground wider than a sixteenth of the frame, as a share of the relief: below this, mica is flat."""


@dataclass(frozen=True)
class Case:
    """One scan, its number, and what it shows."""

    number: int
    surface: str
    fault: str | None
    one: Simulated

    @property
    def relief(self) -> float:
        return float(np.ptp(self.one.imaged))

    @property
    def background_px(self) -> Plane:
        """Substrate outside the artefacts, True = counts; all that is outside where nothing is substrate."""
        free = ~self.one.artifact
        bare = free & ~self.one.feature
        return bare if bare.mean() > 0.02 else free


def cases(count: int, *, first_seed: int = FIRST_SEED) -> Iterator[Case]:
    """Yield the first ``count`` scans of the set; ``EVERY_PAIR`` of them hold each surface with each artefact once."""
    for number in range(count):
        turn, place = divmod(number, len(SURFACES))
        surface = list(SURFACES)[place]
        fault = FAULTS[(turn + 5 * place) % len(FAULTS)]
        family = SURFACES[surface][turn % len(SURFACES[surface])]
        recipe = Recipe(surfaces=((family, 1.0),), shapes=(SHAPE,), stream=STREAM)
        recipe = recipe.all_good() if fault is None else recipe.only(fault)
        yield Case(number, surface, fault, simulate(first_seed + number, recipe=recipe))


def flat_dna(count: int, *, first_seed: int = FIRST_SEED) -> Iterator[Simulated]:
    """Yield good scans of DNA on flat mica for the ripple test."""
    recipe = Recipe(surfaces=(("dna", 1.0),), shapes=(RIPPLE_SHAPE,), stream=STREAM).all_good()
    seed, done = first_seed + 1_000_000, 0
    while done < count:
        one = simulate(seed, recipe=recipe)
        seed += 1
        if waviness(one) < FLAT_GROUND:
            done += 1
            yield one


def waviness(one: Simulated) -> float:
    """Return how wavy the true ground is, as a share of the relief."""
    ground = ~one.feature
    width = max(ground.shape) / 16
    total = ndimage.gaussian_filter(np.where(ground, one.imaged, 0), width)
    wide = total / np.maximum(ndimage.gaussian_filter(ground.astype(float), width), 1e-6)
    return float(wide[ground].std() / np.ptp(one.imaged))


def rippled(clean: Plane, *, degrees: float, phase: float, alpha: float = 0.4, per_px: float = 0.01) -> Plane:
    """Return paper A's ripple (section 3.2.4) on heights that count from their lowest pixel."""
    i, j = np.indices(clean.shape)
    turn = np.radians(degrees)
    wave = np.sin(2 * np.pi * per_px * (i * np.sin(turn) + j * np.cos(turn)) + phase)
    return np.asarray(clean + alpha * np.abs(clean) * wave, dtype=np.float32)


def distance(flat: Plane, truth: Plane, where: Plane | None = None) -> float:
    """Return the rms distance, the median taken off, in nm; NaN where no pixel counts."""
    rest = flat - truth if where is None else (flat - truth)[where]
    return float(np.sqrt(np.mean(np.square(rest - np.median(rest), dtype=np.float64)))) if rest.size else np.nan


def distance_without_plane(flat: Plane, truth: Plane, where: Plane) -> float:
    """Return the rms distance once either has lost its own least-squares plane over these pixels, nm."""
    places = np.argwhere(where)
    if len(places) == 0:
        return np.nan
    design = np.column_stack([np.ones(len(places)), places / np.array(where.shape) - 0.5])
    rest = np.asarray((flat - truth)[where], dtype=np.float64)
    return float(np.sqrt(np.mean((rest - design @ np.linalg.lstsq(design, rest, rcond=None)[0]) ** 2)))


def levelling_figures(case: Case, flat: Plane) -> dict[str, float]:
    """Return paper A's figures of the background (section 3.2.3), and distances to the truth outside artefacts."""
    one, ground = case.one, case.background_px
    if not ground.any():
        names = ("nm", "pct", "no_plane", "sigma_bg", "sigma_truth", "rmse_line", "gradient", "tilt", "slope")
        return dict.fromkeys(names, np.nan)
    nm = distance(flat, one.imaged, ~one.artifact)
    before, after = (_steepness(heights, ground, one.scan.pixel_nm) for heights in (one.scan.heights, flat))
    return {
        "nm": nm,
        "pct": 100 * nm / case.relief,
        "no_plane": 100 * distance_without_plane(flat, one.imaged, ~one.artifact) / case.relief,
        "sigma_truth": float(one.imaged[ground].std(dtype=np.float64)),
        "sigma_bg": float(flat[ground].std(dtype=np.float64)),
        "rmse_line": line_residual_nm(flat, ground=ground),
        "gradient": mean_gradient(flat, ground=ground),
        "tilt": 100 * max(-1.0, 1 - after / max(before, 1e-12)),
        "slope": slope_departure(case, flat),
    }


def slope_departure(case: Case, flat: Plane) -> float:
    """Return by how many % the power of the true surface's slopes is changed by what levelling did wrong.

    Of waves up to half the frame, both ways; noise and artefacts are left out, so only levelling itself is judged.
    """
    one = case.one
    wrong = flat - (one.scan.heights - one.background)
    wrong = np.where(one.artifact, 0, wrong - np.median(wrong[~one.artifact]))
    return 100 * (_slope_power(one.imaged + wrong) / _slope_power(one.imaged) - 1)


def _slope_power(heights: Plane) -> float:
    rows, cols = heights.shape
    power = 0.0
    for slope in np.gradient(heights.astype(np.float64)):
        window = np.outer(np.hanning(rows), np.hanning(cols))
        spectrum = np.abs(np.fft.rfft2((slope - slope.mean()) * window)) ** 2
        waves = np.hypot(np.fft.fftfreq(rows)[:, None] * rows, np.fft.rfftfreq(cols)[None, :] * cols)
        power += float(spectrum[waves >= 2].sum())
    return power


def _steepness(heights: Plane, ground: Plane, pixel_nm: tuple[float, float]) -> float:
    return float(np.hypot(*plane_slopes(Ground(np.asarray(heights, dtype=np.float32), ground, None, pixel_nm))))


def unexplained(one: Simulated, restored: Plane) -> float:
    """Return the rms of that change, in nm, which is no scanner's: not smooth along the lines, not constant on one.

    Where the scan's own background is neither (the leans that an instrument's levelling gave each line), as much of it
    as was taken off is no change either.
    """
    change, own = (_bare(plane) for plane in (restored - one.scan.heights, -one.background))
    change -= max(0.0, float((change * own).sum() / max((own**2).sum(), 1e-30))) * own
    return float(np.sqrt(np.mean(change**2)))


def _bare(plane: Plane) -> Plane:
    """Return a plane without what is smooth along the lines or constant on one, float64."""
    rest = plane.astype(np.float64)
    rows, cols = (np.linspace(-1, 1, side) for side in rest.shape)
    lean = np.outer(rows, cols)
    for _ in range(3):
        rest -= np.median(rest, axis=1, keepdims=True)
        rest -= np.polynomial.legendre.legval(cols, np.polynomial.legendre.legfit(cols, np.median(rest, axis=0), 4))
        rest -= lean * np.median(rest[np.abs(lean) > 0.2] / lean[np.abs(lean) > 0.2])
    return rest
