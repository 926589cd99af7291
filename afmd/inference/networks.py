"""The two networks behind the pipeline's ports.

Rule: what they say is calibrated, in [0, 1], of the scan's own shape, and signed with name and SHA-256.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import ArtifactMap, Backend, Classification, Label
from afmd.domain.scan import Scan
from afmd.errors import ModelError
from afmd.inference import planes, traits
from afmd.inference.bodies import bodies_in
from afmd.inference.manifest import FETCH, NEVER, Model, Role, load_manifest
from afmd.inference.perception import Perception, Seen, shared_perception
from afmd.inference.sessions import shared_session
from afmd.inference.tipchange import TipChange

NATURES: Final = ("line", "tail", "field", "tip")
"""How faults lie in a frame: on few pixels or lines, behind features, over the field, where the tip widens."""
OUTPUTS: Final = (*NATURES, "feature")
LINE, TAIL, FIELD, TIP = range(len(NATURES))
FEATURE: Final = len(NATURES)
_REST: Final = [nature for nature in range(FEATURE) if nature != FIELD]
GHOST: Final = np.float32(0.9)
"""Probability that a pixel of a sure ghost is spoilt."""
GHOST_ODDS: Final = 4.0
"""By how much sure ghosts raise the odds of a contaminated tip: less than what they tell alone (they are found in ten
times as many contaminated simulated scans as good ones), for the head heard of the echo too."""
CHANGED_ODDS: Final = 3.0
"""By how much lines that another tip drew raise the same: they are called in a quarter of the contaminated validation
scans, and in two of a hundred good ones."""
CONTAMINATED: Final = tuple(Label).index(Label.TIP_CONTAMINATION)
SHOWN: Final = 0.02
"""Share of the frame on which pixels show a fault of the field themselves, from which on they are believed alone."""
CHANGED: Final = np.float32(0.6)
"""Probability that a pixel is spoilt that another tip seems to have drawn."""
CHANGED_CUT: Final = -2.5
"""Logit of a line's or a tip's fault from which a pixel is called in lines that another tip drew: where these are
known, it gives an IoU of .56 on training scans; all their pixels, .52."""
MOST_BELIEVED: Final = 6.0
"""Log odds beyond which a belief counts no more."""


class NetworkClassifier:
    """Tells whether a scan is good or how it is spoilt (port ``Classifier``).

    Either a network of its own on pooled planes, or a head on what the segmenter's network saw; with the head, the
    segmentation that follows costs nothing more.
    """

    def __init__(
        self, model: Model, *, upon: Model | None = None, tipchange: Model | None = None, threads: int = 1
    ) -> None:
        _matches(model, "classifier", tuple(label.value for label in Label))
        self._model = model
        on_planes = model.looks_at == "planes"
        self._perception = None if on_planes else _beneath(model, upon, tipchange=tipchange, threads=threads)
        self._session = shared_session(model, threads=threads)

    @property
    def backend(self) -> Backend:
        """Names and hashes of the weights: its own, and the tipchange's."""
        return _signed(self._model, None if self._perception is None else self._perception.tipchange)

    def classify(self, scan: Scan) -> Classification:
        """Return calibrated probabilities; abstain where the greatest lies below the model's threshold."""
        seen = None if self._perception is None else self._perception.look(scan)
        inputs = planes.classifier_planes(scan.heights, scan.retrace) if seen is None else seen.summary
        logits = self._session.run(inputs[None])[0].astype(np.float64) / self._model.temperature[0]
        if seen is not None:
            signs = ((seen.ghosts, GHOST_ODDS), (seen.changed, CHANGED_ODDS))
            logits[CONTAMINATED] += sum(np.log(odds) for sign, odds in signs if sign is not None)
        powers = np.exp(logits - logits.max())
        chances = powers / powers.sum()
        best = int(chances.argmax())
        return Classification(
            label=tuple(Label)[best],
            probabilities={label: float(chance) for label, chance in zip(Label, chances, strict=True)},
            abstained=bool(chances[best] < self._model.threshold),
            backend=self.backend,
        )


class Belief:
    """What a head says of the whole scan: the log odds that a fault of each nature is in it.

    A pixel of a ripple looks like any other; that there is a ripple, the whole frame shows. So the logit from which
    its pixels are called sinks by ``trust`` times the head's log odds; and because it covers the field, no pixel's log
    odds are less than the frame's own, counted from ``whole``, unless so many pixels (`SHOWN`) tell by themselves where
    it lies.
    """

    def __init__(self, head: Model, *, threads: int) -> None:
        self.backend = Backend(head.name, head.sha256)
        self._session = shared_session(head, threads=threads)
        self._cuts, self._trust = np.array(head.cuts, np.float32), np.array(head.trust, np.float32)
        self._whole = np.float32(head.whole)

    def heard(self, seen: Seen) -> tuple[NDArray[np.float32], np.float32]:
        """Return from which logits faults of each nature are called here, float32 (4,), and the field's floor."""
        odds = self._session.all(seen.summary[None])[1][0]
        cuts = self._cuts - self._trust * np.clip(odds, -MOST_BELIEVED, MOST_BELIEVED)
        return np.asarray(cuts), np.float32(odds[FIELD] - self._whole)


class NetworkSegmenter:
    """Finds spoilt pixels and features at native resolution (port ``Segmenter``).

    A pixel is as spoilt as its surest nature says. ``belief`` moves their cuts for each scan. What the network cannot
    see, because it looks at neighbours, is a second apex, whose ghosts are found by themselves
    (`afmd.inference.ghosts`), and a tip that changes in mid-scan, for which ``tipchange`` looks along the lines.
    """

    def __init__(
        self, model: Model, *, belief: Belief | None = None, tipchange: Model | None = None, threads: int = 1
    ) -> None:
        _matches(model, "segmenter", OUTPUTS)
        self._model = model
        self._belief = belief
        self._perception = shared_perception(model, tipchange=tipchange, threads=threads)

    @property
    def backend(self) -> Backend:
        """Names and hashes of the weights: its own, the head's whose belief is heard, and the tipchange's."""
        return _signed(self._model, self._belief, self._perception.tipchange)

    def segment(self, scan: Scan) -> ArtifactMap:
        """Return both probabilities for every pixel; memory is bounded by the tile, time grows with the pixels."""
        seen = self._perception.take(scan)
        if self._belief is None:
            cuts, floor = np.array(self._model.cuts, np.float32), np.float32(-NEVER)
        else:
            cuts, floor = self._belief.heard(seen)
        tails = np.asarray(seen.logits[TAIL])
        bodies = bodies_in(scan.heights, tails > cuts[TAIL])
        tails = np.where(bodies.sound, np.float32(-NEVER), tails)
        rest = surest([tails if nature == TAIL else seen.logits[nature] for nature in _REST], cuts[_REST])
        field = seen.logits[FIELD] - cuts[FIELD]
        if np.count_nonzero(field > 0) < SHOWN * field.size:
            np.maximum(field, floor, out=field)
        artifact = self._chance(np.maximum(rest, field), 0)
        reported = ((field > 0) & (rest <= 0)) | (bodies.ringing & (seen.logits[LINE] <= cuts[LINE]))
        if seen.changed is not None:
            drawn = (np.maximum(seen.logits[LINE], seen.logits[TIP]) > CHANGED_CUT) & seen.changed[:, None]
            reported |= drawn
            artifact[drawn] = np.maximum(artifact[drawn], CHANGED)
        if seen.ghosts is not None:
            artifact[seen.ghosts] = np.maximum(artifact[seen.ghosts], GHOST)
            reported &= ~seen.ghosts
        feature = self._chance(seen.logits[FEATURE], 1)
        return ArtifactMap(
            artifact, feature, self.backend, reported if reported.any() else None, seen.ghosts, seen.changed
        )

    def _chance(self, logits: NDArray[np.float32], output: int) -> NDArray[np.float32]:
        bias = self._model.bias[output] if self._model.bias else 0.0
        scaled = (logits + np.float32(bias)) * np.float32(-1 / self._model.temperature[output])
        np.exp(np.minimum(scaled, 80, out=scaled), out=scaled)
        scaled += 1
        return np.asarray(np.reciprocal(scaled, out=scaled))


def surest(
    logits: Sequence[NDArray[np.float32]] | NDArray[np.float32], cuts: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return by how much the surest nature passes its cut: float32 (rows, cols) of (natures, rows, cols)."""
    best = np.asarray(logits[0] - cuts[0])
    for own, cut in zip(logits[1:], cuts[1:], strict=True):
        np.maximum(best, own - cut, out=best)
    return best


def _signed(model: Model, *beside: Belief | TipChange | None) -> Backend:
    """Return names and hashes of a model and of those that are heard beside it, joined by a plus."""
    parts = [Backend(model.name, model.sha256), *(one.backend for one in beside if one is not None)]
    return Backend("+".join(part.name for part in parts), "+".join(part.version for part in parts))


def network_classifier(folder: Path | None = None, *, threads: int = 1, trial: bool = False) -> NetworkClassifier:
    """Open the classifier of a weights folder (afmd's own where None). Raises ``ModelError``.

    A model that is on trial opens only where ``trial`` asks for it.
    """
    manifest = load_manifest(folder)
    model = _admitted(manifest.model("classifier"), trial=trial)
    beside = manifest.models
    return NetworkClassifier(model, upon=beside.get("segmenter"), tipchange=beside.get("tipchange"), threads=threads)


def network_segmenter(folder: Path | None = None, *, threads: int = 1, trial: bool = False) -> NetworkSegmenter:
    """Open the segmenter of a weights folder (afmd's own where None). Raises ``ModelError``.

    A model that is on trial opens only where ``trial`` asks for it.
    """
    manifest = load_manifest(folder)
    model = _admitted(manifest.model("segmenter"), trial=trial)
    belief = _belief(manifest.models.get("classifier"), model, threads=threads, trial=trial)
    return NetworkSegmenter(model, belief=belief, tipchange=manifest.models.get("tipchange"), threads=threads)


def _belief(head: Model | None, segmenter: Model, *, threads: int, trial: bool) -> Belief | None:
    """Return what a head on this segmenter believes; None where there is none, or it is refused as a classifier.

    The backend's name tells whether it is heard.
    """
    if head is None or not head.trust or head.upon != segmenter.sha256:
        return None
    try:
        _admitted(head, trial=trial)
        _matches(head, "classifier", tuple(label.value for label in Label))
        _beneath(head, segmenter, threads=threads)
        return Belief(head, threads=threads)
    except ModelError:
        return None


def _admitted(model: Model, *, trial: bool) -> Model:
    if model.trial and not trial:
        mend = f'Set models.{model.role} to "network" to run it all the same'
        raise ModelError(f"{model.role} {model.name}", why=f"it is on trial: {model.trial}", mend=mend)
    return model


def _beneath(model: Model, segmenter: Model | None, *, tipchange: Model | None = None, threads: int) -> Perception:
    """Return the perception that a head was trained on. Raises ``ModelError`` for any other."""
    if model.looks_at != "summary" or segmenter is None or segmenter.sha256 != model.upon:
        have = "there is none" if segmenter is None else f"the one here is {segmenter.sha256[:12]}…"
        why = f"it stands on segmenter {model.upon[:12]}…, and {have}"
        raise ModelError(f"weights {model.file}", why=why, mend=FETCH)
    if model.traits != traits.RECIPE:
        why = f"it wants traits of recipe {model.traits}, and this afmd makes {traits.RECIPE}"
        raise ModelError(f"weights {model.file}", why=why, mend="Take weights and afmd of one version")
    return shared_perception(segmenter, tipchange=tipchange, threads=threads)


def _matches(model: Model, role: Role, classes: tuple[str, ...]) -> None:
    if model.role != role or model.classes != classes:
        why = f"it gives {', '.join(model.classes)} as a {model.role}, and {', '.join(classes)} are wanted"
        raise ModelError(f"weights {model.file}", why=why, mend=FETCH)
    wanted = 2 if role == "segmenter" else 1
    if len(model.temperature) != wanted or min(model.temperature) <= 0:
        raise ModelError(f"weights {model.file}", why=f"{wanted} positive temperatures are wanted", mend=FETCH)
    if (role == "segmenter" or model.trust) and len(model.cuts) != len(NATURES):
        raise ModelError(f"weights {model.file}", why=f"{len(NATURES)} cuts are wanted", mend=FETCH)
