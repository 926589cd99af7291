"""Faults planted in good simulated scans: plain ones, of every shape, that no physics makes just so.

Rule: the twin's faults come out of models, one for each kind, and a network that saw only these expects their look.
What is planted here copies no model: its parameters run over decades, so that what a fault *does* is learned and not
how one model draws it (domain randomisation: Tobin et al. 2017). A planted scan may also be good, or treated after the
scan as many files are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from afmd.domain.findings import Label
from afmd.twin import KINDS, Simulated
from afmd.twin.microscope import NEGLIGIBLE_SHARE, VISIBLE_OVER_NOISE, VISIBLE_OVER_RELIEF, VISIBLE_SHARE

RECIPE = 1
"""Changes with what is planted: another recipe is another set of scans."""
GOOD = 0.2
SECOND = 0.25
"""Share of scans with nothing planted, and of the others with two faults."""
SMOOTHED, LINE_LEVELLED = 0.12, 0.15

Heights = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """A scan with its answers. ``heights``, ``retrace``: float32 (rows, cols) nm. ``artifact``: True where spoilt."""

    heights: NDArray[np.float32]
    retrace: NDArray[np.float32] | None
    artifact: Mask
    label: Label
    kinds: tuple[str, ...]
    visible: bool
    severity: float


@dataclass(frozen=True, slots=True)
class Bed:
    """What faults are planted in, nm, as the twin knows it: a pixel counts as moved from ``threshold`` on.

    ``way``: the direction in which the scan's own pass runs, 1 or -1.
    """

    relief: float
    noise: float
    threshold: float
    way: int

    @classmethod
    def of(cls, clean: Simulated, *, way: int) -> Self:
        """Return the bed that a simulated scan is."""
        relief, noise, threshold = (clean.parameters[f"{name}_nm"] for name in ("relief", "noise", "threshold"))
        return cls(relief, noise, threshold, way)

    @property
    def visible(self) -> float:
        """How far a pixel must be moved to be seen, nm."""
        return max(VISIBLE_OVER_NOISE * self.noise, VISIBLE_OVER_RELIEF * self.relief)


@dataclass(frozen=True, slots=True, eq=False)
class Spoilt:
    """Both passes after a fault, (2, rows, cols); where they are nothing but the fault; the amplitude of a wave, nm."""

    passes: Heights
    replaced: Mask | None = None
    envelope: Heights | float = 0.0


class Dice:
    """Draws of one planted scan."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([seed, RECIPE, 17])

    def log(self, low: float, high: float) -> float:
        """Draw evenly in the logarithm."""
        return float(low * (high / low) ** self.rng.random())

    def chance(self, probability: float) -> bool:
        """Draw a yes."""
        return bool(self.rng.random() < probability)

    def sign(self, up: float = 0.5) -> int:
        """Draw 1 or -1."""
        return 1 if self.rng.random() < up else -1

    def start(self, count: int, room: int) -> int:
        """Draw where a stretch of ``count`` begins."""
        return int(self.rng.integers(max(room - count, 0) + 1))


def plant(clean: Simulated, seed: int) -> Planted:
    """Plant none, one or two faults in a good simulated scan; the same scan and seed give the same."""
    dice = Dice(seed)
    bed = Bed.of(clean, way=dice.sign())
    scan = clean.scan
    alone = scan.retrace is None
    passes = np.stack([scan.heights, scan.heights if scan.retrace is None else scan.retrace]).astype(np.float64)
    if dice.chance(SMOOTHED):
        passes = _smoothed(dice, passes)
    count = 0 if dice.chance(GOOD) else 1 + dice.chance(SECOND)
    moved, weight, result = np.zeros(passes.shape[1:]), {}, passes
    for kind in dice.rng.choice(list(FAULTS), count, replace=False):
        spoilt = FAULTS[kind](dice, bed, result)
        own = _moved(bed, result[0], spoilt)
        moved, result, weight[str(kind)] = np.maximum(moved, own), spoilt.passes, _salience(bed, own)
    artifact = (moved > bed.threshold) | clean.artifact
    if dice.chance(LINE_LEVELLED):
        result = result - np.median(result, axis=2, keepdims=True)
    heights = result.astype(np.float32)
    answers = _answers(bed, moved, artifact, weight)
    return Planted(heights[0], None if alone else heights[1], artifact, *answers)


def _answers(
    bed: Bed, moved: Heights, artifact: Mask, weight: Mapping[str, float]
) -> tuple[Label, tuple[str, ...], bool, float]:
    """Return label, kinds, whether the faults are visible and their severity, as the twin judges its own."""
    if not weight or float(artifact.mean()) < NEGLIGIBLE_SHARE:
        return Label.GOOD, (), False, 0.0
    kinds = sorted(weight, key=lambda kind: -weight[kind])
    typical = float(np.median(moved[artifact]))
    visible = float(artifact.mean()) >= VISIBLE_SHARE and typical >= bed.visible
    severity = np.log(max(typical, 1e-12) / bed.threshold) / np.log(max(bed.relief / bed.threshold, 1.1))
    return KINDS[kinds[0]], tuple(kinds), visible, float(np.clip(severity, 0, 1))


def _moved(bed: Bed, before: Heights, spoilt: Spoilt) -> Heights:
    """Return how far each pixel of the scan's own pass was moved, nm; what was replaced counts as moved."""
    moved: Heights = np.maximum(np.abs(spoilt.passes[0] - before), spoilt.envelope)
    if spoilt.replaced is not None:
        moved[spoilt.replaced] = np.maximum(moved[spoilt.replaced], 1.01 * bed.threshold)
    return moved


def _salience(bed: Bed, moved: Heights) -> float:
    """Return how much an eye is drawn, as the twin reckons it."""
    return float(np.minimum(moved / bed.visible, 1.0).mean())


def _lost_lines(dice: Dice, bed: Bed, passes: Heights) -> Spoilt:
    """Lines that hold something else: a level, a walk, noise, the line before, a line from elsewhere, a far offset."""
    _, rows, cols = passes.shape
    result, replaced = passes.copy(), np.zeros((rows, cols), bool)
    form = dice.rng.choice(["level", "walk", "noise", "held", "elsewhere", "faint", "end"])
    thick, share = dice.log(1, 12), dice.log(0.004, 0.15)
    far, rough, both = dice.log(0.03, 2.0) * bed.relief, dice.log(0.003, 0.5) * bed.relief, dice.chance(0.6)
    whole = dice.chance(0.7)
    end = float(passes[0].max() if dice.chance(0.5) else passes[0].min())
    for _ in range(max(1, round(share * rows / thick))):
        count = min(1 + int(dice.rng.exponential(thick - 1 + 1e-9)), rows - 1)
        first = dice.start(count, rows)
        width = cols if whole else max(2, int(dice.log(0.05, 1.0) * cols))
        left = 0 if whole else dice.start(width, cols)
        for row in range(first, first + count):
            own = slice(max(0, left + int(dice.rng.normal(0, 2))), left + width)
            for way in (0, 1) if both else (0,):
                line = result[way, row, own]
                line[:] = _other(dice, form, passes[way], row=row, own=own, far=far, rough=rough, end=end)
            replaced[row, own] = True
    return Spoilt(result, replaced)


def _other(
    dice: Dice, form: str, heights: Heights, *, row: int, own: slice, far: float, rough: float, end: float
) -> Heights:
    """Return what stands in a lost line in place of its heights."""
    line, rng = heights[row, own], dice.rng
    n = line.size
    level = float(np.median(line)) + far * rng.normal()
    if form == "held":
        other: Heights = heights[max(row - 1 - int(rng.integers(3)), 0), own] + 0.1 * far * rng.normal()
    elif form == "elsewhere":
        far_line = heights[int(rng.integers(len(heights)))]
        other = np.roll(far_line, int(rng.integers(1, 1 + n)))[own] + 0.3 * far * rng.normal()
    elif form == "end":
        other = np.full(n, end)
    elif form == "walk":
        other = level + rough * np.cumsum(rng.standard_normal(n)) / np.sqrt(n)
    elif form == "faint":
        other = level + rng.uniform(0, 0.5) * (line - line.mean()) + 0.1 * rough * rng.standard_normal(n)
    else:
        other = level + (rough if form == "noise" else min(rough, 0.02 * far)) * rng.standard_normal(n)
    return other


def _scar(dice: Dice, bed: Bed, passes: Heights) -> Spoilt:
    """Streaks along lines: shifted, sloped, fading or rough."""
    _, rows, cols = passes.shape
    result, replaced = passes.copy(), np.zeros((rows, cols), bool)
    tall, length, up = dice.log(0.03, 1.5) * bed.relief, dice.log(4, cols / 2), dice.rng.uniform(0.3, 1.0)
    shape, thick, both = dice.rng.choice(["flat", "slope", "fade", "rough", "level"]), dice.log(1, 4), dice.chance(0.15)
    for _ in range(1 + int(dice.log(1, 0.06 * rows * cols / length / thick + 1.01))):
        count = min(1 + int(dice.rng.exponential(thick - 1 + 1e-9)), rows)
        first = dice.start(count, rows)
        width = int(np.clip(length * dice.rng.exponential(1.0), 3, cols - 1))
        left, height = dice.start(width, cols), tall * np.exp(0.5 * dice.rng.standard_normal()) * dice.sign(up)
        for row in range(first, first + count):
            a = int(np.clip(left + dice.rng.normal(0, 0.05 * width), 0, cols - 3))
            own = slice(a, min(a + width, cols))
            for way in (0, 1) if both else (0,):
                line = result[way, row, own]
                line += _streak(dice, shape, line, height, bed.way)
            replaced[row, own] |= shape in ("flat", "level")
    return Spoilt(result, replaced)


def _streak(dice: Dice, shape: str, line: Heights, height: float, way: int) -> Heights:
    n = line.size
    run = np.linspace(0, 1, n)[::way]
    if shape == "level":
        return np.asarray((line.max() if height > 0 else line.min()) + height - line)
    if shape == "slope":
        return height * (1 - run)
    if shape == "fade":
        return np.asarray(height * np.exp(-4 * run))
    if shape == "rough":
        return height * (0.6 + 0.4 * dice.rng.standard_normal(n))
    return np.full(n, height)


def _spike(dice: Dice, bed: Bed, passes: Heights) -> Spoilt:
    """Single pixels, or small clusters of them."""
    result = passes.copy()
    shape = passes.shape[1:]
    share, tall, up = dice.log(3e-4, 0.04), dice.log(0.08, 3.0) * bed.relief, dice.rng.uniform(0, 1)
    grown = dice.rng.choice([1, 1, 1, 2, 3])
    for way in (0, 1) if dice.chance(0.5) else (0,):
        hit = dice.rng.random(shape) < share / (1 if grown == 1 else 1.6 * grown)
        height = np.where(hit, tall * np.exp(0.6 * dice.rng.standard_normal(shape)), 0.0)
        height *= np.where(dice.rng.random(shape) < up, 1, -1)
        if grown > 1:
            height = ndimage.grey_dilation(height, (int(dice.rng.integers(1, grown + 1)), grown))
        result[way] += height
    return Spoilt(result)


def _burst(dice: Dice, bed: Bed, passes: Heights) -> Spoilt:
    """Noise, white or of a band, in some stretches of lines."""
    _, rows, cols = passes.shape
    result, envelope = passes.copy(), np.zeros((rows, cols))
    period, height = dice.log(2.2, 40), dice.log(0.03, 1.0) * bed.relief
    for _ in range(1 + int(dice.log(1, 8))):
        count = min(1 + int(dice.log(1, 20)), rows)
        first, width = dice.start(count, rows), cols if dice.chance(0.7) else int(dice.log(0.1, 1.0) * cols)
        left = dice.start(width, cols)
        own = (slice(first, first + count), slice(left, left + width))
        for way in (0, 1):
            sound = dice.rng.standard_normal((count, width))
            if period > 3:
                at = 2 * np.pi * (np.arange(width) / period + dice.rng.random((count, 1)))
                sound = np.sin(at) * np.exp(0.3 * dice.rng.standard_normal((count, 1))) + 0.1 * sound
            result[way][own] += height * sound
        envelope[own] = height
    return Spoilt(result, envelope=envelope)


def _drag(dice: Dice, bed: Bed, passes: Heights) -> Spoilt:
    """A patch whose lines each lie somewhere else, over a part of their length."""
    _, rows, cols = passes.shape
    result, replaced = passes.copy(), np.zeros((rows, cols), bool)
    height, faithful = dice.log(0.05, 1.0) * bed.relief, dice.rng.uniform(0, 1)
    for _ in range(1 + int(dice.log(1, 8))):
        count = min(2 + int(dice.log(1, 24)), rows - 1)
        first, width = dice.start(count, rows), max(4, int(dice.log(0.03, 0.6) * cols))
        left = dice.start(width, cols)
        for row in range(first, first + count):
            a = int(np.clip(left + dice.rng.normal(0, 0.2 * width), 0, cols - 3))
            own = slice(a, min(a + max(2, int(width * dice.rng.uniform(0.4, 1.2))), cols))
            line = result[0, row, own]
            line[:] = line.mean() + faithful * (line - line.mean()) + height * dice.rng.normal()
            replaced[row, own] = True
    return Spoilt(result, replaced)


def _parachute(dice: Dice, bed: Bed, passes: Heights) -> Spoilt:
    """Behind falls the height comes down at one rate, or by one share of what is left, and no quicker."""
    rate, straight, rows = dice.log(0.004, 0.15) * bed.relief, dice.chance(0.6), _lines(dice, passes)
    share, least = dice.log(0.02, 0.3), dice.log(0.02, 0.3) * bed.relief

    def follow(last: Heights, here: Heights, falling: Mask) -> tuple[Heights, Mask]:
        lowest = last - rate if straight else last - np.maximum(share * (last - here), 0.0)
        falling = (falling | (last - here > least)) & (here < lowest)
        return np.where(falling, lowest, here), falling

    return Spoilt(_along(passes, follow, way=bed.way, rows=rows))


def _smear(dice: Dice, bed: Bed, passes: Heights) -> Spoilt:
    """Everything comes late, falls more than rises."""
    down, up, rows = dice.log(0.04, 0.5), dice.rng.uniform(0.6, 1.0), _lines(dice, passes)

    def follow(last: Heights, here: Heights, falling: Mask) -> tuple[Heights, Mask]:
        return last + np.where(here < last, down, up) * (here - last), falling

    return Spoilt(_along(passes, follow, way=bed.way, rows=rows))


def _ringing(dice: Dice, bed: Bed, passes: Heights) -> Spoilt:
    """Behind steep places a wave dies away."""
    period, gain = dice.log(3.5, 40), dice.log(0.1, 1.2)
    lasts, rows = period * dice.log(0.5, 4), _lines(dice, passes)
    steps = np.diff(passes, axis=2, prepend=passes[..., :1])
    steep = np.where(np.abs(steps) > dice.log(0.01, 0.1) * bed.relief, steps, 0.0)
    at = np.arange(int(5 * lasts) + 2)
    kernel = gain * np.exp(-at / lasts) * np.sin(2 * np.pi * at / period + 0.3)
    result = passes.copy()
    envelope = np.zeros(passes.shape[1:])
    for way in (0, 1):
        turn = bed.way if way == 0 else -bed.way
        edges = steep[way] if turn == 1 else -np.roll(steep[way], -1, axis=1)[:, ::-1]
        wave = signal.fftconvolve(edges, kernel[None], axes=1)[:, : edges.shape[1]][:, ::turn]
        result[way, rows] += wave[rows]
        if way == 0:
            tall = ndimage.maximum_filter1d(np.abs(wave), 2 * round(period / 4) + 1, axis=1)
            envelope[rows] = tall[rows]
    return Spoilt(result, envelope=envelope)


def _saturation(dice: Dice, _bed: Bed, passes: Heights) -> Spoilt:
    """A flat end, of the heights as they are or less their plane."""
    share, top = dice.log(0.004, 0.35), dice.chance(0.6)
    plane = _plane(passes[0]) if dice.chance(0.3) else 0.0
    level = passes - plane
    limit = np.quantile(level[0], 1 - share if top else share)
    return Spoilt(plane + (np.minimum(level, limit) if top else np.maximum(level, limit)))


def _ripple(dice: Dice, bed: Bed, passes: Heights) -> Spoilt:
    """One wave or two over the field, along either axis, or across it."""
    _, rows, cols = passes.shape
    side = max(rows, cols)
    envelope = dice.log(0.02, 0.5) * bed.relief * np.ones((rows, cols))
    if dice.chance(0.6):
        envelope = envelope * np.clip(1 + dice.rng.uniform(0.2, 0.8) * _slow(dice, (rows, cols)), 0, 3)
    result, late = passes.copy(), dice.rng.normal(0, 0.3)
    anyhow = dice.chance(0.3)
    turn = dice.rng.uniform(0, np.pi) if anyhow else dice.rng.integers(2) * np.pi / 2 + dice.rng.normal(0, 0.15)
    period, bent = dice.log(6, side / 1.8), dice.log(0.01, 1.5) * _slow(dice, (rows, cols))
    down, across = np.mgrid[:rows, :cols]
    phase = 2 * np.pi * ((across * np.cos(turn) + down * np.sin(turn)) / period + dice.rng.random()) + bent
    for way in (0, 1):
        result[way] += envelope * np.sin(phase + way * late)
    return Spoilt(result, envelope=envelope)


def _mains(dice: Dice, bed: Bed, passes: Heights) -> Spoilt:
    """One frequency in time, over all lines or some."""
    _, rows, cols = passes.shape
    per_pixel, extra = dice.log(0.008, 0.45), dice.rng.uniform(0, 1)
    envelope = np.zeros((rows, cols))
    envelope[_lines(dice, passes)] = dice.log(0.02, 0.4) * bed.relief
    wander = np.cumsum(dice.rng.standard_normal(rows)) * dice.log(1e-3, 0.1)
    result = passes.copy()
    for way in (0, 1):
        time = np.arange(cols) * per_pixel + np.arange(rows)[:, None] * (2 * cols * per_pixel + extra)
        result[way] += envelope * np.sin(2 * np.pi * (time + wander[:, None] + way * cols * per_pixel))
    return Spoilt(result, envelope=envelope)


FAULTS: Mapping[str, Callable[[Dice, Bed, Heights], Spoilt]] = MappingProxyType(
    {
        "lost_lines": _lost_lines, "scar": _scar, "spike": _spike, "burst": _burst, "drag": _drag,
        "parachute": _parachute, "smear": _smear, "ringing": _ringing, "saturation": _saturation, "ripple": _ripple,
        "mains": _mains,
    }
)  # fmt: skip
"""What can be planted. Tips are the twin's: what a tip does to a surface is no matter of looks."""


def _along(
    passes: Heights, follow: Callable[[Heights, Heights, Mask], tuple[Heights, Mask]], *, way: int, rows: Mask
) -> Heights:
    """Run along the lines, the first pass in its own direction and the other against it."""
    result = passes.copy()
    for index, turn in ((0, way), (1, -way)):
        own = result[index][:, ::turn]
        last, falling = own[:, 0].copy(), np.zeros(len(own), bool)
        for column in range(1, own.shape[1]):
            last, falling = follow(last, own[:, column], falling)
            own[rows, column] = last[rows]
    return result


def _lines(dice: Dice, passes: Heights) -> Mask:
    """Return the lines on which a fault acts: mostly all, or one stretch."""
    rows = passes.shape[1]
    chosen = np.ones(rows, bool)
    if dice.chance(0.35):
        count = max(2, int(dice.log(0.05, 1.0) * rows))
        first = dice.start(count, rows)
        chosen[:] = False
        chosen[first : first + count] = True
    return chosen


def _slow(dice: Dice, shape: tuple[int, int]) -> Heights:
    """Return a smooth random field of variance 1."""
    small = dice.rng.standard_normal((5, 5))
    field = ndimage.zoom(small, (shape[0] / 5, shape[1] / 5), order=3)[: shape[0], : shape[1]]
    return np.asarray(field / field.std())


def _plane(heights: Heights) -> Heights:
    """Return the tilt of heights, nm, without their mean."""
    rows, cols = (np.linspace(-1, 1, n) for n in heights.shape)
    down, across = 3 * (heights * rows[:, None]).mean(), 3 * (heights * cols).mean()
    return np.asarray(down * rows[:, None] + across * cols)


def _smoothed(dice: Dice, passes: Heights) -> Heights:
    """Return passes as a file holds them that was filtered after the scan."""
    if dice.chance(0.4):
        return np.asarray(ndimage.median_filter(passes, (1, 3, 3)))
    wide = dice.log(0.4, 1.5)
    return ndimage.gaussian_filter(passes, (0, wide * dice.chance(0.6), wide))
