"""The same weights in eight bits, where they say the same.

Rule: what does not agree with the fp32 weights is refused, and nothing of it is left on the disk. The shipped weights
are never touched: an int8 model is a weights folder of its own, and ``models.weights`` chooses it.

Static quantisation after Jacob et al. (CVPR 2018): weights in int8 for each channel, activations in uint8 over the
range seen on calibration scans. Dynamic quantisation was 1.9 times as slow as fp32 and is not offered.
"""

import hashlib
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from afmd.errors import ModelError, WrongState
from afmd.files.disk import storage_errors
from afmd.inference import Model, load_manifest, network_classifier, network_segmenter, planes
from afmd.inference.manifest import MANIFEST, Role
from afmd.inference.sessions import runtime_version
from afmd.inference.tiling import LARGEST_SIDE, MULTIPLE
from afmd.training import scores
from afmd.training.corpus import Entry, open_example
from afmd.training.evaluate import CUT, scan_of
from afmd.training.seal import write_manifest

SAME_PIXELS = 0.998
"""Least share of pixels on which both masks agree: the rest is the false area that a good scan may have."""

SAME_MASK = 0.95
"""Least overlap (IoU) of the two artefact masks, mean over scans in which either calls a pixel."""

SAME_CLASS = 0.98
"""Least share of scans given the same class."""

QUANTISED = ("Conv", "Add", "Resize")
KEPT_WHOLE = ("stem", "head", "mix", "classes", "conv1")
"""Parts whose convolutions stay fp32: first and last layers, and those on means and largest values of whole lines."""

Sample = NDArray[np.float32]
ENTRY_OF_FP32 = ("parity", "parity_scans", "evaluation")
"""Facts of an entry that were measured on the fp32 file."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two weights folders say the same, over ``scans`` scans."""

    scans: int
    artifact_pixels: float
    feature_pixels: float
    artifact_iou: float
    classes: float

    @property
    def enough(self) -> bool:
        """True where every bound is kept."""
        pixels = min(self.artifact_pixels, self.feature_pixels)
        return pixels >= SAME_PIXELS and self.artifact_iou >= SAME_MASK and self.classes >= SAME_CLASS

    def __str__(self) -> str:
        return (
            f"{1 - self.artifact_pixels:.2%} of the artefact pixels and {1 - self.feature_pixels:.2%} of the feature "
            f"pixels differ, the artefact masks overlap by {self.artifact_iou:.3f} (IoU), and {self.classes:.1%} of "
            f"{self.scans} scans get the same class"
        )


def quantise(weights: Path, out: Path, *, calibration: Sequence[Entry], proof: Sequence[Entry]) -> Agreement:
    """Make ``out``, a whole weights folder whose convolutional networks run in int8; return how far it agrees.

    ``calibration``, ``proof``: scans that give the ranges, and others that are compared; neither from the evaluation.
    Raises ``WrongState`` where ``out`` exists, ``ModelError`` where the agreement is below a bound.
    """
    if out.exists():
        raise WrongState(f"weights {out}", why="there is something already", mend="Take a new folder, or delete it")
    with storage_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="~", ignore_cleanup_errors=True) as temporary:
        draft = Path(temporary) / "weights"
        _drafted(weights, draft, calibration)
        found = agreement(weights, draft, proof)
        if not found.enough:
            bounds = f"pixels {1 - SAME_PIXELS:.1%}, overlap {SAME_MASK}, classes {SAME_CLASS:.0%}"
            raise ModelError(f"int8 of {weights}", why=f"{found} (bounds: {bounds})", mend="Keep the fp32 weights")
        _enter(draft / MANIFEST, found)
        with storage_errors(out):
            draft.rename(out)
    return found


def agreement(fp32: Path, int8: Path, entries: Iterable[Entry]) -> Agreement:
    """Compare two folders on stored scans, every second one without its opposite pass."""
    segmenters = [network_segmenter(folder, trial=True) for folder in (fp32, int8)]
    classifiers = [network_classifier(folder, trial=True) for folder in (fp32, int8)]
    rows = []
    for entry in entries:
        scan = scan_of(open_example(entry), alone=entry.seed % 2 == 1)
        labels = [classifier.classify(scan).label for classifier in classifiers]
        maps = [segmenter.segment(scan) for segmenter in segmenters]
        artifact, feature = ([np.asarray(getattr(m, name)) >= CUT for m in maps] for name in ("artifact", "feature"))
        called = artifact[0].any() or artifact[1].any()
        rows.append(
            [
                float((artifact[0] == artifact[1]).mean()),
                float((feature[0] == feature[1]).mean()),
                scores.iou(artifact[0], artifact[1]) if called else np.nan,
                float(labels[0] is labels[1]),
            ]
        )
    table = np.array(rows)
    overlap = float(np.nanmean(table[:, 2])) if np.isfinite(table[:, 2]).any() else 1.0
    pixels = table[:, :2].mean(axis=0)
    return Agreement(len(rows), float(pixels[0]), float(pixels[1]), overlap, float(table[:, 3].mean()))


def _drafted(weights: Path, draft: Path, calibration: Sequence[Entry]) -> None:
    """Write every model of ``weights`` into ``draft``: convolutional ones in int8, heads as they are."""
    draft.mkdir()
    models = load_manifest(weights).models
    entries = tomllib.loads((weights / MANIFEST).read_text(encoding="utf-8"))
    for role in ("segmenter", "classifier"):  # a head's entry names the segmenter beneath it
        if role not in models:
            continue
        entry = dict(entries[role])
        if models[role].looks_at == "planes":
            entry = _in_int8(models[role], draft, entry, calibration)
        else:
            shutil.copy2(models[role].file, draft / models[role].file.name)
            entry["upon"] = load_manifest(draft).model("segmenter").sha256
        write_manifest(draft / MANIFEST, role, entry)


def _in_int8(model: Model, draft: Path, entry: Mapping[str, Any], calibration: Sequence[Entry]) -> dict[str, Any]:
    """Write one network in int8 and return its entry."""
    name = f"{entry['name']}-int8"
    file = draft / f"{name}.onnx"
    model.read()
    ready = draft / "~ready.onnx"
    quant_pre_process(str(model.file), str(ready), skip_symbolic_shape=True)
    quantization.quantize_static(
        str(ready), str(file), _Ranges([_sample(model.role, scan) for scan in calibration]),
        quant_format=quantization.QuantFormat.QDQ, per_channel=True, op_types_to_quantize=list(QUANTISED),
        nodes_to_exclude=_kept_whole(ready), activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )  # fmt: skip
    ready.unlink()
    content = file.read_bytes()
    made = {key: value for key, value in entry.items() if key not in ENTRY_OF_FP32}
    return made | {
        "name": name, "file": file.name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content),
        "precision": "int8", "quantised_from": model.sha256,
        "quantised_by": f"ONNX Runtime {runtime_version()}, static, {len(calibration)} simulated scans",
    }  # fmt: skip


def _kept_whole(file: Path) -> list[str]:
    graph = onnx.load(str(file)).graph
    return [n.name for n in graph.node if n.op_type == "Conv" and any(part in n.name for part in KEPT_WHOLE)]


def _sample(role: Role, entry: Entry) -> Sample:
    """Return a network's input for one stored scan, every second one without its opposite pass."""
    example = open_example(entry)
    retrace = None if entry.seed % 2 else example.retrace
    if role == "classifier":
        return planes.classifier_planes(example.heights, retrace)[None]
    rows, cols = (min(length, LARGEST_SIDE) // MULTIPLE * MULTIPLE for length in example.heights.shape)
    return np.ascontiguousarray(planes.segmenter_planes(example.heights, retrace)[None, :, :rows, :cols])


class _Ranges(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Hands the calibration scans to ONNX Runtime one by one."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._left = iter(samples)

    def get_next(self) -> dict[str, Sample] | None:
        """Return the next scan, or None at the end."""
        sample = next(self._left, None)
        return None if sample is None else {"input": sample}


def _enter(manifest: Path, found: Agreement) -> None:
    table = tomllib.loads(manifest.read_text(encoding="utf-8"))
    for role, entry in table.items():
        if isinstance(entry, dict) and entry.get("precision") == "int8":
            write_manifest(manifest, role, entry | {"agreement": asdict(found)})
