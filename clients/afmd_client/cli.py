"""afmctl: what people and scripts ask of a daemon. Rule: results on standard output, everything else on standard error.

Exit status: 0 done; 1 a defect, or bytes that are not as promised; 2 an argument that makes no sense; 5 no daemon
answers; 6 a file cannot be written; 7 the daemon says no (unknown scan, wrong state, no permission, a bound);
130 interrupted.
"""

import argparse
import errno
import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TypeAlias

from afmd_client import commands
from afmd_client.client import DEFAULT_ADDRESS, Client
from afmd_client.errors import ClientError
from afmd_client.fetch import KINDS, SUFFIXES
from afmd_client.nouns import Label, State

STORAGE = 6
INTERRUPTED = 130
SCAN_HELP = "its id, the beginning of it, its file name (the newest of that name), or 'latest'"

Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal or pipe that cannot show a name shows the rest of it
    options = _parser().parse_args(arguments)
    try:
        with _client(options) as client:
            options.run(client, options)
            sys.stdout.flush()
    except ClientError as e:
        _complain(options, what=e.what, why=e.why, mend=e.mend, reason=e.reason)
        return e.exit_status
    except OSError as e:
        if _reader_has_enough(e):
            return 0
        _complain(options, what=e.filename or "file", why=e.strerror or str(e), mend="", reason="STORAGE_ERROR")
        return STORAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _reader_has_enough(error: OSError) -> bool:
    """Tell whether a pipe's reader, such as head, has gone; Windows calls that an invalid argument."""
    if not isinstance(error, BrokenPipeError) and (error.errno != errno.EINVAL or error.filename is not None):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is flushed at exit goes nowhere
    return True


def _client(options: argparse.Namespace) -> Client:
    file: Path | None = options.token_file
    return Client(
        options.address, token=file.read_text(encoding="utf-8").strip() if file else os.environ.get("AFMD_TOKEN"),
        root_certificates=options.ca, certificate=options.cert, key=options.key,
        timeout_s=options.timeout,
    )  # fmt: skip


def _complain(options: argparse.Namespace, *, what: str, why: str, mend: str, reason: str) -> None:
    """Say what went wrong, to a person or, with --json, to a program."""
    if options.json:
        error = {"reason": reason, "what": what, "why": why, "mend": mend}
        print(json.dumps({"error": error}), file=sys.stderr)
    else:
        commands.complain(what=what, why=why, mend=mend)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="afmctl", description="Watch, list and fetch the scans of an afmd daemon.",
        epilog=(__doc__ or "").partition("\n\n")[2], formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"afmctl {_version()}")
    actions = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = _shared()
    for add in (_add_watch, _add_list, _add_show, _add_get, _add_status):
        add(actions, shared)
    return parser


def _version() -> str:
    from afmd_client import __version__

    return __version__


def _shared() -> argparse.ArgumentParser:
    """Return the options that every command has."""
    shared = argparse.ArgumentParser(add_help=False)
    group = shared.add_argument_group("daemon")
    group.add_argument(
        "--address", default=os.environ.get("AFMD_ADDRESS", DEFAULT_ADDRESS), metavar="HOST:PORT",
        help="where the daemon listens (default: %(default)s, or the environment's AFMD_ADDRESS)",
    )  # fmt: skip
    group.add_argument("--token-file", type=Path, metavar="FILE", help="a file with this user's token; or AFMD_TOKEN")
    group.add_argument("--ca", type=Path, metavar="PEM", help="speak TLS, and trust this authority")
    group.add_argument("--cert", type=Path, metavar="PEM", help="this client's own certificate")
    group.add_argument("--key", type=Path, metavar="PEM", help="the key of --cert")
    group.add_argument(
        "--timeout", type=float, default=10.0, metavar="S", help="longest wait for an answer, in seconds"
    )
    shared.add_argument("--json", action="store_true", help="speak JSON; one line for each event or scan")
    return shared


def _add_watch(actions: Actions, shared: argparse.ArgumentParser) -> None:
    command = actions.add_parser(
        "watch", parents=[shared], help="follow what happens, over restarts and broken connections"
    )  # fmt: skip
    command.add_argument(
        "--after", type=int, metavar="REVISION",
        help="begin after this revision, 0 at the oldest kept (default: now, with the newest scans for a start)",
    )  # fmt: skip
    command.add_argument("--no-follow", action="store_true", help="end when everything that has happened is told")
    command.add_argument("--wait", action="store_true", help="wait for a daemon that is not there yet")
    command.add_argument("--rows", type=int, default=20, metavar="N", help="scans in the live table (default: 20)")
    command.set_defaults(run=commands.watch)


def _add_list(actions: Actions, shared: argparse.ArgumentParser) -> None:
    command = actions.add_parser("list", parents=[shared], help="list scans, newest first")
    states, labels = _words(State), _words(Label)
    command.add_argument("--state", action="append", default=[], choices=states, help="only these; may be repeated")
    command.add_argument("--label", action="append", default=[], choices=labels, help="only these; may be repeated")
    command.add_argument("--since", type=_time, metavar="TIME", help="first seen then or later: 2024-05-01[T12:30]")
    command.add_argument("--until", type=_time, metavar="TIME", help="first seen before then")
    command.add_argument("--limit", type=int, default=20, metavar="N", help="most scans; 0 is all (default: 20)")
    command.set_defaults(run=commands.list_scans)


def _add_show(actions: Actions, shared: argparse.ArgumentParser) -> None:
    command = actions.add_parser("show", parents=[shared], help="tell everything known of one scan")
    command.add_argument("scan", help=SCAN_HELP)
    command.set_defaults(run=commands.show)


def _add_get(actions: Actions, shared: argparse.ArgumentParser) -> None:
    command = actions.add_parser("get", parents=[shared], help="save arrays and pictures of one scan")
    command.add_argument("scan", help=SCAN_HELP)
    command.add_argument(
        "kind", nargs="*", default=["restored"], metavar="KIND",
        help=f"what to save (default: restored): {', '.join(KINDS[:-1])}, or a signal as NAME/trace or NAME/retrace",
    )  # fmt: skip
    command.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="PATH", help="folder, or file where one thing is saved"
    )  # fmt: skip
    command.add_argument("--format", choices=SUFFIXES, help="npy, txt, or png for a picture (default: npy)")
    command.add_argument("--repair", type=int, default=0, metavar="N", help="its number (default: the one in force)")
    command.add_argument("--px", type=int, default=0, metavar="N", help="longest side of a picture in pixels")
    command.add_argument("--colours", default="", metavar="NAME", help="colour map of a picture, such as viridis")
    command.add_argument("--force", action="store_true", help="overwrite files that exist")
    command.set_defaults(run=commands.get)


def _add_status(actions: Actions, shared: argparse.ArgumentParser) -> None:
    command = actions.add_parser("status", parents=[shared], help="tell how the daemon fares")
    command.set_defaults(run=commands.status)


def _words(kind: type[State] | type[Label]) -> list[str]:
    return [member.value for member in kind if member.value != "unknown"]


def _time(text: str) -> datetime:
    """Return a time; local where it names no zone."""
    return datetime.fromisoformat(text).astimezone()


if __name__ == "__main__":
    sys.exit(main())
