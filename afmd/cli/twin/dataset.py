"""``afmd twin dataset``: examples to learn from, as afmd's own training keeps them.

Rule: a folder is filled, never begun anew: what is there is whole and stays, and only what is missing is made.
"""

import argparse
from collections import Counter

from rich.markup import escape

from afmd.cli.screen import out, print_json
from afmd.files.disk import storage_errors


def run(arguments: argparse.Namespace) -> int:
    """Make what is missing and say how the classes fell. Raises ``StorageError``."""
    from afmd.training.corpus import gather

    with storage_errors(arguments.out):
        entries = gather(
            arguments.out, arguments.part, arguments.count, recipe=arguments.recipe, workers=arguments.workers,
            skip=arguments.skip,
        )  # fmt: skip
    folder = arguments.out / arguments.recipe
    classes = Counter(entry.label.value for entry in entries)
    kinds = Counter(kind for entry in entries for kind in entry.kinds)
    if arguments.json:
        print_json({"folder": str(folder), "scans": len(entries), "classes": classes, "kinds": kinds})
        return 0
    told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(classes.items()))
    out().print(f"{escape(str(folder))}: {len(entries)} scans, {told}")
    return 0
