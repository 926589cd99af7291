"""What a whole scan shows and no part of it does: waves in its spectrum, its echo, its flanks and summits, its course.

Rule: statistics without unit, offset or tilt, of bounded cost: textures are looked at in a window of at most `SIDE` ×
`SIDE` pixels, the course of the lines in a strip of at most 128 columns. A ripple, a worn tip or a tip that changed
cannot be told from a crop; with these numbers beside what the segmenter's network saw, a small head tells them.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from afmd.inference import planes
from afmd.inference.traits import course, echo, flanks, summits, waves
from afmd.inference.traits.values import Image, Values, log, medians, outline, quantiles, sampled, tidy

RECIPE: Final = 4
"""Counts up with every change of meaning; a head names the recipe that it was trained on."""
COUNT: Final = 518
FEWEST_PX: Final = 32
"""A smaller frame has no statistics."""
SIDE: Final = 384
STRIP_COLUMNS: Final = 128
ECHO: Final = slice(COUNT - 7, COUNT)
"""Where `echo.Echo.values` stand."""
_PASSES = 21
_OUTLIERS = (0.02, 99.98)
"""Percentiles beyond which heights are cut: a spike is the segmenter's."""


def traits(heights: NDArray[np.float32], native: planes.Plane) -> NDArray[np.float32]:
    """Return the scan's traits, float32 (``COUNT``,), each finite and within ±30; zeros for a stamp.

    ``heights``: finite (rows, cols) in any unit. ``native``: its `planes.segmenter_planes`, which tell whether there is
    an opposite pass.
    """
    if min(heights.shape) < FEWEST_PX:
        return np.zeros(COUNT, np.float32)
    aligned = native[planes.ALIGNED]
    window = window_of(aligned.shape)
    inner = surface(native, window)
    strip = surface(native, (slice(None), _middle(aligned.shape[1], STRIP_COLUMNS)))
    difference = native[planes.PASS_DIFFERENCE][window]
    if not native[planes.PASS_PRESENT, 0, 0]:
        difference = difference[:1]  # all lines are alike
    groups = (
        np.log(np.array(heights.shape) / 256),
        waves.of_planes(native),
        waves.along_lines(np.clip(inner, -5, 5)),
        waves.along_lines(difference + np.float32(1e-6)),
        waves.down_lines(native),
        flanks.flanks(inner),
        course.breaks(native, strip),
        course.drift(strip),
        _crowded(heights),
        _passes(native),
        summits.summits(inner),
        echo.echo(inner).values(),
    )
    return tidy(np.concatenate(groups))


def surface(native: planes.Plane, window: tuple[slice, slice]) -> Image:
    """Return a window of a scan's heights without tilt, line offsets and outliers, in units of their spread."""
    aligned = native[planes.ALIGNED]
    within = quantiles(np.sinh(sampled(aligned)), _OUTLIERS).astype(np.float32)
    return np.asarray(np.clip(np.sinh(aligned[window]), *within))


def window_of(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the middle of a frame of (rows, cols) in which textures are looked at."""
    return _middle(shape[0], SIDE), _middle(shape[1], SIDE)


def _middle(length: int, most: int) -> slice:
    start = max(0, (length - most) // 2)
    return slice(start, start + most)


def _crowded(heights: Image) -> Values:
    """Return how many pixels crowd at the highest and lowest height, and equal their neighbour: clipping, ln, (5,)."""
    low, high = float(heights.min()), float(heights.max())
    relief = high - low + 1e-12
    steps = np.abs(np.diff(_some_lines(heights), axis=1))
    shares = [(steps < 1e-6 * relief).mean()]
    for share in (1e-3, 1e-2):
        ends = heights >= high - share * relief, heights <= low + share * relief
        shares += [np.count_nonzero(end) / end.size for end in ends]
    return np.asarray(log(shares, floor=1e-5))


def _some_lines(heights: Image) -> Image:
    """Return about 64 of the lines."""
    return heights[:: max(1, len(heights) // 64)]


def _passes(native: planes.Plane) -> Values:
    """Return whether there are two passes, and how they differ, (21,); zeros where there is one."""
    if not native[planes.PASS_PRESENT, 0, 0]:
        return np.zeros(_PASSES)
    difference = native[planes.PASS_DIFFERENCE]
    few, along = sampled(difference), sampled(native[planes.ACROSS])
    size = np.abs(difference)
    lines = size.mean(axis=1)
    mean = float(lines.mean()) + 1e-3
    agreeing = [_correlation(few, along), _correlation(few, np.abs(along))]
    shares = [log(lines.max() / mean, floor=1e-3), log(medians(lines) / mean, floor=1e-3), (np.abs(few) > 2).mean()]
    return np.concatenate([[1.0], outline(difference), [log(mean)], agreeing, shares])


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.corrcoef(one, other)[0, 1]) if one.std() > 0 and other.std() > 0 else 0.0
