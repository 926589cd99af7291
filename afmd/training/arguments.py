"""Which commands this room has and what each takes. Rule: nothing heavy is imported here: help needs no torch.

A command is an entry of ``COMMANDS``; what it does is the function of the same name in ``afmd.training.commands``.
The same commands hang under ``afmd`` and under ``python -m afmd.training``.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

MODELS = ("classifier", "segmenter", "tipchange", "tip")
JUDGED = ("classifier", "segmenter")
PRESETS = Path(__file__).resolve().parent / "presets"
WIDTHS = (8, 16, 24)
KINDS_LEFT_OUT = ("lost_lines", "spike", "parachute", "double_tip", "ripple")
"""Five kinds of different nature: a line loss, points, a tail of the loop, the tip itself, a wave."""

Parser: TypeAlias = argparse.ArgumentParser
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


@dataclass(frozen=True, slots=True)
class Command:
    """One command: a line that says what it does, what it takes, and calls to learn from."""

    help: str
    add: Callable[[Parser], None]
    examples: tuple[str, ...]


def hang(commands: Subparsers, *, program: str) -> None:
    """Add every command of this room to a parser's subcommands; ``program`` is what the examples call."""
    for name, command in COMMANDS.items():
        own = commands.add_parser(
            name, help=command.help, description=f"{command.help[0].upper()}{command.help[1:]}.",
            epilog=_examples(program, command), formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        command.add(own)


def _examples(program: str, command: Command) -> str:
    return "\n".join(["examples:", *(f"  {program} {example}" for example in command.examples)])


def _train(own: Parser) -> None:
    own.add_argument("model", choices=MODELS)
    _configuration(own)
    own.add_argument("--resume", action="store_true", help="go on from the run's checkpoint")
    own.add_argument(
        "--weights", type=Path, metavar="DIR", help="where a head finds its segmenter (default: afmd's own)"
    )


def _seal(own: Parser) -> None:
    own.add_argument("model", choices=MODELS)
    _configuration(own)
    _weights(own)
    own.add_argument("--trial", default="", metavar="WHY", help="why the model does not yet stand in for the rules")
    own.add_argument("--real", type=Path, metavar="DIR", help="real NanoScope scans to prove the export on, too")


def _evaluate(own: Parser) -> None:
    asked = own.add_subparsers(dest="model", required=True, metavar="WHAT")
    for name in JUDGED:
        judged = asked.add_parser(name, help=f"the sealed {name} on scans whose like training never drew")
        _judged(judged)
    _leave_one_out(
        asked.add_parser("leave-one-out", help="what a kind of artefact costs that training never saw", description=LOO)
    )
    _frontier(asked.add_parser("frontier", help="what a wider segmenter brings and costs", description=FRONTIER))
    _ceiling(
        asked.add_parser(
            "ceiling", help="the same network taught on the evaluation set's own distribution", description=CEILING
        )
    )


LOO = (
    "Trains once with every kind and once without each of KINDS, all from the same seed, scans and steps, and judges "
    "each pair on scans of the evaluation recipe that hold nothing but the kind left out."
)
FRONTIER = (
    "Trains the segmenter at each of WIDTHS, all from the same seed, scans and steps, judges them on scans of the "
    "evaluation recipe and times them by turns."
)
CEILING = (
    "Trains the configuration on the evaluation recipe, never on its seeds, seals it into a weights folder of its own "
    "and evaluates it beside the weights that it is the ceiling of. Trained already, it is only evaluated."
)


def _judged(own: Parser) -> None:
    own.add_argument("--scans", type=int, default=1200, metavar="N", help="how many, a quarter good (%(default)s)")
    _weights(own)
    own.add_argument(
        "--out", type=Path, default=Path("runs") / "evaluation", metavar="DIR", help="for the report (%(default)s)"
    )
    own.add_argument("--record", action="store_true", help="enter the headline into the manifest")
    own.add_argument("--rules", action="store_true", help="evaluate the rules instead, to compare")
    own.add_argument("--with-rules", action="store_true", help="with the rules beside it, as auto runs it")
    own.add_argument("--second", action="store_true", help="on scans of the second microscope instead")
    _corpus(own)


def _leave_one_out(own: Parser) -> None:
    own.add_argument("--kinds", type=_names, default=KINDS_LEFT_OUT, metavar="A,B,…", help="default: five unlike ones")
    _short(own, training=2000, validation=60, scans=60, judged="scans of each kind to judge on")
    own.add_argument(
        "--start", type=Path, metavar="FILE",
        help="weights to begin every training from; they must never have seen the kinds, or the figures flatter",
    )  # fmt: skip
    own.add_argument("--classifier", action="store_true", help="teach and judge a classifier on each segmenter, too")
    _experiment(own, Path("runs") / "leave-one-out")


def _frontier(own: Parser) -> None:
    own.add_argument("--widths", type=_numbers, default=WIDTHS, metavar="N,N,…", help="default: 8,16,24")
    _short(own, training=4000, validation=200, scans=600, judged="scans to judge on")
    _experiment(own, Path("runs") / "frontier")


def _short(own: Parser, *, training: int, validation: int, scans: int, judged: str) -> None:
    """Add how long the short trainings of an experiment are, and on how much they are judged."""
    own.add_argument("--steps", type=int, default=1500, metavar="N", help="of each training (%(default)s)")
    own.add_argument("--training", type=int, default=training, metavar="N", help="scans to learn from (%(default)s)")
    own.add_argument("--validation", type=int, default=validation, metavar="N", help="to calibrate on (%(default)s)")
    own.add_argument("--scans", type=int, default=scans, metavar="N", help=f"{judged} (%(default)s)")


def _ceiling(own: Parser) -> None:
    own.add_argument("of", choices=JUDGED)
    own.add_argument("--steps", type=int, metavar="N", help="default: the configuration's")
    own.add_argument("--training", type=int, metavar="N", help="scans to learn from (default: the configuration's)")
    own.add_argument("--validation", type=int, metavar="N", help="scans to calibrate on (default: the same)")
    own.add_argument("--scans", type=int, default=1200, metavar="N", help="scans to judge on (%(default)s)")
    _weights(own)
    _experiment(own, Path("runs") / "ceiling")


def _experiment(own: Parser, out: Path) -> None:
    own.add_argument("--config", type=Path, metavar="FILE", help="what to vary (default: the preset of afmd's own)")
    own.add_argument("--out", type=Path, default=out, metavar="DIR", help="for runs, weights, tables (%(default)s)")
    own.add_argument("--threads", type=int, default=1, metavar="N", help="threads for torch (%(default)s)")
    _corpus(own)


def _corpus_command(own: Parser) -> None:
    own.add_argument("part", choices=("training", "validation", "evaluation"))
    own.add_argument("count", type=int)
    own.add_argument("--recipe", choices=("training", "evaluation"), default="training", help="(%(default)s)")
    _corpus(own)


def _look(own: Parser) -> None:
    own.add_argument("scans", type=Path, metavar="DIR", help="NanoScope files, or .npy height maps in nm")
    _weights(own)
    own.add_argument("--out", type=Path, default=Path("runs") / "look.png", metavar="FILE", help="(%(default)s)")


def _quantise(own: Parser) -> None:
    own.add_argument("out", type=Path, metavar="OUT", help="new folder of weights, whole, to point models.weights to")
    _weights(own)
    own.add_argument("--calibration", type=int, default=48, metavar="N", help="scans for the ranges (%(default)s)")
    own.add_argument("--scans", type=int, default=120, metavar="N", help="scans to prove agreement on (%(default)s)")
    _corpus(own)


def _configuration(own: Parser) -> None:
    chosen = own.add_mutually_exclusive_group()
    chosen.add_argument("--config", type=Path, metavar="FILE", help="the model's TOML configuration")
    chosen.add_argument(
        "--preset", metavar="NAME", choices=sorted(file.stem for file in PRESETS.glob("*.toml")),
        help="one that came with afmd: %(choices)s (default: the model's own)",
    )  # fmt: skip
    own.add_argument("--run", dest="folder", type=Path, metavar="DIR", help="run folder (default: runs/NAME)")
    own.add_argument("--threads", type=int, default=1, metavar="N", help="threads for torch (%(default)s)")
    _corpus(own)


def _weights(own: Parser) -> None:
    own.add_argument("--weights", type=Path, metavar="DIR", help="weights folder (default: afmd's own)")


def _corpus(own: Parser) -> None:
    own.add_argument(
        "--corpus", type=Path, metavar="DIR", help="cache of simulated scans (default: runs/corpus, this twin's)"
    )
    own.add_argument("--workers", type=int, default=1, metavar="N", help="processes that simulate (%(default)s)")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(name) for name in _names(text))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "train": Command(
            "train a model: one configuration and one seed make it, and it goes on after a kill", _train,
            ("train segmenter", "train segmenter --resume", "train classifier --preset published --run runs/paper"),
        ),
        "seal": Command(
            "export, prove, calibrate and hash a run's best weights, for the daemon", _seal,
            ("seal segmenter --weights weights", 'seal segmenter --trial "it does not beat the rules yet"'),
        ),
        "evaluate": Command(
            "measure a sealed model: tables with intervals, curves, galleries of failures", _evaluate,
            (
                "evaluate segmenter --scans 1200 --record", "evaluate segmenter --rules",
                "evaluate leave-one-out --kinds lost_lines,spike --steps 1500", "evaluate ceiling segmenter",
                "evaluate frontier --widths 8,16,24",
            ),
        ),
        "corpus": Command(
            "make the simulated scans of a part ahead of time", _corpus_command,
            ("corpus training 4000 --workers 2", "corpus evaluation 1200 --recipe evaluation"),
        ),
        "look": Command("draw both models' answers on real scans", _look, ("look ../shared/scans/images",)),
        "quantise": Command(
            "make int8 weights, refused where they do not agree with fp32", _quantise, ("quantise weights-int8",)
        ),
    }
)  # fmt: skip
