"""Streaks along the fast axis: whatever begins with a step from one line to the next and ends with the step back.

Rule: a real edge is seen by several lines, because the tip rounds it; a step that two neighbouring lines share with no
other was made by the instrument. So only lonely steps count, and only if they are undone within a share of the frame.

Lost lines, lift-off, jumps of the z zero, scars and dragged debris are all found by this one rule, of either sign and
of any thickness up to ``THICKEST_SHARE`` of the frame.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.science.robust import SIGMA_PER_MAD, mad_sigma

Plane = NDArray[np.float32]

RUNS = (5, 15, 45)
"""Lengths in px over which a step is averaged along the line: short ones for scars, long ones for faint lines."""
LEAST_STEP = 3.0
LONELY = 0.2
"""A step counts where its neighbours above and below reach, with the same sign, at most this share of it."""
LOCAL_WEIGHT = 0.5
LOCAL_LINES = 31
OFFSET_LIMIT = 4.0
THICKEST_SHARE = 1 / 6
SAMPLE = 20_000
_OCTAVE = 16
_FLOOR = 2.0**-4


def streaks(heights: Plane, run: int) -> Plane:
    """Return how high each pixel stands above or below the lines around its streak, in σ of such steps; 0 outside.

    ``heights``: float32 (rows, cols) in any unit. ``run``: px. A frame of fewer than three lines has no streaks.
    """
    if len(heights) < 3:
        return np.zeros_like(heights)
    steps = _lonely(_significance(line_steps(heights), run))
    level = np.zeros_like(heights)
    np.cumsum(steps, axis=0, out=level[1:])
    return _undone(level, lines=max(3, round(len(heights) * THICKEST_SHARE)))


def line_steps(heights: Plane) -> Plane:
    """Return each line less the one above it, less the lines' own offset; (rows - 1, cols).

    Offsets are the median of a line's steps, but at most ``OFFSET_LIMIT`` times their usual size: the jump of a whole
    line is no offset.
    """
    steps = np.diff(heights, axis=0)
    offset = np.median(steps, axis=1)
    limit = OFFSET_LIMIT * mad_sigma(offset)
    steps -= np.clip(offset, -limit, limit).astype(np.float32)[:, None]
    return steps


def sampled_sigma(values: Plane) -> float:
    """Return the robust σ of an evenly spread sample."""
    flat = values.reshape(-1)
    return mad_sigma(flat[:: max(1, flat.size // SAMPLE)])


def _significance(steps: Plane, run: int) -> Plane:
    """Return steps averaged along the line over their usual size here: the frame's σ and that of lines around."""
    mean: Plane = np.empty_like(steps)
    cv2.blur(steps, (min(run, steps.shape[1]), 1), dst=mean, borderType=cv2.BORDER_REPLICATE)
    sigma = sampled_sigma(mean)
    if sigma == 0:
        return np.sign(mean) * np.float32(0)
    mean /= np.float32(sigma)
    usual = _usual(np.abs(mean), thin=max(2, run // 5))
    mean /= np.sqrt(1 + np.square(np.float32(LOCAL_WEIGHT) * usual))
    return mean


def _usual(size: Plane, *, thin: int) -> Plane:
    """Return the local median of step sizes as a σ: over ``LOCAL_LINES`` lines and as many px of a thinned frame.

    In 1/16 octaves and bytes, for which a median over a wide window costs no more than over a narrow one.
    """
    rows, cols = size.shape
    small = cv2.resize(size, (max(1, cols // thin), rows), interpolation=cv2.INTER_AREA).reshape(rows, -1)
    octaves = np.log2(np.maximum(small, np.float32(_FLOOR))) - np.float32(np.log2(_FLOOR))
    median = cv2.medianBlur((octaves * _OCTAVE).clip(0, 255).astype(np.uint8), LOCAL_LINES)
    table = (SIGMA_PER_MAD * _FLOOR * 2.0 ** (np.arange(256) / _OCTAVE)).astype(np.float32)
    return np.asarray(cv2.resize(table[median], (cols, rows), interpolation=cv2.INTER_LINEAR)).reshape(rows, cols)


def _lonely(steps: Plane) -> Plane:
    """Return the steps that are large and that no neighbouring pair of lines shares, 0 elsewhere."""
    size = np.abs(steps)
    keep = size > np.float32(LEAST_STEP)
    shared = steps[1:] * steps[:-1] > 0
    keep[1:] &= ~(shared & (size[:-1] >= np.float32(LONELY) * size[1:]))
    keep[:-1] &= ~(shared & (size[1:] >= np.float32(LONELY) * size[:-1]))
    return np.where(keep, steps, np.float32(0))


def _undone(level: Plane, *, lines: int) -> Plane:
    """Return how far the level stands out from what lasts for at least ``lines`` lines, upwards or downwards."""
    column = np.ones((lines, 1), dtype=np.uint8)
    opened = cv2.morphologyEx(level, cv2.MORPH_OPEN, column, borderType=cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(level, cv2.MORPH_CLOSE, column, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.maximum(level - opened, closed - level))
