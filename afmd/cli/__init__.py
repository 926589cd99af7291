"""The command line. Rule: standard output carries the answer and nothing else; everything said beside it goes to
standard error, and an error says what failed, why, and what mends it, in one place: here.

Exit status: 0 all went well, 1 a defect of ours or files that did not go well, 2 wrong arguments, and the status that
each error of ``afmd.errors`` names; 130 after Ctrl-C.
"""

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from afmd.errors import AfmdError

EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    from afmd.cli.arguments import parser
    from afmd.runtime.limits import limit_native_threads

    limit_native_threads(1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of another age must not end a command over a tick mark
    arguments = parser().parse_args(argv)
    try:
        status: int = import_module(f"afmd.cli.{_module(arguments.command)}").run(arguments)
        sys.stdout.flush()
    except AfmdError as e:
        _say(e)
        return e.exit_status
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has seen enough; keep the interpreter from flushing into the closed pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _module(command: str) -> str:
    """Return which module runs a command: its own, or the one behind which all of training stands."""
    from afmd.training.arguments import COMMANDS

    return "training" if command in COMMANDS else command


def _say(error: AfmdError) -> None:
    from afmd.cli.screen import err

    err().print(f"[bold red]{_plain(error.what)}[/]: {_plain(error.why)}.\n[green]{_plain(error.mend)}.[/]")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text.rstrip("."))
