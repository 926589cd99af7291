"""The networks that undo a tip: ours, told of the tip and held to geometry, and the published encoder-decoder.

Rule: ours answers in units of the tip, how far the surface lies under the erosion and how sure that is.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

FOLD = 2
SIDE_MULTIPLE = 16
LEAST_LOG_SPREAD, MOST_LOG_SPREAD = -8.0, 2.0
SLOPE = 0.05


class TipNet(nn.Module):
    """Planes (n, planes, rows, cols) in; depth under the bound and log of its mean error (n, 2, rows, cols) out.

    A U-Net of residual blocks on 2 × 2 folded pixels, without normalisation, which would lose the scale of heights.
    """

    def __init__(self, *, planes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(planes, widths[0], 3 * FOLD, stride=FOLD, padding=FOLD)
        self.encoders = nn.ModuleList(Residual(w) for w in widths)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.decoders = nn.ModuleList(Residual(w) for w in widths[:-1])
        self.head = nn.Conv2d(widths[0], 2 * FOLD**2, 3, padding=1)

    def forward(self, planes: Tensor) -> Tensor:
        """Return both answers at the planes' own rows and columns."""
        x = self.encoders[0](_active(self.stem(planes)))
        skips = []
        for down, encoder in zip(self.down, self.encoders[1:], strict=True):
            skips.append(x)
            x = encoder(_active(down(x)))
        for up, decoder in zip(reversed(self.up), reversed(self.decoders), strict=True):
            x = decoder(skips.pop() + functional.interpolate(up(x), scale_factor=2.0, mode="nearest"))
        answers = functional.pixel_shuffle(self.head(x), FOLD)
        depth, spread = answers[:, :1], answers[:, 1:]
        return torch.cat([depth, spread.clamp(LEAST_LOG_SPREAD, MOST_LOG_SPREAD)], dim=1)


class Residual(nn.Module):
    """Two convolutions whose sum with what came in goes on."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        return _active(x + self.second(_active(self.first(x))))


class PublishedTipNet(nn.Module):
    """Paper B's kind of network: image in nm (n, 1, rows, cols) in, surface in nm out, nothing passed round the middle.

    The paper's own layer sizes stand in a supplement; three halvings with 32, 64 and 128 channels are taken here.
    """

    def __init__(self, *, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        super().__init__()
        sizes = (1, *widths)
        self.encoder = nn.Sequential(
            *(layer for a, b in pairwise(sizes) for layer in (nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU()))
        )
        self.middle = nn.Sequential(nn.Conv2d(widths[-1], widths[-1], 3, padding=1), nn.ReLU())
        backwards = (*reversed(widths), widths[0])
        self.decoder = nn.Sequential(
            *(
                layer
                for a, b in pairwise(backwards)
                for layer in (nn.ConvTranspose2d(a, b, 4, stride=2, padding=1), nn.ReLU())
            )
        )
        self.head = nn.Conv2d(widths[0], 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the surface."""
        return self.head(self.decoder(self.middle(self.encoder(image))))  # type: ignore[no-any-return]


def _active(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, SLOPE, inplace=True)
