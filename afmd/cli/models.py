"""``afmd models``: who classifies and who finds spoilt pixels, and by which weights."""

import argparse

from rich.markup import escape

from afmd.cli.screen import err, out, print_json, table


def run(arguments: argparse.Namespace) -> int:
    """Load the backends that the settings ask for and name them. Raises ``SettingsError``, ``ModelError``."""
    from afmd import compose, settings

    asked = settings.load(arguments.config).models if arguments.config.exists() else settings.Models()
    found = compose.backends(asked)
    rows = [("classifier", found.classifier.backend), ("segmenter", found.segmenter.backend)]
    if arguments.json:
        told = {task: {"name": b.name, "version": b.version} for task, b in rows}
        print_json({**told, "remarks": found.remarks})
        return 0
    out().print(table("Models", ["task", "backend", "version"], [[task, b.name, b.version] for task, b in rows]))
    for remark in found.remarks:
        err().print(f"[yellow]rules stand in:[/] {escape(remark)}")
    return 0
