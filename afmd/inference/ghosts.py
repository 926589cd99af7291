"""Where a second apex drew every feature twice. Rule: only what no honest surface shows; a lattice repeats itself too.

The echo of the whole frame tells by how much ghosts are displaced (see `afmd.inference.traits.echo`). Then there are
two witnesses. Where features stand on a ground, each finds itself again at the displacement, lower by one height, and
its ghost finds nothing: about half of what stands there is found again, where a lattice finds all of it, and other
surfaces little; what finds itself again is real, even where another's ghost lies on it. In a texture, the heights over
the displaced ones have a cliff; straight walls have it too, wherever along them they are displaced to. A pixel is a
ghost where it stands lower than the displaced surface by just that height. Of good simulated scans one in a thousand
passes.
"""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.inference import planes
from afmd.inference.traits import ECHO, surface, window_of
from afmd.inference.traits.echo import Echo, cliff_of, echo, over, shared

FARTHEST: Final = 0.1
"""In parts of the longer side: apexes are neighbours."""
LEAST_OVER_TWICE: Final = 6.0
"""Of the cepstral peak over the one at twice the displacement, which a lattice has too, in spreads."""
FEATURES_LEAD: Final = 7.0
"""Of the peak over the next, where features are asked."""
STANDS: Final = 0.15
STANDS_SPREADS: Final = 14.0
"""Height over the ground from which on something is a feature: in parts of the relief, and in spreads of the ground's
lower part (14 of them are five standard deviations of noise). A dense texture has none."""
GROUND_PERCENT, TOP_PERCENT = 30, 99.5
LEAST_FEATURES: Final = 0.01
"""Of the pixels."""
AGAIN: Final = (0.3, 0.75)
"""Share of them that must be found again."""
ALIKE: Final = 0.5
"""How far from its own height a feature may be found again, in parts of it."""
LEAST_LOWER: Final = 0.02
"""By how much ghosts must be lower, in parts of the relief: which of two equal apexes is the first, nobody can tell."""
WITHIN_SPREADS: Final = 4.0
CLIFF_LEADS: Final = 5.0
"""Of the peak over the next, where the cliff is asked and is not steep at all."""
STEEP_COUNTS: Final = 4.0
"""By how much less it may lead for every e-fold of the cliff's steepness, but no less than `ALWAYS_LEADS`."""
ALWAYS_LEADS: Final = 1.0
LEAST_STEEP: Final = 0.8
MOST_SHARE: Final = 0.33
"""Of the pixels, on the cliff: where most of the frame lies there, texture or a slope does."""
DEPTHS: Final = (0.04, 0.5)
"""Of the cliff, in parts of the relief."""
AS_STEEP: Final = 0.5
"""From which share of its steepness on the same cliff elsewhere along straight walls is of those walls."""
ONE_WAY: Final = 0.9
"""Coherence of the slopes from which on a frame is all straight walls of one direction."""
ELSEWHERE_PX: Final = 4.0
"""How far along the walls elsewhere is at least."""
ON_CLIFF: Final = 0.75
"""How far from the cliff's middle a ghost may lie, in widths of the cliff."""
RIM: Final = np.ones((3, 3), np.uint8)
"""What a feature's ghost covers beside its own pixels: half a pixel of displacement, and its foot."""
_SPECKLE_PX = 3

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


class _Again(NamedTuple):
    """Features found again at a displacement: which share of them, by how much higher, and which pixels are ghosts."""

    share: float
    higher: float
    where: Mask


def ghosts_in(native: planes.Plane, traits: NDArray[np.float32]) -> Mask | None:
    """Return True where a pixel is a ghost, bool (rows, cols), or None where no second apex is sure.

    ``native``, ``traits``: a scan's `planes.segmenter_planes` and `traits.traits`.
    """
    _, lead, over_twice, away, *cliff = (float(value) for value in traits[ECHO])
    on_cliff = _is_cliff(lead, *cliff)
    if over_twice <= LEAST_OVER_TWICE or away >= np.log(FARTHEST) or not (on_cliff or lead > FEATURES_LEAD):
        return None
    image = surface(native, window_of(native.shape[1:]))
    seen = echo(image)
    on_cliff = on_cliff and not _of_straight_walls(image, seen)
    whole = surface(native, (slice(None), slice(None)))
    found = _of_features(whole, seen) if lead > FEATURES_LEAD else None
    return found if found is not None or not on_cliff else _of_texture(whole, seen)


def _is_cliff(lead: float, steep: float, share: float, depth: float) -> bool:
    """Return whether the echo's values, steepness and share as logarithms, tell of a cliff that no honest one has."""
    return (
        lead > max(ALWAYS_LEADS, CLIFF_LEADS - STEEP_COUNTS * steep)
        and steep > np.log(LEAST_STEEP)
        and share < np.log(MOST_SHARE)
        and DEPTHS[0] < depth < DEPTHS[1]
    )


def _of_straight_walls(image: Image, seen: Echo) -> bool:
    """Return whether the cliff is one of straight walls: it is there too as far across them elsewhere along them."""
    down, across = np.gradient(image)
    mixed, apart = 2 * float((down * across).mean()), float((down**2 - across**2).mean())
    if np.hypot(mixed, apart) < ONE_WAY * float((down**2 + across**2).mean()):
        return False
    wall = np.arctan2(mixed, apart) / 2 + np.pi / 2
    along, displaced = np.array([np.cos(wall), np.sin(wall)]), np.array([seen.down, seen.across])
    shift = -2 * float(displaced @ along)
    if abs(shift) < ELSEWHERE_PX:
        shift = max(ELSEWHERE_PX, float(np.hypot(*displaced)))
    there = (displaced + shift * along).round().astype(int)
    cliff, _ = cliff_of(image, int(there[0]), int(there[1]))
    return cliff.steep > AS_STEEP * seen.cliff.steep and abs(cliff.height - seen.cliff.height) < seen.cliff.wide


def _of_features(whole: Image, seen: Echo) -> Mask | None:
    """Return where features have ghosts, or None where too few, or too many, are found again."""
    some = whole[::2, ::2]
    ground, top = np.percentile(some, (GROUND_PERCENT, TOP_PERCENT))
    low = some[some <= ground]
    stands = max(STANDS * (top - ground), STANDS_SPREADS * float(np.median(np.abs(low - np.median(low)))))
    ways = [_again(whole, way * seen.down, way * seen.across, ground=ground, stands=stands) for way in (1, -1)]
    found = min((one for one in ways if one is not None), key=lambda one: one.higher, default=None)
    if found is None or not (AGAIN[0] < found.share < AGAIN[1] and found.higher < -LEAST_LOWER * (top - ground)):
        return None
    return np.asarray(cv2.dilate(_despeckled(found.where), RIM) > 0)


def _of_texture(whole: Image, seen: Echo) -> Mask:
    """Return what lies on the cliff."""
    off = np.abs(over(whole, seen.down, seen.across) - seen.cliff.height)
    return _despeckled(_placed(whole, off <= ON_CLIFF * seen.cliff.wide, seen.down, seen.across)) > 0


def _despeckled(found: Mask) -> NDArray[np.uint8]:
    """Return 1 where most of the pixels around were found, uint8 (rows, cols), else 0."""
    return np.asarray(cv2.medianBlur(found.astype(np.uint8), _SPECKLE_PX), np.uint8)


def _again(whole: Image, down: int, across: int, *, ground: float, stands: float) -> _Again | None:
    """Return what of the features is found again so many pixels on, or None where there are next to no features."""
    higher = over(whole, down, across)
    tall = whole[shared(whole.shape, down, across)] - higher - np.float32(ground)
    feature = tall > stands
    again = feature & (np.abs(higher) < ALIKE * tall)
    if np.count_nonzero(feature) < LEAST_FEATURES * feature.size or not again.any():
        return None
    usual = float(np.median(higher[again]))
    spread = planes.MAD_TO_SIGMA * float(np.median(np.abs(higher[again] - usual)))
    within = WITHIN_SPREADS * spread
    has_own = np.zeros(whole.shape, dtype=bool)  # both apexes touch all that stands: what has a ghost is none
    has_own[shared(whole.shape, -down, -across)] = higher >= usual - within
    where = feature & (np.abs(higher - usual) < within) & ~has_own[shared(whole.shape, down, across)]
    share = np.count_nonzero(again) / np.count_nonzero(feature)
    return _Again(share, usual, _placed(whole, where, down, across))


def _placed(whole: Image, found: Mask, down: int, across: int) -> Mask:
    """Return what was found in the shared window, in the whole frame."""
    result = np.zeros(whole.shape, dtype=bool)
    result[shared(whole.shape, down, across)] = found
    return result
