"""What a restoration gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import Backend, Label
from afmd.domain.levelling import Levelling
from afmd.domain.params import Params
from afmd.domain.tip import Tip
from afmd.domain.tip_method import TipMethod


@dataclass(frozen=True, slots=True)
class Roughness:
    """ISO 25178 height and hybrid parameters: Sa, Sq, Sz in nm; Sdr and slope without unit."""

    sa_nm: float
    sq_nm: float
    sz_nm: float
    sdr: float
    slope: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the result is, in numbers and in one sentence for a person.

    ``before`` is the scan after removal of its mean plane only, ``after`` the restored surface.
    ``touched_share`` in [0, 1]; ``worst_fill_nm`` is the distance from the deepest filled pixel to measured data.
    ``tilt_removed`` is 1 − |slope after| / |slope before| (paper A). ``confidence`` in [0, 1] for the whole repair.
    ``pass_rms_*_nm``: rms of trace − retrace outside the mask, after the repair less a scanner's share; None without.
    ``flatness`` in [0, 1]: 1 where lines and columns of the ground lie level, 0 where nothing but their offsets is
    left.
    """

    before: Roughness
    after: Roughness
    sigma_bg_nm: float
    rmse_line_nm: float
    mean_gradient: float
    tilt_removed: float
    touched_share: float
    worst_fill_nm: float
    confidence: float
    verdict: str
    pass_rms_before_nm: float | None = None
    pass_rms_after_nm: float | None = None
    flatness: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """An inpainted surface.

    ``heights``: float32 (rows, cols) nm, bit-identical to the input outside the mask.
    ``sigma``: float32 (rows, cols) nm, standard deviation of each filled pixel, 0 elsewhere.
    """

    heights: NDArray[np.float32]
    sigma: NDArray[np.float32]


class Undone(NamedTuple):
    """What a network says of a tip's image, each float32 (rows, cols) nm.

    ``surface``, and ``sigma``, the standard deviation of its heights. ``image``: the one that was undone, with what no
    tip does put back; ``lift_nm``: by how much its edges had been raised, or 0.
    """

    surface: NDArray[np.float32]
    sigma: NDArray[np.float32]
    image: NDArray[np.float32]
    lift_nm: float


@dataclass(frozen=True, slots=True, eq=False)
class Deconvolved:
    """A surface freed from the shape of the tip that imaged it.

    ``surface``: float32 (rows, cols) nm. ``sigma``: its standard deviation, float32 nm, larger where not ``touched``.
    ``touched``: True where the tip touched, so that the height is measured and not inferred. ``tip``: given or
    estimated, or None. ``estimated``: True where the picture itself told the tip. ``method``: the one that was used,
    never ``auto``; ``backend``: who did it.
    ``refusal``: why the picture was left alone, or empty; then ``surface`` is the picture, ``sigma`` 0 and nothing
    ``touched``.
    """

    surface: NDArray[np.float32]
    sigma: NDArray[np.float32]
    touched: NDArray[np.bool_]
    tip: Tip | None
    estimated: bool
    method: TipMethod
    backend: Backend
    refusal: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Restoration:
    """All that came of one scan. Every array has the scan's shape; heights in nm; masks True = spoilt.

    ``flattened``: levelled heights, nothing filled. ``restored``: equal to ``flattened`` outside ``touched``, to the
    last bit. ``touched``: True where a height was filled. ``sigma``: standard deviation in nm of filled pixels, 0
    elsewhere. ``refusal``: why the scan was not restored (mostly artefact), or empty.
    ``timings_ms``: milliseconds by stage, in order. ``params``: the parameters in force.
    ``levelling``: how it was levelled, and what was taken off besides a smooth shape and the lines' offsets.
    ``deconvolved``: the restored surface without the tip's shape, or None where that was not asked for.
    Lines that were never scanned are in both masks, not ``touched``, and hold the lowest of the ``flattened`` heights.
    """

    label: Label
    probabilities: Mapping[Label, float]
    abstained: bool
    raw_mask: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    excluded: NDArray[np.bool_]
    flattened: NDArray[np.float32]
    restored: NDArray[np.float32]
    touched: NDArray[np.bool_]
    sigma: NDArray[np.float32]
    quality: Quality
    params: Params
    classifier: Backend
    segmenter: Backend
    timings_ms: Mapping[str, float]
    levelling: Levelling
    refusal: str = ""
    deconvolved: Deconvolved | None = None
