"""Which commands there are and what each takes. Rule: nothing heavy is imported to print a help text."""

import argparse
from pathlib import Path
from typing import TypeAlias

from afmd import __version__
from afmd.cli.twin import arguments as twin
from afmd.domain.params import Preset
from afmd.domain.tip_method import TipMethod
from afmd.training import arguments as training

SETTINGS = Path("service.toml")


def parser() -> argparse.ArgumentParser:
    """Return the whole command line."""
    top = argparse.ArgumentParser(
        prog="afmd", description="Judges, levels and repairs each new scan of an atomic force microscope, and says how."
    )
    top.add_argument("--version", action="version", version=f"afmd {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _read(commands)
    _restore(commands)
    _params(commands)
    _models(commands)
    _serve(commands)
    _check(commands)
    _demo(commands)
    twin.hang(commands)
    training.hang(commands, program="afmd")
    return top


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _read(commands: Commands) -> None:
    own = commands.add_parser("read", help="say what a NanoScope file holds")
    own.add_argument("file", type=Path, metavar="FILE")
    _json(own)


def _restore(commands: Commands) -> None:
    own = commands.add_parser("restore", help="repair files, without a daemon")
    own.add_argument("files", type=str, nargs="+", metavar="FILE", help="NanoScope files; wildcards are understood")
    own.add_argument("--out", type=Path, required=True, metavar="DIR", help="one folder a scan is made in here")
    own.add_argument("--preset", choices=[p.value for p in Preset], default=Preset.BEST.value)
    own.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="NAME=VALUE",
        help="another value for one parameter; may be repeated; `afmd params` lists them",
    )  # fmt: skip
    own.add_argument(
        "--tip", default="off", metavar="TIP",
        help="remove the tip's shape, too: its radius in nm, as 10 or with the half-angle as 10,22, or `estimate`",
    )  # fmt: skip
    own.add_argument(
        "--tip-method", choices=[m.value for m in TipMethod], default=TipMethod.AUTO.value,
        help="how the tip's shape is removed (%(default)s)",
    )  # fmt: skip
    own.add_argument("--no-pictures", action="store_true", help="write the data only")
    _json(own)


def _params(commands: Commands) -> None:
    own = commands.add_parser("params", help="list every parameter of the restoration")
    _json(own)


def _models(commands: Commands) -> None:
    own = commands.add_parser("models", help="say who classifies and who finds spoilt pixels")
    _config(own)
    _json(own)


def _serve(commands: Commands) -> None:
    own = commands.add_parser("serve", help="run the daemon")
    _config(own)


def _check(commands: Commands) -> None:
    own = commands.add_parser("check", help="say whether the daemon would start, and why not")
    _config(own)
    _json(own)


def _demo(commands: Commands) -> None:
    own = commands.add_parser("demo", help="watch a virtual microscope's scans being repaired by a real daemon")
    own.add_argument("--scans", type=Path, metavar="DIR", help="drop the real files below this folder, too")
    own.add_argument("--out", type=Path, metavar="DIR", help="where to leave the results (a new temporary folder)")
    own.add_argument(
        "--seconds", type=float, default=12.0, metavar="S", help="how long the microscope scans (%(default)s)"
    )
    own.add_argument(
        "--count", type=int, default=19, metavar="N", help="how many scans are simulated (%(default)s: all kinds)"
    )
    own.add_argument("--seed", type=int, default=1, metavar="N", help="same seed, same scans (%(default)s)")


def _config(own: argparse.ArgumentParser) -> None:
    own.add_argument("--config", type=Path, default=SETTINGS, metavar="FILE", help="settings file (%(default)s)")


def _json(own: argparse.ArgumentParser) -> None:
    own.add_argument("--json", action="store_true", help="print JSON on standard output")
