"""One offset for each line: the methods that every AFM program has. Rule: a line keeps its shape, it only moves.

A line without trusted pixels moves with its neighbours.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from afmd.domain.params import Params
from afmd.errors import CannotLevel
from afmd.science.flatten.polynomials import DIRECTIONS
from afmd.science.flatten.terms import Background, Ground
from afmd.science.robust import bridged, line_median, line_trimmed_mean, mad_sigma


def median(ground: Ground, params: Params) -> Background:
    """Take each line's median off."""
    return _by_lines(ground, params, _medians)


def trimmed_mean(ground: Ground, params: Params) -> Background:
    """Take each line's mean off, without the share ``trim`` of its pixels at either end."""
    return _by_lines(ground, params, _trimmed_means)


def median_of_differences(ground: Ground, params: Params) -> Background:
    """Make the median difference between neighbouring lines vanish."""
    return _by_lines(ground, params, _summed_differences)


def _by_lines(ground: Ground, params: Params, offsets: "_Offsets") -> Background:
    direction = rougher_direction(ground) if params.direction == "auto" else params.direction
    surface = np.zeros((1, 1))
    for axis in DIRECTIONS[direction]:
        rest = ground.without(surface)
        across = axis == "column"
        own = _known(offsets(rest.turned() if across else rest, params))
        surface = surface + (own[None, :] if across else own[:, None])
    return Background(surface, direction=direction)


_Offsets = Callable[[Ground, Params], NDArray[np.float64]]


def _medians(ground: Ground, params: Params) -> NDArray[np.float64]:  # noqa: ARG001 one signature for all three
    return line_median(ground.heights, ground.trusted)


def _trimmed_means(ground: Ground, params: Params) -> NDArray[np.float64]:
    return line_trimmed_mean(ground.heights, ground.trusted, params.trim)


def _summed_differences(ground: Ground, params: Params) -> NDArray[np.float64]:  # noqa: ARG001 as above
    trusted = None if ground.trusted is None else ground.trusted[1:] & ground.trusted[:-1]
    steps = line_median(np.diff(ground.heights, axis=0), trusted)
    if not np.isfinite(steps).any():
        return np.full(len(ground.heights), np.nan)
    offsets = np.concatenate([[0.0], np.cumsum(np.nan_to_num(steps))])
    middles = line_median(ground.heights, ground.trusted)
    return np.asarray(offsets + np.nanmedian(middles - offsets))


def _known(offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the offsets with lost lines bridged, or raise ``CannotLevel``."""
    if not np.isfinite(offsets).any():
        raise CannotLevel("level", why="no line has a trusted pixel", mend="Scan again, or exclude less")
    return bridged(offsets)


def rougher_direction(ground: Ground) -> str:
    """Return ``row`` or ``column``: the lines whose medians differ more from one to the next."""
    by_row = np.diff(bridged(line_median(ground.heights, ground.trusted)))
    turned = ground.turned()
    by_column = np.diff(bridged(line_median(np.ascontiguousarray(turned.heights), turned.trusted)))
    return "row" if mad_sigma(by_row) >= mad_sigma(by_column) else "column"
