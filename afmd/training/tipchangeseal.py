"""From a finished run to the network along the lines that the daemon takes: exported, proven, fitted, hashed.

Rule: as for the other models, nothing is entered whose answers differ from torch's, and the manifest is replaced last.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from afmd.domain.scan import Scan
from afmd.inference import planes, tipchange
from afmd.inference.manifest import MANIFEST
from afmd.training.config import Training
from afmd.training.corpus import Entry
from afmd.training.export import OPSET, proven, trained, write_onnx
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
    free = {"input": {2: "rows"}, "odds": {1: "rows"}}
    write_onnx(changed, file, sample=samples[-1], outputs=["odds"], free=free)
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


def _finite(heights: NDArray[np.float32]) -> NDArray[np.float32]:
    return Scan.from_heights(heights, pixel_nm=1.0).heights
