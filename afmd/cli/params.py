"""``afmd params``: every parameter of the restoration, from the one table that also feeds the wire."""

import argparse
from dataclasses import asdict

from afmd.cli.screen import out, print_json, table
from afmd.domain.params import PARAMETERS, Parameter


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    if arguments.json:
        print_json([asdict(parameter) for parameter in PARAMETERS.values()])
        return 0
    rows = [_row(parameter) for parameter in PARAMETERS.values()]
    columns = ["name", "step", "meaning", "best", "published", "range", "unit", "raise it when", "lower it when"]
    out().print(table("Parameters", columns, rows))
    return 0


def _row(parameter: Parameter) -> list[str]:
    return [
        parameter.name, parameter.step, parameter.meaning, _value(parameter.best), _value(parameter.published),
        _range(parameter), parameter.unit, parameter.raise_when, parameter.lower_when,
    ]  # fmt: skip


def _range(parameter: Parameter) -> str:
    if parameter.choices:
        return ", ".join(parameter.choices)
    if isinstance(parameter.best, bool):
        return "yes, no"
    return "" if parameter.low is None else f"{parameter.low:g} to {parameter.high:g}"


def _value(value: bool | int | float | str) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
