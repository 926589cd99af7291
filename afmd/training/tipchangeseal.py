"""From a finished run to the network along the lines that the daemon takes: exported, proven, fitted, hashed.

Rule: as for the other models, nothing is entered whose answers differ from torch's, and the manifest is replaced last.
"""

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from afmd.domain.scan import Scan
from afmd.inference import planes, tipchange
from afmd.inference.manifest import MANIFEST
from afmd.training.config import Training
from afmd.training.corpus import Entry
from afmd.training.export import OPSET, proven, trained
from afmd.training.seal import LICENCE, history, write_manifest
from afmd.training.tipchangenet import Changed, TipChangeNet
from afmd.training.tipchangetask import fitted_limits, lines_of, looked_at

NAME: Final = "tipchange"
PROOFS: Final = 12


def seal_tipchange(
    configuration: Training, run: Path, folder: Path, *, validation: Sequence[Entry], command: str,
    real: Sequence[NDArray[np.float32]] = (),
) -> Path:  # fmt: skip
    """Write ``tipchange.onnx`` and its manifest entry into ``folder``; return the file. Raises ``ModelError``.

    ``real``: heights of real scans to prove the export on, beside simulated ones.
    """
    net = trained(configuration, run / "best.pt")
    assert isinstance(net, TipChangeNet)
    numbers = [
        *(tipchange.line_numbers(planes.segmenter_planes(_finite(heights))) for heights in real),
        *(lines_of(entry)[:-1].astype(np.float32) for entry in validation[:PROOFS]),
    ]
    samples = [tipchange.told(one)[None] for one in numbers]
    changed, file = Changed(net).eval(), folder / f"{NAME}.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    export_tipchange(changed, file, sample=samples[-1])
    limits = fitted_limits(looked_at(net, validation))
    entry: dict[str, Any] = {
        "name": configuration.name, "file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "bytes": file.stat().st_size, "opset": OPSET, "recipe": tipchange.RECIPE,
        "inputs": [f"{tipchange.NUMBERS} numbers of each line"], "classes": ["another tip"], "temperature": [1.0],
        "cuts": list(limits), "licence": LICENCE, "parity": proven(changed, file, samples),
        "parity_scans": len(samples), "training": history(run, configuration, command),
    }  # fmt: skip
    write_manifest(folder / MANIFEST, "tipchange", entry)
    return file


def export_tipchange(changed: nn.Module, file: Path, *, sample: NDArray[np.float32]) -> None:
    """Write one ONNX file for what is told of lines, (1, channels, rows), whose rows stay free."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's successor splits the file and raises the opset unasked
        torch.onnx.export(
            changed, (torch.from_numpy(sample),), str(file), dynamo=False, opset_version=OPSET,
            input_names=["input"], output_names=["odds"], dynamic_axes={"input": {2: "rows"}, "odds": {1: "rows"}},
        )  # fmt: skip
    onnx.checker.check_model(onnx.load(str(file)), full_check=True)


def _finite(heights: NDArray[np.float32]) -> NDArray[np.float32]:
    return Scan.from_heights(heights, pixel_nm=1.0).heights
