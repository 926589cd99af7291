"""What the commands of this room do: make scans, train, seal, evaluate, experiment, quantise, look.

Rule: ``run_NAME(args)`` -> exit status does what ``arguments.COMMANDS[NAME]`` describes; ``RUN`` lists them all.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from afmd.domain.findings import Label
from afmd.domain.scan import Scan
from afmd.errors import AfmdError, InvalidInput
from afmd.files.nanoscope.reader import read_scan
from afmd.inference import load_manifest, network_classifier, network_segmenter, weights_folder
from afmd.inference.manifest import MANIFEST
from afmd.training import arguments, report, sealed
from afmd.training.ceiling import ceiling, raised
from afmd.training.config import Training, load
from afmd.training.corpus import SECOND, Part, default_folder, gather
from afmd.training.experiments import Bench
from afmd.training.frontier import frontier
from afmd.training.head import learn
from afmd.training.leave_one_out import leave_one_out, shortened, stood_upon
from afmd.training.quantise import quantise
from afmd.training.seal import add_evaluation, seal
from afmd.training.supply import supplied
from afmd.training.tipchangeseal import seal_tipchange
from afmd.training.tipcorpus import default_pairs_folder, gather_pairs
from afmd.training.tipseal import seal_tip
from afmd.training.train import train

PARTS: tuple[Part, Part] = ("training", "validation")


def run_train(args: argparse.Namespace) -> int:
    """Train to the end of the configuration."""
    configuration = _configuration(args)
    torch.set_num_threads(args.threads)
    training, validation = (_supplied(configuration, part, args) for part in PARTS)
    run = _run_folder(args, configuration)
    if configuration.classifier.kind == "head" and configuration.model == "classifier":
        upon = load_manifest(args.weights).model("segmenter")
        learn(configuration, upon, run=run, training=training, validation=validation, say=_say, workers=args.workers)
        return 0
    train(configuration, run=run, training=training, validation=validation, resume=args.resume, say=_say)
    return 0


def run_seal(args: argparse.Namespace) -> int:
    """Make the run's best weights a model that the daemon takes."""
    configuration = _configuration(args)
    torch.set_num_threads(args.threads)
    real = [] if args.real is None else [scan.heights for scan in real_scans(args.real)]
    validation = _supplied(configuration, "validation", args)
    run, weights, command = _run_folder(args, configuration), args.weights or weights_folder(), _made_by(args)
    if configuration.model == "tip":
        file = seal_tip(configuration, run, weights, validation=validation, command=command)
    elif configuration.model == "tipchange":
        file = seal_tipchange(configuration, run, weights, validation=validation, command=command, real=real)
    else:
        file = seal(configuration, run, weights, validation=validation, command=command, real=real, trial=args.trial)
    _say(f"sealed {file}")
    return 0


def run_evaluate(args: argparse.Namespace) -> int:
    """Evaluate what is sealed, or do one of the experiments."""
    experiments = {"leave-one-out": _leave_one_out, "frontier": _frontier, "ceiling": _ceiling}
    return experiments.get(args.model, _evaluate)(args)


def run_corpus(args: argparse.Namespace) -> int:
    """Make what is missing and say how the classes fell."""
    begun = time.monotonic()
    entries = gather(_corpus_folder(args), args.part, args.count, recipe=args.recipe, workers=args.workers)
    counts = {label.value: sum(e.label is label for e in entries) for label in Label}
    _say(f"{len(entries)} scans in {time.monotonic() - begun:.0f} s: {counts}")
    return 0


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


def run_quantise(args: argparse.Namespace) -> int:
    """Make int8 weights from sealed ones, on validation scans, or refuse."""
    scans = gather(
        _corpus_folder(args), "validation", args.calibration + args.scans, recipe="training", workers=args.workers
    )
    calibration, proof = scans[: args.calibration], scans[args.calibration :]
    found = quantise(args.weights or weights_folder(), args.out, calibration=calibration, proof=proof)
    _say(f"{args.out}: {found}")
    return 0


RUN: Mapping[str, Callable[[argparse.Namespace], int]] = MappingProxyType(
    {
        "train": run_train,
        "seal": run_seal,
        "evaluate": run_evaluate,
        "corpus": run_corpus,
        "look": run_look,
        "quantise": run_quantise,
    }
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors of afmd's own tree are printed and become the exit status."""
    program = "python -m afmd.training"
    parser = argparse.ArgumentParser(prog=program, description="Make afmd's models.")
    arguments.hang(parser.add_subparsers(dest="command", required=True, metavar="COMMAND"), program=program)
    args = parser.parse_args(argv)
    try:
        return RUN[args.command](args)
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


def _evaluate(args: argparse.Namespace) -> int:
    recipe = SECOND if args.second else "evaluation"
    entries = gather(_corpus_folder(args), "evaluation", args.scans, recipe=recipe, workers=args.workers)
    folder = args.weights or weights_folder()
    if args.rules:
        found = sealed.rules(args.model, entries, args.out)
    else:
        found = sealed.evaluated(args.model, folder, entries, args.out, joined=args.with_rules)
    for name, figure in found.headline.items():
        _say(f"{name}: {figure}")
    if args.record and not (args.rules or args.with_rules or args.second):
        add_evaluation(folder / MANIFEST, args.model, {name: str(f) for name, f in found.headline.items()})
    return 0


def _leave_one_out(args: argparse.Namespace) -> int:
    """Short trainings with and without each kind, and the table of what that costs."""
    torch.set_num_threads(args.threads)
    sizes = {"training": args.training, "validation": args.validation}
    arms = [shortened(_preset(args.config, "segmenter"), steps=args.steps, start=args.start, **sizes)]
    if args.classifier:
        arms.append(stood_upon(arms[0], _preset(None, "classifier")))
    file = leave_one_out(arms, args.kinds, _bench(args), scans=args.scans)
    _say(f"written {file}")
    return 0


def _frontier(args: argparse.Namespace) -> int:
    """Short trainings at several widths, and the table of what each brings and costs."""
    torch.set_num_threads(args.threads)
    sizes = {"training": args.training, "validation": args.validation}
    short = shortened(_preset(args.config, "segmenter"), steps=args.steps, **sizes)
    file = frontier(short, args.widths, _bench(args), scans=args.scans)
    _say(f"written {file}")
    return 0


def _ceiling(args: argparse.Namespace) -> int:
    """Train on the evaluation's own distribution, and say how far the model is from that."""
    torch.set_num_threads(args.threads)
    wanted = _preset(args.config, args.of)
    own = raised(wanted, steps=args.steps, training=args.training, validation=args.validation)
    file = ceiling(own, _bench(args), weights=args.weights or weights_folder(), scans=args.scans)
    _say(f"written {file}")
    return 0


def _supplied(configuration: Training, part: Part, args: argparse.Namespace) -> Sequence[Any]:
    """Return what the configured model learns or is judged from: scans, or pairs of image and surface."""
    if configuration.model == "tip":
        count = getattr(configuration.corpus, part)
        folder = args.corpus or default_pairs_folder()
        return gather_pairs(folder, part, count, recipe=configuration.tip.pairs, workers=args.workers)
    return supplied(configuration, part, folder=_corpus_folder(args), workers=args.workers)


def _bench(args: argparse.Namespace) -> Bench:
    return Bench(args.out, _corpus_folder(args), f"afmd evaluate {args.model}", workers=args.workers, say=_say)


def _configuration(args: argparse.Namespace) -> Training:
    return _named(_configuration_file(args), args.model)


def _configuration_file(args: argparse.Namespace) -> Path:
    return args.config or arguments.PRESETS / f"{args.preset or args.model}.toml"


def _preset(config: Path | None, model: str) -> Training:
    return _named(config or arguments.PRESETS / f"{model}.toml", model)


def _named(file: Path, model: str) -> Training:
    """Return a configuration that must be of this model. Raises ``InvalidInput``, ``SettingsError``."""
    configuration = load(file)
    if configuration.model != model:
        why = f"{file} is for a {configuration.model}"
        raise InvalidInput(f"model {model}", why=why, mend="Name the configuration's own model", field="model")
    return configuration


def _corpus_folder(args: argparse.Namespace) -> Path:
    return args.corpus or default_folder()


def _run_folder(args: argparse.Namespace, configuration: Training) -> Path:
    return args.folder or Path("runs") / configuration.name


def _made_by(args: argparse.Namespace) -> str:
    """Return the command that makes the run again, for the manifest; no path beyond this folder is told."""
    file = args.config
    if file is None:
        return f"afmd train {args.model}" + (f" --preset {args.preset}" if args.preset else "")
    return f"afmd train {args.model} --config {shlex.quote(file.as_posix() if not file.is_absolute() else file.name)}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
