"""How good a repair is: roughness before and after, levelling figures, how far to trust it, and a verdict for a person.

Rule: figures of the ground use only pixels outside the artefact mask; nothing here changes a height.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from afmd.domain.findings import Label
from afmd.domain.levelling import DisturbanceKind, Levelling
from afmd.domain.result import Quality
from afmd.science.confidence import confidence
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
CHAMFER = (0.982, 1.02)
"""Between which shares of the true distance that of OpenCV's 5 × 5 mask lies."""
MOST_LOOKED_AT = 1 << 19
"""Pixels around pixels; where more would have to be looked at one by one, the true distance of all costs no more."""
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
MOST_BANDS = 3
"""Bands of lines, and jumps, that a verdict names."""
LARGE_STEP = 0.05
"""Share of what the restored surface spans from which on a step that was undone is worth a word."""
TAKEN_OFF: Mapping[DisturbanceKind, str] = MappingProxyType(
    {
        DisturbanceKind.HUM: "Hum",
        DisturbanceKind.FRINGES: "Interference of laser light",
        DisturbanceKind.RIPPLE: "A ripple of the scanner",
    }
)


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
    left_share: float = 0.0,
    changed: NDArray[np.bool_] | None = None,
    levelling: Levelling | None = None,
) -> Quality:
    """Judge one repair.

    ``raw``, ``flattened``, ``restored``: (rows, cols) nm. ``mask``: True = spoilt. ``touched``: True = filled.
    ``sigma``: nm, the filled pixels' standard deviation, 0 elsewhere. ``retrace_raw``: the other pass, as recorded.
    ``left_share``: of the frame, masked too doubtfully to be filled. ``changed``: (rows,), True for lines that another
    tip seems to have drawn, or None. ``levelling``: what it took off is told, or None.
    """
    ground = _ground(mask)
    shares = _Shares.of(ground)
    before_sums, sums = _Sums.over(raw, shares), _Sums.over(flattened, shares)
    before_tilt = before_sums.tilt(pixel_nm)
    steep, rest = np.hypot(*before_tilt), np.hypot(*sums.tilt(pixel_nm))
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
        sigma_bg_nm=float(np.sqrt(sums.variance)),
        rmse_line_nm=line_residual_nm(flattened, ground=ground),
        mean_gradient=mean_gradient(flattened, ground=ground),
        tilt_removed=float(1 - rest / steep) if steep > 0 else 0.0,
        touched_share=share,
        worst_fill_nm=farthest,
        confidence=sure,
        verdict=_verdict(
            label,
            abstained=abstained,
            refusal=refusal,
            touched_share=share,
            left_share=left_share,
            farthest_nm=farthest,
            found=_taken_off(levelling, relief_nm=after.sz_nm) + _tip_changed(changed),
        ),
        pass_rms_before_nm=passes[0],
        pass_rms_after_nm=passes[1],
        flatness=sums.flatness(),
    )


def _ground(mask: Mask) -> Mask:
    """Return what the figures of the ground are of: what is not spoilt, or everything where that is next to nothing."""
    sound = ~mask
    enough = np.count_nonzero(sound) >= LEAST_GROUND * sound.size
    across = min(np.count_nonzero(sound.any(axis=axis)) for axis in (0, 1))
    return sound if enough and across >= FEWEST_LINES else np.ones_like(mask)


def flatness(heights: Heights, *, ground: Mask) -> float:
    """Return 1 − (variance of the rows' and of the columns' mean ground height) / variance of the ground, in [0, 1]."""
    return _Sums.over(heights, _Shares.of(ground)).flatness()


@dataclass(frozen=True, slots=True, eq=False)
class _Shares:
    """How the ground lies: ``rows``, ``cols``: pixels of it in each, float64; ``products``: see `_Sums.tilt`."""

    ground: Mask
    rows: NDArray[np.float64]
    cols: NDArray[np.float64]
    products: NDArray[np.float64]

    @classmethod
    def of(cls, ground: Mask) -> "_Shares":
        votes = ground.astype(np.float32)
        rows, cols = (votes.sum(axis=axis).astype(np.float64) for axis in (1, 0))
        down, across = (np.linspace(-1, 1, side) for side in ground.shape)
        mixed = down @ (votes @ across.astype(np.float32))
        products = np.array(
            [
                [rows.sum(), rows @ down, cols @ across],
                [rows @ down, rows @ down**2, mixed],
                [cols @ across, mixed, cols @ across**2],
            ]
        )
        return cls(ground, rows, cols, products)


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Sums of ground heights, float64: of each row, of each column, and of all squares."""

    shares: _Shares
    rows: NDArray[np.float64]
    cols: NDArray[np.float64]
    squares: float

    @classmethod
    def over(cls, heights: Heights, shares: _Shares) -> "_Sums":
        held = np.asarray(heights, dtype=np.float32) * shares.ground
        rows, cols = (cv2.reduce(held, axis, cv2.REDUCE_SUM, dtype=cv2.CV_64F).ravel() for axis in (1, 0))
        return cls(shares, np.asarray(rows), np.asarray(cols), cv2.norm(held, cv2.NORM_L2SQR))

    @property
    def mean(self) -> float:
        return float(self.rows.sum() / self.shares.products[0, 0])

    @property
    def variance(self) -> float:
        return float(max(self.squares / self.shares.products[0, 0] - self.mean**2, 0))

    def tilt(self, pixel_nm: Pitch) -> tuple[float, float]:
        """Return the slope (down, across) of the least-squares plane, nm per nm."""
        shape = self.shares.ground.shape
        down, across = (np.linspace(-1, 1, side) for side in shape)
        fitted = np.linalg.lstsq(
            self.shares.products, np.array([self.rows.sum(), self.rows @ down, self.cols @ across]), rcond=None
        )[0]
        slopes = (float(fit) * 2 / max(side - 1, 1) for fit, side in zip(fitted[1:], shape, strict=True))
        down_nm, across_nm = (slope / pitch for slope, pitch in zip(slopes, pixel_nm, strict=True))
        return down_nm, across_nm

    def flatness(self) -> float:
        """Return `flatness`."""
        lines = 0.0
        for share, own in ((self.shares.rows, self.rows), (self.shares.cols, self.cols)):
            lines += float((share * (own / np.maximum(share, 1) - self.mean) ** 2).sum()) / float(share.sum())
        return float(np.clip(1 - lines / self.variance, 0, 1)) if self.variance > 0 else 1.0


def worst_fill_nm(touched: Mask, *, pixel_nm: Pitch) -> float:
    """Return how far the deepest filled pixel lies from measured data, nm; 0 when nothing was filled."""
    if not touched.any():
        return 0.0
    if touched.all():
        return float(np.hypot(touched.shape[0] * pixel_nm[0], touched.shape[1] * pixel_nm[1]))
    rows, cols = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
    window = slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(cols[0] - 1, 0), cols[-1] + 2)
    if pixel_nm[0] == pixel_nm[1]:  # the fast transform knows square pixels only
        return _deepest(np.ascontiguousarray(touched[window])) * pixel_nm[0]
    return float(ndimage.distance_transform_edt(touched[window], sampling=pixel_nm).max())


def _deepest(holes: Mask) -> float:
    """Return the farthest that a pixel of a hole lies from the nearest pixel outside, in pixels.

    A chamfer distance (Borgefors 1986) is several times faster than the true one and lies within ``CHAMFER`` of it:
    the true distance is measured where it may be the greatest alone, to the pixels that may be the nearest alone.
    """
    rough = cv2.distanceTransform(holes.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    most = float(rough.max())
    reach = int(most / CHAMFER[0]) + 1
    deep = np.stack(np.divmod(np.flatnonzero(rough >= CHAMFER[0] / CHAMFER[1] * most), holes.shape[1])) + reach
    if deep.shape[1] * (2 * reach + 1) ** 2 > MOST_LOOKED_AT:
        return float(cv2.distanceTransform(holes.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max())
    row, col = np.indices((2 * reach + 1, 2 * reach + 1)) - reach
    squares = row**2 + col**2
    ring = (squares >= (CHAMFER[0] / CHAMFER[1] ** 2 * most) ** 2 - 1) & (squares <= reach**2)
    around = np.pad(holes, reach, constant_values=True)
    width = around.shape[1]
    hole = around.reshape(-1)[((width, 1) @ deep)[:, None] + (row[ring] * width + col[ring])]
    return float(np.sqrt(np.where(hole, 4 * reach**2, squares[ring]).min(axis=1).max()))


def _pass_agreement(
    raw: Heights, restored: Heights, retrace_raw: Heights | None, *, ground: Mask
) -> tuple[float | None, float | None]:
    """Return rms of trace − retrace in nm before and after, on about 256 lines; after, what a scanner adds is off."""
    if retrace_raw is None:
        return None, None
    few = tuple(slice(None, None, max(1, side // COMPARED_SIDE)) for side in raw.shape)
    vote = (ground[few] if ground[few].any() else np.ones_like(ground[few])).astype(np.float64)
    before = (raw[few] - retrace_raw[few]).astype(np.float64)
    after = _without_scanner((restored[few] - retrace_raw[few]).astype(np.float64), vote)
    return _deviation(before, vote), _deviation(after, vote)


def _deviation(values: NDArray[np.float64], vote: NDArray[np.float64]) -> float:
    """Return the standard deviation of what has a vote, 1 or 0."""
    count = vote.sum()
    apart = (values - np.vdot(vote, values) / count) * vote
    return float(np.sqrt(np.vdot(apart, apart) / count))


def _without_scanner(difference: NDArray[np.float64], vote: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a difference of passes less each line's mean on the ground, and less a cubic along the lines."""
    along = np.polynomial.legendre.legvander(np.linspace(-1, 1, difference.shape[1]), 3)
    rows, cols = np.maximum(vote.sum(axis=1), 1), vote.sum(axis=0)
    root = np.sqrt(cols)
    fit = along @ np.linalg.pinv(root[:, None] * along) * root
    rest = difference
    for _ in range(2):
        rest = rest - (np.einsum("ij,ij->i", vote, rest) / rows)[:, None]
        profile = np.einsum("ij,ij->j", vote, rest) / np.maximum(cols, 1)
        rest -= fit @ profile
    return rest


def _tip_changed(changed: NDArray[np.bool_] | None) -> str:
    """Say which lines another tip seems to have drawn, counted from 1 at the top; nothing where there are none."""
    if changed is None or not changed.any():
        return ""
    ends = np.flatnonzero(np.diff(changed, prepend=False, append=False))
    bands = [f"{first + 1}–{stop}" for first, stop in zip(ends[::2], ends[1::2], strict=True)]
    more = ", …" if len(bands) > MOST_BANDS else ""
    return f" Another tip seems to have drawn lines {', '.join(bands[:MOST_BANDS])}{more} from the top."


def _taken_off(levelling: Levelling | None, *, relief_nm: float) -> str:
    """Say which waves levelling took off, and in which lines it undid large steps; nothing where there were none."""
    if levelling is None:
        return ""
    heights = dict.fromkeys(TAKEN_OFF, 0.0)
    for wave in levelling.disturbances:
        heights[wave.kind] = float(np.hypot(heights[wave.kind], wave.amplitude_nm))
    waves = "".join(f" {TAKEN_OFF[kind]} of ±{high:.2g} nm was taken off." for kind, high in heights.items() if high)
    lines = sorted({jump.row + 1 for jump in levelling.jumps if abs(jump.height_nm) > LARGE_STEP * relief_nm})
    if not lines:
        return waves
    told = ", ".join(map(str, lines[:MOST_BANDS])) + (", …" if len(lines) > MOST_BANDS else "")
    steps = "A step in line {} was" if len(lines) == 1 else "Steps in lines {} were"
    return f"{waves} {steps.format(told)} taken for the scanner's."


def _verdict(
    label: Label, *, abstained: bool, refusal: str, touched_share: float, left_share: float, farthest_nm: float,
    found: str,
) -> str:  # fmt: skip
    """Say it to a person in a sentence or two; ``found``: what else there is to say."""
    if refusal:
        return f"Not restored: {refusal}{found}"
    doubt = " It is not sure what is wrong with the scan, or whether anything is." if abstained else ""
    if touched_share == 0 and label is Label.GOOD and not abstained:
        return f"A good scan: levelled only.{found}"
    if touched_share == 0:
        had = "was" if abstained or left_share else "had to be"
        return f"Levelled; nothing {had} filled.{_left(left_share)}{found}{doubt}"
    filled = f"{_told(touched_share)} of the pixels were filled, none further than {farthest_nm:.3g} nm from data."
    return f"Restored: {filled}{_left(left_share)}{found}{doubt or ADVICE[label]}"


def _left(share: float) -> str:
    """Say how much keeps its heights though it is masked."""
    return f" {_told(share)} may be spoilt, but too doubtfully to be filled: it keeps its heights." if share else ""


def _told(share: float) -> str:
    return f"{share:.1%}" if share >= LEAST_TOLD else f"Less than {LEAST_TOLD:.1%}"
