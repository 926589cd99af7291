"""Streaks along the fast axis: scars, and loose pieces that the tip pushes about.

Rule: each line is met anew, so that neighbouring lines differ, and the retrace from both.
"""

from dataclasses import dataclass, replace

import numpy as np

from afmd.training.second.instrument import Instrument, Passes
from afmd.training.second.samples.fields import between
from afmd.training.second.samples.grid import Heights


def scar(rng: np.random.Generator, instrument: Instrument, strength: float, passes: Passes) -> Passes:
    """Rough streaks of a line or a few, most of them up and fading."""

    def scarred(heights: Heights) -> Heights:
        result = heights.copy()
        for _ in range(max(1, int(len(result) / 256 * rng.uniform(6, 35) * strength))):
            _scratch(rng, result, instrument.specimen.relief_nm, strength)
        return result

    return passes.each(scarred)


def drag(rng: np.random.Generator, instrument: Instrument, strength: float, passes: Passes) -> Passes:
    """Loose pieces: imaged where they lie on some lines, pushed along on others."""
    result = replace(
        passes, trace=passes.trace.copy(), retrace=None if passes.retrace is None else passes.retrace.copy()
    )
    for _ in range(max(1, int(rng.integers(1, 7) * min(strength, 3)))):
        _push(rng, result, instrument.specimen.relief_nm, strength)
    return result


def _scratch(rng: np.random.Generator, heights: Heights, relief: float, strength: float) -> None:
    """Draw one scar into ``heights``."""
    rows, cols = heights.shape
    length = int(between(rng, 0.03, 0.5) * cols)
    row = rng.integers(0, rows)
    col = rng.integers(-length // 3, cols - length // 4)
    thick = int(rng.choice([1, 1, 1, 2, 3]))
    height = relief * rng.uniform(0.12, 1.1) * min(strength, 1.5) ** 0.8 * rng.choice([1, 1, 1, -1])
    along = np.arange(length) / max(length, 1)
    fades = rng.random() < 0.7
    shape = np.exp(-along * rng.uniform(0, 4)) if fades else np.ones(length)
    streak = height * shape * (1 + 0.15 * rng.standard_normal(length))
    left, right = max(col, 0), min(col + length, cols)
    if right > left:
        for line in heights[row : row + thick]:
            line[left:right] += streak[left - col : right - col] * rng.uniform(0.6, 1)


@dataclass(slots=True)
class _Piece:
    """A loose piece: its radius and place in pixels, its height in nm, and the way in which it is pushed."""

    radius: float
    height: float
    col: float
    way: int


def _push(rng: np.random.Generator, passes: Passes, relief: float, strength: float) -> None:
    """Draw one piece into both passes, line by line."""
    rows, cols = passes.trace.shape
    lines = max(3, int(rows * rng.uniform(0.015, 0.06)))
    first = int(rng.integers(0, max(1, rows - 2 * lines)))
    radius = max(2.0, rng.uniform(0.012, 0.05) * cols)
    height = relief * rng.uniform(0.25, 1.1) * min(max(strength, 0.25), 1.6)
    piece = _Piece(radius, height, rng.uniform(0, 0.8) * cols, rng.choice([-1, 1]))
    lies_at_first = rng.random() < 0.5
    for line in range(min(lines, rows - first)):
        aside = (line - lines * 0.5) / (lines * 0.5 + 0.5)
        missed = rng.random() >= 0.8
        if missed or (lies_at_first and line < lines * 0.45):
            _lie(passes, piece, row=first + line, aside=aside)
        else:
            _slide(rng, passes, piece, row=first + line, aside=aside)


def _lie(passes: Passes, piece: _Piece, *, row: int, aside: float) -> None:
    """Add a ball's cut; ``aside``: how far from its middle, in radii."""
    cols = np.arange(passes.trace.shape[1])
    cut = piece.height * np.sqrt(np.clip(1 - ((cols - piece.col) / piece.radius) ** 2 - aside * aside, 0, 1))
    passes.trace[row] += cut
    if passes.retrace is not None:
        passes.retrace[row] += cut


def _slide(rng: np.random.Generator, passes: Passes, piece: _Piece, *, row: int, aside: float) -> None:
    """Add the streak that a piece leaves while it is pushed, and move it on."""
    cols = np.arange(passes.trace.shape[1])
    half = piece.radius * np.sqrt(max(1 - aside * aside, 0.05))
    way = piece.way * (rng.uniform(0.5, 5) * piece.radius)
    stop = piece.col + way
    left, right = min(piece.col, stop) - half, max(piece.col, stop) + half
    inside = (cols > left) & (cols < right)
    streak = piece.height * rng.uniform(0.3, 1) * inside * (1 - 0.6 * np.clip((cols - left) / (right - left), 0, 1))
    passes.trace[row] += streak * (1 + 0.2 * rng.standard_normal(cols.size))
    if passes.retrace is not None and rng.random() < 0.5:
        at_the_end = (cols > stop - half) & (cols < stop + half)
        passes.retrace[row] += piece.height * rng.uniform(0.1, 0.6) * at_the_end
    piece.col += way * rng.uniform(0, 0.4)
    if rng.random() < 0.15:
        piece.way = -piece.way
