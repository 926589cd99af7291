"""The scanner as one smooth shape and one offset for each line, found together on trusted substrate.

height(i, j) = level of the ground + shape(j) + twist · i · j + offset(i) + the sample's own roughness, where the
ground may lie on several levels (terraces, gratings) and features stand out of it. Everything is robust weighted least
squares: differences between pixels on plateaus give a first guess, medians another, and the tidier surface decides; the
levels then show in the height distribution, and scanner and level heights are solved together.

Rule: what the sample itself explains stays in the heights.
"""

from dataclasses import replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from afmd.domain.levelling import Disturbance, DisturbanceKind
from afmd.domain.params import Params
from afmd.errors import CannotLevel
from afmd.science.flatten.bars import with_bars
from afmd.science.flatten.course import led_straight
from afmd.science.flatten.digits import between_digits
from afmd.science.flatten.edges import with_edges
from afmd.science.flatten.fringes import fringes_left
from afmd.science.flatten.guesses import (
    Leftover,
    best_guess,
    breaks,
    extent,
    highest_step,
    least_width,
    leftover,
    low_guess,
    plain_guess,
)
from afmd.science.flatten.hum import Tone, hum_in
from afmd.science.flatten.jumps import undo_jumps
from afmd.science.flatten.lattice import lies_askew, without_lattices_wave
from afmd.science.flatten.leans import bears_no_offsets, bears_the_mark, leans, leans_at_random
from afmd.science.flatten.linehum import line_hum_in
from afmd.science.flatten.plateaus import plateau_guess
from afmd.science.flatten.refine import Fit, refined
from afmd.science.flatten.ripple import ground_wave, scanners_own
from afmd.science.flatten.scanner import Scanner, powers, twisted
from afmd.science.flatten.shrinkage import is_twisted, scanner_part, smooth_part, wave_power
from afmd.science.flatten.staircases import is_staircase
from afmd.science.flatten.substrate import find_substrate, span_of
from afmd.science.flatten.sunken import without_sunken_lines
from afmd.science.flatten.terms import Background, Ground
from afmd.science.flatten.thinned import Thinned, thinned
from afmd.science.flatten.vicinal import find_stairs, leans_so
from afmd.science.flatten.waves import Wave, places_of
from afmd.science.robust import TINY, line_median

Doubles = NDArray[np.float64]

ROUNDS = 2
HIGHEST_ORDER = 3
WORTH_TELLING = 0.01
BLURRED = 0.08
"""Where levels are wider than this share of the relief, none shows."""
BROAD = 0.05
"""Where the only level is wider than this share of the relief, it may be stairs that lie flat as a ramp."""
MANY_LEVELS, ROUGH = 6, 0.1
"""From how many levels on, and how wide ones as a share of what lies between them, stairs are sought past them."""
CLIMBS = 0.3
"""A surface without levels that rises from first to last line by more than this share of its relief has gone astray."""
MOST_LEVELS = 2
"""On a staircase no line can tell its lean from a step, nor its lowest height from a level."""
TIDIER, COARSER = 0.2, 1.3
"""Least gain in order, in ln nm, for which lines are turned back, and how much wider levels and relief may become."""
CALMER = 0.96
"""To which share the surface's slope must sink where it is noise that turns them."""
LARGE_STEPS, OF_SLOPE, OF_STEPS = 0.95, 0.3, 0.3
"""Which quantile of a scanner's steps from line to line tells, and what their and the slope's logarithms count beside
that of the span. They were tuned on simulated scans for the choice to be right; their halves and doubles do as well."""
EDGE_PX, STEPS_APART, OWN_STEPS = 4, 0.03, 0.2
"""Where lines step apart by less than this share of the span, and the scanner by less than that one over the lines of
an edge, masks kept nothing from view that the lines' offsets need."""
LIKELIER, MOST_OF = 0.025, 0.8
"""By how much, in ln nm, a background must be less strange that does not differ mostly, by this share of the rms, in
the lines' offsets."""
AS_TIDY = 0.2
"""By how much, in ln nm, a surface may be less tidy without a wave, for the wave to have been the scanner's."""


def joint(ground: Ground, params: Params) -> Background:  # noqa: ARG001 one signature for the whole table
    """Fit the scanner's shape along the lines and each line's offset together, after hum has been taken off.

    Where heights are told in coarse digits, to what they may have been.
    """
    smooth = between_digits(ground.heights)
    if smooth is not None:
        ground = replace(ground, heights=smooth)
    tones = _tones_in(ground.heights)
    if not tones:
        return _without_fringes(ground)
    hum = np.sum([tone.wave for tone in tones], axis=0)
    told = [Disturbance(DisturbanceKind.HUM, tone.amplitude, *tone.number) for tone in tones]
    return _with(_without_fringes(ground.without(hum)), hum, *told)


def _tones_in(heights: NDArray[np.float32]) -> list[Tone]:
    """Return the tones of hum in ``heights`` (rows, cols; nm): those in step with the lines, then one that is not."""
    tones = hum_in(heights)
    out_of_step = line_hum_in(reduce(np.subtract, (tone.wave for tone in tones), heights))
    return tones if out_of_step is None else [*tones, out_of_step]


def _without_fringes(ground: Ground) -> Background:
    """Fit the scanner, and once more without the fringes that this leaves, where there are any."""
    found = _on_course(ground)
    fringes = fringes_left(_levelled(ground, found))
    if fringes is None:
        return found
    return _with(_on_course(ground.without(fringes.wave)), *fringes)


def _with(found: Background, wave: NDArray[np.floating], *told: Disturbance) -> Background:
    """Return the background with a wave, nm, and what is told of it."""
    return replace(found, surface=found.surface + wave, disturbances=(*found.disturbances, *told))


def _levelled(ground: Ground, found: Background) -> Ground:
    """Return the ground without a background."""
    return ground.without(found.surface + np.float32(found.base_nm))


def _on_course(ground: Ground) -> Background:
    """Fit the scanner, and lead it straight on where it seems to leave its course and comes back onto it."""
    found = _trusting(ground)
    offsets = found.surface.mean(axis=1, dtype=np.float64)
    left = _left_by(found, ground)
    span_nm = extent(left.heights, left.votes)[0]
    straight = led_straight(offsets, ground.heights, span_nm=span_nm)
    if straight is offsets:
        return found
    return replace(found, surface=found.surface + (straight - offsets).astype(np.float32)[:, None])


def _trusting(ground: Ground) -> Background:
    """Fit the scanner to the ground that is worth it.

    What a mask keeps out votes where the surface is the likelier for it: masks are drawn before the scan is level, and
    take what they do not know for a feature, or for spoilt. Only where lines step apart is this looked into. A shape
    that bends into domes is hardly likelier, and so must be clearly. A fit on bars along the lines, which masks hide,
    is taken before any other.
    """
    masked, *others = ground.votings()
    found = _scanner_of(masked)
    if not others or found.on_bars:
        return found
    whole = others[-1]
    left = _left_by(found, whole)
    if not _steps_apart(found, left):
        return found
    best, strange = found, _strangeness(found, left)
    for other in others:
        one = _scanner_of(other)
        stranger = _strangeness(one, _left_by(one, whole)) + (not _moves_lines(one, found)) * LIKELIER
        if (one.on_bars, -stranger) > (best.on_bars, -strange):
            best, strange = one, stranger
    return best


def _left_by(found: Background, ground: Ground) -> Thinned:
    """Return the surface that a background leaves, thinned."""
    return thinned(_levelled(ground, found))


def _steps_apart(found: Background, left: Thinned) -> bool:
    """True where most pixels of a line step from those of the line before, or the scanner stepped far to prevent it."""
    span = extent(left.heights, left.votes)[0]
    lines = found.surface.mean(axis=1)
    own = np.abs(lines[EDGE_PX:] - lines[:-EDGE_PX]).max(initial=0)
    return bool(own > OWN_STEPS * span or highest_step(left.heights, left.votes) > STEPS_APART * span)


def _strangeness(found: Background, left: Thinned) -> float:
    """Return how unlikely a background is, in ln nm: by what the surface ``left`` spans, how steep that is, and how far
    the scanner went in its largest steps from line to line."""
    span, slope = extent(left.heights, left.votes)
    step = float(np.quantile(np.abs(np.diff(found.surface.mean(axis=1))), LARGE_STEPS))
    return float(np.log(span) + OF_SLOPE * np.log(slope) + OF_STEPS * np.log(max(step, TINY)))


def _moves_lines(one: Background, other: Background) -> bool:
    """True where two backgrounds differ in their lines' offsets rather than in a smooth shape."""
    change = one.surface - other.surface
    lines, down = change.mean(axis=1, dtype=np.float64), np.linspace(-1, 1, len(change))
    rough = lines - np.polyval(np.polyfit(down, lines, HIGHEST_ORDER), down)
    return bool(rough.std() > MOST_OF * float(change.std()))


def _scanner_of(ground: Ground) -> Background:
    """Return the scanner that the trusted ground tells of."""
    frame = thinned(ground)
    order = min(HIGHEST_ORDER, len(frame.across) - 1)
    _enough(frame, needed=order + 2)
    levelled = bears_the_mark(ground.heights)
    bars = not (levelled or bears_no_offsets(ground.heights))
    whole = thinned(replace(ground, trusted=None, weights=None)) if bars else None
    fit = fitted(frame, order, whole=whole)
    lean = None
    if levelled or _leans_at_random(frame, fit):
        frame, whole, fit, lean = _upright(frame, whole, fit, order, marked=levelled)
    wave = ground_wave(fit, frame, ground.heights.shape)
    if wave is not None and whole is not None and wave.axis == 1:
        places = places_of(whole, ground.heights.shape, axis=1)
        wave = None if lies_askew(whole.heights.T, wave, places, ground.heights.shape[1]) else wave
    if wave is not None:
        calm = wave.off(frame, ground.heights.shape)
        again = fitted(calm, order, whole=None if whole is None else wave.off(whole, ground.heights.shape))
        untidier = leftover(calm, again.scanner).disorder > leftover(frame, fit.scanner).disorder + AS_TIDY
        wave = None if untidier else scanners_own(wave, again, calm, ground.heights.shape)
        if wave is not None:
            frame, fit = calm, again
    shape = smooth_part(fit.scanner.shape, wave_power(fit.rest, fit.weight, frame))
    offsets = scanner_part(fit.scanner.offsets, fit.discord)
    if whole is not None:
        bare = fit.scanner._replace(offsets=np.zeros(len(whole.rows))).off(whole)[frame.rows]
        offsets = without_lattices_wave(
            offsets, fit.scanner.off(frame), at=frame.rows, length=len(ground.heights), whole=bare
        )
    found = replace(_background(ground, frame, Scanner(shape, offsets, fit.scanner.twist)), on_bars=fit.on_bars)
    if lean is not None:
        found = _with_leans(ground, frame, found, lean)
    return found if wave is None else _with_wave(ground, found, wave)


def _leans_at_random(frame: Thinned, fit: Fit) -> bool:
    """True where each line of what ``fit`` leaves leans in its own way, and turned back leaves a tidier surface."""
    before = leftover(frame, fit.scanner)
    if len(before.substrate.levels) > MOST_LEVELS:
        return False
    lean = leans_at_random(fit.scanner.off(frame), frame, span_nm=before.span_nm)
    if lean is None:
        return False
    after = leftover(_turned(frame, lean, at=frame.rows), fit.scanner)
    return after.disorder < before.disorder - TIDIER and after.slope_nm < CALMER * before.slope_nm


def _upright(
    frame: Thinned, whole: Thinned | None, fit: Fit, order: int, *, marked: bool
) -> tuple[Thinned, Thinned | None, Fit, Doubles | None]:
    """Return frames, fit and the leans taken off, where the surface is tidier without them; else all as it was.

    ``marked``: whether the instrument has levelled line by line, so that lines must lean wherever features stand.
    """
    before = leftover(frame, fit.scanner)
    if len(before.substrate.levels) > MOST_LEVELS:
        return frame, whole, fit, None
    lean, again, upright, all_of_it = np.zeros(len(frame.rows)), fit, frame, whole
    for _ in range(ROUNDS):
        lean = lean + leans(again.scanner.off(upright), frame)
        upright = _turned(frame, lean, at=frame.rows)
        all_of_it = None if whole is None else _turned(whole, lean, at=frame.rows)
        again = fitted(upright, order, whole=all_of_it)
    after = leftover(upright, again.scanner)
    coarser = after.substrate.sigma > COARSER * before.substrate.sigma or after.span_nm > COARSER * before.span_nm
    if coarser or after.disorder > before.disorder - TIDIER:
        return frame, whole, fit, None
    if not marked and (after.slope_nm > CALMER * before.slope_nm or after.span_nm > before.span_nm):
        return frame, whole, fit, None
    return upright, all_of_it, again, lean


def _turned(frame: Thinned, lean: Doubles, *, at: NDArray[np.intp]) -> Thinned:
    """Return a frame less the leans of its lines; ``lean``: nm, of the lines ``at``."""
    own = np.interp(frame.rows, at, lean)
    return replace(frame, heights=frame.heights - np.outer(own, frame.across).astype(np.float32))


def _with_leans(ground: Ground, frame: Thinned, found: Background, lean: Doubles) -> Background:
    rows, cols = ground.heights.shape
    own = np.interp(np.arange(rows), frame.rows, lean)
    return replace(found, surface=found.surface + np.outer(own, np.linspace(-1, 1, cols)).astype(np.float32))


def _with_wave(ground: Ground, found: Background, wave: Wave) -> Background:
    """Return the background with the wave, and with what its gain adds to the heights above the ground."""
    places = np.arange(ground.heights.shape[wave.axis], dtype=np.float64)
    added: NDArray[np.floating] = wave.added(places)
    if wave.gain:
        above = ground.heights - np.float32(found.base_nm) - found.surface - added
        added = added + above * (1 - 1 / wave.scale(places))
    along = (wave.frequency, 0.0) if wave.axis == 0 else (0.0, wave.frequency)
    return _with(found, added, Disturbance(DisturbanceKind.RIPPLE, wave.amplitude, *along))


def fitted(frame: Thinned, order: int, *, whole: Thinned | None) -> Fit:
    """Fit the scanner on the levels that show.

    ``whole``: the same frame with every pixel, where lines have their own heights, so that bars may show, and edges
    along the lines; else None.
    """
    fit = _fitted(frame, order)
    if whole is None:
        return fit
    barred, edged = with_bars(frame, fit), with_edges(frame, fit, whole, lambda calm: _fitted(calm, order))
    if barred is fit or edged is fit:
        return edged if barred is fit else barred
    left = [leftover(frame, one.scanner) for one in (edged, barred)]
    return (edged, barred)[int(np.argmin([one.disorder + np.log(one.span_nm) for one in left]))]


def _fitted(frame: Thinned, order: int) -> Fit:
    """Guess the scanner, then fit it on the levels that show; otherwise where what that leaves tells that it went
    astray."""
    plateau = plateau_guess(frame, powers(frame.across, order))
    fit = _settled(frame, plateau)
    left = leftover(frame, fit.scanner)
    on_treads = _on_treads(frame, fit, left)
    if on_treads is not None:
        return on_treads
    if left.substrate.sigma >= BLURRED * left.span_nm:
        return _on_plateaus(frame, fit, plateau) or _not_climbing(frame, _standing_close(frame, fit, order, left))
    if len(left.substrate.levels) > MOST_LEVELS:
        return _standing_close(frame, fit, order, left)
    return without_sunken_lines(frame, fit, order, left)


def _settled(frame: Thinned, plateau: Scanner) -> Fit:
    """Return the fit that the better of two guesses leads to, with a twist where there is one."""
    guess, substrate = best_guess(frame, plateau)
    fit = refined(frame, guess, substrate, twists=True)
    twists = is_twisted(fit.scanner.twist, wave_power(fit.rest, fit.weight, frame))
    for _ in range(ROUNDS - 1):
        scanner = fit.scanner if twists else fit.scanner._replace(twist=0.0)
        flat = scanner.off(frame)
        substrate = find_substrate(flat, frame.votes, noise=least_width(flat, frame))
        fit = refined(frame, scanner, substrate, twists=twists)
    return fit


def _on_treads(frame: Thinned, fit: Fit, left: Leftover) -> Fit | None:
    """Return the fit on the treads of stairs whose levels do not show, or hardly, or None where there are none."""
    levels, width = len(left.substrate.levels), left.substrate.sigma / left.span_nm
    if levels == 1 and width >= BROAD:
        ramp = fit.scanner
    elif levels >= MANY_LEVELS and width * levels >= ROUGH:
        ramp = plain_guess(frame, powers(frame.across, len(fit.scanner.shape)))
    else:
        return None
    stairs = find_stairs(frame, ramp)
    if stairs is None:
        return None
    calm = replace(frame, heights=frame.heights - stairs.treads)
    again = _settled(calm, plateau_guess(calm, powers(frame.across, len(fit.scanner.shape))))
    return again if stairs.stand(frame, again.scanner) else None


def _on_plateaus(frame: Thinned, fit: Fit, plateau: Scanner) -> Fit | None:
    """Return what levels plateaus where it is a staircase that ``fit`` laid flat, and the raw heights lean as it does.

    ``plateau``: the guess that levels plateaus.
    """
    treads = plateau.off(frame)
    if leans_so(frame, treads) and is_staircase(treads, fit.scanner.off(frame), frame.votes):
        return replace(fit, scanner=plateau, discord=np.zeros_like(fit.discord))
    return None


def _standing_close(frame: Thinned, fit: Fit, order: int, left: Leftover) -> Fit:
    """Return the fit from the lowest heights instead, where that leaves a tidier surface.

    For surfaces without any level, and for those with several, which lines that were dragged along by flanks pretend
    too. ``left``: what ``fit`` leaves.
    """
    guess = low_guess(frame, powers(frame.across, order))
    other = refined(frame, guess, leftover(frame, guess).substrate, twists=False)
    tidier = leftover(frame, other.scanner).disorder < left.disorder
    torn = tidier and breaks(frame, other.scanner, instead_of=fit.scanner, span_nm=left.span_nm)
    return other if tidier and not torn else fit


def _not_climbing(frame: Thinned, fit: Fit) -> Fit:
    """Return the fit without the slope down the frame that its lines were dragged along by flanks that all go one way.

    For surfaces without any level.
    """
    flat = fit.scanner.off(frame)
    lines = line_median(flat, frame.votes > 0)
    known = np.isfinite(lines)
    slope = float(np.polyfit(frame.down[known], lines[known], 1)[0])
    low, high = span_of((flat - (slope * frame.down)[:, None].astype(np.float32))[frame.votes > 0])
    if abs(slope) * float(np.ptp(frame.down)) < CLIMBS * (high - low):
        return fit
    return replace(fit, scanner=fit.scanner._replace(offsets=fit.scanner.offsets + slope * frame.down))


def _background(ground: Ground, frame: Thinned, scanner: Scanner) -> Background:
    rows, cols = ground.heights.shape
    lines = np.interp(np.arange(rows), frame.rows, scanner.offsets)
    across = np.linspace(-1, 1, cols)
    surface = lines.astype(np.float32)[:, None] + scanner.along(across)[None, :]
    if scanner.twist:
        surface += twisted(scanner.twist, np.linspace(-1, 1, rows), across)
    jumps = undo_jumps(ground.heights, surface, lines, base_nm=frame.middle_nm)
    return Background(surface, base_nm=frame.middle_nm, direction="row", order=_order(scanner.shape), jumps=jumps)


def _order(shape: NDArray[np.float64]) -> int:
    """Return the highest power that adds at least a hundredth of what the strongest does."""
    strong = np.abs(shape) > WORTH_TELLING * np.abs(shape).max()
    return int(np.flatnonzero(strong)[-1]) + 1 if strong.any() else 0


def _enough(frame: Thinned, *, needed: int) -> None:
    """Raise ``CannotLevel`` unless two lines, and ``needed`` pixels, are trusted."""
    trusted = int(np.count_nonzero(frame.votes))
    if len(frame.rows) < 2 or trusted < needed:
        raise CannotLevel(
            "joint level", why=f"{trusted} trusted pixels in {len(frame.rows)} lines cannot fix its unknowns",
            mend="Scan again, or exclude less",
        )  # fmt: skip
