"""How good a repair is: roughness before and after, levelling figures, how far to trust it, and a verdict for a person.

Rule: figures of the ground use only pixels outside the artefact mask; nothing here changes a height.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from afmd.domain.findings import Label
from afmd.domain.result import Quality
from afmd.science.flatten import level
from afmd.science.flatten.polynomials import plane_slopes
from afmd.science.flatten.terms import Ground
from afmd.science.roughness import line_residual_nm, mean_gradient, roughness

Heights = NDArray[np.floating]
Mask = NDArray[np.bool_]
Pitch = tuple[float, float]


def assess(  # noqa: PLR0913 a judgement must hear every stage
    raw: Heights,
    flattened: Heights,
    restored: Heights,
    *,
    mask: Mask,
    touched: Mask,
    sigma: Heights,
    pixel_nm: Pitch,
    retrace_raw: Heights | None = None,
    label: Label,
    abstained: bool,
    refusal: str,
) -> Quality:
    """Judge one repair.

    ``raw``, ``flattened``, ``restored``: (rows, cols) nm. ``mask``: True = spoilt. ``touched``: True = filled.
    ``sigma``: nm, the filled pixels' standard deviation, 0 elsewhere. ``retrace_raw``: the other pass, as recorded.
    """
    ground = ~mask if not mask.all() else np.ones_like(mask)
    before_tilt = _tilt(raw, ground, pixel_nm)
    steep, rest = np.hypot(*before_tilt), np.hypot(*_tilt(flattened, ground, pixel_nm))
    after = roughness(restored, pixel_nm=pixel_nm)
    passes = _pass_agreement(raw, restored, retrace_raw, ground=ground, pixel_nm=pixel_nm)
    share, farthest = float(touched.mean()), worst_fill_nm(touched, pixel_nm=pixel_nm)
    return Quality(
        before=roughness(raw, pixel_nm=pixel_nm, tilt=before_tilt),
        after=after,
        sigma_bg_nm=float(flattened[ground].std(dtype=np.float64)),
        rmse_line_nm=line_residual_nm(flattened, ground=ground),
        mean_gradient=mean_gradient(flattened, ground=ground),
        tilt_removed=float(1 - rest / steep) if steep > 0 else 0.0,
        touched_share=share,
        worst_fill_nm=farthest,
        confidence=_confidence(sigma=sigma, touched=touched, relief=after.sq_nm, refused=bool(refusal)),
        verdict=_verdict(label, abstained=abstained, refusal=refusal, touched_share=share, farthest_nm=farthest),
        pass_rms_before_nm=passes[0],
        pass_rms_after_nm=passes[1],
    )


def worst_fill_nm(touched: Mask, *, pixel_nm: Pitch) -> float:
    """Return how far the deepest filled pixel lies from measured data, nm; 0 when nothing was filled."""
    if not touched.any():
        return 0.0
    if touched.all():
        return float(np.hypot(touched.shape[0] * pixel_nm[0], touched.shape[1] * pixel_nm[1]))
    rows, cols = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
    window = slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(cols[0] - 1, 0), cols[-1] + 2)
    if pixel_nm[0] == pixel_nm[1]:  # the fast transform knows square pixels only
        holes = np.ascontiguousarray(touched[window]).view(np.uint8)
        return float(cv2.distanceTransform(holes, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max()) * pixel_nm[0]
    return float(ndimage.distance_transform_edt(touched[window], sampling=pixel_nm).max())


def _tilt(heights: Heights, ground: Mask, pixel_nm: Pitch) -> tuple[float, float]:
    return plane_slopes(Ground(np.asarray(heights, dtype=np.float32), ground, None, pixel_nm))


def _pass_agreement(
    raw: Heights, restored: Heights, retrace_raw: Heights | None, *, ground: Mask, pixel_nm: Pitch
) -> tuple[float | None, float | None]:
    """Return rms of trace − retrace in nm before and after, each pass levelled for itself."""
    if retrace_raw is None:
        return None, None
    before = (raw - retrace_raw)[ground]
    other = level(retrace_raw, pixel_nm=pixel_nm, ground=ground)
    after = (restored - other.heights)[ground]
    return float(before.std(dtype=np.float64)), float(after.std(dtype=np.float64))


def _confidence(*, sigma: Heights, touched: Mask, relief: float, refused: bool) -> float:
    """Return 1 for a repair that hardly touched anything, towards 0 as doubt about it reaches the relief itself."""
    if refused:
        return 0.0
    doubt = float(np.sqrt(np.square(sigma, dtype=np.float64).mean())) / max(relief, 1e-30)
    return float(np.clip((1 - touched.mean()) * np.exp(-doubt), 0, 1))


def _verdict(label: Label, *, abstained: bool, refusal: str, touched_share: float, farthest_nm: float) -> str:
    """Say it to a person in a sentence or two."""
    if refusal:
        return f"Not restored: {refusal}"
    doubt = " It is not sure what is wrong with the scan, or whether anything is." if abstained else ""
    if touched_share == 0:
        told = "A good scan: levelled only." if label is Label.GOOD else "Levelled; nothing had to be filled."
        return told + doubt
    filled = f"{touched_share:.1%} of the pixels were filled, none further than {farthest_nm:.3g} nm from data."
    return f"Restored: {filled}{doubt}"
