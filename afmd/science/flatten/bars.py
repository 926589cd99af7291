"""Bars along the fast axis: gratings, and any pattern with long edges beside the lines, that line offsets would undo.

Where most of a line lies on a bar, the lines differ by a step at its edges, and a fit of the lines takes the bar for a
slip of the scanner. So the scanner is fitted once more as if it never slipped, as smooth down the frame as along the
lines, and that fit is taken where the surface then lies on a few clean levels.

Rule: a slip moves all of a line at once. Edges that cross the lines one pixel after the other are the sample's, and so
are sharp ones that come again and again between the same two heights.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.guesses import least_width
from afmd.science.flatten.refine import Fit, refined
from afmd.science.flatten.scanner import Scanner, powers
from afmd.science.flatten.substrate import Substrate, find_substrate
from afmd.science.flatten.thinned import Floats, Thinned
from afmd.science.robust import TINY

Doubles = NDArray[np.float64]

DOWN_ORDERS = (2, 1, 3, 6)
"""Powers of the way down that the scanner is given, in turn, until clean levels show."""
MOST_LEVELS = 3
TURNS, SETTLED = 8, 0.2
"""Most turns of levels and scanner, and the change, in widths of a level, below which no other is needed."""
SAMPLED, RIDGE = 4_000, 1e-9
WIDTHS = (0.05, 0.09)
"""No level is taken for narrower than this share of the span, because lines jitter: the first that tells is taken."""
CLEAN, NEAR, HELD = 0.12, 0.15, 0.6
"""Greatest width of a level, and how near to one a pixel must be to lie on it, as shares of the distance of levels;
least share of the pixels that must lie on them."""
CLEANER, IN_ORDER = 0.02, 0.85
"""How much more of the pixels must lie on levels, and from what share on nothing has been undone."""
FLAT = 0.8
"""Share of the pixels on one level, from which on the surface lies flat, and is in order whatever was undone."""
STEP_SHARE, STEPS = 1 / 32, 0.25
"""Within which share of the lines, and by how much of the distance of levels, two fits step apart."""
AT_ONCE = 0.8
"""Share of a line's pixels that a slip takes to another level."""
AGAIN, LEAST_SHARE, THICK = 4, 0.15, 4
"""Slips between the same levels, from which on they are the sample's; the least share of the lines on either level,
and how many lines thick, in the mean, bars are."""


def with_bars(frame: Thinned, fit: Fit) -> Fit:
    """Return ``fit``, or the one without slips where ``fit`` has undone bars of the sample."""
    if not _steps(frame, fit):
        return fit
    shares = _on_levels(fit, frame)
    own, flat = _in_order(shares), float(shares.max()) > FLAT
    found = _first_without_slips(frame, len(fit.scanner.shape)) if flat or own < IN_ORDER else None
    least = min(own + CLEANER, IN_ORDER) if flat else own + CLEANER
    if found is None or _order_of(found[0], frame) < least:
        return fit
    return replace(found[0], on_bars=True) if _undone(frame, fit, *found) else fit


def bars_alone(frame: Thinned, order: int) -> tuple[Fit, Substrate] | None:
    """Return the fit without slips that leaves nothing but bars on clean levels, and these; None where none does.

    ``order``: of the shape.
    """
    found = _first_without_slips(frame, order)
    return found if found is not None and _are_bars(frame, *found) else None


def _steps(frame: Thinned, fit: Fit) -> bool:
    """True where the offsets of ``fit`` step by as much as one that undoes bars of a few levels must."""
    smooth, _ = _smooth(frame, len(fit.scanner.shape), DOWN_ORDERS[0])
    low, high = _span(smooth.off(frame))
    highest = float(np.abs(_change(frame, fit.scanner.offsets - smooth.offsets)).max())
    return highest > STEPS * (high - low) / (2 * MOST_LEVELS)


def _first_without_slips(frame: Thinned, order: int) -> tuple[Fit, Substrate] | None:
    """Return the first fit without slips that leaves clean levels, and these, or None."""
    for down_order in DOWN_ORDERS:
        scanner, _ = _smooth(frame, order, down_order)
        flat = scanner.off(frame)
        for width in WIDTHS:
            if len(_levels(flat, frame, width).levels) == 1:
                break  # and the wider, the fewer
            found = _without_slips(frame, scanner, down_order, width=width)
            if found is not None:
                return found
    return None


def _without_slips(frame: Thinned, scanner: Scanner, down_order: int, *, width: float) -> tuple[Fit, Substrate] | None:
    """Return the fit on the levels that a smooth scanner leaves, and these, or None where they are not clean.

    ``scanner``: the smooth one on a single level, with which to begin.
    """
    order = len(scanner.shape)
    for _ in range(TURNS):
        flat = scanner.off(frame)
        substrate = _levels(flat, frame, width)
        if not 2 <= len(substrate.levels) <= MOST_LEVELS:
            return None
        scanner, levels = _smooth(frame, order, down_order, flat, substrate)
        if float((scanner.off(frame) - flat).std()) < SETTLED * substrate.sigma:
            break
    substrate = replace(substrate, levels=np.sort(levels))
    held = _held(scanner.off(frame), frame.votes, substrate)
    if held.mean() < HELD:
        return None
    on_levels = replace(frame, votes=frame.votes * held[:, None])
    scanner, levels = _smooth(on_levels, order, down_order, scanner.off(frame), substrate)
    substrate = replace(substrate, levels=np.sort(levels))
    fit = refined(on_levels, scanner, substrate, twists=True, known=True)
    clean = substrate.sigma < CLEAN * float(np.diff(substrate.levels).min())
    return (fit, substrate) if clean and _order_of(fit, frame) > HELD else None


def _levels(flat: Floats, frame: Thinned, width: float) -> Substrate:
    """Return the levels of ``flat`` (lines, columns; nm), none narrower than ``width`` of its span."""
    low, high = _span(flat)
    return find_substrate(flat, frame.votes, noise=max(least_width(flat, frame), width * (high - low)))


def _span(flat: Floats) -> tuple[float, float]:
    """Return the heights, nm, below and above which a hundredth of the pixels lies."""
    low, high = np.quantile(flat.ravel()[:: max(1, flat.size // SAMPLED) | 1], (0.01, 0.99))
    return float(low), float(high)


def _smooth(
    frame: Thinned, order: int, down_order: int, flat: Floats | None = None, substrate: Substrate | None = None
) -> tuple[Scanner, Doubles]:
    """Return the least-squares scanner without slips, and the (levels,) heights of the ground under it, nm.

    ``flat``: what the last scanner left, which says on what level of ``substrate`` each pixel lies; all on one if None.
    """
    every = max(1, frame.heights.size // SAMPLED) | 1
    line, column = np.divmod(np.arange(0, frame.heights.size, every), frame.heights.shape[1])
    weight = frame.votes[line, column]
    on = np.ones((len(line), 1))
    if flat is not None and substrate is not None:
        here = flat[line, column]
        level = substrate.nearest(here)
        on = (level[:, None] == np.arange(len(substrate.levels))).astype(np.float64)
        weight = substrate.trust(here - substrate.levels.astype(np.float32)[level], weight)
    down, across = powers(frame.down, down_order), powers(frame.across, order)
    twist = frame.down[line] * frame.across[column]
    design = np.column_stack([across[column], down[line], twist, on])
    pull = design.T * weight
    gram = pull @ design
    gram += np.eye(len(gram)) * (RIDGE * np.trace(gram) / len(gram) + TINY)
    found = np.linalg.solve(gram, pull @ frame.heights[line, column])
    scanner = Scanner(found[:order], down @ found[order : order + down_order], float(found[order + down_order]))
    return scanner, found[order + down_order + 1 :]


def _order_of(fit: Fit, frame: Thinned) -> float:
    """Return the share of the pixels that lie on levels; 0 where there is but one."""
    return _in_order(_on_levels(fit, frame))


def _in_order(shares: Doubles) -> float:
    """Return the same from the shares of each level."""
    return float(shares.sum()) if len(shares) > 1 else 0.0


def _on_levels(fit: Fit, frame: Thinned) -> Doubles:
    """Return which share of the pixels lies on each level that ``fit`` leaves, (levels,); 1 where there is but one."""
    flat = fit.scanner.off(frame)
    substrate = _levels(flat, frame, WIDTHS[0])
    if len(substrate.levels) == 1:
        return np.ones(1)
    held = frame.votes * _near(flat, substrate)
    count = np.bincount(substrate.nearest(flat).ravel(), held.ravel(), minlength=len(substrate.levels))
    return count / max(float(frame.votes.sum()), TINY)


def _held(flat: Floats, votes: Floats, substrate: Substrate) -> NDArray[np.bool_]:
    """True for lines, (lines,), whose pixels mostly lie on levels; on others an edge has all of the line."""
    return np.asarray((votes * _near(flat, substrate)).sum(axis=1) > HELD * votes.sum(axis=1))


def _near(flat: Floats, substrate: Substrate) -> NDArray[np.bool_]:
    """True where a pixel lies on a level, (lines, columns)."""
    away = np.abs(flat - substrate.levels.astype(np.float32)[substrate.nearest(flat)])
    return np.asarray(away < NEAR * float(np.diff(substrate.levels).min()))


def _undone(frame: Thinned, fit: Fit, steady: Fit, substrate: Substrate) -> bool:
    """True where ``fit`` steps from line to line as ``steady`` does not, by much of a level, and no step is a slip.

    Slips that come again and again between the same levels, and make bars, are none.
    """
    apart = float(np.diff(substrate.levels).min())
    lag = _lag(frame)
    steps = np.abs(_change(frame, fit.scanner.offsets - steady.scanner.offsets)) > STEPS * apart
    begun = np.flatnonzero(steps & ~np.concatenate([[False], steps[:-1]]))
    ended = np.flatnonzero(steps & ~np.concatenate([steps[1:], [False]])) + lag
    slipped = _slipped(frame, steady, substrate)
    slips = sum(bool(slipped[first:last].any()) for first, last in zip(begun, ended, strict=True))
    few = slips < len(begun) / 2
    return (few or slips >= AGAIN) and _are_bars(frame, steady, substrate)


def _are_bars(frame: Thinned, steady: Fit, substrate: Substrate) -> bool:
    """True where lines lie on the lowest level or above it in stretches, and often on either."""
    level = substrate.nearest(steady.scanner.off(frame)) > 0
    upper = np.einsum("ij,ij->i", frame.votes, level) > 0.5 * frame.votes.sum(axis=1)
    stretches = 1 + np.count_nonzero(upper[1:] != upper[:-1])
    often = LEAST_SHARE < float(upper.mean()) < 1 - LEAST_SHARE
    return bool(often and AGAIN < stretches < len(upper) / THICK)


def _lag(frame: Thinned) -> int:
    """Return over how many lines two fits may step apart."""
    return min(max(2, round(len(frame.rows) * STEP_SHARE)), len(frame.rows) - 1)


def _change(frame: Thinned, offsets: Doubles) -> Doubles:
    """Return how far the (lines,) ``offsets`` rise over that many lines, nm, (lines - lag,)."""
    lag = _lag(frame)
    return offsets[lag:] - offsets[:-lag]


def _slipped(frame: Thinned, steady: Fit, substrate: Substrate) -> NDArray[np.bool_]:
    """True for each line that all but lies on another level than the next one, everywhere, (lines - 1,)."""
    change = np.sign(np.diff(substrate.nearest(steady.scanner.off(frame)), axis=0))
    both = frame.votes[1:] * frame.votes[:-1]
    net = (both * change).sum(axis=1) / np.maximum(both.sum(axis=1), TINY)
    at_once = np.abs(net) > AT_ONCE
    in_line = np.abs(net[1:] + net[:-1]) > AT_ONCE  # a slip in mid-line is seen from two pairs of lines
    at_once[1:] |= in_line
    at_once[:-1] |= in_line
    return np.asarray(at_once)
