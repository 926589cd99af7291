"""One table of levelling methods under their known names, and the one function that runs them.

Rule: a method finds the background; checking what goes in and taking the background off happen here alone.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from afmd.domain.params import Params
from afmd.domain.scan import checked_heights, checked_mask, checked_pitch
from afmd.errors import CannotLevel, InvalidInput
from afmd.science.flatten import lines, planes, polynomials
from afmd.science.flatten.joint import joint
from afmd.science.flatten.terms import Background, Ground, Levelled


def level(
    heights: ArrayLike,
    *,
    pixel_nm: float | tuple[float, float],
    ground: ArrayLike | None = None,
    feature: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    params: Params | None = None,
) -> Levelled:
    """Take the scanner out of a scan by the method that ``params.level`` names.

    ``heights``: (rows, cols) nm, finite, row 0 = top, rows along the fast axis; left as it is.
    ``ground``: bool (rows, cols), True = trusted substrate; None trusts every pixel. ``mask_aware`` off ignores it.
    ``feature``: bool (rows, cols), True = stands out of its substrate: ``joint`` trusts it beside ``ground`` where it
    proves to be a level of the ground, as a grating's bars are; nothing else looks at it.
    ``weights``: (rows, cols) ≥ 0, how much each pixel counts beside the others; None counts all alike.
    The result's heights are new and lie around 0 where the ground is.
    Raises ``InvalidInput``; ``CannotLevel`` when too little is trusted.
    """
    chosen = params or Params()
    aware = chosen.mask_aware and ground is not None
    scene = _scene(
        heights, pixel_nm, ground=ground if aware else None, feature=feature if aware else None, weights=weights
    )
    found = METHODS[chosen.level](scene, chosen)
    heights = scene.heights - np.float32(found.base_nm)
    heights -= found.surface.astype(np.float32, copy=False)
    return Levelled(
        heights=heights,
        background=scene.heights - heights,
        method=chosen.level,
        direction=found.direction,
        order=found.order,
        jumps=found.jumps,
    )


def none(ground: Ground, params: Params) -> Background:  # noqa: ARG001 one signature for the whole table
    """Take nothing off."""
    return Background(np.zeros((1, 1)))


METHODS: Mapping[str, Callable[[Ground, Params], Background]] = MappingProxyType(
    {
        "none": none,
        "plane": polynomials.plane,
        "poly": polynomials.poly,
        "smart": polynomials.smart,
        "joint": joint,
        "median": lines.median,
        "median_of_differences": lines.median_of_differences,
        "trimmed_mean": lines.trimmed_mean,
        "facet": planes.facet,
        "three_point": planes.three_point,
    }
)


def _scene(
    heights: ArrayLike,
    pixel_nm: float | tuple[float, float],
    *,
    ground: ArrayLike | None,
    feature: ArrayLike | None,
    weights: ArrayLike | None,
) -> Ground:
    """Check everything that goes in."""
    own = checked_heights(heights)
    trusted = None if ground is None else checked_mask(ground, shape=own.shape, name="ground")
    if trusted is not None and not trusted.any():
        raise CannotLevel("level", why="no pixel is trusted ground", mend="Scan again, or exclude less")
    standing = None if feature is None else checked_mask(feature, shape=own.shape, name="feature")
    if standing is not None and not standing.any():
        standing = None
    return Ground(own, trusted, _checked_weights(weights, own.shape), checked_pitch(pixel_nm), standing)


def _checked_weights(weights: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    if weights is None:
        return None
    own = np.asarray(weights, dtype=np.float32)
    if own.shape != shape or not np.isfinite(own).all() or (own < 0).any():
        raise InvalidInput(
            "weights", why=f"they must be finite, at least 0 and of shape {shape}",
            mend="Give one weight for each pixel", field="weights",
        )  # fmt: skip
    return own
