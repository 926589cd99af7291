"""The stages of a restoration, in their order. Rule: a scan goes in, a restoration comes out, and nothing else moves.

classify → segment → despike → area filter → stripe or blob → growth → expansion → flatten → fill → smooth → quality
(paper A, Figure 1 and Table 1) → tip, where that is asked for. A ``good`` scan, or one that may well be, is levelled
and its masks are reported, but nothing is filled, nor is a broad region that is hardly called and would lose much. A
scan that is mostly artefact is levelled and reported with the reason. Lines that were never scanned take no part.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from afmd.domain.exclusions import Exclusion, union
from afmd.domain.params import Params
from afmd.domain.ports import Classifier, Segmenter
from afmd.domain.result import Restoration
from afmd.domain.scan import Scan
from afmd.pipeline.blank import Cut
from afmd.pipeline.deconvolution import TipPlan, last_stage
from afmd.pipeline.stages import (
    believed,
    classified,
    doubted,
    filled,
    ground_of,
    holes_in,
    levelled,
    overruled,
    refused,
    segmented,
    spared,
)
from afmd.pipeline.stopwatch import Stopwatch
from afmd.science import quality, smooth


def restore(
    scan: Scan,
    *,
    params: Params,
    exclusions: Sequence[Exclusion] = (),
    classifier: Classifier,
    segmenter: Segmenter,
    clock: Callable[[], float],
    tip: TipPlan | None = None,
) -> Restoration:
    """Return the restored scan with all that was found on the way; the scan itself is not changed.

    ``tip``: how its shape is removed from the restored surface, or None where it is left in.
    ``exclusions`` are kept out of every levelling fit and are not filled. ``clock`` gives seconds for the timings.
    Raises ``InvalidInput`` for an exclusion that does not fit, ``CannotLevel`` where too little ground is left.
    """
    cut = Cut.of(scan)
    excluded = union(exclusions, scan.heights.shape)
    watch = Stopwatch(clock)
    part = _restored(
        cut,
        excluded=excluded[cut.lines],
        params=params,
        classifier=classifier,
        segmenter=segmenter,
        watch=watch,
        tip=tip,
    )
    return cut.restoration(part, excluded=excluded)


def _restored(
    cut: Cut, *, excluded: NDArray[np.bool_], params: Params, classifier: Classifier, segmenter: Segmenter,
    watch: Stopwatch, tip: TipPlan | None,
) -> Restoration:  # fmt: skip
    """Return the restoration of what was scanned; ``excluded``: its own lines alone."""
    scan = cut.part
    with watch("classify"):
        found = classified(scan, params=params, classifier=classifier)
    with watch("segment"):
        seen, masks = segmented(scan, params=params, segmenter=segmenter)
    with watch("flatten"):
        ground = ground_of(masks.grown, excluded=excluded, feature=seen.feature, params=params)
        feature = None if seen.feature is None else seen.feature & ~(masks.grown | excluded | ground)
        spoilt = masks.grown & ~(excluded | ground)
        if seen.clipped is not None:
            spoilt &= ~seen.clipped.anywhere
        level = levelled(scan, ground=ground, feature=feature, spoilt=spoilt, params=params)
        flattened, levelling = level.heights, level.levelling
    told = overruled(found, masks.final, seen=seen, level=level, params=params)
    found = doubted(told, seen)
    refusal = refused(scan, masks.final, params=params)
    spare = spared(found, seen, params)
    holes = np.zeros_like(masks.final) if refusal else holes_in(masks.final, found, seen=seen, params=params)
    with watch("fill"):
        without_holes = filled(scan, flattened, holes, masks=masks, seen=seen, params=params)
        touched, without_holes = believed(without_holes, flattened, holes, seen=seen, params=params)
    with watch("smooth"):
        restored, sigma = without_holes.heights, without_holes.sigma
        if params.sigma:
            restored = smooth.inside(restored, touched, sigma=params.sigma)
            sigma = np.hypot(sigma, restored - without_holes.heights)
    doubtful = masks.final if touched.any() else holes
    with watch("quality"):
        figures = quality.assess(
            scan.heights, flattened, restored, mask=seen.mask, touched=touched, sigma=sigma,
            pixel_nm=scan.pixel_nm, retrace_raw=scan.retrace, label=found.label, abstained=found.abstained,
            refusal=refusal, left_share=float((doubtful & ~touched).mean()), changed=cut.flags(seen.changed),
            levelling=cut.levelling(levelling),
        )  # fmt: skip
    without_tip = None
    if tip is not None:
        spoilt = touched if spare else masks.final
        with watch("deconvolve"):
            without_tip = last_stage(restored, pixel_nm=scan.pixel_nm, mask=spoilt, refusal=refusal, plan=tip)
    return Restoration(
        label=found.label, probabilities=found.probabilities, abstained=found.abstained, raw_mask=seen.raw_mask,
        mask=seen.mask, excluded=excluded, flattened=flattened, restored=restored, touched=touched,
        sigma=sigma, quality=figures, params=params, classifier=found.backend, segmenter=seen.backend,
        timings_ms=watch.timings_ms(), levelling=levelling, refusal=refusal, deconvolved=without_tip,
    )  # fmt: skip
