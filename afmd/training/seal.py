"""From a finished run to a model that the daemon takes: exported, proven, calibrated, described, hashed.

Rule: the manifest's other entries stay as they are, and the manifest is replaced last.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from afmd.domain.scan import Scan
from afmd.inference import planes, traits
from afmd.inference.manifest import MANIFEST, SCHEMA, Model, load_manifest
from afmd.inference.networks import OUTPUTS
from afmd.inference.perception import shared_perception
from afmd.inference.tiling import LARGEST_SIDE, MULTIPLE, OVERLAP
from afmd.training.batches import LABELS, grey_planes
from afmd.training.calibrate import Calibration, classifier_calibration, head_calibration, segmenter_calibration
from afmd.training.config import Training
from afmd.training.corpus import Entry, open_example
from afmd.training.export import OPSET, export, proven, trained
from afmd.training.unet import LightUNet

LICENCE = "BSD-3-Clause; trained on simulated scans alone"
PROOFS = 8
_HEAD = """# The weights that afmd runs. A file whose SHA-256 differs from the one here is refused.
# `temperature` divides the logits, `bias` is added before; `threshold`: a classifier less sure than this abstains.
"""


def seal(
    configuration: Training, run: Path, folder: Path, *, validation: Sequence[Entry], command: str,
    real: Sequence[NDArray[np.float32]] = (), trial: str = "",
) -> Path:  # fmt: skip
    """Write ``NAME.onnx`` and its manifest entry into ``folder``; return the file.

    ``real``: heights of real scans to prove the export on, beside simulated ones.
    ``trial``: why it does not yet stand in for the rules. Raises ``ModelError``.
    """
    net = trained(configuration, run / "best.pt")
    upon = load_manifest(folder).model("segmenter") if _is_head(configuration) else None
    samples = [_sample(configuration, upon, heights) for heights in (*real, *_simulated(validation))]
    file = folder / f"{configuration.name}.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    calibration = _calibrated(configuration, net, validation, upon=upon, run=run)
    export(net, file, sample=samples[-1])
    difference = proven(net, file, samples)
    entry = _entry(configuration, file, calibration)
    if upon is not None:
        entry |= {
            "looks_at": "summary",
            "upon": upon.sha256,
            "traits": traits.RECIPE,
            "cuts": list(calibration.cuts),
            "trust": list(calibration.trust),
            "whole": calibration.whole,
            "inputs": [f"what {upon.name} saw: means, largest values", "traits of the scan"],
        }
    entry |= {"parity": difference, "parity_scans": len(samples), "training": history(run, configuration, command)}
    entry |= {"trial": trial} if trial else {}
    write_manifest(folder / MANIFEST, configuration.model, entry)
    return file


def write_manifest(file: Path, role: str, entry: Mapping[str, Any]) -> None:
    """Put one entry into a manifest, new or not."""
    table = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    table |= {"schema": SCHEMA, role: dict(entry)}
    lines = [_HEAD, f"schema = {SCHEMA}"]
    for name in sorted(key for key, value in table.items() if isinstance(value, dict)):
        lines += ["", *_toml(name, table[name])]
    temporary = file.with_suffix(".new")
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    temporary.replace(file)


def add_evaluation(file: Path, role: str, figures: Mapping[str, str]) -> None:
    """Write an evaluation's headline into a model's entry."""
    entry = tomllib.loads(file.read_text(encoding="utf-8"))[role]
    write_manifest(file, role, entry | {"evaluation": dict(figures)})


def _is_head(configuration: Training) -> bool:
    return configuration.model == "classifier" and configuration.classifier.kind == "head"


def _sample(configuration: Training, upon: Model | None, heights: NDArray[np.float32]) -> NDArray[np.float32]:
    if upon is not None:
        scan = Scan.from_heights(heights, pixel_nm=1.0)
        return shared_perception(upon).see(scan).summary[None]
    if configuration.model == "classifier":
        grey = configuration.classifier.grey
        return (grey_planes(heights) if grey else planes.classifier_planes(heights))[None]
    native = planes.segmenter_planes(heights)
    rows, cols = (min(length, LARGEST_SIDE) // MULTIPLE * MULTIPLE for length in heights.shape)
    return np.ascontiguousarray(native[None, :, :rows, :cols])


def _simulated(validation: Sequence[Entry]) -> list[NDArray[np.float32]]:
    return [open_example(entry).heights for entry in validation[:PROOFS]]


def _calibrated(
    configuration: Training, net: nn.Module, validation: Sequence[Entry], *, upon: Model | None, run: Path
) -> Calibration:
    if upon is not None:
        return head_calibration(run, upon, validation)
    if configuration.model == "classifier":
        return classifier_calibration(net, validation, grey=configuration.classifier.grey)
    assert isinstance(net, LightUNet)
    return segmenter_calibration(net, validation)


def _entry(configuration: Training, file: Path, calibration: Calibration) -> dict[str, Any]:
    classifier = configuration.model == "classifier"
    entry: dict[str, Any] = {
        "name": configuration.name,
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "bytes": file.stat().st_size,
        "opset": OPSET,
        "recipe": planes.RECIPE,
        "inputs": list(planes.POOLED if classifier else planes.NAMES),
        "classes": [label.value for label in LABELS] if classifier else list(OUTPUTS),
        "temperature": [round(t, 4) for t in calibration.temperature],
        "licence": LICENCE,
    }
    if classifier:
        return entry | {"threshold": calibration.threshold}
    return entry | {
        "bias": [round(b, 4) for b in calibration.bias],
        "cuts": list(calibration.cuts),
        "tile": [LARGEST_SIDE, LARGEST_SIDE, OVERLAP],
    }


def history(run: Path, configuration: Training, command: str) -> dict[str, Any]:
    """Return how a run's best weights were made, for the manifest."""
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    best = max(lines, key=lambda line: line["score"])
    validation = {k: round(v, 4) for k, v in best.items() if k not in {"step", "loss", "rate", "seconds"}}
    return {
        "command": command,
        "seed": configuration.seed,
        "steps": best["step"],
        "scans": configuration.corpus.training,
        "data": f"afmd.twin.{configuration.corpus.recipe.upper()}, seeds from 0; validation from 5000000",
        "configuration": configuration.model_dump_json(),
        "validation": validation,
    }


def _toml(name: str, table: Mapping[str, Any]) -> list[str]:
    """Return a TOML table, its own tables after its values."""
    own = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    lines = [f"[{name}]", *own]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += ["", *_toml(f"{name}.{_key(key)}", value)]
    return lines


def _key(key: str) -> str:
    return key if key.replace("_", "").isalnum() and key.isascii() else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, float) and value == int(value):
        return f"{value:.1f}"
    return json.dumps(value, ensure_ascii=False)
