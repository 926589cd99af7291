"""The training loop: one for both models, resumable at any moment.

Rule: weights are a function of configuration and corpus; a kill costs at most the steps since the last checkpoint,
and changes nothing else.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor, nn

from afmd.errors import ModelError, WrongState
from afmd.training import checkpoint
from afmd.training.batches import Batch
from afmd.training.checkpoint import Progress, RunningMean
from afmd.training.config import Optimiser, Training
from afmd.training.corpus import Entry
from afmd.training.tasks import Task, task_for
from afmd.training.unsealed import unseal

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
HISTORY = "history.jsonl"
CHECKPOINT_EVERY_S = 120.0
SEALED = ".onnx"
STATISTICS = 16
"""Batches that tell the statistics of normalisations, which a sealed file does not hold."""
UNFREEZING = ("fc", "layer4", "layer3", "layer2", "layer1")


def train(
    configuration: Training, *, run: Path, training: Sequence[Entry], validation: Sequence[Entry], resume: bool = False,
    say: Callable[[str], None] = print,
) -> Path:  # fmt: skip
    """Train to the last step or until patience ends; return the file of the best weights.

    ``run`` holds checkpoint, best weights and history. Raises ``WrongState`` where it already holds a training and
    ``resume`` is False, ``ModelError`` where its checkpoint is another configuration's.
    """
    run.mkdir(parents=True, exist_ok=True)
    if (run / CHECKPOINT).exists() and not resume:
        raise WrongState(f"run {run}", why="it holds a training already", mend="Resume it, or take another folder")
    loop = _Loop(configuration, task_for(configuration), run, training)
    if resume and (run / CHECKPOINT).exists():
        loop.progress = checkpoint.restore(run / CHECKPOINT, net=loop.net, mean=loop.mean, optimiser=loop.optimiser)
        loop.unfreeze()
    loop.go(training, validation, say)
    return run / BEST


class _Loop:
    """A network on its way: everything that a checkpoint holds."""

    def __init__(self, configuration: Training, task: Task, run: Path, training: Sequence[Entry]) -> None:
        torch.manual_seed(configuration.seed)
        self.rule: Optimiser = configuration.optimiser
        self.gradual = configuration.model == "classifier" and configuration.classifier.imagenet is not None
        self.task = task
        self.run = run
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # bfloat16 kernels want channels last; float32 ones of few channels abort in oneDNN's backward pass with it
        self.layout = torch.channels_last if self.rule.mixed_precision else torch.contiguous_format
        begun = _begun(task.build(), self.rule, lambda: [task.batch(training, n).planes for n in range(STATISTICS)])
        self.net = begun.to(self.device).to(memory_format=self.layout)  # type: ignore[call-overload]
        self.mean = RunningMean(self.net, decay=self.rule.averaging)
        self.optimiser = _optimiser(self.net, self.rule)
        self.progress = Progress()
        self.unfreeze()

    def go(self, training: Sequence[Entry], validation: Sequence[Entry], say: Callable[[str], None]) -> None:
        """Step, judge and save until done."""
        losses, saved, begun = [], time.monotonic(), time.monotonic()
        for batch in self.batches(training):
            losses.append(self.step(batch))
            last = self.progress.step == self.rule.steps
            if self.progress.step % self.rule.validate_every == 0 or last:
                self.judge(validation, sum(losses) / len(losses), time.monotonic() - begun, say)
                losses.clear()
            done = last or self.progress.stale >= self.rule.patience
            if done or time.monotonic() - saved > CHECKPOINT_EVERY_S:
                self.save()
                saved = time.monotonic()
            if done:
                return

    def batches(self, training: Sequence[Entry]) -> Iterator[Batch]:
        """Yield the batches of the steps to come, the next one made while this one is learned."""
        with ThreadPoolExecutor(1) as maker:
            coming = maker.submit(self.task.batch, training, self.progress.step)
            for step in range(self.progress.step, self.rule.steps):
                batch = coming.result()
                coming = maker.submit(self.task.batch, training, step + 1)
                yield batch
                if self.progress.stale >= self.rule.patience:
                    return

    def step(self, batch: Batch) -> float:
        """Learn from one batch; return its loss."""
        self.net.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        images = batch.planes.to(self.device).contiguous(memory_format=self.layout)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.rule.mixed_precision):
            output = self.net(images)
        loss = self.task.loss(output, batch.answers.to(self.device))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimiser.step()
        self.progress.step += 1
        self.mean.update(self.net, step=self.progress.step)
        return float(loss.detach())

    def rate(self) -> float:
        """Return the learning rate of the step to come."""
        rule, step = self.rule, self.progress.step
        if rule.rule == "sgd":
            return rule.learning_rate * self.progress.rate_factor
        warm = min(1.0, (step + 1) / max(rule.warm_up_steps, 1))
        if not rule.decay:
            return rule.learning_rate * warm
        return rule.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / rule.steps)))

    def judge(self, validation: Sequence[Entry], loss: float, seconds: float, say: Callable[[str], None]) -> None:
        """Judge the running mean on validation scans, keep it where it is the best so far, write the history."""
        figures = self.task.judge(self.mean.net, validation)
        progress = self.progress
        if figures["score"] > progress.best:
            progress.best, progress.best_step, progress.stale = figures["score"], progress.step, 0
            checkpoint.replace(self.run / BEST, self.mean.net.state_dict())
        else:
            progress.stale += 1
            self.plateau()
        line = {"step": progress.step, "loss": loss, **figures, "rate": self.rate(), "seconds": round(seconds, 1)}
        with (self.run / HISTORY).open("a", encoding="utf-8") as history:
            history.write(json.dumps(line) + "\n")
        say(" ".join(f"{name}={value:.4g}" for name, value in line.items()))

    def plateau(self) -> None:
        """Paper A: where validation stands still, unfreeze the next block, or else divide the rate by ten."""
        if self.rule.rule != "sgd" or self.progress.stale % self.rule.plateau:
            return
        if self.gradual and self.progress.unfrozen < len(UNFREEZING):
            self.progress.unfrozen += 1
            self.unfreeze()
        else:
            self.progress.rate_factor /= 10

    def unfreeze(self) -> None:
        """Let the last blocks learn; the others keep the ImageNet weights. From a random start everything learns."""
        if not self.gradual:
            return
        free = UNFREEZING[: self.progress.unfrozen + 1]
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_(name.startswith(free))

    def save(self) -> None:
        """Write the checkpoint."""
        file = self.run / CHECKPOINT
        checkpoint.save(file, net=self.net, mean=self.mean, optimiser=self.optimiser, progress=self.progress)


def _begun(net: nn.Module, rule: Optimiser, batches: Callable[[], Sequence[Tensor]]) -> nn.Module:
    """Return the network with an earlier stage's weights, if there is one. Raises ``ModelError``.

    ``batches``: makes those that tell an ONNX file's statistics again.
    """
    if rule.start is not None and rule.start.suffix == SEALED:
        unseal(net, rule.start, batches())
    elif rule.start is not None:
        try:
            net.load_state_dict(torch.load(rule.start, weights_only=True, map_location="cpu"))
        except (OSError, RuntimeError) as e:
            mend = "Train that stage first"
            raise ModelError(f"start {rule.start}", why=f"not of this network ({e})", mend=mend) from e
    return net


def _optimiser(net: nn.Module, rule: Optimiser) -> torch.optim.Optimizer:
    if rule.rule == "sgd":
        return torch.optim.SGD(net.parameters(), lr=rule.learning_rate, momentum=rule.momentum)
    bare = [p for p in net.parameters() if p.ndim < 2]
    decayed = [p for p in net.parameters() if p.ndim >= 2]
    groups = [{"params": decayed, "weight_decay": rule.weight_decay}, {"params": bare, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rule.learning_rate)
