"""The two networks behind the pipeline's ports.

Rule: what they say is calibrated, in [0, 1], of the scan's own shape, and signed with name and SHA-256.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import ArtifactMap, Backend, Classification, Label
from afmd.domain.scan import Scan
from afmd.errors import ModelError
from afmd.inference import planes
from afmd.inference.manifest import FETCH, Model, Role, load_manifest
from afmd.inference.perception import Perception, shared_perception
from afmd.inference.sessions import shared_session

OUTPUTS = ("artifact", "feature")


class NetworkClassifier:
    """Tells whether a scan is good or how it is spoilt (port ``Classifier``).

    Either a network of its own on pooled planes, or a head on what the segmenter's network saw; with the head, the
    segmentation that follows costs nothing more.
    """

    def __init__(self, model: Model, *, upon: Model | None = None, threads: int = 1) -> None:
        _matches(model, "classifier", tuple(label.value for label in Label))
        self._model = model
        self._perception = None if model.looks_at == "planes" else _beneath(model, upon, threads=threads)
        self._session = shared_session(model, threads=threads)

    @property
    def backend(self) -> Backend:
        """The weights' name and hash."""
        return Backend(self._model.name, self._model.sha256)

    def classify(self, scan: Scan) -> Classification:
        """Return calibrated probabilities; abstain where the greatest lies below the model's threshold."""
        logits = self._session.run(self._input(scan)[None])[0].astype(np.float64) / self._model.temperature[0]
        powers = np.exp(logits - logits.max())
        chances = powers / powers.sum()
        best = int(chances.argmax())
        return Classification(
            label=tuple(Label)[best],
            probabilities={label: float(chance) for label, chance in zip(Label, chances, strict=True)},
            abstained=bool(chances[best] < self._model.threshold),
            backend=self.backend,
        )

    def _input(self, scan: Scan) -> NDArray[np.float32]:
        if self._perception is not None:
            return self._perception.look(scan).summary
        return planes.classifier_planes(scan.heights, scan.retrace)


class NetworkSegmenter:
    """Finds spoilt pixels and features at native resolution (port ``Segmenter``)."""

    def __init__(self, model: Model, *, threads: int = 1) -> None:
        _matches(model, "segmenter", OUTPUTS)
        self._model = model
        self._perception = shared_perception(model, threads=threads)

    @property
    def backend(self) -> Backend:
        """The weights' name and hash."""
        return Backend(self._model.name, self._model.sha256)

    def segment(self, scan: Scan) -> ArtifactMap:
        """Return both probabilities for every pixel; memory is bounded by the tile, time grows with the pixels."""
        logits = self._perception.take(scan).logits
        artifact, feature = (self._chance(logits[i], i) for i in range(len(OUTPUTS)))
        return ArtifactMap(artifact=artifact, feature=feature, backend=self.backend)

    def _chance(self, logits: NDArray[np.float32], output: int) -> NDArray[np.float32]:
        bias = self._model.bias[output] if self._model.bias else 0.0
        scaled = (logits + np.float32(bias)) * np.float32(-1 / self._model.temperature[output])
        np.exp(np.minimum(scaled, 80, out=scaled), out=scaled)
        scaled += 1
        return np.asarray(np.reciprocal(scaled, out=scaled))


def network_classifier(folder: Path | None = None, *, threads: int = 1, trial: bool = False) -> NetworkClassifier:
    """Open the classifier of a weights folder (afmd's own where None). Raises ``ModelError``.

    A model that is on trial opens only where ``trial`` asks for it.
    """
    manifest = load_manifest(folder)
    model = _admitted(manifest.model("classifier"), trial=trial)
    return NetworkClassifier(model, upon=manifest.models.get("segmenter"), threads=threads)


def network_segmenter(folder: Path | None = None, *, threads: int = 1, trial: bool = False) -> NetworkSegmenter:
    """Open the segmenter of a weights folder (afmd's own where None). Raises ``ModelError``.

    A model that is on trial opens only where ``trial`` asks for it.
    """
    model = _admitted(load_manifest(folder).model("segmenter"), trial=trial)
    return NetworkSegmenter(model, threads=threads)


def _admitted(model: Model, *, trial: bool) -> Model:
    if model.trial and not trial:
        mend = f'Set models.{model.role} to "network" to run it all the same'
        raise ModelError(f"{model.role} {model.name}", why=f"it is on trial: {model.trial}", mend=mend)
    return model


def _beneath(model: Model, segmenter: Model | None, *, threads: int) -> Perception:
    """Return the perception that a head was trained on. Raises ``ModelError`` for any other."""
    if model.looks_at != "summary" or segmenter is None or segmenter.sha256 != model.upon:
        have = "there is none" if segmenter is None else f"the one here is {segmenter.sha256[:12]}…"
        why = f"it stands on segmenter {model.upon[:12]}…, and {have}"
        raise ModelError(f"weights {model.file}", why=why, mend=FETCH)
    return shared_perception(segmenter, threads=threads)


def _matches(model: Model, role: Role, classes: tuple[str, ...]) -> None:
    if model.role != role or model.classes != classes:
        why = f"it gives {', '.join(model.classes)} as a {model.role}, and {', '.join(classes)} are wanted"
        raise ModelError(f"weights {model.file}", why=why, mend=FETCH)
    wanted = len(OUTPUTS) if role == "segmenter" else 1
    if len(model.temperature) != wanted or min(model.temperature) <= 0:
        raise ModelError(f"weights {model.file}", why=f"{wanted} positive temperatures are wanted", mend=FETCH)
