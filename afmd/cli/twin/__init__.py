"""``afmd twin``: what the virtual microscope writes. Rule: same arguments, same bytes."""

import argparse
from collections.abc import Callable, Mapping
from types import MappingProxyType


def run(arguments: argparse.Namespace) -> int:
    """Write scans, a gallery or a data set. Raises ``InvalidInput``, ``StorageError``."""
    return WHAT[arguments.what](arguments)


def _scans(arguments: argparse.Namespace) -> int:
    from afmd.cli.twin.scans import run

    return run(arguments)


def _gallery(arguments: argparse.Namespace) -> int:
    from afmd.cli.twin.gallery import run

    return run(arguments)


def _dataset(arguments: argparse.Namespace) -> int:
    from afmd.cli.twin.dataset import run

    return run(arguments)


WHAT: Mapping[str, Callable[[argparse.Namespace], int]] = MappingProxyType(
    {"scans": _scans, "gallery": _gallery, "dataset": _dataset}
)
