"""The segmenter's network: a light U-Net (Ronneberger et al., MICCAI 2015) that looks along whole lines.

Rule: what is one pixel small is looked at in full resolution, what is large in less. The U-Net begins at half
resolution (a stem of 6 × 6 at stride 2); beside it one 3 × 3 convolution sees every pixel as it is, and what both
saw is mixed pixel by pixel. Without that lane a lone spike is lost among 16 channels of coarser things.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from afmd.inference.networks import FEATURE

FOLD = 2
OUTPUTS = FEATURE + 1
"""Faults, one output for each nature, and features last."""
CLASSES = 4
PATCH = 8
LINE, FRAME = (3,), (2, 3)
WIDENING = (1, 2, 4, 6, 8)
"""Channels of each level over the first's; multiples of 16 channels are what a CPU likes."""
DEPTHS = (1, 1, 2, 2, 2)
"""Convolutions of each level: many where pixels are few."""
SIDE_MULTIPLE = FOLD * 2 ** (len(WIDENING) - 1)
"""Rows and columns must be multiples of this."""


class LightUNet(nn.Module):
    """Planes (n, planes, rows, cols) in; logits (n, 5, rows, cols) and class logits (n, 4, rows / 4, cols / 4) out.

    The first are of the faults of each nature (see `natures`) and of features; the second say of what class the fault
    is, class 0 being none.
    """

    def __init__(self, *, planes: int, width: int, separable: bool = False, strips: bool = True) -> None:
        super().__init__()
        widths = [width * factor for factor in WIDENING]
        self.stem = Convolution(planes, width, side=3 * FOLD, stride=FOLD)
        self.encoders = nn.ModuleList(
            _level(w, depth, separable=separable, strips=strips) for w, depth in zip(widths, DEPTHS, strict=True)
        )
        if strips:
            self.encoders[-1].append(Context(widths[-1], over=FRAME))  # type: ignore[operator]
        self.down = nn.ModuleList(Convolution(a, b, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.decoders = nn.ModuleList(Convolution(w, w, separable=separable) for w in widths[:-1])
        self.lane = Convolution(planes, width)
        self.coarse = nn.Conv2d(width, width, 1)
        self.fine = nn.Conv2d(width, width, 1)
        self.head = nn.Conv2d(width, OUTPUTS, 1)
        nn.init.constant_(self.head.bias, -2.0)  # type: ignore[arg-type]
        self.classes = nn.Conv2d(widths[1], CLASSES, 1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits at the planes' own rows and columns, and class logits at a quarter of them."""
        logits, classes, _ = self.seen(planes)
        return logits, classes

    def seen(self, planes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return both outputs and the deepest features (n, 8 × width, rows / 32, cols / 32)."""
        x = self.encoders[0](self.stem(planes))
        skips = []
        for down, encoder in zip(self.down, self.encoders[1:], strict=True):
            skips.append(x)
            x = encoder(down(x))
        deepest = quarter = x
        for up, decoder in zip(reversed(self.up), reversed(self.decoders), strict=True):
            quarter = x
            x = decoder(skips.pop() + _doubled(up(x)))
        both = functional.relu(_doubled(self.coarse(x)) + self.fine(self.lane(planes)))
        return self.head(both), self.classes(quarter), deepest


class Summarised(nn.Module):
    """What is exported: logits, and for a classifier's head the means and the largest values of what was seen.

    Two summaries, so that those of several tiles can be joined: means by their mean, largest values by the largest.
    """

    def __init__(self, net: LightUNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits (1, 5, rows, cols), means (1, 13 + 8 × width) and largest values (1, 22 + 8 × width) of planes
        (1, planes, rows, cols).
        """
        logits, classes, deepest = self.net.seen(planes)
        # without the batch's axis: ONNX Runtime pads five channels to sixteen there, a tenth of the network's time
        chances, spoilt = classes.softmax(dim=1), logits.squeeze(0).sigmoid().unsqueeze(0)
        means = [part.mean(dim=FRAME) for part in (chances, chances.square(), spoilt, deepest)]
        patches = [functional.avg_pool2d(part, PATCH) for part in (chances, spoilt)]
        lines = [part.mean(dim=LINE, keepdim=True) for part in (chances, spoilt)]
        largest = [part.amax(dim=FRAME) for part in (*patches, *lines, classes, deepest)]
        return logits, torch.cat(means, dim=1), torch.cat(largest, dim=1)


class Convolution(nn.Module):
    """A convolution, whole or separable, with batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, *, side: int = 3, stride: int = 1, separable: bool = False) -> None:
        super().__init__()
        padding = (side - stride + 1) // 2 if side > 3 else 1
        depthwise = nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False)
        whole = nn.Conv2d(inputs, outputs, side, stride=stride, padding=padding, bias=False)
        mix = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.convolve = nn.Sequential(depthwise, nn.BatchNorm2d(inputs), nn.ReLU(), mix) if separable else whole
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return activated features."""
        return functional.relu(self.norm(self.convolve(x)))


class Context(nn.Module):
    """Adds to each pixel what its whole line, or the whole frame, holds: mean and largest value, mixed.

    Along lines this is strip pooling (Hou et al., CVPR 2020) in one direction only, because faults follow the lines;
    over the frame it tells ripple and a blunt tip, which are everywhere.
    """

    def __init__(self, channels: int, *, over: tuple[int, ...]) -> None:
        super().__init__()
        self.over = over
        self.mix = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        held = torch.cat([x.mean(dim=self.over, keepdim=True), x.amax(dim=self.over, keepdim=True)], dim=1)
        return x + self.mix(held)  # type: ignore[no-any-return]


def _level(width: int, depth: int, *, separable: bool, strips: bool) -> nn.Sequential:
    convolutions = [Convolution(width, width, separable=separable) for _ in range(depth)]
    return nn.Sequential(*convolutions, *([Context(width, over=LINE)] if strips else []))


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=float(FOLD), mode="nearest")
