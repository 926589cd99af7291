"""One table of levelling methods under their known names, and the one function that runs them.

Rule: a method finds the background; checking what goes in and taking the background off happen here alone.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from afmd.domain.levelling import Levelling
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
    spoilt: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    params: Params | None = None,
) -> Levelled:
    """Take the scanner out of a scan by the method that ``params.level`` names.

    ``heights``: (rows, cols) nm, finite, row 0 = top, rows along the fast axis; left as it is.
    ``ground``: bool (rows, cols), True = trusted substrate; None trusts every pixel. ``mask_aware`` off ignores it.
    ``feature``, ``spoilt``: bool (rows, cols), True = stands out of its substrate, may be spoilt: ``joint`` trusts them
    beside ``ground`` where the surface is the likelier for it, as a grating's bars are ground, and sound heights are
    that were called spoilt; nothing else looks at them.
    ``weights``: (rows, cols) ≥ 0, how much each pixel counts beside the others; None counts all alike.
    The result's heights are new and lie around 0 where the ground is.
    Raises ``InvalidInput``; ``CannotLevel`` when too little is trusted.
    """
    chosen = params or Params()
    aware = chosen.mask_aware and ground is not None
    masks = (ground, feature, spoilt) if aware else (None, None, None)
    scene = _scene(heights, pixel_nm, masks, weights=weights)
    found = METHODS[chosen.level](scene, chosen)
    heights = scene.heights - np.float32(found.base_nm)
    heights -= found.surface.astype(np.float32, copy=False)
    return Levelled(
        heights=heights,
        background=scene.heights - heights,
        levelling=Levelling(chosen.level, found.direction, found.order, found.jumps, found.disturbances),
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
    masks: tuple[ArrayLike | None, ArrayLike | None, ArrayLike | None],
    *,
    weights: ArrayLike | None,
) -> Ground:
    """Check everything that goes in; ``masks``: ground, feature, spoilt."""
    own = checked_heights(heights)
    trusted, feature, spoilt = (
        None if given is None else checked_mask(given, shape=own.shape, name=name)
        for given, name in zip(masks, ("ground", "feature", "spoilt"), strict=True)
    )
    if trusted is not None and not trusted.any():
        raise CannotLevel("level", why="no pixel is trusted ground", mend="Scan again, or exclude less")
    return Ground(
        own, trusted, _checked_weights(weights, own.shape), checked_pitch(pixel_nm), _some(feature), _some(spoilt)
    )


def _some(mask: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    return mask if mask is not None and mask.any() else None


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
