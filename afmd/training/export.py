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
from afmd.training.head import Head, loaded
from afmd.training.tasks import task_for
from afmd.training.unet import LightUNet, Summarised

OPSET = 17
TOLERANCE = 5e-3
"""Largest difference of any logit; at a probability near 0.5 that is 0.001."""


def trained(configuration: Training, weights: Path) -> nn.Module:
    """Return the network with its best weights, in evaluation mode. Raises ``ModelError``."""
    try:
        state = torch.load(weights, weights_only=True, map_location="cpu")
        if configuration.model == "classifier" and configuration.classifier.kind == "head":
            return loaded(configuration, state).eval()
        net = task_for(configuration).build()
        net.load_state_dict(state)
    except (OSError, RuntimeError) as e:
        mend = "Train first, with this configuration"
        raise ModelError(f"weights {weights}", why=f"they are not of {configuration.name} ({e})", mend=mend) from e
    return net.eval()


def export(net: nn.Module, file: Path, *, sample: NDArray[np.float32]) -> None:
    """Write one ONNX file; a segmenter goes with its summary, and its rows and columns stay free."""
    whole = isinstance(net, LightUNet)
    outputs = ["logits", "presence"] if isinstance(net, Head) else ["logits"]
    net = Summarised(net) if isinstance(net, LightUNet) else net
    free = {2: "rows", 3: "cols"} if whole else {}
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated, but its successor splits the file and raises the opset unasked.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(), (torch.from_numpy(sample),), str(file), dynamo=False, opset_version=OPSET,
            input_names=["input"], output_names=["logits", "means", "largest"] if whole else outputs,
            dynamic_axes={"input": free, "logits": free} if whole else None,
        )  # fmt: skip
    onnx.checker.check_model(onnx.load(str(file)), full_check=True)


def largest_difference(net: nn.Module, file: Path, samples: Sequence[NDArray[np.float32]]) -> float:
    """Return the greatest difference of any output between torch and ONNX Runtime over inputs (1, …)."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    net = Summarised(net) if isinstance(net, LightUNet) else net
    worst = 0.0
    for sample in samples:
        with torch.no_grad():
            wanted = net(torch.from_numpy(sample))
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        found = session.run(None, {"input": sample})
        worst = max(worst, *(float(np.abs(f - w.numpy()).max()) for f, w in zip(found, wanted, strict=True)))
    return worst


def proven(net: nn.Module, file: Path, samples: Sequence[NDArray[np.float32]]) -> float:
    """Return the difference, or raise ``ModelError`` where it exceeds the tolerance."""
    difference = largest_difference(net, file, samples)
    if difference > TOLERANCE:
        why = f"its logits differ from torch's by up to {difference:.2g}"
        raise ModelError(f"export {file}", why=why, mend="Take another torch or opset")
    return difference
