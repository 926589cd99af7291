"""A first guess of the scanner from differences between pixels that lie on plateaus.

A plateau is flat in both directions once the scanner is gone. Terraces, gratings and substrates between objects have
them; steps, flanks and what the feedback loop smears behind an edge do not, and that is what bends every fit that looks
at all pixels. Guess and plateaus are found in turns.

Rule: nothing here asks how high a plateau is.
"""

import numpy as np
from numpy.typing import NDArray

from afmd.science.flatten.linesystem import (
    BLOCKS,
    LAGS,
    SHARP,
    SURE_NM,
    LineSystem,
    Statements,
    mean_of,
    sigma_down,
    steps_down,
)
from afmd.science.flatten.scanner import Scanner
from afmd.science.flatten.thinned import Thinned
from afmd.science.robust import TINY, mad_sigma, median, middle, narrow_sigma, shorth, tukey

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

MOST_TURNS = 5
SETTLED = 4.0
"""No further turn is needed once the offsets change by less than this many times the steps' own σ."""
REACH_PX = 3
"""A plateau pixel is level with the pixels this far to either side."""
FIRST_SHARE, SHARE = 1 / 64, 1 / 40
"""Distance of the two pixels whose difference tells the slope along the line, as a share of the line."""
UNLIKE = 4.0
STAYED, SLIPPED = 0.12, 0.8
"""Share of the pixels that stays where an object has begun or ended; and that has moved as one where a line slipped."""
ANCHOR = 0.1
"""Share of a usual line's plateau pixels below which a line rather keeps the step known so far."""
DOUBTED = 6.0
"""A step beyond this many times the usual one may be wrong altogether."""
UNEVEN, TOGETHER, TOGETHER_SIGMAS, ENOUGH = 6.0, 0.85, 5.0, 0.5
"""How uneven lines must be, in spreads of the steps; which share of their pixels must have moved as one, within so many
spreads, and which share of a line must vote, for a step to be a slip of the scanner without doubt: nothing of the
sample ends all along such lines."""
WEAK = 30.0
"""How many times its spread a line's densest height may be wrong by."""


def plateau_guess(frame: Thinned, basis: Doubles) -> Scanner:
    """Return the scanner that levels plateaus.

    ``basis``: (columns, order), the polynomials that the shape is made of.
    """
    shape = _most_frequent_slope(frame, basis)
    bare = _without(frame.heights, basis, shape)
    offsets = np.concatenate([[0.0], np.cumsum(_most_frequent(bare, frame.votes))])
    scanner = Scanner(shape, offsets)
    for _ in range(MOST_TURNS):
        rest = scanner.off(frame)
        flat = plateau_votes(rest, frame.votes)
        change = _offset_change(rest, flat, frame, scanner.offsets)
        shape, twist = _shape_change(rest, flat, basis, frame.down)
        scanner = scanner.plus(shape, change, twist)
        if max(float(np.ptp(change)), 2 * abs(twist)) < SETTLED * sigma_down(rest, flat, 1):
            break
    return scanner


def plateau_votes(rest: Floats, votes: Floats) -> Floats:
    """Return the votes that are left to pixels on plateaus of ``rest``, the heights without the scanner."""
    flat = votes.copy()
    for values, own in ((rest, flat), (rest.T, flat.T)):
        reach = min(REACH_PX, (len(values) - 1) // 2)
        if reach > 0:
            rise = values[2 * reach :] - values[: -2 * reach]
            own[reach:-reach] *= tukey(rise, sigma=narrow_sigma(rise, own[reach:-reach]), cutoff=SHARP)
    return flat


def _without(heights: Floats, basis: Doubles, shape: Doubles) -> Floats:
    return heights - (basis @ shape).astype(np.float32)


def _most_frequent_slope(frame: Thinned, basis: Doubles) -> Doubles:
    """Return a shape that is a mere tilt, then every power, that most differences along the lines agree with."""
    step, both, slopes = _steps_along(frame.heights, frame.votes, basis, FIRST_SHARE)
    sample = step.ravel()[:: max(1, step.size // 20_000)][None, :]
    shape = np.zeros(basis.shape[1])
    shape[0] = float(shorth(sample, both.ravel()[:: max(1, step.size // 20_000)][None, :])[0]) / slopes[0, 0]
    rest = _without(step, slopes, shape)
    sigma = 4 * narrow_sigma(rest, both)
    for powers in (1, 1, basis.shape[1], basis.shape[1]):
        shape[:powers] += _solved(tukey(rest, sigma=sigma) * both, rest, slopes[:, :powers])
        rest = _without(step, slopes, shape)
        sigma = max(narrow_sigma(rest, both), sigma / 2)
    return shape


def _most_frequent(bare: Floats, votes: Floats) -> Doubles:
    """Return the most frequent step from each line to the next; ``bare``: heights without the shape.

    A slip of the scanner moves every pixel. Where the most frequent step is unlike those of other lines, but a share of
    the pixels moves as pixels of other lines do, an object has begun or ended, and those pixels tell the step.
    """
    steps, both = bare[1:] - bare[:-1], votes[1:] * votes[:-1]
    value, core = _mode_of(steps, both, shorth(steps[:, ::2], both[:, ::2]))
    usual, spread = median(value), mad_sigma(value)
    odd = np.flatnonzero(np.abs(value - usual) > UNLIKE * max(spread, core))
    odd = odd[_stay(bare, votes, odd, odd + 1, usual, reach=SHARP * (core + spread), core=core)]
    around = np.maximum(odd - 1, 0), np.minimum(odd + 2, len(bare) - 1)
    odd = odd[_stay(bare, votes, *around, usual, reach=2 * SHARP * (core + spread), core=core)]
    if odd.size:
        value[odd] = _mode_of(steps[odd], both[odd], np.full(odd.size, usual, dtype=np.float32), core=core)[0]
    return _adding_up(bare, votes, value, core=core).astype(np.float64)


def _adding_up(bare: Floats, votes: Floats, value: Floats, *, core: float) -> Floats:
    """Return the steps with those put right that do not add up to the step over both of two.

    Where a slip parts a line, some of its pixels step with those before and the others with those behind, and either
    may be the more. All pixels must have slipped over both, and those that step before be the ones that do not behind.
    """
    if len(bare) < 3:
        return value
    over, both = bare[2:, ::2] - bare[:-2, ::2], votes[2:, ::2] * votes[:-2, ::2]
    whole, as_one = _as_one(over, both, core=core)
    gap = np.where(as_one.any(axis=1), whole - value[:-1] - value[1:], 0)
    for upper in np.flatnonzero(np.abs(gap) > UNLIKE * max(mad_sigma(gap), core)).tolist():
        left = whole[upper] - value[upper] - value[upper + 1]
        here, there = (
            _shares_at(bare, votes, row, (value[row], value[row] + left), core) for row in (upper, upper + 1)
        )
        if np.abs(here + there - 1).max() < 1 - SLIPPED:
            value[upper if here[1] > there[1] else upper + 1] += left
    return value


def _shares_at(bare: Floats, votes: Floats, row: int, steps: tuple[float, ...], core: float) -> Floats:
    """Return which share of the pixels of line ``row`` takes each of some ``steps``, nm, to the next line, (steps,)."""
    both, own = votes[row + 1] * votes[row], bare[row + 1] - bare[row]
    near = np.abs(own - np.array(steps, np.float32)[:, None]) < SHARP * core
    return np.asarray(near @ both / max(float(both.sum()), TINY))


def _stay(
    bare: Floats,
    votes: Floats,
    upper: NDArray[np.intp],
    lower: NDArray[np.intp],
    usual: float,
    *,
    reach: float,
    core: float,
) -> NDArray[np.bool_]:
    """True for pairs of lines of which a share of the pixels moves as usual; a wide pair sees past a jump mid-line.

    ``reach``: how far from usual, nm, lines' offsets may take a pixel. Where all but a few move as one, within the
    ``core``, these have slipped however near to usual that is.
    """
    both = votes[lower] * votes[upper]
    expected = (usual * (lower - upper)).astype(np.float32)[:, None]
    step = bare[lower] - bare[upper] - expected
    most, as_one = _as_one(step, both, core=core)
    near = (np.abs(step) < reach) & ~(as_one & (np.abs(most) > SHARP * core)[:, None])
    return np.asarray((both * near).sum(axis=1) > STAYED * both.sum(axis=1))


def _as_one(steps: Floats, votes: Floats, *, core: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Return each line's most frequent step, (lines,) nm, and True for pixels that take it in lines where all but a few
    do, (lines, columns): those that lie within the ``core``, nm, of it."""
    most = shorth(steps, votes)
    near = np.abs(steps - most[:, None]) < SHARP * core
    return most, near & ((votes * near).sum(axis=1) > SLIPPED * votes.sum(axis=1))[:, None]


def _mode_of(steps: Floats, votes: Floats, start: Floats, *, core: float | None = None) -> tuple[Floats, float]:
    """Return each line's robust location near ``start``, and the width of the core around it, nm."""
    value = start.copy()
    rest = steps - value[:, None]
    width = narrow_sigma(rest, votes) if core is None else core
    for wide in (2.0, 1.0):
        told = mean_of(rest, tukey(rest, sigma=wide * width, cutoff=SHARP) * votes)
        value += told.value.astype(np.float32)
        rest = steps - value[:, None]
    return value, width


def _offset_change(rest: Floats, flat: Floats, frame: Thinned, offsets: Doubles) -> Doubles:
    """Return what must be added to the offsets so that plateaus go on from line to line.

    Where offsets jump (a lost line, an object as wide as the frame), the lines' own densest heights hold the parts
    together, weakly.
    """
    system = LineSystem(len(rest), reach=max(LAGS))
    for lag in LAGS:
        if lag < len(rest):
            told = _anchored(mean_of(*steps_down(rest, flat, lag)))
            doubted = _doubted(told, told.value + offsets[lag:] - offsets[:-lag])
            slips = _slips(rest, frame.votes, lag, np.flatnonzero(doubted.precision < told.precision / 2))
            doubted.precision[slips] = told.precision[slips]
            system.difference(lag, frame.rows, doubted)
    dense = shorth(rest[:, ::2], frame.votes[:, ::2]).astype(np.float64)
    spread = max(mad_sigma(dense), SURE_NM)
    system.absolute(Statements(dense, np.full(len(dense), (WEAK * spread) ** -2), np.zeros((len(dense), BLOCKS))))
    return system.solved()[0]


def _anchored(told: Statements) -> Statements:
    """Return the statements of lines with few plateau pixels as if they said that nothing moved."""
    share = told.precision / max(float(told.precision.mean()), TINY)
    kept = share**2 / (share**2 + ANCHOR**2)
    return Statements(
        told.value * kept, told.precision + ANCHOR * float(told.precision.mean()), told.discord * kept[:, None]
    )


def _slips(rest: Floats, votes: Floats, lag: int, upper: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return which lines of ``upper`` slipped against those ``lag`` below: both uneven, most pixels moved as one.

    ``rest``: nm, (lines, columns); ``upper``: numbers of lines.
    """
    if upper.size == 0:
        return upper
    sigma, lower = sigma_down(rest, votes, lag), upper + lag
    uneven = np.minimum(rest[upper].std(axis=1), rest[lower].std(axis=1)) > UNEVEN * sigma
    both = votes[upper] * votes[lower]
    near, whole = both * (np.abs(rest[lower] - rest[upper]) < TOGETHER_SIGMAS * sigma), both.sum(axis=1)
    return np.asarray(upper[uneven & (near.sum(axis=1) > TOGETHER * whole) & (whole > ENOUGH * both.shape[1])])


def _doubted(told: Statements, step: Doubles) -> Statements:
    """Return the same statements, less precise where the whole step stands out of all others: it may be wrong."""
    error = 1 / np.maximum(told.precision, TINY)
    usual = max(mad_sigma(step), middle(error) ** 0.5)
    apart = step - median(step)
    odd = np.minimum((apart / (DOUBTED * usual)) ** 2, 10.0) ** 4
    return Statements(told.value, 1 / (error + apart**2 * odd / (1 + odd)), told.discord)


def _shape_change(rest: Floats, flat: Floats, basis: Doubles, down: Doubles) -> tuple[Doubles, float]:
    """Return what must be added to shape and twist so that plateaus are level along the lines."""
    step, both, slopes = _steps_along(rest, flat, basis, SHARE)
    both *= tukey(step, sigma=narrow_sigma(step, both), cutoff=SHARP)
    lean = float(slopes[0, 0])
    by_line, by_column = both.sum(axis=1, dtype=np.float64), both.sum(axis=0, dtype=np.float64)
    pulled = both * step
    cross = lean * (down @ (both @ slopes.astype(np.float32)))
    gram = np.block(
        [[(slopes * by_column[:, None]).T @ slopes, cross[:, None]], [cross[None, :], lean**2 * (down**2 @ by_line)]]
    )
    pull = np.concatenate([slopes.T @ pulled.sum(axis=0), [lean * (down @ pulled.sum(axis=1))]])
    gram += np.eye(len(gram)) * (1e-9 * np.trace(gram) + TINY)
    change = np.linalg.solve(gram, pull)
    return change[:-1], float(change[-1])


def _steps_along(heights: Floats, votes: Floats, basis: Doubles, share: float) -> tuple[Floats, Floats, Doubles]:
    """Return differences between pixels of a line, their votes, and the same differences of the basis."""
    columns = heights.shape[1]
    lag = min(max(1, round(share * columns)), columns - 1)
    return heights[:, lag:] - heights[:, :-lag], votes[:, lag:] * votes[:, :-lag], basis[lag:] - basis[:-lag]


def _solved(weight: Floats, rest: Floats, slopes: Doubles) -> Doubles:
    """Return the least-squares coefficients; every line has the same design, so columns are summed first."""
    total = weight.sum(axis=0, dtype=np.float64)
    pull = np.einsum("ij,ij->j", weight, rest).astype(np.float64)
    gram = (slopes * total[:, None]).T @ slopes
    gram += np.eye(len(gram)) * (1e-9 * np.trace(gram) + float(np.finfo(np.float32).tiny))
    return np.asarray(np.linalg.solve(gram, slopes.T @ pull))
