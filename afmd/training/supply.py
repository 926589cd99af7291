"""The scans that a configuration learns and is judged from.

Rule: what a configuration leaves out, it leaves out altogether: a good scan with a speck too small to spoil it, or with
a fault too faint to count, may owe it to the very kind that is not to be seen, and goes too.
"""

from pathlib import Path

from afmd.domain.findings import Label
from afmd.training.config import Training
from afmd.training.corpus import PLANTED, SECOND, TIP_CHANGES, Entry, Part, gather, open_example

PLANTED_FROM = 500_000
TIP_CHANGES_FROM = 600_000
SECOND_FROM = 700_000
"""Seeds passed over before these scans, so that they have surfaces of their own."""


def supplied(configuration: Training, part: Part, *, folder: Path, workers: int = 1) -> list[Entry]:
    """Return the configured number of scans of ``training`` or ``validation``, less those with a kind left out.

    Those with planted faults, with a tip that changes and of the second microscope come last, as many for validation as
    in proportion.
    """
    wanted = configuration.corpus
    count = wanted.training if part == "training" else wanted.validation
    skip = wanted.skip if part == "training" else 0
    entries = gather(folder, part, count, recipe=wanted.recipe, workers=workers, skip=skip)
    others = (
        (wanted.planted, PLANTED, PLANTED_FROM),
        (wanted.tip_changes, TIP_CHANGES, TIP_CHANGES_FROM),
        (wanted.second, SECOND, SECOND_FROM),
    )
    for more, recipe, first in others:
        own = more * count // wanted.training
        if own:
            entries += gather(folder, part, own, recipe=recipe, workers=workers, skip=first)
    return without(entries, wanted.without) if wanted.without else entries


def without(entries: list[Entry], kinds: tuple[str, ...]) -> list[Entry]:
    """Return the scans in which none of these kinds can be, not even unseen."""
    return [entry for entry in entries if not set(kinds) & set(entry.kinds) and not _speckled(entry)]


def _speckled(entry: Entry) -> bool:
    """Whether a good scan holds spoilt pixels; the index does not say of what kind."""
    return entry.label is Label.GOOD and bool(open_example(entry).artifact.any())
