"""How good a repair is: roughness after ISO 25178, paper A's levelling figures, and a verdict for a person.

Rule: figures of the ground use only pixels outside the artefact mask; nothing here changes a height.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from afmd.domain.findings import Label
from afmd.domain.params import Params
from afmd.domain.result import Quality, Roughness
from afmd.science.flatten import level
from afmd.science.flatten.polynomials import plane_slopes
from afmd.science.flatten.terms import Ground

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
    planed = level(raw, pixel_nm=pixel_nm, ground=ground, params=Params(level="plane")).heights
    before, after = roughness(planed, pixel_nm=pixel_nm), roughness(restored, pixel_nm=pixel_nm)
    passes = _pass_agreement(raw, restored, retrace_raw, ground=ground, pixel_nm=pixel_nm)
    touched_share = float(touched.mean())
    confidence = _confidence(sigma=sigma, touched=touched, relief=after.sq_nm, refused=bool(refusal))
    return Quality(
        before=before,
        after=after,
        sigma_bg_nm=float(flattened[ground].std(dtype=np.float64)),
        rmse_line_nm=line_residual_nm(flattened, ground=ground),
        mean_gradient=mean_gradient(flattened, ground=ground),
        tilt_removed=tilt_removed(raw, flattened, ground=ground, pixel_nm=pixel_nm),
        touched_share=touched_share,
        worst_fill_nm=worst_fill_nm(touched, pixel_nm=pixel_nm),
        confidence=confidence,
        verdict=_verdict(label, abstained=abstained, refusal=refusal, touched_share=touched_share),
        pass_rms_before_nm=passes[0],
        pass_rms_after_nm=passes[1],
    )


def roughness(heights: Heights, *, pixel_nm: Pitch) -> Roughness:
    """Return ISO 25178-2 parameters of (rows, cols) heights in nm: Sa, Sq, Sz, Sdr and the slope Sdq (nm per nm)."""
    z = heights - heights.mean(dtype=np.float64)
    down, across = _facet_slopes(heights, pixel_nm)
    steepness = down * down + across * across
    return Roughness(
        sa_nm=float(np.abs(z).mean(dtype=np.float64)),
        sq_nm=float(np.sqrt((z * z).mean(dtype=np.float64))),
        sz_nm=float(heights.max()) - float(heights.min()),
        sdr=float((np.sqrt(1 + steepness) - 1).mean(dtype=np.float64)),
        slope=float(np.sqrt(steepness.mean(dtype=np.float64))),
    )


def _facet_slopes(heights: Heights, pixel_nm: Pitch) -> tuple[Heights, Heights]:
    """Return the slopes (down, across) of every 2 × 2 pixels, nm per nm."""
    down = (heights[1:] - heights[:-1]) / np.float32(pixel_nm[0])
    across = (heights[:, 1:] - heights[:, :-1]) / np.float32(pixel_nm[1])
    return (down[:, 1:] + down[:, :-1]) / 2, (across[1:] + across[:-1]) / 2


def line_residual_nm(heights: Heights, *, ground: Mask, order: int = 1) -> float:
    """Return paper A's RMSE_line: rms over ``ground`` of each row about its own polynomial."""
    own = level(heights, pixel_nm=1.0, ground=ground, params=Params(level="smart", direction="row", order=order))
    return float(np.sqrt((own.heights[ground].astype(np.float64) ** 2).mean()))


def mean_gradient(heights: Heights, *, ground: Mask) -> float:
    """Return paper A's mean |∇h| over facets that are ground as a whole, nm per pixel."""
    down, across = _facet_slopes(heights, (1.0, 1.0))
    whole = ground[1:, 1:] & ground[1:, :-1] & ground[:-1, 1:] & ground[:-1, :-1]
    steepness = np.hypot(down, across)
    return float(steepness[whole].mean(dtype=np.float64)) if whole.any() else float(steepness.mean(dtype=np.float64))


def tilt_removed(raw: Heights, levelled: Heights, *, ground: Mask, pixel_nm: Pitch) -> float:
    """Return 1 − |slope after| / |slope before| of the plane fitted to the ground (paper A, section 3.2.3)."""
    before = np.hypot(*plane_slopes(Ground(raw.astype(np.float32), ground, None, pixel_nm)))
    after = np.hypot(*plane_slopes(Ground(levelled.astype(np.float32), ground, None, pixel_nm)))
    return float(1 - after / before) if before > 0 else 0.0


def worst_fill_nm(touched: Mask, *, pixel_nm: Pitch) -> float:
    """Return how far the deepest filled pixel lies from measured data, nm; 0 when nothing was filled."""
    if not touched.any():
        return 0.0
    if touched.all():
        return float(np.hypot(touched.shape[0] * pixel_nm[0], touched.shape[1] * pixel_nm[1]))
    rows, cols = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
    window = slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(cols[0] - 1, 0), cols[-1] + 2)
    return float(ndimage.distance_transform_edt(touched[window], sampling=pixel_nm).max())


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
    doubt = float(np.sqrt((sigma.astype(np.float64) ** 2).mean())) / max(relief, 1e-30)
    return float(np.clip((1 - touched.mean()) * np.exp(-doubt), 0, 1))


def _verdict(label: Label, *, abstained: bool, refusal: str, touched_share: float) -> str:
    """Say it to a person in a sentence."""
    if refusal:
        return f"Not restored: {refusal}"
    if label is Label.GOOD and not abstained and touched_share == 0:
        return "A good scan: levelled only."
    return f"Restored: {touched_share:.1%} of the pixels were filled."
