"""The tip's shape, removed. Rule: no more is claimed than the tip could know; where it cannot, the picture stays.

Whatever the method, the surface lies no higher than the erosion allows within its noise, and on it where the tip
touched: that much is geometry and no opinion.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import Backend
from afmd.domain.ports import TipNetwork
from afmd.domain.result import Deconvolved
from afmd.domain.tip import Tip
from afmd.domain.tip_method import TipMethod
from afmd.errors import InvalidInput, ModelError
from afmd.science.tip import TOUCHED, Bound, Imaging, bounded, estimated, gated, radius_doubt
from afmd.science.tip.planes import ALLOWED_LIFT

VERSION = "1"
LEAST_RADIUS_PX = 1.25
"""A sharper tip is finer than the pixels: its shape is not in the picture."""
ALLOWED_SIGMAS = 3.0
PLACED_PX = 2
"""How far a contact may lie from where it is put."""

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TipPlan:
    """What the last stage does: ``tip`` None is estimated from each scan itself."""

    tip: Tip | None = None
    method: TipMethod = TipMethod.AUTO
    network: TipNetwork | None = None


def deconvolved(
    heights: Plane, *, pixel_nm: tuple[float, float], mask: NDArray[np.bool_], plan: TipPlan
) -> Deconvolved:
    """Return the surface under a levelled picture, float32 (rows, cols) nm; the input is not changed.

    ``mask``: True where a height means nothing: it is no contact and is filled neutrally.
    Raises ``ModelError`` where the network is demanded and there is none that knows this tip.
    """
    tip, reason = _tip(heights, pixel_nm, mask, plan)
    if tip is None or reason:
        return _left_alone(heights, tip, plan, reason)
    imaging = Imaging(heights, pixel_nm, mask, tip)
    try:
        found = _solved(imaging, plan)
    except InvalidInput as e:
        return _left_alone(heights, tip, plan, f"{e.what}: {e.why}")
    return Deconvolved(
        surface=found.surface, sigma=np.hypot(found.sigma, radius_doubt(imaging)), touched=found.touched, tip=tip,
        estimated=plan.tip is None, method=found.method, backend=found.backend,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    surface: Plane
    sigma: Plane
    touched: NDArray[np.bool_]
    method: TipMethod
    backend: Backend


def last_stage(
    restored: Plane, *, pixel_nm: tuple[float, float], mask: NDArray[np.bool_], refusal: str, plan: TipPlan
) -> Deconvolved:
    """Return the restored surface without the tip's shape, or as it is where anything stands in the way; see above.

    ``refusal``: why the scan was not restored, or empty. Never raises for the sake of one scan's tip.
    """
    if refusal:
        return _left_alone(restored, plan.tip, plan, "the scan was not restored")
    try:
        return deconvolved(restored, pixel_nm=pixel_nm, mask=mask, plan=plan)
    except ModelError as e:
        return _left_alone(restored, plan.tip, plan, f"{e.what}: {e.why}")


def _tip(
    heights: Plane, pixel_nm: tuple[float, float], mask: NDArray[np.bool_], plan: TipPlan
) -> tuple[Tip | None, str]:
    """Return the tip, and why it cannot be used or found, if so."""
    if mask.all():
        return plan.tip, "every height is masked"
    tip = plan.tip
    if tip is None:
        told = estimated(heights, pixel_nm=pixel_nm, trusted=~mask)
        if not told.tells:
            return None, f"the picture does not tell its tip: {told.reason}"
        tip = told.tip
    if tip.radius_nm < LEAST_RADIUS_PX * max(pixel_nm):
        return tip, f"pixels of {max(pixel_nm):.3g} nm are too coarse for a tip of {tip.radius_nm:.3g} nm"
    return tip, ""


def _solved(imaging: Imaging, plan: TipPlan) -> _Found:
    if plan.method in (TipMethod.AUTO, TipMethod.NETWORK):
        try:
            return _by_network(imaging, plan.network)
        except ModelError:
            if plan.method is TipMethod.NETWORK:
                raise
    bound = bounded(imaging)
    fill, touched = gated(bound, imaging), _touched(bound)
    sigma = np.hypot(bound.sigma, fill.doubt)
    if plan.method is TipMethod.EROSION:
        sigma = np.hypot(sigma, bound.heights - fill.surface)
        return _Found(bound.heights, sigma, touched, TipMethod.EROSION, Backend("erosion", VERSION))
    return _Found(fill.surface, sigma, touched, TipMethod.CERTAINTY, Backend("certainty", VERSION))


def _by_network(imaging: Imaging, network: TipNetwork | None) -> _Found:
    """Return what the network says, held below the bound, and to it inside of what was touched; both within the noise.

    The bound is that of the picture as a tip can have made it: shifted lines and raised edges put back. A contact is
    placed to within two pixels. At a wall that is the whole wall, so there the network has the last word.
    """
    if network is None:
        raise ModelError("tip network", why="no weights for it are installed", mend="Use the method certainty")
    mask = imaging.mask if imaging.mask.any() else None
    said = network.restored(imaging.heights, pixel_nm=imaging.pixel_nm, tip=imaging.tip, mask=mask)
    bound = bounded(replace(imaging, heights=said.image))
    touched = _touched(bound)
    margin = np.float32(ALLOWED_SIGMAS) * bound.sigma + np.float32(ALLOWED_LIFT * said.lift_nm)
    lowest = np.where(_inside(touched), bound.heights - margin, np.float32(-np.inf))
    surface = np.clip(said.surface, lowest, bound.heights + margin)
    return _Found(surface, said.sigma, touched, TipMethod.NETWORK, network.backend)


def _touched(bound: Bound) -> NDArray[np.bool_]:
    return np.asarray(bound.contact >= TOUCHED)


def _inside(touched: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what is touched together with all its neighbours up to ``PLACED_PX`` pixels away."""
    side = 2 * PLACED_PX + 1
    wide = np.pad(touched, PLACED_PX, mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(wide, (side, side)).all(axis=(2, 3)))


def _left_alone(heights: Plane, tip: Tip | None, plan: TipPlan, reason: str) -> Deconvolved:
    method = TipMethod.CERTAINTY if plan.method is TipMethod.AUTO else plan.method
    return Deconvolved(
        surface=heights.copy(), sigma=np.zeros_like(heights), touched=np.zeros(heights.shape, dtype=bool), tip=tip,
        estimated=plan.tip is None, method=method, backend=Backend("none", VERSION), refusal=reason,
    )  # fmt: skip
