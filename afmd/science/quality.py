"""How good a repair is: roughness before and after, levelling figures, how far to trust it, and a verdict for a person.

Rule: figures of the ground use only pixels outside the artefact mask; nothing here changes a height.
"""

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from afmd.domain.findings import Label
from afmd.domain.result import Quality
from afmd.science.confidence import confidence
from afmd.science.flatten.polynomials import plane_slopes
from afmd.science.flatten.terms import Ground
from afmd.science.roughness import line_residual_nm, mean_gradient, roughness

Heights = NDArray[np.floating]
Mask = NDArray[np.bool_]
Pitch = tuple[float, float]

LEAST_TOLD = 0.001
"""Smaller shares of filled pixels are told as less than this."""
COMPARED_SIDE = 256
"""Lines and columns on which the two passes are compared: their agreement is one number."""
LEAST_GROUND = 0.01
"""Share of a frame below which what is not spoilt says nothing about the ground."""
FEWEST_LINES = 3
"""So many rows and columns must hold some of it, or its tilt has no direction."""
ADVICE: Mapping[Label, str] = MappingProxyType(
    {
        Label.GOOD: "",
        Label.NOT_TRACKING: " Where it matters, scan again: slower, or with a firmer set point.",
        Label.TIP_CONTAMINATION: " The tip's shape is in every feature: change it before shapes are measured.",
        Label.IMAGING_ARTIFACT: " Periodic or added disturbance: look at gain, floor and cables.",
    }
)
"""What a person can do about each class, after the fact."""


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
    ground = _ground(mask)
    before_tilt = _tilt(raw, ground, pixel_nm)
    steep, rest = np.hypot(*before_tilt), np.hypot(*_tilt(flattened, ground, pixel_nm))
    after = roughness(restored, pixel_nm=pixel_nm)
    passes = _pass_agreement(raw, restored, retrace_raw, ground=ground)
    share, farthest = float(touched.mean()), worst_fill_nm(touched, pixel_nm=pixel_nm)
    sure = 0.0
    if not refusal:
        sure = confidence(
            raw, restored, sigma=sigma, touched_share=share, pass_rms_nm=passes[1], abstained=abstained
        )  # fmt: skip
    return Quality(
        before=roughness(raw, pixel_nm=pixel_nm, tilt=before_tilt),
        after=after,
        sigma_bg_nm=float(cv2.meanStdDev(flattened, mask=ground.view(np.uint8))[1][0, 0]),
        rmse_line_nm=line_residual_nm(flattened, ground=ground),
        mean_gradient=mean_gradient(flattened, ground=ground),
        tilt_removed=float(1 - rest / steep) if steep > 0 else 0.0,
        touched_share=share,
        worst_fill_nm=farthest,
        confidence=sure,
        verdict=_verdict(label, abstained=abstained, refusal=refusal, touched_share=share, farthest_nm=farthest),
        pass_rms_before_nm=passes[0],
        pass_rms_after_nm=passes[1],
        flatness=flatness(flattened, ground=ground),
    )


def _ground(mask: Mask) -> Mask:
    """Return what the figures of the ground are of: what is not spoilt, or everything where that is next to nothing."""
    sound = ~mask
    enough = np.count_nonzero(sound) >= LEAST_GROUND * sound.size
    across = min(np.count_nonzero(sound.any(axis=axis)) for axis in (0, 1))
    return sound if enough and across >= FEWEST_LINES else np.ones_like(mask)


def flatness(heights: Heights, *, ground: Mask) -> float:
    """Return 1 − (variance of the rows' and of the columns' mean ground height) / variance of the ground, in [0, 1]."""
    held = np.asarray(heights, dtype=np.float32) * ground
    shares = [np.count_nonzero(ground, axis=axis) for axis in (0, 1)]
    sums = [cv2.reduce(held, axis, cv2.REDUCE_SUM, dtype=cv2.CV_64F).ravel() for axis in (0, 1)]
    count = int(shares[0].sum())
    mean = float(sums[0].sum()) / count
    whole = cv2.norm(held, cv2.NORM_L2SQR) / count - mean**2
    lines = 0.0
    for share, own in zip(shares, sums, strict=True):
        lines += float((share * (own / np.maximum(share, 1) - mean) ** 2).sum()) / count
    return float(np.clip(1 - lines / whole, 0, 1)) if whole > 0 else 1.0


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
    own = np.asarray(heights, dtype=np.float32)
    return plane_slopes(Ground(own, None if ground.all() else ground, None, pixel_nm))


def _pass_agreement(
    raw: Heights, restored: Heights, retrace_raw: Heights | None, *, ground: Mask
) -> tuple[float | None, float | None]:
    """Return rms of trace − retrace in nm before and after, on about 256 lines; after, what a scanner adds is off."""
    if retrace_raw is None:
        return None, None
    few = tuple(slice(None, None, max(1, side // COMPARED_SIDE)) for side in raw.shape)
    ground = ground[few] if ground[few].any() else np.ones_like(ground[few])
    before = (raw[few] - retrace_raw[few])[ground]
    after = _without_scanner(restored[few] - retrace_raw[few], ground)[ground]
    return float(before.std(dtype=np.float64)), float(after.std(dtype=np.float64))


def _without_scanner(difference: Heights, ground: Mask) -> NDArray[np.float64]:
    """Return a difference of passes less each line's mean on the ground, and less a cubic along the lines."""
    vote = ground.astype(np.float64)
    along = np.polynomial.legendre.legvander(np.linspace(-1, 1, difference.shape[1]), 3)
    rest = np.asarray(difference, dtype=np.float64)
    for _ in range(2):
        rest = rest - ((vote * rest).sum(axis=1) / np.maximum(vote.sum(axis=1), 1))[:, None]
        votes = vote.sum(axis=0)
        root = np.sqrt(votes)[:, None]
        profile = (vote * rest).sum(axis=0) / np.maximum(votes, 1)
        rest = rest - along @ np.linalg.lstsq(root * along, root[:, 0] * profile, rcond=None)[0]
    return rest


def _verdict(label: Label, *, abstained: bool, refusal: str, touched_share: float, farthest_nm: float) -> str:
    """Say it to a person in a sentence or two."""
    if refusal:
        return f"Not restored: {refusal}"
    doubt = " It is not sure what is wrong with the scan, or whether anything is." if abstained else ""
    if touched_share == 0 and label is Label.GOOD:
        return f"Levelled; nothing was filled.{doubt}" if abstained else "A good scan: levelled only."
    if touched_share == 0:
        return f"Levelled; nothing had to be filled.{doubt}"
    share = f"{touched_share:.1%}" if touched_share >= LEAST_TOLD else f"Less than {LEAST_TOLD:.1%}"
    filled = f"{share} of the pixels were filled, none further than {farthest_nm:.3g} nm from data."
    return f"Restored: {filled}{doubt or ADVICE[label]}"
