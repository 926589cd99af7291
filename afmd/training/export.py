"""From trained weights to one ONNX file, and the proof that both say the same.

Rule: fixed opset, one file, logits out; nothing is exported whose answers differ from torch's.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from afmd.errors import ModelError
from afmd.training.config import Training
from afmd.training.tasks import task_for

OPSET = 17
TOLERANCE = 2e-3
"""Largest difference of any logit; at a probability near 0.5 that is 0.0005."""


def trained(configuration: Training, weights: Path) -> nn.Module:
    """Return the network with its best weights, in evaluation mode. Raises ``ModelError``."""
    net = task_for(configuration).build()
    try:
        net.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    except (OSError, RuntimeError) as e:
        mend = "Train first, with this configuration"
        raise ModelError(f"weights {weights}", why=f"they are not of {configuration.name} ({e})", mend=mend) from e
    return net.eval()


def export(net: nn.Module, file: Path, *, sample: NDArray[np.float32]) -> None:
    """Write one ONNX file; for planes (1, planes, rows, cols) of other sizes than 224 rows and columns stay free."""
    free = {2: "rows", 3: "cols"} if sample.shape[1] > 3 else {}
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated, but its successor splits the file and raises the opset unasked.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(), (torch.from_numpy(sample),), str(file), dynamo=False, opset_version=OPSET,
            input_names=["planes"], output_names=["logits"],
            dynamic_axes={"planes": free, "logits": free} if free else None,
        )  # fmt: skip
    onnx.checker.check_model(onnx.load(str(file)), full_check=True)


def largest_difference(net: nn.Module, file: Path, samples: Sequence[NDArray[np.float32]]) -> float:
    """Return the greatest difference of any logit between torch and ONNX Runtime over planes (1, …)."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    worst = 0.0
    for sample in samples:
        with torch.no_grad():
            wanted = net(torch.from_numpy(sample)).numpy()
        worst = max(worst, float(np.abs(session.run(None, {"planes": sample})[0] - wanted).max()))
    return worst


def proven(net: nn.Module, file: Path, samples: Sequence[NDArray[np.float32]]) -> float:
    """Return the difference, or raise ``ModelError`` where it exceeds the tolerance."""
    difference = largest_difference(net, file, samples)
    if difference > TOLERANCE:
        why = f"its logits differ from torch's by up to {difference:.2g}"
        raise ModelError(f"export {file}", why=why, mend="Take another torch or opset")
    return difference
