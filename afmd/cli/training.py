"""``afmd train``, ``seal``, ``evaluate``, ``corpus``, ``look``, ``quantise``: the door to the room that needs torch.

Rule: that room is entered only when one of its commands is run, and where its packages are missing that is said in
one line.
"""

import argparse

from afmd.errors import MissingExtra

BROUGHT = frozenset({"torch", "onnx"})
"""What the extra ``training`` brings."""


def run(arguments: argparse.Namespace) -> int:
    """Run the command. Raises ``MissingExtra``, and whatever the command raises."""
    try:
        from afmd.training.commands import RUN
    except ModuleNotFoundError as e:
        if e.name is None or e.name.partition(".")[0] not in BROUGHT:
            raise
        raise MissingExtra(
            f"afmd {arguments.command}", why=f"it needs {e.name}, which is not installed",
            mend='Run: pip install "afmd[training]"',
        ) from e  # fmt: skip
    return RUN[arguments.command](arguments)
