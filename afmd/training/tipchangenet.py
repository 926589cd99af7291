"""The network that looks along the lines of a whole scan: dilated convolutions in one direction, and the frame's mean.

Rule: what a line is called depends on all others; with dilations up to `FARTHEST` lines a band's two ends are seen at
once, and the mean over the frame tells how lines are here.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from afmd.inference.tipchange import CHANNELS
from afmd.training.natures import NATURES

KINDS: Final = tuple(kind for kinds in NATURES.values() for kind in kinds)
"""What each output says of a line: that a fault of this kind spoils some of it."""
CHANGES: Final = [KINDS.index(kind) for kind in ("tip_change", "debris_pickup")]
FARTHEST: Final = 32
_DILATIONS = (1, 2, 4, 8, 16, FARTHEST, 1, 4, 16)
_GROUPS = 4


class TipChangeNet(nn.Module):
    """Told (n, `CHANNELS`, rows) in; logits (n, kinds, rows) out."""

    def __init__(self, *, width: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.begin = _along(CHANNELS, width)
        self.middle = nn.Sequential(*(_Block(width, dilation) for dilation in _DILATIONS), nn.Dropout(dropout))
        self.end = nn.Conv1d(width, len(KINDS), 1)

    def forward(self, told: Tensor) -> Tensor:
        """Return the logits of every kind."""
        return self.end(self.middle(self.begin(told)))  # type: ignore[no-any-return]


class Changed(nn.Module):
    """What is exported: ln of the odds that another tip drew the line, for good or for some lines, (n, rows)."""

    def __init__(self, net: TipChangeNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, told: Tensor) -> Tensor:
        """Return the log odds of either kind."""
        return torch.logsumexp(self.net(told)[:, CHANGES], dim=1)


class _Block(nn.Module):
    """Adds what lies so many lines before and after, and what the frame holds in the mean."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.along = _along(width, width, dilation=dilation)
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.whole = nn.Linear(width, width)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        held = functional.gelu(self.norm(self.along(x))) + self.whole(x.mean(dim=2))[:, :, None]
        return x + self.mix(functional.gelu(held))  # type: ignore[no-any-return]


def _along(inputs: int, outputs: int, *, dilation: int = 1) -> nn.Conv1d:
    return nn.Conv1d(inputs, outputs, 3, padding=dilation, dilation=dilation, padding_mode="replicate")
