"""From a finished run to the tip's network that the daemon takes: exported, proven, calibrated, hashed.

Rule: as for the other models, nothing is entered whose answers differ from torch's, and the manifest is replaced last.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from afmd.errors import ModelError
from afmd.inference.deconvolution import ANSWERS, QUIET
from afmd.inference.manifest import MANIFEST
from afmd.inference.tiling import LARGEST_SIDE, OVERLAP
from afmd.science.tip import planes
from afmd.training.config import VALIDATION_FROM, Training
from afmd.training.export import OPSET, proven, trained, write_onnx
from afmd.training.seal import LICENCE, history, write_manifest
from afmd.training.tipcorpus import PairEntry, open_pair
from afmd.training.tipscores import NORMAL_90
from afmd.training.tiptask import whole_pair

NAME: Final = "tip"
PROOFS: Final = 12
WANTED: Final = 0.9


def seal_tip(
    configuration: Training, run: Path, folder: Path, *, validation: Sequence[PairEntry], command: str
) -> Path:
    """Write ``tip.onnx`` and its manifest entry into ``folder``; return the file. Raises ``ModelError``."""
    if configuration.tip.kind != "conditioned":
        why, mend = "it is there to compare with", "Seal the conditioned network"
        raise ModelError(f"model {configuration.name}", why=why, mend=mend)
    net = trained(configuration, run / "best.pt")
    images = [_even(whole_pair(open_pair(entry))[0]) for entry in validation[:PROOFS]]
    file = folder / f"{NAME}.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    export_tip(net, file, sample=images[0])
    entry: dict[str, Any] = {
        "name": configuration.name, "file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "bytes": file.stat().st_size, "opset": OPSET, "recipe": planes.RECIPE, "inputs": list(planes.NAMES),
        "classes": list(ANSWERS), "temperature": list(spread_factors(net, validation)), "licence": LICENCE,
        "tile": [LARGEST_SIDE, LARGEST_SIDE, OVERLAP], "parity": proven(net, file, images),
        "parity_scans": len(images), "training": _training(configuration, run, command),
    }  # fmt: skip
    write_manifest(folder / MANIFEST, "tip", entry)
    return file


def export_tip(net: nn.Module, file: Path, *, sample: NDArray[np.float32]) -> None:
    """Write one ONNX file for planes (1, planes, rows, cols) whose rows and columns stay free."""
    free = {2: "rows", 3: "cols"}
    write_onnx(net, file, sample=sample, outputs=["answers"], free={"input": free, "answers": free})


@torch.no_grad()
def spread_factors(net: nn.Module, validation: Sequence[PairEntry]) -> tuple[float, float]:
    """Return what turns the network's mean error into a standard deviation whose 90 % interval covers nine in ten.

    One factor for pictures without noise and one for those with: the one that is right for the middle one of all pairs.
    """
    ratios: tuple[list[float], list[float]] = ([], [])
    for entry in validation:
        made = open_pair(entry)
        image, answer = whole_pair(made)
        depth, spread = net(torch.from_numpy(image)[None])[0].numpy()
        noise = image[planes.NOISE].flat[0] ** 2 / 10
        error = np.abs(np.maximum(depth, -planes.slack_of(image)) - answer[0])
        ratio = (error / (NORMAL_90 * np.exp(spread))).ravel()
        ratios[int(noise > QUIET)].append(float(np.quantile(ratio, WANTED)))
    everything = [*ratios[0], *ratios[1]]
    clean, noisy = (float(np.median(own or everything)) for own in ratios)
    return round(clean, 4), round(noisy, 4)


def _even(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(image[None])


def _training(configuration: Training, run: Path, command: str) -> dict[str, Any]:
    """Return how the weights were made: as for the other models, from pairs in place of scans."""
    made = history(run, configuration, command)
    data = f"afmd.twin.pairs.{configuration.tip.pairs.upper()}, seeds from 0; validation from {VALIDATION_FROM}"
    return {"pairs" if key == "scans" else key: value for key, value in made.items()} | {"data": data}
