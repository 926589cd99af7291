"""From a sealed ONNX file back to a network that can go on learning.

A file holds each convolution with its batch normalisation folded in. The statistics that one ran on are gone, but
batches of scans tell them again: the network answers alike whatever they are, and training goes on from the batches'.
"""

from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from afmd.errors import ModelError


@torch.no_grad()
def unseal(net: nn.Module, file: Path, batches: Sequence[Tensor]) -> None:
    """Give ``net`` the weights of an exported file, and its normalisations the statistics of ``batches``.

    ``batches``: inputs, each (n, planes, rows, cols) float32. In evaluation mode ``net`` then answers as the file does.
    Raises ``ModelError`` where the file cannot be read or is another network's.
    """
    net.eval()
    layers = _in_order(net, batches[0][:1])
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    sealed = _convolutions(file)
    if [layer.weight.shape for layer in convolutions] != [weight.shape for weight, _ in sealed]:
        mend = "Take the configuration that it was sealed with"
        raise ModelError(f"start {file}", why="its convolutions are not this network's", mend=mend)
    parts = iter(sealed)
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            weight, bias = next(parts)
            layer.weight.copy_(weight)
            if layer.bias is not None:
                layer.bias.copy_(bias)
        else:
            _adds_only(layer, bias)
    _take_statistics([layer for layer in layers if isinstance(layer, nn.BatchNorm2d)], net, batches)


def _convolutions(file: Path) -> list[tuple[Tensor, Tensor]]:
    """Return weight and bias (0 where there is none) of each convolution, in the order in which they run."""
    try:
        graph = onnx.load(str(file)).graph
        held = {part.name: torch.from_numpy(numpy_helper.to_array(part).copy()) for part in graph.initializer}
        parts = [[held[name] for name in node.input[1:]] for node in graph.node if node.op_type == "Conv"]
    except Exception as e:  # whatever onnx's parser raises, and KeyError of a file that holds its weights elsewhere
        raise ModelError(f"start {file}", why=f"cannot be read ({e})", mend="Seal it again") from e
    return [(weight, bias[0] if bias else torch.zeros(len(weight))) for weight, *bias in parts]


def _in_order(net: nn.Module, sample: Tensor) -> list[nn.Conv2d | nn.BatchNorm2d]:
    """Return convolutions and normalisations in the order in which they run."""
    found: list[nn.Conv2d | nn.BatchNorm2d] = []
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    hooks = [layer.register_forward_hook(lambda layer, *_: found.append(layer)) for layer in layers]
    net(sample)
    for hook in hooks:
        hook.remove()
    return found


def _adds_only(norm: nn.BatchNorm2d, bias: Tensor) -> None:
    """Make a normalisation add ``bias`` and do nothing else."""
    _set(norm, mean=torch.zeros_like(bias), variance=torch.full_like(bias, 1 - norm.eps), bias=bias)


def _take_statistics(norms: Sequence[nn.BatchNorm2d], net: nn.Module, batches: Sequence[Tensor]) -> None:
    """Let normalisations that only add a bias have the batches' mean and variance, and answer as before."""
    moments: dict[nn.Module, Tensor] = {norm: torch.zeros(2, norm.num_features) for norm in norms}

    def add(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        (x,) = given
        moments[norm] += torch.stack([x.mean(dim=(0, 2, 3)), x.square().mean(dim=(0, 2, 3))]) / len(batches)

    hooks = [norm.register_forward_pre_hook(add) for norm in norms]
    for batch in batches:
        net(batch)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean, square = moments[norm]
        _set(norm, mean=mean, variance=(square - mean.square()).clamp_min(0), bias=norm.bias + mean)


def _set(norm: nn.BatchNorm2d, *, mean: Tensor, variance: Tensor, bias: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(torch.sqrt(variance + norm.eps))
    norm.bias.copy_(bias)
