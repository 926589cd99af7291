"""Learning to undo a tip: batches, what is made small, and what is judged.

Rule: the depth is learned by its absolute error, which keeps walls upright where a squared error would slope them; the
spread is learned beside it and bends nothing; and the tip must record the answer as it recorded the truth.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from afmd.science.tip import planes
from afmd.training.batches import Batch
from afmd.training.config import Training
from afmd.training.tipcorpus import DEPTH, GROUND, Prepared, open_pair
from afmd.training.tipnet import PublishedTipNet, TipNet

SPREAD_WEIGHT = 0.05
FORWARD_WEIGHT = 0.3
FORWARD_PAIRS = 2
FORWARD_WINDOW = 56
FORWARD_REACH = 10
LOW = 0.1
"""Height over the ground, in units, up to which `low_error` counts errors as they are."""
BOUND_ANSWER, HEIGHT_ANSWER = 1, 5
LEAST_DEPTH = 0.1
"""A crop's mean depth, in units, below which errors are weighed as if it were so deep."""


class TipTask:
    """Depth and spread from planes."""

    def __init__(self, configuration: Training) -> None:
        self.configuration = configuration

    def build(self) -> nn.Module:
        """Return the configured network."""
        wanted = self.configuration.tip
        return TipNet(planes=len(planes.NAMES), widths=wanted.widths)

    def batch(self, entries: Sequence[Any], step: int) -> Batch:
        """Return planes (n, 11, rows, cols) and answers (n, 6, rows, cols), see `whole_pair`."""
        rng = np.random.default_rng([self.configuration.seed, step, 3])
        chosen = [entries[int(i)] for i in rng.integers(len(entries), size=self.configuration.optimiser.batch)]
        images, answers = [], []
        for entry in chosen:
            image, answer = _example(open_pair(entry), self.configuration.tip.crop, rng)
            images.append(image)
            answers.append(answer)
        return Batch(torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(answers)))

    def loss(self, output: Tensor, answers: Tensor) -> Tensor:
        """Return weighed absolute error, likelihood of the spread, and the forward loss."""
        depth, spread = output.float().unbind(dim=1)
        truth = answers[:, 0]
        weight = 1 / truth.abs().mean(dim=(1, 2), keepdim=True).clamp(min=LEAST_DEPTH)
        error = (depth - truth).abs()
        likelihood = error.detach() * torch.exp(-spread) + spread
        loss = (weight * error).mean() + SPREAD_WEIGHT * likelihood.mean()
        loss = loss + FORWARD_WEIGHT * forward_loss(depth, answers)
        if self.configuration.tip.low > 0:
            low = low_error(depth, truth, height=answers[:, HEIGHT_ANSWER])
            loss = loss + self.configuration.tip.low * (weight * low).mean()
        if self.configuration.tip.rough > 0:
            bound = answers[:, BOUND_ANSWER]
            rough = (_roughness(bound - depth) - _roughness(bound - truth)).abs()
            loss = loss + self.configuration.tip.rough * (weight[:, 0, 0] * rough).mean()
        return loss

    @torch.no_grad()
    def judge(self, net: nn.Module, entries: Sequence[Any]) -> Mapping[str, float]:
        """Return the error over the erosion's own, and how often a Laplace interval of 90 % covers the truth.

        The middle pair decides: where the erosion is nearly right, a ratio says little, and a mean is made of those.
        """
        ratios, covered = [], []
        for entry in entries:
            image, answer = whole_pair(open_pair(entry))
            depth, spread = net(torch.from_numpy(image)[None])[0].float().numpy()
            error = np.abs(np.maximum(depth, 0) - answer[0])
            ratios.append(error.mean() / max(float(np.abs(answer[0]).mean()), 1e-3))
            covered.append(float((error < np.log(10) * np.exp(spread)).mean()))
        left = float(np.median(ratios))
        return {"score": -left, "error_left": float(np.mean(ratios)), "error_left_median": left,
                "coverage": float(np.mean(covered))}  # fmt: skip


class PublishedTipTask:
    """Paper B: raw heights in nm in and out, mean squared or mean absolute error."""

    def __init__(self, configuration: Training) -> None:
        self.configuration = configuration

    def build(self) -> PublishedTipNet:
        """Return the encoder-decoder."""
        return PublishedTipNet()

    def batch(self, entries: Sequence[Any], step: int) -> Batch:
        """Return images (n, 1, rows, cols) and surfaces of the same shape, in nm, mirrored at random."""
        rng = np.random.default_rng([self.configuration.seed, step, 4])
        chosen = [entries[int(i)] for i in rng.integers(len(entries), size=self.configuration.optimiser.batch)]
        images, answers = [], []
        for entry in chosen:
            image, surface = raw_heights(open_pair(entry))
            turn = _mirroring(rng)
            images.append(image[turn][None])
            answers.append(surface[turn][None])
        return Batch(torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(answers)))

    def loss(self, output: Tensor, answers: Tensor) -> Tensor:
        """Return the configured mean error."""
        squared = self.configuration.tip.kind == "published-mse"
        return (functional.mse_loss if squared else functional.l1_loss)(output.float(), answers)

    @torch.no_grad()
    def judge(self, net: nn.Module, entries: Sequence[Any]) -> Mapping[str, float]:
        """Return the mean absolute error in nm."""
        pairs = (raw_heights(open_pair(entry)) for entry in entries)
        errors = [float(np.abs(net(torch.from_numpy(i)[None, None])[0, 0].numpy() - s).mean()) for i, s in pairs]
        return {"score": -float(np.mean(errors)), "error_nm": float(np.mean(errors))}


def low_error(depth: Tensor, truth: Tensor, *, height: Tensor) -> Tensor:
    """Return the error of heights over the ground after compression, (n, rows, cols): of the feet, not of the tops."""
    compressed = torch.asinh((height - depth) / LOW) - torch.asinh((height - truth) / LOW)
    return LOW * compressed.abs()


def _roughness(surface: Tensor) -> Tensor:
    """Return Ra of each crop, (n,)."""
    return (surface - surface.mean(dim=(1, 2), keepdim=True)).abs().mean(dim=(1, 2))


def forward_loss(depth: Tensor, answers: Tensor) -> Tensor:
    """Return the mean difference, in units, between what the tip records of the answer and what of the truth.

    The first pairs of a batch, in a window of their middle; dilation by unfolding (Villarrubia 1997, section 3).
    """
    side = FORWARD_WINDOW
    top = (depth.shape[1] - side) // 2
    window = (slice(0, FORWARD_PAIRS), slice(top, top + side), slice(top, top + side))
    bound = answers[:, 1][window]
    rise = _rise_in_units(answers[:FORWARD_PAIRS, 2:, 0, 0])
    with torch.no_grad():
        truth = _recorded(bound - answers[:, 0][window], rise)
    return (_recorded(bound - depth[window], rise) - truth).abs().mean()


def _recorded(surface: Tensor, rise: Tensor) -> Tensor:
    columns = functional.unfold(surface[:, None], 2 * FORWARD_REACH + 1)
    return (columns - rise[:, :, None]).max(dim=1).values


def _rise_in_units(constants: Tensor) -> Tensor:
    """Return the height above its apex of a cone with a spherical apex of radius 1 at each offset, (n, offsets)."""
    down, across = torch.exp2(-4 * constants[:, 0]), torch.exp2(-4 * constants[:, 1])
    tangent = (constants[:, 2] / 2)[:, None, None]
    at = torch.arange(-FORWARD_REACH, FORWARD_REACH + 1, dtype=torch.float32)
    away = torch.sqrt((at[None, :, None] * down[:, None, None]) ** 2 + (at[None, None, :] * across[:, None, None]) ** 2)
    foot = 1 / torch.sqrt(1 + tangent**2)
    cap = 1 - torch.sqrt((1 - torch.minimum(away, foot) ** 2).clamp(min=0))
    return (cap + (away - foot).clamp(min=0) / tangent).flatten(1)


def _example(made: Prepared, crop: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    image, answer = whole_pair(made)
    top, left = (int(rng.integers(0, n - crop + 1)) for n in image.shape[1:])
    window = (slice(None), slice(top, top + crop), slice(left, left + crop))
    turn = _mirroring(rng)
    return (
        np.ascontiguousarray(image[window][:, *turn]),
        np.ascontiguousarray(answer[window][:, *turn]),
    )


def whole_pair(made: Prepared) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return all planes, and: depth, bound, three constants, and the bound over the ground, in units."""
    rows, cols = made.stack.shape[1:]
    constant = np.broadcast_to(made.constants[:, None, None], (len(made.constants), rows, cols))
    image = np.concatenate([made.stack[:DEPTH], constant])
    bound = made.stack[planes.HEIGHT] + made.stack[GROUND]
    rows_of_answer = [made.stack[DEPTH][None], bound[None], constant[:3], made.stack[planes.HEIGHT][None]]
    return image, np.concatenate(rows_of_answer).astype(np.float32)


def raw_heights(made: Prepared) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return image and surface in nm, (rows, cols) each, 128 × 128 at most."""
    part = (slice(0, 128), slice(0, 128))
    bound = made.stack[planes.HEIGHT] + made.stack[GROUND]
    image = (bound + made.stack[planes.GAP]) * np.float32(made.unit_nm)
    surface = (bound - made.stack[DEPTH]) * np.float32(made.unit_nm)
    return image[part], surface[part]


def _mirroring(rng: np.random.Generator) -> tuple[slice, slice]:
    down, across = (slice(None, None, -1 if rng.integers(2) else None) for _ in range(2))
    return down, across
