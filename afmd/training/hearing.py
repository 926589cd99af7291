"""From which logits faults are called. Rule: fitted on validation scans, for IoU less what false calls cost.

A pixel is called where any nature's logit passes its cut; a head's belief that the nature is in the scan at all may
lower the cut (see `afmd.inference.networks.Belief`). One nature after another is given its best cut, and trust in the
belief, beside the others as they stand. What none of them gains stays uncalled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import Label
from afmd.inference.manifest import NEVER
from afmd.inference.networks import FIELD, MOST_BELIEVED, NATURES, SHOWN, surest
from afmd.training.corpus import Entry

FALSE_COST = 20.0
"""What a share of pixels falsely called costs, in units of IoU, where there is nothing to find.

A spoilt-looking pixel on a good scan is filled for nothing, so that it weighs more than one that is missed.
"""
WAVE_COST = 5.0
"""The same where a wave is taken to cover the frame: it is reported, and nothing is filled for it."""
PIXELS = 20_000
EDGES = np.linspace(-12, 12, 97)
CUTS = np.append(np.linspace(-6, 6, 49), NEVER)
TRUSTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
TRUSTED = ("field",)
"""Natures for which a belief is heard: a line or a tail shows itself, and where the passes of a real microscope differ
more than the twin's do, belief in them had sound pixels called."""
UNCALLED = ("tip",)
"""Natures of which no pixel is called: what a worn tip widens is everywhere, and nobody sees where it ends. What a cut
gained on simulated scans, measured surfaces lost; the class tells of the tip, and rules of ghosts and changes."""
WHOLES = (*np.arange(0.5, 5.1, 0.25), NEVER)
"""Log odds from which a fault of the field may be taken to cover the frame."""
ROUNDS = 3
_LEVEL = 0.1
"""Of equal answers the one that trusts less: what a belief must gain, in thousandths of the score."""


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """One scan as it counts: ``logits`` float32 (natures, n) and ``truth`` bool (n,) of some of its pixels.

    ``odds``: float32 (natures,), the belief's log odds, or zeros. ``sound``: whether there is nothing to find.
    """

    logits: NDArray[np.float32]
    truth: NDArray[np.bool_]
    odds: NDArray[np.float32]
    sound: bool

    @classmethod
    def of(
        cls, entry: Entry, logits: NDArray[np.float32], truth: NDArray[np.bool_],
        odds: NDArray[np.float32] | None = None,
    ) -> Self:  # fmt: skip
        """Sample a scan's logits (natures, rows, cols) and truth (rows, cols)."""
        rng = np.random.default_rng(entry.seed)
        pick = rng.permutation(truth.size)[:PIXELS]
        belief = np.zeros(len(logits), np.float32) if odds is None else odds
        sampled = truth.ravel()[pick]
        return cls(
            logits.reshape(len(logits), -1)[:, pick], sampled, belief, entry.label is Label.GOOD or not sampled.any()
        )


@dataclass(frozen=True, slots=True)
class Hearing:
    """``cuts``, ``trust``: one of each nature. ``whole``: log odds from which a fault of the field covers the frame.

    ``score``: the mean over scans that was reached.
    """

    cuts: tuple[float, ...]
    trust: tuple[float, ...]
    score: float
    whole: float = NEVER


def fitted_hearing(looked: Sequence[Looked], *, trusts: Sequence[float] = (0.0,)) -> Hearing:
    """Return the cuts, and the trusts out of ``trusts``, that score best on these scans."""
    cuts, trust = np.full(len(NATURES), NEVER, np.float32), np.zeros(len(NATURES), np.float32)
    odds = np.clip([one.odds for one in looked], -MOST_BELIEVED, MOST_BELIEVED)
    score = 0.0
    for nature in [number for number, name in enumerate(NATURES) if name not in UNCALLED] * ROUNDS:
        cuts[nature], trust[nature] = NEVER, 0
        tables = np.array([_scores(one, nature, cuts - trust * own) for one, own in zip(looked, odds, strict=True)])
        score, cuts[nature], trust[nature] = max(
            (_reached(tables, cut - weight * odds[:, nature]) - _LEVEL * 1e-3 * weight, float(cut), float(weight))
            for weight in (trusts if NATURES[nature] in TRUSTED else (0.0,))
            for cut in CUTS
        )
    whole = _fitted_whole(looked, odds, cuts, trust) if any(trusts) else NEVER
    return Hearing(tuple(float(c) for c in cuts), tuple(float(t) for t in trust), score, whole)


def _fitted_whole(
    looked: Sequence[Looked], odds: NDArray[np.float32], cuts: NDArray[np.float32], trust: NDArray[np.float32]
) -> float:
    """Return from which log odds on a fault of the field had better be taken to cover the frame."""
    heard = [(one, cuts - trust * said) for one, said in zip(looked, odds, strict=True)]
    own = np.array([_score_with(one, cut) for one, cut in heard])
    covered = np.array([_score_with(one, np.full(len(NATURES), -NEVER)) for one in looked])
    unseen = np.array([(one.logits[FIELD] > cut[FIELD]).mean() < SHOWN for one, cut in heard])
    return float(max(WHOLES, key=lambda least: np.where(unseen & (odds[:, FIELD] > least), covered, own).mean()))


def _score_with(one: Looked, cuts: NDArray[np.float32]) -> float:
    """Return IoU, or less the cost of what is falsely called, of a scan with these cuts."""
    called = surest(one.logits, cuts) > 0
    if one.sound:
        return -WAVE_COST * float((called & ~one.truth).mean())
    return float((called & one.truth).sum() / max((called | one.truth).sum(), 1))


def _scores(one: Looked, nature: int, cuts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the scan's score where ``nature`` is cut at each of ``EDGES``, or nowhere, beside the others: (98,)."""
    others = surest(one.logits, cuts) > 0
    own, truth = one.logits[nature][~others], one.truth[~others]
    found, false = (_above(own[which]) for which in (truth, ~truth))
    if one.sound:
        return np.asarray(-FALSE_COST * (np.count_nonzero(others & ~one.truth) + false) / one.truth.size)
    union = np.count_nonzero(others | one.truth) + false
    return np.asarray((np.count_nonzero(others & one.truth) + found) / np.maximum(union, 1))


def _above(logits: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return how many lie above each of ``EDGES``, and 0."""
    below = np.searchsorted(np.sort(logits), EDGES, side="right")
    return np.append(len(logits) - below, 0)


def _reached(tables: NDArray[np.float64], cuts: NDArray[np.float64]) -> float:
    """Return the mean score (scans, 98) at one cut a scan; beyond the last edge nothing is called."""
    step = float(EDGES[1] - EDGES[0])
    place = np.clip(np.ceil((cuts - EDGES[0]) / step - 1e-6), 0, len(EDGES)).astype(np.int64)
    return float(tables[np.arange(len(tables)), place].mean())
