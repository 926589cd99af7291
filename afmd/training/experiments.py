"""Trainings that answer a question: varied configurations, each made into weights of its own.

Rule: an experiment can be killed at any time and called again; what is sealed is not made twice, and nothing is ever
written into the weights that the daemon runs.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afmd.errors import ModelError, WrongState
from afmd.inference import Manifest, load_manifest, planes
from afmd.inference.manifest import MANIFEST
from afmd.training.config import Training
from afmd.training.head import learn
from afmd.training.seal import seal
from afmd.training.supply import supplied
from afmd.training.train import train


@dataclass(frozen=True, slots=True)
class Bench:
    """Where an experiment works: ``out`` for runs, weights and tables, ``corpus`` for the cache of scans."""

    out: Path
    corpus: Path
    command: str
    workers: int = 1
    say: Callable[[str], None] = print

    def made(self, configuration: Training, weights: Path) -> None:
        """Train a configuration to its end and seal it into ``weights``, unless that has been done."""
        if _sealed(configuration, weights):
            self.say(f"{configuration.name}: sealed already, in {weights}")
            return
        run = self.out / "runs" / f"{configuration.name}-{self._digest(configuration)}"
        self.say(f"{configuration.name}: {configuration.optimiser.steps} steps, in {run}")
        training = supplied(configuration, "training", folder=self.corpus, workers=self.workers)
        validation = supplied(configuration, "validation", folder=self.corpus, workers=self.workers)
        if configuration.model == "classifier" and configuration.classifier.kind == "head":
            upon = beneath(weights).model("segmenter")
            learn(
                configuration, upon, run=run, training=training, validation=validation, say=self.say,
                workers=self.workers,
            )  # fmt: skip
        else:
            train(configuration, run=run, training=training, validation=validation, resume=True, say=self.say)
        seal(configuration, run, weights, validation=validation, command=self.command, trial="an experiment")

    def folder(self, name: str, configurations: Sequence[Training]) -> Path:
        """Return the weights folder that belongs to these configurations."""
        return self.out / "weights" / f"{name}-{self._digest(*configurations)}"

    def _digest(self, *configurations: Training) -> str:
        texts = [configuration.model_dump_json() for configuration in configurations]
        return hashlib.sha256(repr([texts, self.corpus.name, planes.RECIPE]).encode()).hexdigest()[:8]


def varied(configuration: Training, *, name: str, corpus: dict[str, Any], optimiser: dict[str, Any]) -> Training:
    """Return a configuration with other values in two of its tables; a value of None stays as it is.

    An experiment asks about the twin's own scans: planted ones and those of the second microscope are left out.
    """
    tables = configuration.model_dump()
    tables["name"] = name
    tables["corpus"] |= {"planted": 0, "second": 0}
    for table, changes in (("corpus", corpus), ("optimiser", optimiser)):
        tables[table] |= {key: value for key, value in changes.items() if value is not None}
    return Training.model_validate(tables)


def beneath(weights: Path) -> Manifest:
    """Return the manifest of a folder that must hold a segmenter. Raises ``WrongState``."""
    try:
        manifest = load_manifest(weights)
        manifest.model("segmenter")
    except ModelError as e:
        mend = "First make the segmenter by the same command"
        raise WrongState(f"weights {weights}", why="a head stands on a segmenter, and none is here", mend=mend) from e
    return manifest


def _sealed(configuration: Training, weights: Path) -> bool:
    if not (weights / MANIFEST).exists():
        return False
    known = [model for role, model in load_manifest(weights).models.items() if role == configuration.model]
    return any(model.facts["training"]["configuration"] == configuration.model_dump_json() for model in known)
