"""ResNet-18 (He et al., CVPR 2016, Table 1) of any width, under the parameter names of the published ImageNet weights.

Rule: at width 64 and 1000 classes the state dictionary has exactly the published keys and shapes.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from afmd.errors import ModelError

STAGES = (1, 2, 4, 8)
IMAGENET_WIDTH = 64


class ResNet18(nn.Module):
    """Planes (n, 3, 224, 224) in, logits (n, classes) out."""

    def __init__(self, *, classes: int, width: int = IMAGENET_WIDTH, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = [width * factor for factor in STAGES]
        self.layer1 = _stage(width, channels[0], stride=1)
        self.layer2 = _stage(channels[0], channels[1], stride=2)
        self.layer3 = _stage(channels[1], channels[2], stride=2)
        self.layer4 = _stage(channels[2], channels[3], stride=2)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels[3], classes)
        _start(self)

    def forward(self, planes: Tensor) -> Tensor:
        """Return logits (n, classes)."""
        x = self.maxpool(functional.relu(self.bn1(self.conv1(planes))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.dropout(x.mean(dim=(2, 3))))  # type: ignore[no-any-return]


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.downsample = None if same else _projection(inputs, outputs, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the block's own size."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + shortcut)


def load_imagenet(net: ResNet18, file: Path) -> None:
    """Load a published state dictionary into every layer but the last, whose classes are others.

    Raises ``ModelError`` where the file is unreadable or its layers are not those of ``net``.
    """
    try:
        given = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as e:
        raise ModelError(f"ImageNet weights {file}", why=str(e), mend="Give a PyTorch state dictionary") from e
    wanted = {name: value for name, value in net.state_dict().items() if not name.startswith("fc.")}
    _same_layers(file, wanted, given)
    net.load_state_dict({name: given[name] for name in wanted}, strict=False)


def _same_layers(file: Path, wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    for name, value in wanted.items():
        shape = given[name].shape if name in given else "absent"
        if shape != value.shape:
            why = f"layer {name} is {shape}, and {tuple(value.shape)} is wanted"
            raise ModelError(f"ImageNet weights {file}", why=why, mend="Give ResNet-18, and train at width 64")


def _stage(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(BasicBlock(inputs, outputs, stride=stride), BasicBlock(outputs, outputs, stride=1))


def _projection(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))


def _start(net: nn.Module) -> None:
    """Start as He et al. 2015, with each block's last scale at 0 so that it begins as its shortcut."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)
