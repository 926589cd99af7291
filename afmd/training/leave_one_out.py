"""What a kind of artefact costs that training never saw: what a new laboratory will see.

Rule: both of a pair learn the same number of steps from the same seed and the same scans, less those that may hold the
kind; both are judged on the same scans, of surfaces and ranges that neither saw, with nothing wrong but that kind. All
the trainings that saw a kind stand for having seen it: how far they differ among themselves is what chance does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from afmd.domain.ports import Classifier, Segmenter
from afmd.domain.scan import Scan
from afmd.errors import InvalidInput
from afmd.files.disk import storage_errors
from afmd.inference import network_classifier, network_segmenter
from afmd.training import scores
from afmd.training.config import EVALUATION_FROM, Training
from afmd.training.evaluate import CUT, Figure, mean_figure
from afmd.training.experiments import Bench, varied
from afmd.training.tables import markdown_table, write_json
from afmd.twin import EVALUATION, KINDS, Simulated, simulate

TRIES = 6
"""Seeds tried for each visible scan wanted."""

COLUMNS = (
    "kind", "scans", "IoU with it", "trainings with it", "IoU without it", "difference", "found with it",
    "found without it",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """One kind: figures of the models that saw it, of the one that did not, and of their difference on each scan.

    ``iou``: of the artefact mask. ``found``: share of the spoilt pixels that are called. ``right``: share of scans
    given their class, where there is a classifier. ``trainings``: each measure's lowest and highest mean among the
    models that saw the kind.
    """

    kind: str
    seen: dict[str, Figure]
    trainings: dict[str, tuple[float, float]]
    unseen: dict[str, Figure]
    difference: dict[str, Figure]


class Judge:
    """A weights folder, asked about one scan at a time."""

    def __init__(self, weights: Path, *, classify: bool) -> None:
        self._segmenter: Segmenter = network_segmenter(weights, trial=True)
        self._classifier: Classifier | None = network_classifier(weights, trial=True) if classify else None

    def figures(self, one: Simulated) -> dict[str, float]:
        """Return the measures on one scan."""
        scan: Scan = one.scan
        called = self._segmenter.segment(scan).artifact >= CUT
        found = np.count_nonzero(called & one.artifact) / np.count_nonzero(one.artifact)
        figures = {"iou": scores.iou(called, one.artifact), "found": found}
        if self._classifier is not None:
            figures["right"] = float(self._classifier.classify(scan).label is one.label)
        return figures


def leave_one_out(arms: Sequence[Training], kinds: Sequence[str], bench: Bench, *, scans: int) -> Path:
    """Train with all kinds and without each, judge, and return the file of the table.

    ``arms``: the short configurations to vary, a segmenter first; a classifier on it may follow.
    Raises ``InvalidInput`` for a kind that does not exist.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        mend = f"Use some of {', '.join(KINDS)}"
        raise InvalidInput(f"kind {unknown[0]!r}", why="there is none of that name", mend=mend, field="kinds")
    folders = {kind: _made(arms, kind, bench) for kind in ("", *kinds)}
    judges = {kind: Judge(folder, classify=len(arms) > 1) for kind, folder in folders.items()}
    pairs = []
    for kind in kinds:
        pair = judged(kind, judges, scans=scans)
        bench.say(f"{kind}: IoU {pair.seen['iou']} with it, {pair.unseen['iou']} without it")
        pairs.append(pair)
    return _written(pairs, arms, bench)


def shortened(
    configuration: Training, *, steps: int, training: int, validation: int, start: Path | None = None
) -> Training:
    """Return a configuration for a short training that is judged once, at its end.

    It begins at random, or at ``start``: never where ``configuration`` does, whose earlier stage has seen every kind.
    """
    rule = {"steps": steps, "validate_every": steps, "warm_up_steps": min(200, steps // 5)}
    corpus = {"training": training, "validation": validation}
    begun = configuration.model_copy(update={"optimiser": configuration.optimiser.model_copy(update={"start": start})})
    return varied(begun, name=configuration.name, corpus=corpus, optimiser=rule)


def stood_upon(segmenter: Training, classifier: Training) -> Training:
    """Return a head's configuration on a shortened segmenter: on half as many scans, none that it learned from."""
    wanted = segmenter.corpus
    corpus = {"training": max(1, wanted.training // 2), "skip": wanted.training, "validation": wanted.validation}
    return varied(classifier, name=classifier.name, corpus=corpus, optimiser={})


def judged(kind: str, judges: Mapping[str, Judge], *, scans: int) -> Pair:
    """Return the figures on visible scans with nothing but ``kind``; a judge is named after the kind it never saw."""
    rows = [[judge.figures(one) for judge in judges.values()] for one in visible(kind, scans)]
    names = tuple(rows[0][0])
    values = np.array([[[figures[name] for name in names] for figures in row] for row in rows])  # scan, judge, measure
    saw = np.array([name != kind for name in judges])
    seen, unseen = values[:, saw].mean(axis=1), values[:, ~saw][:, 0]
    means = values[:, saw].mean(axis=0)
    trainings = {name: (float(column.min()), float(column.max())) for name, column in zip(names, means.T, strict=True)}
    return Pair(kind, _figures(seen, names), trainings, _figures(unseen, names), _figures(unseen - seen, names))


def visible(kind: str, count: int) -> Iterator[Simulated]:
    """Give scans of the evaluation recipe in which a person would see this kind, and nothing else is wrong.

    Raises ``InvalidInput`` where there is hardly one among many.
    """
    recipe, given = EVALUATION.only(kind), 0
    for seed in range(EVALUATION_FROM, EVALUATION_FROM + TRIES * count):
        one = simulate(seed, recipe=recipe)
        if one.visible:
            given += 1
            yield one
        if given == count:
            return
    if not given:
        raise InvalidInput(f"kind {kind}", why="no scan shows it", mend="Ask for more scans", field="scans")


def _figures(values: NDArray[np.float64], names: Sequence[str]) -> dict[str, Figure]:
    return {name: mean_figure(column) for name, column in zip(names, values.T, strict=True)}


def _made(arms: Sequence[Training], kind: str, bench: Bench) -> Path:
    """Return the weights folder of all arms without a kind, or with all of them where ``kind`` is empty."""
    named = f"without-{kind.replace('_', '-')}" if kind else "with-all"
    corpus = {"without": (kind,)} if kind else {}
    own = [varied(arm, name=f"{arm.name}-{named}", corpus=corpus, optimiser={}) for arm in arms]
    weights = bench.folder(named, own)
    for configuration in own:
        bench.made(configuration, weights)
    return weights


def _written(pairs: Sequence[Pair], arms: Sequence[Training], bench: Bench) -> Path:
    file = bench.out / "leave-one-out.md"
    classify = len(arms) > 1
    columns = [*COLUMNS, *(("class right with it", "class right without it") if classify else ())]
    rows = [_row(pair, classify=classify) for pair in pairs]
    shown = arms[0]
    text = (
        f"# Leave one kind out: {shown.name}\n\n"
        f"Each training: {shown.optimiser.steps} steps, {shown.corpus.training} scans, seed {shown.seed}, from "
        f"{shown.optimiser.start or 'a random start'}. Visible scans of `afmd.twin.EVALUATION.only(kind)`; 95 % "
        f"bootstrap intervals over scans, of the difference over pairs. *Trainings with it*: the lowest and highest "
        f"mean of the {len(pairs)} trainings that saw the kind; what lies between them is chance.\n\n"
        f"{markdown_table(columns, rows)}"
    )
    with storage_errors(file):
        file.write_text(text, encoding="utf-8")
    configurations = [arm.model_dump(mode="json") for arm in arms]
    told = {"command": bench.command, "configurations": configurations, "kinds": [asdict(pair) for pair in pairs]}
    write_json(file.with_suffix(".json"), told)
    bench.say(text)
    return file


def _row(pair: Pair, *, classify: bool) -> list[str]:
    low, high = pair.trainings["iou"]
    cells = [pair.unseen["iou"], pair.difference["iou"], pair.seen["found"], pair.unseen["found"]]
    cells += [pair.seen["right"], pair.unseen["right"]] if classify else []
    first = [pair.kind, str(pair.seen["iou"].count), _shown(pair.seen["iou"]), f"{low:.3f} to {high:.3f}"]
    return [*first, *map(_shown, cells)]


def _shown(figure: Figure) -> str:
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
