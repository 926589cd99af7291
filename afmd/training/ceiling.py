"""The ceiling: the same network, taught on the evaluation set's own distribution, never on its scans.

Rule: the distance between a model and its ceiling is what the simulator's ranges cost; what is left to one is what the
network, its training or the question costs.
"""

import math
from dataclasses import asdict
from pathlib import Path

from afmd.errors import ModelError
from afmd.files.disk import storage_errors
from afmd.training.config import Training
from afmd.training.corpus import gather
from afmd.training.evaluate import Figure
from afmd.training.experiments import Bench, varied
from afmd.training.sealed import evaluated
from afmd.training.tables import markdown_table, write_json

Figures = dict[str, Figure]


def ceiling(configuration: Training, bench: Bench, *, weights: Path, scans: int) -> Path:
    """Make the configuration's ceiling, evaluate it and the model in ``weights``; return the file of the table.

    ``configuration`` is `raised`. Raises ``WrongState`` for a head whose segmenter has no ceiling yet.
    """
    own = bench.out / "weights"
    bench.made(configuration, own)
    entries = gather(bench.corpus, "evaluation", scans, recipe="evaluation", workers=bench.workers)
    reached: Figures = {}
    try:
        reached = evaluated(configuration.model, weights, entries, bench.out / "reached").headline
    except ModelError as e:
        bench.say(f"no figures of {weights} beside it: {e}")
    found = evaluated(configuration.model, own, entries, bench.out / "ceiling").headline
    return _written(configuration, bench, reached=reached, found=found)


def raised(configuration: Training, *, steps: int | None, training: int | None, validation: int | None) -> Training:
    """Return the configuration that learns from the evaluation recipe; None leaves a number as it is."""
    corpus = {"recipe": "evaluation", "training": training, "validation": validation}
    if steps is None:
        return varied(configuration, name=f"{configuration.name}-ceiling", corpus=corpus, optimiser={})
    rule = {"steps": steps, "validate_every": steps, "warm_up_steps": min(200, steps // 5)}
    return varied(configuration, name=f"{configuration.name}-ceiling", corpus=corpus, optimiser=rule)


def _written(configuration: Training, bench: Bench, *, reached: Figures, found: Figures) -> Path:
    file = bench.out / f"ceiling-{configuration.model}.md"
    rows = []
    for name, figure in found.items():
        own = reached.get(name, Figure(math.nan, math.nan, math.nan, 0))
        rows.append([name, _shown(own), _shown(figure), _distance(figure, own)])
        bench.say(f"{name}: {_shown(own)}, ceiling {_shown(figure)}")
    text = markdown_table(["figure", "reached", "ceiling", "distance"], rows)
    with storage_errors(file):
        file.write_text(f"# The ceiling of {configuration.name.removesuffix('-ceiling')}\n\n{text}", encoding="utf-8")
    told = {"reached": reached, "ceiling": found}
    figures = {name: {key: asdict(figure) for key, figure in part.items()} for name, part in told.items()}
    write_json(file.with_suffix(".json"), {"configuration": configuration.model_dump(mode="json"), **figures})
    return file


def _shown(figure: Figure) -> str:
    return str(figure) if figure.count else "–"


def _distance(figure: Figure, own: Figure) -> str:
    return f"{figure.value - own.value:+.3f}" if figure.count and own.count else "–"
