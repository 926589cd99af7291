"""From trained weights to one ONNX file, and the proof that both say the same.

Rule: fixed opset, one file, logits out; nothing is exported whose answers differ from torch's.
"""

import warnings
from collections.abc import Mapping, Sequence
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
TOLERANCE = 2e-3
"""Largest difference of any logit; at a probability near 0.5 that is 0.0005."""


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
    names, free = ["logits"], {}
    if isinstance(net, LightUNet):
        names, free, net = ["logits", "means", "largest"], {2: "rows", 3: "cols"}, Summarised(net)
    elif isinstance(net, Head):
        names = ["logits", "presence"]
    write_onnx(net, file, sample=sample, outputs=names, free=dict.fromkeys(("input", "logits"), free))


def write_onnx(
    net: nn.Module, file: Path, *, sample: NDArray[np.float32], outputs: Sequence[str],
    free: Mapping[str, Mapping[int, str]],
) -> None:  # fmt: skip
    """Write one ONNX file of a network of one input; ``free``: which sides of input and outputs stay free, by name."""
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated, but its successor splits the file and raises the opset unasked.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(), (torch.from_numpy(sample),), str(file), dynamo=False, opset_version=OPSET,
            input_names=["input"], output_names=list(outputs),
            dynamic_axes={name: dict(sides) for name, sides in free.items() if sides} or None,
        )  # fmt: skip
    onnx.checker.check_model(onnx.load(str(file)), full_check=True)


def largest_difference(net: nn.Module, file: Path, samples: Sequence[NDArray[np.float32]]) -> float:
    """Return the greatest difference between torch and ONNX Runtime over inputs (1, …): of any logit, or of a summary.

    Of a summary in parts of its value where that exceeds 1: in the thousands float32 has no more digits.
    """
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    net = Summarised(net) if isinstance(net, LightUNet) else net
    worst = 0.0
    for sample in samples:
        with torch.no_grad():
            wanted = net(torch.from_numpy(sample))
        answers = [part.numpy() for part in (wanted if isinstance(wanted, tuple) else (wanted,))]
        found = session.run(None, {"input": sample})
        for output, (own, right) in enumerate(zip(found, answers, strict=True)):
            unit = 1 if output == 0 else np.maximum(1, np.abs(right))
            worst = max(worst, float((np.abs(own - right) / unit).max()))
    return worst


def proven(net: nn.Module, file: Path, samples: Sequence[NDArray[np.float32]]) -> float:
    """Return the difference, or raise ``ModelError`` where it exceeds the tolerance."""
    difference = largest_difference(net, file, samples)
    if difference > TOLERANCE:
        why = f"its logits differ from torch's by up to {difference:.2g}"
        raise ModelError(f"export {file}", why=why, mend="Take another torch or opset")
    return difference
