"""Lines that the instrument has levelled one by one: each leans as its features pulled it.

NanoScope's line-by-line plane fit takes each line's own least-squares line off as it is recorded, features and all. It
leaves a mark that no scan bears by chance, lines without any slope of their own, and shadows beside whatever stands on
the ground.

Rule: lines are turned back only where the mark is there, and the whole surface is tidier for it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from afmd.science.flatten.thinned import Floats, Thinned
from afmd.science.robust import TINY, line_median, median, middle, shorth, tukey

Doubles = NDArray[np.float64]

MARK = 0.2
"""Usual slope, or offset, of the lines, as a share of what noise alone would give them, below which none is left."""
MOST_LINES = 256
TRIED = np.linspace(-1.5, 1.5, 13)
"""Leans that are tried first, in units of each line's standard deviation, at its right end."""
DENSEST = 0.4
"""Share of a line that must lie level together: more than a flank holds, and less than the ground."""
POOLED = 9
"""Neighbouring lines that choose together: what stands on the ground is wider than a line."""
UNSTEADY = 0.05
"""What it costs, in ln nm of width, that a line leans by one more step of those tried than the line above."""
MUCH, RESTLESS = 0.012, 0.7
"""Usual lean, as a share of what the surface spans, from which on lines lean, and their usual change from line to line,
in usual leans: noise slower than a line makes them lean at random, a sample, or its fringes, all alike or in turns."""
TURNS = 5
NARROWER = 0.6
NARROWEST = 0.5
"""Each turn looks this much closer, down to this share of the usual width."""
SHARP = 3.0


def bears_the_mark(heights: Floats) -> bool:
    """True where lines have no slope of their own: (rows, cols) nm, as recorded."""
    across = np.linspace(-1, 1, heights.shape[1], dtype=np.float32)
    norm = float(across @ across)
    own = heights[:: -(-len(heights) // MOST_LINES)]
    own = own - own.mean(axis=1, dtype=np.float64)[:, None].astype(np.float32)
    slope = np.abs(own @ across) / np.float32(norm)
    by_chance = middle(np.sqrt(np.einsum("ij,ij->i", own, own) / np.float32(own.shape[1]))) / norm**0.5
    return bool(by_chance > TINY and middle(slope) < MARK * by_chance)


def bears_no_offsets(heights: Floats) -> bool:
    """True where all lines have one mean or one median: (rows, cols) nm, as recorded."""
    own = heights[:: -(-len(heights) // MOST_LINES)]
    by_chance = middle(own.std(axis=1, dtype=np.float64)) / own.shape[1] ** 0.5
    usual = min(middle(np.abs(line - median(line))) for line in (own.mean(axis=1), line_median(own, None)))
    return bool(by_chance > TINY and usual < MARK * by_chance)


def leans(flat: Floats, frame: Thinned) -> Doubles:
    """Return how far each line must be turned down at its right end, (lines,) nm, so that its ground lies level.

    ``flat``: the frame's heights without what the lines have in common, nm.
    """
    across = frame.across.astype(np.float32)
    rest = flat - shorth(flat, frame.votes)[:, None]
    votes = np.maximum(frame.votes.sum(axis=1), TINY)
    spread = np.sqrt((frame.votes * rest**2).sum(axis=1) / votes)
    widths = np.array([_width(rest - (share * spread)[:, None] * across, frame.votes) for share in TRIED])
    chosen = steady(uniform_filter1d(np.log(widths + TINY), POOLED, axis=1, mode="nearest"))
    width = widths[chosen, np.arange(len(rest))].astype(np.float64)
    return _settled(rest, (TRIED[chosen] * spread).astype(np.float64), width, frame)


def leans_at_random(flat: Floats, frame: Thinned, *, span_nm: float) -> Doubles | None:
    """Return how far each line leans at its right end, (lines,) nm, where they lean by much, and each in its own way.

    None where they do not. ``flat``: as for `leans`; it spans ``span_nm``.
    """
    rest = flat - shorth(flat, frame.votes)[:, None]
    lean = _settled(rest, np.zeros(len(rest)), _width(rest, frame.votes).astype(np.float64), frame)
    usual = middle(np.abs(lean - median(lean)))
    return lean if usual > MUCH * span_nm and np.diff(lean).std() > RESTLESS * usual else None


def steady(cost: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return which lean each line takes, (lines,), at least cost over all lines together (Viterbi 1967).

    ``cost``: (leans, lines). Where features hide the ground of some lines, those above and below decide.
    """
    leans, lines = cost.shape
    number = np.arange(leans)
    change = UNSTEADY * np.abs(number[:, None] - number)
    before, total = np.zeros((lines, leans), dtype=np.intp), cost[:, 0]
    for line in range(1, lines):
        ways = change + total
        before[line] = ways.argmin(axis=1)
        total = ways[number, before[line]] + cost[:, line]
    taken = np.empty(lines, dtype=np.intp)
    taken[-1] = total.argmin()
    for line in range(lines - 1, 0, -1):
        taken[line - 1] = before[line, taken[line]]
    return taken


def _width(rest: Floats, votes: Floats) -> Floats:
    """Return how far from its mode each line's nearest pixels lie, nm."""
    away = np.abs(rest - shorth(rest, votes)[:, None])
    near = np.sort(np.where(votes > 0, away, np.float32(np.inf)), axis=1)
    reach = near[np.arange(len(near)), (DENSEST * np.count_nonzero(votes, axis=1)).astype(np.intp)]
    return np.asarray(np.where(np.isfinite(reach), reach, 0), dtype=np.float32)


def _settled(rest: Floats, lean: Doubles, width: Doubles, frame: Thinned) -> Doubles:
    """Return the leans of robust straight lines through the ground, from the first guess ``lean`` on."""
    across = frame.across
    basis = np.column_stack([np.ones_like(across), across])
    start = shorth(rest - np.outer(lean, across).astype(np.float32), frame.votes)
    found = np.column_stack([start, lean])
    sigma = np.maximum(width, TINY)
    least = NARROWEST * max(middle(sigma), TINY)
    for _ in range(TURNS):
        left = (rest - found @ basis.T).astype(np.float32)
        weight = tukey((left / sigma[:, None]).astype(np.float32), sigma=1.0, cutoff=SHARP) * frame.votes
        gram = (weight @ (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), 4)).reshape(-1, 2, 2)
        pull = (weight * left) @ basis
        found += np.linalg.solve(gram + 1e-3 * np.eye(2), pull[..., None])[..., 0]
        sigma = np.maximum(sigma * NARROWER, least)
    return found[:, 1]
