"""Where a second apex drew every feature twice. Rule: only what no honest surface shows; a lattice repeats itself too.

The echo of the whole frame tells by how much the ghosts are displaced, the cliff by how much they are lower (see
`afmd.inference.traits.echo`); a pixel is a ghost where it stands lower than the displaced surface by just that. Of good
simulated scans two in a thousand pass.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.inference import planes
from afmd.inference.traits import ECHO, surface, window_of
from afmd.inference.traits.echo import echo, over, shared

LEAST_LEAD: Final = 5.0
"""Of the cepstral peak over the next, in spreads, where the cliff is not steep at all."""
STEEP_COUNTS: Final = 4.0
"""By how much less it may lead for every e-fold of the cliff's steepness, but no less than `ALWAYS_LEADS`."""
ALWAYS_LEADS: Final = 1.0
LEAST_OVER_TWICE: Final = 6.0
"""Over the peak at twice the displacement, which a lattice has too."""
FARTHEST: Final = 0.1
"""In parts of the longer side: apexes are neighbours."""
LEAST_STEEP: Final = 0.8
MOST_SHARE: Final = 0.33
"""Of the pixels, on the cliff: where most of the frame lies there, texture or a slope does."""
DEPTHS: Final = (0.04, 0.5)
"""Of the cliff, in parts of the relief."""
ON_CLIFF: Final = 0.75
"""How far from the cliff's middle a ghost may lie, in widths of the cliff."""
_SPECKLE_PX = 3


def ghosts_in(native: planes.Plane, traits: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Return True where a pixel is a ghost, bool (rows, cols), or None where no second apex is sure.

    ``native``, ``traits``: a scan's `planes.segmenter_planes` and `traits.traits`.
    """
    if not _is_sure(traits[ECHO]):
        return None
    shape = native.shape[1:]
    seen = echo(surface(native, window_of(shape)))
    whole = surface(native, (slice(None), slice(None)))
    off_cliff = np.abs(over(whole, seen.down, seen.across) - seen.cliff.height)
    found = np.zeros(shape, np.uint8)
    found[shared(shape, seen.down, seen.across)] = off_cliff <= ON_CLIFF * seen.cliff.wide
    return np.asarray(cv2.medianBlur(found, _SPECKLE_PX) > 0)


def _is_sure(values: NDArray[np.float32]) -> bool:
    _, lead, over_twice, away, steep, share, depth = (float(value) for value in values)
    return (
        lead > max(ALWAYS_LEADS, LEAST_LEAD - STEEP_COUNTS * steep)
        and over_twice > LEAST_OVER_TWICE
        and away < np.log(FARTHEST)
        and steep > np.log(LEAST_STEEP)
        and share < np.log(MOST_SHARE)
        and DEPTHS[0] < depth < DEPTHS[1]
    )
