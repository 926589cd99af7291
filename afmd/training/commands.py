"""What the command line can ask of this room: make scans, train, seal, evaluate, look.

Rule: a command is a pair, ``add_NAME_arguments(parser)`` and ``run_NAME(args)`` -> exit status, listed in ``COMMANDS``.
The same pairs hang under ``afmd`` and under ``python -m afmd.training``.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from afmd.domain.findings import Label
from afmd.domain.scan import Scan
from afmd.errors import InvalidInput
from afmd.files.nanoscope.reader import read_scan
from afmd.inference import load_manifest, network_classifier, network_segmenter, weights_folder
from afmd.inference.manifest import MANIFEST
from afmd.training import report
from afmd.training.config import Training, load
from afmd.training.corpus import Entry, Part, default_folder, gather
from afmd.training.evaluate import Report, evaluate_classifier, evaluate_segmenter
from afmd.training.head import learn
from afmd.training.seal import add_evaluation, seal
from afmd.training.train import train


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe ``train``: one configuration makes one model; it goes on after a kill."""
    _add_model(parser)
    _add_configuration(parser)
    parser.add_argument("--resume", action="store_true", help="go on from the run's checkpoint")
    parser.add_argument(
        "--weights", type=Path, default=None, help="where a head finds its segmenter (default: afmd's own)"
    )


def run_train(args: argparse.Namespace) -> int:
    """Train to the end of the configuration."""
    configuration = _configuration(args)
    torch.set_num_threads(args.threads)
    training = _gathered(configuration, args, "training")
    validation = _gathered(configuration, args, "validation")
    run = _run_folder(args, configuration)
    if configuration.classifier.kind == "head" and configuration.model == "classifier":
        upon = load_manifest(args.weights).model("segmenter")
        learn(configuration, upon, run=run, training=training, validation=validation, say=_say)
        return 0
    train(configuration, run=run, training=training, validation=validation, resume=args.resume, say=_say)
    return 0


def add_seal_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe ``seal``: export, prove, calibrate and enter a run's best weights into a weights folder."""
    _add_model(parser)
    _add_configuration(parser)
    parser.add_argument("--weights", type=Path, default=None, help="weights folder (default: afmd's own)")
    parser.add_argument("--trial", default="", help="why the model does not yet stand in for the rules")
    parser.add_argument("--real", type=Path, default=None, help="folder of real NanoScope scans to prove the export on")


def run_seal(args: argparse.Namespace) -> int:
    """Make the run's best weights a model that the daemon takes."""
    configuration = _configuration(args)
    torch.set_num_threads(args.threads)
    real = [] if args.real is None else [scan.heights for scan in real_scans(args.real)]
    command = f"afmd train {configuration.model} --config {_relative(args.config)}"
    file = seal(
        configuration, _run_folder(args, configuration), args.weights or weights_folder(),
        validation=_gathered(configuration, args, "validation"), command=command, real=real, trial=args.trial,
    )  # fmt: skip
    _say(f"sealed {file}")
    return 0


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe ``evaluate``: the sealed model on scans whose like training never drew."""
    _add_model(parser)
    parser.add_argument("--scans", type=int, default=1200, help="evaluation scans (a quarter of them good)")
    parser.add_argument("--weights", type=Path, default=None, help="weights folder (default: afmd's own)")
    parser.add_argument("--out", type=Path, default=Path("runs") / "evaluation", help="where tables and pictures go")
    parser.add_argument("--record", action="store_true", help="enter the headline into the manifest")
    parser.add_argument("--rules", action="store_true", help="evaluate the rules instead, to compare")
    _add_corpus(parser)


def run_evaluate(args: argparse.Namespace) -> int:
    """Write tables, curves and galleries; print the headline."""
    entries = gather(_corpus_folder(args), "evaluation", args.scans, recipe="evaluation", workers=args.workers)
    folder = args.weights or weights_folder()
    found = _ruled(args.model, entries) if args.rules else _evaluated(args.model, folder, entries, args.out)
    report.write(found, args.out)
    for name, figure in found.headline.items():
        _say(f"{name}: {figure}")
    if args.record and not args.rules:
        add_evaluation(folder / MANIFEST, args.model, {name: str(f) for name, f in found.headline.items()})
    return 0


def add_corpus_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe ``corpus``: make the cached scans ahead of time."""
    parser.add_argument("part", choices=("training", "validation", "evaluation"))
    parser.add_argument("count", type=int)
    parser.add_argument("--recipe", choices=("training", "evaluation"), default="training")
    _add_corpus(parser)


def run_corpus(args: argparse.Namespace) -> int:
    """Make what is missing and say how the classes fell."""
    begun = time.monotonic()
    entries = gather(_corpus_folder(args), args.part, args.count, recipe=args.recipe, workers=args.workers)
    counts = {label.value: sum(e.label is label for e in entries) for label in Label}
    _say(f"{len(entries)} scans in {time.monotonic() - begun:.0f} s: {counts}")
    return 0


def add_look_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe ``look``: both models on real scans, as a picture and a table."""
    parser.add_argument("scans", type=Path, help="folder of NanoScope files or .npy height maps in nm")
    parser.add_argument("--weights", type=Path, default=None, help="weights folder (default: afmd's own)")
    parser.add_argument("--out", type=Path, default=Path("runs") / "look.png")


def run_look(args: argparse.Namespace) -> int:
    """Draw each scan beside its masks and print what the classifier says."""
    classifier, segmenter = network_classifier(args.weights, trial=True), network_segmenter(args.weights, trial=True)
    panels = []
    for scan in real_scans(args.scans):
        said, found = classifier.classify(scan), segmenter.segment(scan)
        chance = said.probabilities[said.label]
        verdict = f"{said.label.value} {chance:.2f}{' (abstains)' if said.abstained else ''}"
        called = found.artifact >= 0.5
        _say(f"{scan.name}: {verdict}, artefact {100 * called.mean():.2f} %")
        base = report.picture(scan.heights)
        panels += [(base, scan.name), (report.overlay(base, called), f"{verdict}\n{100 * called.mean():.2f} %")]
        assert found.feature is not None
        panels.append((report.overlay(base, found.feature >= 0.5), "feature"))
    report.draw_panels(panels, args.out)
    return 0


COMMANDS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int]]] = {
    "train": (add_train_arguments, run_train),
    "seal": (add_seal_arguments, run_seal),
    "evaluate": (add_evaluate_arguments, run_evaluate),
    "corpus": (add_corpus_arguments, run_corpus),
    "look": (add_look_arguments, run_look),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors of afmd's own tree are printed and become the exit status."""
    from afmd.errors import AfmdError

    parser = argparse.ArgumentParser(prog="python -m afmd.training", description="Make afmd's models.")
    chosen = parser.add_subparsers(dest="command", required=True)
    for name, (add_arguments, run) in COMMANDS.items():
        own = chosen.add_parser(name, help=(add_arguments.__doc__ or "").split(": ", 1)[-1])
        add_arguments(own)
        own.set_defaults(run=run)
    args = parser.parse_args(arguments)
    try:
        return int(args.run(args))
    except AfmdError as e:
        sys.stderr.write(f"{e}\n")
        return e.exit_status


def real_scans(folder: Path) -> list[Scan]:
    """Read every NanoScope file and ``.npy`` height map of a folder, by name; other files are passed over."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.suffix not in {".json", ".csv", ".md"})
    return [_height_map(file) if file.suffix == ".npy" else read_scan(file) for file in files]


def _height_map(file: Path) -> Scan:
    heights: NDArray[np.float32] = np.load(file)
    return Scan.from_heights(heights, pixel_nm=1.0, name=file.name)


def _ruled(model: str, entries: Sequence[Entry]) -> Report:
    from afmd.science.rules import RulesClassifier, RulesSegmenter

    return (
        evaluate_classifier(RulesClassifier(), entries)
        if model == "classifier"
        else evaluate_segmenter(RulesSegmenter(), entries)
    )


def _evaluated(model: str, folder: Path, entries: Sequence[Entry], out: Path) -> Report:
    if model == "classifier":
        found = evaluate_classifier(network_classifier(folder, trial=True), entries)
        report.classifier_gallery(found, entries, out / "classifier_failures.png")
        return found
    segmenter = network_segmenter(folder, trial=True)
    found = evaluate_segmenter(segmenter, entries)
    report.segmenter_gallery(found, entries, out / "segmenter_failures.png", segmenter=segmenter, worst=True)
    report.segmenter_gallery(found, entries, out / "segmenter_masks.png", segmenter=segmenter, worst=False)
    return found


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", choices=("classifier", "segmenter"))


def _add_configuration(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="the model's TOML configuration")
    parser.add_argument("--run", dest="folder", type=Path, default=None, help="run folder (default: runs/NAME)")
    parser.add_argument("--threads", type=int, default=1, help="threads for torch")
    _add_corpus(parser)


def _add_corpus(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--corpus", type=Path, default=None, help="cache of simulated scans (default: runs/corpus/TWIN)"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that simulate")


def _configuration(args: argparse.Namespace) -> Training:
    configuration = load(args.config)
    if configuration.model != args.model:
        why = f"{args.config} is for a {configuration.model}"
        raise InvalidInput(f"model {args.model}", why=why, mend="Name the configuration's own model", field="model")
    return configuration


def _gathered(configuration: Training, args: argparse.Namespace, part: Part) -> list[Entry]:
    wanted = configuration.corpus
    count = wanted.training if part == "training" else wanted.validation
    skip = wanted.skip if part == "training" else 0
    entries = gather(_corpus_folder(args), part, count, recipe=wanted.recipe, workers=args.workers, skip=skip)
    without = set(wanted.without)
    return [entry for entry in entries if not without & set(entry.kinds)]


def _corpus_folder(args: argparse.Namespace) -> Path:
    return args.corpus or default_folder()


def _run_folder(args: argparse.Namespace, configuration: Training) -> Path:
    return args.folder or Path("runs") / configuration.name


def _relative(file: Path) -> str:
    return shlex.quote(file.as_posix() if not file.is_absolute() else file.name)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
