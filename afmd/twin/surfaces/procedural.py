"""Morphology at large, made of random fields: no one sample, but the whole space in which samples lie.

Rule: what a network learns from must differ from what it is judged on, so each parameter runs over decades and no
family imitates a sample of the evaluation. A wave over everything keeps clear of the frame's axes, where
interferences lie.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, special

from afmd.twin.draw import Draw
from afmd.twin.grid import (
    Grid,
    Heights,
    Surface,
    band_field,
    fast_shape,
    field,
    fractal_field,
    minority,
    normalised,
    smooth_field,
)
from afmd.twin.surfaces.shapes import rough

CLEAR_OF_AXES = np.radians(14)
"""No wave runs nearer than this to a frame's axis, measured in pixels as the picture shows it."""


def plateaus(draw: Draw, grid: Grid) -> Surface:
    """Three to six levels of uneven steps, walls from vertical to soft: the level sets of a stretched field."""
    pattern = stretched_field(draw, grid)
    cuts = np.sort(draw.rng.uniform(-1.6, 1.6, draw.integer("walls", 2, 5)))
    steps = relief(draw, 0.2 * grid.frame_nm) * draw.rng.uniform(0.2, 1.0, len(cuts))
    if draw.chance("up_and_down", 0.4):
        steps = steps * draw.rng.choice([-1, 1], len(cuts))
    wall = draw.log("wall", 0.003, 0.3)
    heights = rough(draw.rng, grid, steps.std() * draw.log("texture", 0.005, 0.2))
    for cut, step in zip(cuts, steps, strict=True):
        heights += step * special.expit((pattern - cut) / wall)
    level = np.searchsorted(cuts, pattern)
    share = np.bincount(level.reshape(-1)) / level.size
    common = level == share.argmax()
    return Surface(heights, ~common if share.max() > 0.5 else nowhere(grid))


def ridges(draw: Draw, grid: Grid) -> Surface:
    """Sharp crests or creases: folded noise, each octave strong where the one before was (Musgrave 1994)."""
    length = draw.log("length_share", 0.04, 0.4) * grid.frame_nm
    fall, sharp = draw.uniform("hurst", 0.3, 1.2), draw.log("sharpness", 0.7, 4.0)
    heights, weight = np.zeros(grid.shape), np.ones(grid.shape)
    for octave in range(3):
        noise = smooth_field(draw.rng, grid, max(length / 2.2**octave, grid.pixel_nm))
        crest = np.maximum(1 - np.abs(noise) / 1.6, 0) ** sharp
        heights += 2.2 ** (-fall * octave) * weight * crest
        weight = np.minimum(1.5 * crest, 1)
    sign = -1 if draw.chance("creases", 0.4) else 1
    return Surface(0.3 * sign * relief(draw, length) * normalised(heights), nowhere(grid))


def swirls(draw: Draw, grid: Grid) -> Surface:
    """A field drawn out by another: marbled, folded over, smeared in all directions."""
    length = draw.log("swirl_share", 0.08, 0.5) * grid.frame_nm
    by = draw.log("swirl_by", 0.15, 1.2) * length
    down = np.arange(grid.rows)[:, None] + by / grid.down_nm * smooth_field(draw.rng, grid, length)
    across = np.arange(grid.cols)[None, :] + by / grid.across_nm * smooth_field(draw.rng, grid, length)
    values = ndimage.map_coordinates(stretched_field(draw, grid), [down, across], order=1, mode="mirror")
    fold = draw.choice("fold", ("none", "crest", "valley", "bands", "worn"))
    folded = {
        "none": values, "crest": -np.abs(values), "valley": np.abs(values) ** 1.5,
        "bands": np.sin(draw.log("turns", 1.0, 5.0) * values), "worn": np.tanh(2 * values),
    }[fold]  # fmt: skip
    return Surface(0.3 * relief(draw, length) * normalised(folded), nowhere(grid))


def labyrinth(draw: Draw, grid: Grid) -> Surface:
    """Stripes that turn to dots or holes, and change their period, from place to place (cf. Turing 1952)."""
    period = draw.log("period_share", 0.03, 0.2) * grid.frame_nm
    disorder = draw.uniform("disorder", 0.05, 0.35)
    fine, coarse = (
        band_field(draw.rng, grid, period_nm=period * ratio, width=disorder)
        for ratio in (1.0, draw.log("coarser", 1.0, 2.5))
    )
    wide = draw.log("domain_share", 0.15, 0.5) * grid.frame_nm
    place, drift = (smooth_field(draw.rng, grid, wide) for _ in range(2))
    mixed = fine + (coarse - fine) * special.expit(6 * place)
    level = draw.uniform("level", -1.0, 1.0) + draw.uniform("level_drift", 0.0, 1.0) * drift
    share = special.expit((mixed - level) * draw.log("sharpness", 2.0, 40.0))
    return Surface(relief(draw, period) * share, minority(share > 0.5))


def dunes(draw: Draw, grid: Grid) -> Surface:
    """Ripples with a long and a short slope, of uneven period, that fork, end, and stay clear of the frame's axes."""
    period = draw.log("period_share", 0.03, 0.2) * grid.frame_nm
    wave = _waves(draw, grid, period)
    turn = np.angle(wave) / (2 * np.pi) % 1
    crest = draw.uniform("crest_at", 0.5, 0.93)
    profile = np.where(turn < crest, turn / crest, (1 - turn) / (1 - crest)) ** draw.log("bulge", 0.6, 2.5)
    strength = np.minimum(np.abs(wave) / np.abs(wave).mean(), 1) ** draw.uniform("patchy", 0.2, 1.5)
    heights = profile * strength + draw.uniform("waviness", 0.0, 0.6) * smooth_field(draw.rng, grid, 4 * period)
    return Surface(relief(draw, period) * heights, nowhere(grid))


def hatch(draw: Draw, grid: Grid) -> Surface:
    """A strained film that relaxed by slip: bundles of straight steps in two crossing directions that end somewhere."""
    width = draw.log("line_share", 0.002, 0.02) * grid.frame_nm
    first = draw.uniform("direction_deg", 17, 73)
    crossing = draw.uniform("crossing_deg", first - 73, first - 17)
    heights = np.zeros(grid.shape)
    for degrees, strength in ((first, 1.0), (crossing - first, draw.log("weaker", 0.1, 1.0))):
        angle = np.radians(degrees)
        along = np.arange(grid.rows)[:, None] * np.sin(angle) + np.arange(grid.cols)[None, :] * np.cos(angle)
        gate = special.expit(8 * smooth_field(draw.rng, grid, draw.log("length_share", 0.1, 0.5) * grid.frame_nm))
        one, two = (_slips(draw, along, width / grid.pixel_nm) for _ in range(2))
        heights += strength * (one * gate + two * (1 - gate))
    heights = normalised(heights) + rough(draw.rng, grid, draw.log("texture", 0.01, 0.4))
    return Surface(float(np.clip(width * draw.log("aspect", 0.02, 1.0), 0.2, 60)) * heights, nowhere(grid))


def hierarchy(draw: Draw, grid: Grid) -> Surface:
    """One texture within the outline of a coarse pattern, another outside, and a step between or none."""
    pattern = stretched_field(draw, grid, shares=(0.1, 0.5))
    wall, level = draw.log("wall", 0.01, 0.4), draw.uniform("level", -1.0, 1.0)
    within = special.expit((pattern - level) / wall)
    step = draw.log("step", 0.5, 12.0) * draw.rng.choice([-1, 1])
    inner, outer = _texture(draw, grid), _texture(draw, grid)
    heights = step * within + inner * within + draw.log("outer_share", 0.03, 1.0) * outer * (1 - within)
    unit = 0.1 * relief(draw, 0.1 * grid.frame_nm)
    return Surface(unit * heights, minority(within > 0.5) if abs(step) > 3 else nowhere(grid))


def stretched_field(draw: Draw, grid: Grid, *, shares: tuple[float, float] = (0.02, 0.35)) -> Heights:
    """A field of drawn length, spectrum and stretch, in any direction; ``shares`` of the frame bound its length."""
    length, stretch = draw.log("length_share", *shares) * grid.frame_nm, draw.log("stretch", 0.9, 5.0)
    angle = draw.rng.uniform(0, np.pi)
    rows, cols = fast_shape(grid)
    down, across = fft.fftfreq(rows, grid.down_nm)[:, None], fft.rfftfreq(cols, grid.across_nm)[None, :]
    along, beside = turned(down, across, angle)
    q = length * np.hypot(along * np.sqrt(stretch), beside / np.sqrt(stretch))
    spectrum = draw.choice("spectrum", ("smooth", "fractal", "band"))
    if spectrum == "smooth":
        return field(draw.rng, grid, np.exp(-((np.pi * q) ** 2) / 2))
    if spectrum == "fractal":
        return field(draw.rng, grid, np.maximum(q, 0.3) ** (-1 - draw.uniform("hurst", 0.5, 1.6)))
    return field(draw.rng, grid, np.exp(-(((0.5 * q - 1) / draw.uniform("disorder", 0.1, 0.5)) ** 2) / 2))


def turned(down: Heights, across: Heights, angle: float) -> tuple[Heights, Heights]:
    """Positions (or wave numbers) along ``angle`` rad, counted from across to down, and beside it."""
    return across * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - across * np.sin(angle)


def relief(draw: Draw, length_nm: float) -> float:
    """The height in nm of what is ``length_nm`` wide: from nearly flat to as steep as a tip can follow."""
    return float(np.clip(length_nm * draw.log("aspect", 0.004, 0.6), 0.3, 1500))


def nowhere(grid: Grid) -> NDArray[np.bool_]:
    """No feature: a texture without a substrate."""
    return np.zeros(grid.shape, dtype=bool)


def _texture(draw: Draw, grid: Grid) -> Heights:
    length = draw.log("fine_share", 0.008, 0.08) * grid.frame_nm
    kind = draw.choice("fine", ("fractal", "band", "crests", "bumps", "flat"))
    if kind == "flat":
        return np.zeros(grid.shape)
    if kind == "fractal":
        return fractal_field(draw.rng, grid, hurst=draw.uniform("fine_hurst", 0.3, 1.0), rolloff_nm=2 * length)
    noise = band_field(draw.rng, grid, period_nm=2 * length, width=draw.uniform("fine_disorder", 0.15, 0.5))
    return normalised({"band": noise, "crests": -np.abs(noise), "bumps": np.maximum(noise, 0) ** 1.5}[kind])


def _waves(draw: Draw, grid: Grid, period_nm: float) -> NDArray[np.complex64]:
    """A complex wave of one direction; its phase has dislocations where its amplitude is nil."""
    rows, cols = fast_shape(grid)
    down, across = fft.fftfreq(rows)[:, None], fft.fftfreq(cols)[None, :]
    heading = np.radians(draw.uniform("direction_deg", 23, 67)) * draw.rng.choice([-1, 1])
    angle = np.arctan2(down, across)
    off = np.abs((angle - heading + np.pi) % (2 * np.pi) - np.pi)
    from_axis = np.abs((angle + np.pi / 4) % (np.pi / 2) - np.pi / 4)
    q = np.hypot(down / grid.down_nm, across / grid.across_nm)
    ring = np.exp(-(((q * period_nm - 1) / draw.uniform("disorder", 0.1, 0.45)) ** 2) / 2)
    ring *= np.exp(-((off / draw.log("spread_rad", 0.06, 0.4)) ** 2) / 2) * (from_axis > CLEAR_OF_AXES)
    noise = fft.fft2(draw.rng.standard_normal((rows, cols), dtype=np.float32))
    return np.asarray(fft.ifft2(noise * ring.astype(np.float32))[: grid.rows, : grid.cols])


def _slips(draw: Draw, along_px: Heights, width_px: float) -> Heights:
    """The profile of many parallel slip steps, as far as a smooth ground has not evened them out."""
    low, high = float(along_px.min()), float(along_px.max())
    at = np.arange(low, high + 0.5, 0.5)
    steps = np.zeros(len(at))
    count = int(len(at) * draw.log("density", 0.01, 0.15)) + 3
    where = draw.rng.integers(0, len(at), count)
    steps[where] = draw.rng.standard_normal(count) * np.exp(0.8 * draw.rng.standard_normal(count))
    stairs = ndimage.gaussian_filter1d(np.cumsum(steps), 2 * width_px)
    ground = ndimage.gaussian_filter1d(stairs, 0.06 * len(at))
    return np.asarray(np.interp(along_px, at, normalised(stairs - ground)))
