"""What ``afmd twin`` takes. Rule: nothing heavy is imported to print a help text."""

import argparse
from pathlib import Path
from typing import TypeAlias

RECIPES = ("training", "evaluation", "everything")
PARTS = ("training", "validation", "evaluation")

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def hang(commands: Commands) -> None:
    """Add ``twin`` and what it can write to the command line."""
    own = commands.add_parser("twin", help="write simulated scans with the truth beside them, a gallery, or a data set")
    what = own.add_subparsers(dest="what", required=True, metavar="WHAT")
    _twin_scans(what)
    _twin_gallery(what)
    _twin_dataset(what)


def _twin_scans(what: Commands) -> None:
    own = _told(
        what, "scans", "write NanoScope files, and the truth beside each",
        "Each scan becomes NAME.spm, NAME.truth.npz (truth, imaged, displacement, background in nm; artifact and\n"
        "feature, True where so; row 0 at the top) and NAME.truth.json (class, kinds, severity, every parameter).\n"
        "A folder of them may be a capture folder: the daemon takes the .spm files and leaves the rest alone.",
        "afmd twin scans simulated --count 20 --seed 1",
        "afmd twin scans simulated --count 5 --kind double_tip --surface dna --size 512",
        "afmd twin scans simulated --count 9 --recipe evaluation --kind good",
    )  # fmt: skip
    own.add_argument("out", type=Path, metavar="OUT", help="folder, made where there is none")
    _drawn_from(own, count=10)
    own.add_argument("--json", action="store_true", help="print JSON on standard output")


def _twin_gallery(what: Commands) -> None:
    own = _told(
        what, "gallery", "draw many scans in one picture",
        "Three rows for each scan: raw, levelled by a plane, and the truth (blue feature, red artefact, yellow both).",
        "afmd twin gallery gallery.png --count 24",
        "afmd twin gallery parachutes.png --kind parachute --kind scar --size 256",
    )  # fmt: skip
    own.add_argument("out", type=Path, metavar="OUT.png")
    _drawn_from(own, count=24)


def _twin_dataset(what: Commands) -> None:
    own = _told(
        what, "dataset", "fill a folder with labelled examples",
        "OUT/RECIPE/SEED.npz holds heights and retrace (float32, nm), targets (bit 1 artefact, bit 2 feature)\n"
        "and facts (JSON: class, kinds, visible, severity, surface); OUT/RECIPE/index.json holds all facts.\n"
        "The parts take seeds from ranges that never meet. It can be interrupted and goes on.",
        "afmd twin dataset examples --count 1000 --workers 2",
        "afmd twin dataset examples --part evaluation --recipe evaluation --count 200",
    )  # fmt: skip
    own.add_argument("out", type=Path, metavar="OUT", help="folder, made where there is none")
    own.add_argument(
        "--part", choices=("training", "validation", "evaluation"), default="training", help="(%(default)s)"
    )
    own.add_argument("--recipe", choices=RECIPES, default=RECIPES[0], help="what may be drawn (%(default)s)")
    own.add_argument("--count", type=_count, default=100, metavar="N", help="how many (%(default)s)")
    own.add_argument("--skip", type=_whole, default=0, metavar="N", help="seeds of the part to pass over (%(default)s)")
    own.add_argument("--workers", type=_count, default=1, metavar="N", help="processes that simulate (%(default)s)")
    own.add_argument("--json", action="store_true", help="print JSON on standard output")


def _told(what: Commands, name: str, short: str, long: str, *examples: str) -> argparse.ArgumentParser:
    return what.add_parser(
        name, help=short, description=f"{short[0].upper()}{short[1:]}.\n\n{long}",
        epilog="\n".join(["examples:", *(f"  {example}" for example in examples)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def _drawn_from(own: argparse.ArgumentParser, *, count: int) -> None:
    own.add_argument("--count", type=_count, default=count, metavar="N", help="how many scans (%(default)s)")
    own.add_argument("--seed", type=_whole, default=0, metavar="S", help="of the first scan (%(default)s)")
    own.add_argument("--recipe", choices=RECIPES, default=RECIPES[0], help="what may be drawn (%(default)s)")
    own.add_argument("--kind", action="append", metavar="K", help="nothing but this artefact, or `good`; repeatable")
    own.add_argument("--surface", action="append", metavar="S", help="nothing but this family of sample; repeatable")
    own.add_argument("--size", default="", metavar="ROWSxCOLS", help="of every scan (default: drawn from the recipe)")


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is negative")
    return value
