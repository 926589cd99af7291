"""The stages that need a decision, each one function. Rule: what a stage needs is in its arguments."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import ArtifactMap, Classification, Clipped, Label, Segmentation
from afmd.domain.levelling import DisturbanceKind, Jump
from afmd.domain.params import Params, Preset
from afmd.domain.ports import Classifier, Segmenter
from afmd.domain.result import Filled
from afmd.domain.scan import Scan
from afmd.science import flatten, inpaint, mask
from afmd.science.flatten.substrate import span_of
from afmd.science.rules.clipping import ends

FEATURE_THR = 0.5
"""A pixel more likely feature than substrate has no say in the ground."""
CONTRADICTED = 0.05
"""So much of a good scan is never masked; who is right, classifier or segmenter, nobody here can tell."""
MAYBE_GOOD = 0.1
"""Of a scan that is good at least so probably only sure regions are filled: less sure ones had good scans lose."""
SURE = 0.95
"""Mean probability of being spoilt from which on a region is filled even there."""
SPOTS, SPOT_PX, WHOLE_LINE = 10, 25, 0.9
"""A scan with so many sure regions of at most so many pixels, or a line of which this share is surely spoilt, is not
good: of 17 such that were called good, among 935 scans of simulators by other hands, 16 were not."""
STILL_GOOD = 0.05
"""Probability of being good that is left to such a scan; the rest goes to the class that its regions tell."""
ADDED = frozenset({DisturbanceKind.HUM, DisturbanceKind.FRINGES})
"""Waves that are surely no sample's: of 480 scans of simulators by other hands they were found in eight, all of which
have them."""
CLIPPED, CLIPPED_SHARE = np.float32(0.99), 0.002
"""Probability of being spoilt where heights are clipped, and from which share of the frame on no such scan is good."""
FAINT = 0.005
"""Share of the levelled span up to which a wave's amplitude leaves a scan good."""
JUMPED, MOST_JUMPS = 0.06, 4
"""Share of the levelled span from which on a lasting jump was plain, unless there are more than so many of any height,
as among lines that step at random: of 500 scans of simulators by other hands that were called good, 26 have such a
jump, of which 24 are spoilt."""
LASTING, BESIDE = 0.7, 8
"""A jump lasts where all within so many lines of it add up to more than this share of it."""
BARS_ASKED, STILL_SPOILT = 0.02, 0.2
"""Share of the frame that must be masked for bars along the lines to be sought; what is left to a class that they
explain away."""
LEAST_SIDE = 32
"""A frame with fewer lines or columns tells neither network nor rules what class it is of."""
LEAST_GROUND = 0.05
MOST_FEATURE = 1 / 3
"""Where features cover more, they are a level of the ground like a grating's lines, and levelling knows levels."""


def classified(scan: Scan, *, params: Params, classifier: Classifier) -> Classification:
    """Return the class; it abstains where the backend does or where no class reaches ``abstain``.

    A frame of fewer than ``LEAST_SIDE`` lines or columns, or of one height all over, may be anything.
    """
    if min(scan.heights.shape) < LEAST_SIDE or np.ptp(scan.heights) == 0:
        return Classification(Label.GOOD, dict.fromkeys(Label, 1 / len(Label)), True, classifier.backend)
    found = classifier.classify(scan)
    unsure = found.abstained or _is_unclaimed(found.probabilities, params)
    return Classification(found.label, found.probabilities, unsure, found.backend)


def _is_unclaimed(chances: Mapping[Label, float], params: Params) -> bool:
    """True where no class is likely enough to be claimed."""
    return max(chances.values()) < params.abstain


def overruled(
    found: Classification, spoilt: NDArray[np.bool_], *, seen: Segmentation, level: flatten.Levelled, params: Params
) -> Classification:
    """Return the class after what masks and levelling tell of it has been heard.

    Of a scan that was called good, whole lines that are surely spoilt tell of not tracking, and many spots that are,
    clipped heights, a lasting jump, hum and fringes of an imaging artefact. Of one that was not, bars along the lines
    that looked spoilt tell that it may be good, unless much else is masked. The class that is told takes over what the
    other loses. ``spoilt``: what may be repaired, bool (rows, cols). ``published`` asks the classifier alone.
    """
    if params.preset is Preset.PUBLISHED:
        return found
    if found.label is Label.GOOD:
        told = _told_by(mask.regions_as_sure(spoilt, probability=seen.probability, least=SURE), seen, level)
        return found if told is None else _moved(found, to=told, left=STILL_GOOD, params=params)
    mistaken = seen.bars is not None and found.label is not Label.TIP_CONTAMINATION
    if mistaken and seen.mask.mean() <= CONTRADICTED:
        return _moved(found, to=Label.GOOD, left=STILL_SPOILT, params=params)
    return found


def _told_by(sure: NDArray[np.bool_], seen: Segmentation, level: flatten.Levelled) -> Label | None:
    """Return the class that surely spoilt pixels tell of, clipped ones, and what levelling took off, or None."""
    if seen.clipped is not None and seen.clipped.anywhere.mean() >= CLIPPED_SHARE:
        return Label.IMAGING_ARTIFACT
    if (sure.mean(axis=1) >= WHOLE_LINE).any():
        return Label.NOT_TRACKING
    spotted = mask.count_of_spots(sure, high=SPOT_PX) >= SPOTS
    return Label.IMAGING_ARTIFACT if spotted or _disturbed(level) else None


def _disturbed(level: flatten.Levelled) -> bool:
    """True where levelling took off a wave that is no sample's, or a lasting jump, that was high for the surface."""
    waves_nm = [wave.amplitude_nm for wave in level.levelling.disturbances if wave.kind in ADDED]
    most = max(max(waves_nm, default=0) / FAINT, max(_lasting(level.levelling.jumps), default=0) / JUMPED)
    if most == 0:
        return False
    low, high = span_of(level.heights.reshape(-1))
    return most > high - low


def _lasting(jumps: Sequence[Jump]) -> list[float]:
    """Return how high the jumps are that last, nm; none where there are many."""
    if len(jumps) > MOST_JUMPS:
        return []

    def lasts(one: Jump) -> bool:
        left_nm = sum(other.height_nm for other in jumps if abs(other.row - one.row) <= BESIDE)
        return abs(left_nm) > LASTING * abs(one.height_nm)

    return [abs(one.height_nm) for one in jumps if lasts(one)]


def _moved(found: Classification, *, to: Label, left: float, params: Params) -> Classification:
    """Return the class after another has taken over what its own loses, down to what is ``left`` of it."""
    chances = dict(found.probabilities)
    chances[to] += chances[found.label] - left
    chances[found.label] = left
    label = max(chances, key=lambda one: chances[one])
    return Classification(label, chances, _is_unclaimed(chances, params), found.backend)


def doubted(found: Classification, seen: Segmentation) -> Classification:
    """Return the class as unsure where it is good and yet more than ``CONTRADICTED`` of the frame is masked.

    Or where it is not good, but may well be.
    """
    sure = seen.mask.mean() <= CONTRADICTED if found.label is Label.GOOD else not _maybe_good(found, seen)
    return found if sure else Classification(found.label, found.probabilities, True, found.backend)


def spared(found: Classification, seen: Segmentation, params: Params) -> bool:
    """True where not all that is spoilt is filled: the scan is good, or, unless the preset is ``published``, may be."""
    return found.label is Label.GOOD or (params.preset is not Preset.PUBLISHED and _maybe_good(found, seen))


def holes_in(
    spoilt: NDArray[np.bool_], found: Classification, *, seen: Segmentation, params: Params
) -> NDArray[np.bool_]:
    """Return what is filled of the ``spoilt`` pixels, bool (rows, cols).

    Nothing of a good scan; of one that may well be good what is as sure as ``SURE``; else all.
    """
    if found.label is Label.GOOD:
        return np.zeros_like(spoilt)
    if spared(found, seen, params):
        return mask.regions_as_sure(spoilt, probability=seen.probability, least=SURE)
    return spoilt


def _maybe_good(found: Classification, seen: Segmentation) -> bool:
    """Return whether the scan may be good; a second apex is found only where it is sure, and then it is not."""
    return seen.ghosts is None and found.probabilities.get(Label.GOOD, 0.0) >= MAYBE_GOOD


def segmented(scan: Scan, *, params: Params, segmenter: Segmenter) -> tuple[Segmentation, mask.Masks]:
    """Return the segmentation, and the masks at every step for the stages that follow.

    These leave alone what is only reported. Bars of the sample along the lines are not spoilt, whatever they look like;
    ``published`` does not ask for them.
    """
    seen = segmenter.segment(scan)
    bars = None
    if params.preset is not Preset.PUBLISHED and (seen.artifact >= np.float32(params.thr)).mean() >= BARS_ASKED:
        bars = flatten.bars_in(scan.heights)
    artifact = seen.artifact if bars is None else np.where(bars, np.float32(0), seen.artifact)
    reported = seen.reported if seen.reported is None or bars is None else seen.reported & ~bars
    clipped = None if params.preset is Preset.PUBLISHED else _clipped(scan, seen)
    if clipped is not None:
        there = clipped.anywhere
        artifact = np.where(there, np.maximum(artifact, CLIPPED), artifact)
        reported = None if reported is None else reported & ~there
    feature = None if seen.feature is None else seen.feature >= FEATURE_THR
    repairable = artifact if reported is None else np.where(reported, np.float32(0), artifact)
    masks = mask.assemble(scan.heights, repairable, params)
    raw, final = (own if reported is None else own | reported for own in (masks.raw, masks.final))
    return Segmentation(artifact, raw, final, feature, seen.backend, seen.ghosts, seen.changed, bars, clipped), masks


def _clipped(scan: Scan, seen: ArtifactMap) -> Clipped | None:
    """Return where heights are clipped, or None: nowhere."""
    found = ends(scan.heights) if seen.clipped is None else seen.clipped
    return found if found.anywhere.any() else None


def filled(
    scan: Scan, flattened: NDArray[np.float32], touched: NDArray[np.bool_], *, masks: mask.Masks,
    seen: Segmentation, params: Params,
) -> Filled:  # fmt: skip
    """Return the heights with every ``touched`` pixel filled.

    Where what was ``seen`` makes a measured height a bound, it tells nothing else; ``published`` knows of none.
    """
    bounds = [] if params.preset is Preset.PUBLISHED else _bounds(seen, touched)
    told = flattened
    for _, bounded in bounds:
        told = np.where(bounded, np.float32(np.nan), told)
    found = inpaint.fill(
        told, touched, method=params.fill, pixel_nm=scan.pixel_nm, radius=params.radius, stripes=masks.stripes,
        other_pass=scan.retrace,
    )  # fmt: skip
    for kept_within, bounded in bounds:
        kept_within(found.heights, flattened, out=found.heights, where=bounded)
    return found


def _bounds(seen: Segmentation, touched: NDArray[np.bool_]) -> list[tuple[np.ufunc, NDArray[np.bool_]]]:
    """Return where a measured height bounds the surface, bool (rows, cols), each with what keeps a fill within it.

    Under ghosts and at the low end of a range the surface is at most as high as measured, at the high end at least.
    """
    low, high = (None, None) if seen.clipped is None else seen.clipped
    known = ((np.minimum, seen.ghosts), (np.minimum, low), (np.maximum, high))
    return [(kept_within, bound & touched) for kept_within, bound in known if bound is not None]


def believed(
    found: Filled, flattened: NDArray[np.float32], holes: NDArray[np.bool_], *, seen: Segmentation, params: Params
) -> tuple[NDArray[np.bool_], Filled]:
    """Return which of the filled ``holes`` stay filled, and the heights with the others as they were measured.

    The first is bool (rows, cols), True = filled. A hole that is too doubtful (`mask.doubtful`) has its ``flattened``
    heights, nm, and no sigma, and stays in the mask; ghosts are sure, and ``published`` believes everything.
    """
    if params.preset is Preset.PUBLISHED:
        return holes, found
    sure = seen.probability if seen.ghosts is None else np.where(seen.ghosts, np.float32(1), seen.probability)
    left = mask.doubtful(flattened, found.heights, holes, probability=sure, thr=params.thr)
    if not left.any():
        return holes, found
    return holes & ~left, Filled(np.where(left, flattened, found.heights), np.where(left, np.float32(0), found.sigma))


def levelled(
    scan: Scan,
    *,
    ground: NDArray[np.bool_],
    feature: NDArray[np.bool_] | None,
    spoilt: NDArray[np.bool_],
    params: Params,
) -> flatten.Levelled:
    """Return the scan levelled on ``ground``. Raises ``CannotLevel``.

    ``feature``, ``spoilt``: what may vote where the surface is the likelier for it, (rows, cols).
    """
    return flatten.level(
        scan.heights, pixel_nm=scan.pixel_nm, ground=ground, feature=feature, spoilt=spoilt, params=params
    )


def ground_of(
    spoilt: NDArray[np.bool_],
    *,
    excluded: NDArray[np.bool_],
    feature: NDArray[np.bool_] | None,
    params: Params,
) -> NDArray[np.bool_]:
    """Return what levelling may trust: neither ``spoilt`` nor ``excluded`` nor, in ``best``, a feature.

    Where they cover more than ``MOST_FEATURE`` of the frame, or leave less than ``LEAST_GROUND`` of it, features may
    vote; where that is still all there is, spoilt pixels too: a scan that is all artefact is levelled and reported.
    What a user excluded never votes.
    """
    free = ~excluded
    whole = free & ~spoilt
    bare = whole
    if feature is not None and params.preset is not Preset.PUBLISHED and feature.mean() <= MOST_FEATURE:
        bare = whole & ~feature
    least = LEAST_GROUND * spoilt.size
    return next((ground for ground in (bare, whole) if np.count_nonzero(ground) >= least), free)


def refused(scan: Scan, spoilt: NDArray[np.bool_], *, params: Params) -> str:
    """Return why a scan is not restored, or nothing where it may be."""
    if np.ptp(scan.heights) == 0:
        return "every pixel has the same height: nothing was scanned. Look at the channel, and scan again."
    share = float(spoilt.mean())
    if share <= params.refuse and share < 1:
        return ""
    return (
        f"{share:.0%} of the scan is spoilt, more than the {params.refuse:.0%} allowed: what is left would be "
        "invented. Scan again, or raise refuse."
    )
