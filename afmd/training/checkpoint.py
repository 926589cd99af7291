"""A training that was killed goes on where it was: everything it needs in one file.

Rule: the file is replaced whole or not at all; a batch follows from seed and step alone, so no sampler is saved.
"""

import copy
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from afmd.errors import ModelError


@dataclass(slots=True)
class Progress:
    """How far a training has come. ``best`` is the greatest validation score, ``stale`` the validations since."""

    step: int = 0
    best: float = float("-inf")
    best_step: int = 0
    stale: int = 0
    rate_factor: float = 1.0
    unfrozen: int = 1


class RunningMean:
    """Exponential mean of a network's weights and statistics (Polyak and Juditsky 1992): what is judged and kept."""

    def __init__(self, net: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self.net = copy.deepcopy(net).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, net: nn.Module, *, step: int) -> None:
        """Move towards ``net``; faster in the first steps, whose weights are worth little."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for kept, new in zip(self.net.state_dict().values(), net.state_dict().values(), strict=True):
            if kept.dtype.is_floating_point:
                kept.lerp_(new, share)
            else:
                kept.copy_(new)


def save(
    file: Path, *, net: nn.Module, mean: RunningMean, optimiser: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write everything; the old file stays until the new one is whole."""
    state: dict[str, Any] = {
        "net": net.state_dict(),
        "mean": mean.net.state_dict(),
        "optimiser": optimiser.state_dict(),
        "progress": {name: getattr(progress, name) for name in Progress.__slots__},
        "torch_rng": torch.get_rng_state(),
    }
    replace(file, state)


def restore(file: Path, *, net: nn.Module, mean: RunningMean, optimiser: torch.optim.Optimizer) -> Progress:
    """Read what `save` wrote back into place. Raises ``ModelError`` for another network's file."""
    try:
        state = torch.load(file, weights_only=True)
        net.load_state_dict(state["net"])
        mean.net.load_state_dict(state["mean"])
        optimiser.load_state_dict(state["optimiser"])
    except (RuntimeError, KeyError, ValueError, OSError) as e:
        mend = "Take another run folder, or delete this one"
        raise ModelError(f"checkpoint {file}", why=f"it is not of this configuration ({e})", mend=mend) from e
    torch.set_rng_state(state["torch_rng"])
    return Progress(**state["progress"])


def replace(file: Path, state: dict[str, Any]) -> None:
    """Write a state dictionary under a temporary name, then rename."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    torch.save(state, temporary)
    temporary.replace(file)
