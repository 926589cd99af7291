"""Simulated scans on disk: made once, in any order, picked up again after a kill.

Rule: a scan is its recipe, its seed and the twin that made it; a file that exists is whole.
Seeds: training from 0, validation from 5 000 000, evaluation from 10 000 000.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

import afmd.training.second
import afmd.twin
from afmd.domain.findings import Label
from afmd.training.config import EVALUATION_FROM, VALIDATION_FROM
from afmd.training.planting import RECIPE, Planted, plant
from afmd.training.second import Recorded
from afmd.twin import Simulated

Missing = TypeVar("Missing")
Part = Literal["training", "validation", "evaluation"]
FIRST_SEED: dict[Part, int] = {"training": 0, "validation": VALIDATION_FROM, "evaluation": EVALUATION_FROM}
PLANTED = f"planted-{RECIPE}"
"""Recipe of good scans of ``TRAINING`` with faults planted in them (`plant`)."""
TIP_CHANGES = "tip-changes"
"""Recipe of scans of ``TRAINING`` with a tip that changed, on even seeds for good, on odd ones for some lines."""
SECOND = f"second-{afmd.training.second.RECIPE}"
"""Recipe of scans of a second microscope (`afmd.training.second`), which has samples and faults of its own."""
ARTIFACT, FEATURE = 1, 2
"""Bits of ``Example.targets``."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One simulated scan with its answers.

    ``heights``, ``retrace``: float32 (rows, cols) nm. ``targets``: uint8 (rows, cols), bits ``ARTIFACT``, ``FEATURE``.
    """

    seed: int
    heights: NDArray[np.float32]
    retrace: NDArray[np.float32] | None
    targets: NDArray[np.uint8]
    label: Label
    kinds: tuple[str, ...]
    visible: bool
    severity: float
    surface: str = ""

    @property
    def artifact(self) -> NDArray[np.bool_]:
        """True where the pixel is spoilt."""
        return np.asarray((self.targets & ARTIFACT) != 0)

    @property
    def feature(self) -> NDArray[np.bool_]:
        """True where the surface stands out of its substrate."""
        return np.asarray((self.targets & FEATURE) != 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index knows of one example without opening it."""

    file: Path
    seed: int
    label: Label
    kinds: tuple[str, ...]
    visible: bool
    severity: float
    surface: str

    @classmethod
    def of(cls, file: Path) -> Self:
        """Read only the facts of a stored example."""
        with np.load(file) as stored:
            facts = json.loads(str(stored["facts"]))
        return cls(file=file, **_typed(facts))


def gather(folder: Path, part: Part, count: int, *, recipe: str, workers: int = 1, skip: int = 0) -> list[Entry]:
    """Make what is missing of ``count`` examples of a part, after ``skip`` seeds, and return them all, by seed.

    ``folder`` belongs to one twin (see `default_folder`); each recipe has a folder of its own in it.
    """
    home = folder / recipe
    home.mkdir(parents=True, exist_ok=True)
    first = FIRST_SEED[part] + skip
    files = [home / f"{seed}.npz" for seed in range(first, first + count)]
    missing = [file for file in files if not file.exists()]
    make_each(missing, partial(_make, recipe=recipe), workers=workers)
    return indexed(home, files)


def make_each(missing: Sequence[Missing], make: Callable[[Missing], None], *, workers: int) -> None:
    """Make what a cache lacks, in so many processes; ``make`` goes to them, so that it is a function of a module."""
    if workers > 1 and len(missing) > workers:
        with ProcessPoolExecutor(workers) as pool:
            list(pool.map(make, missing, chunksize=4))
    else:
        for one in missing:
            make(one)


def indexed(home: Path, files: Sequence[Path]) -> list[Entry]:
    """Return the entries of stored examples; facts are kept in one index, so that thousands open at once."""
    index = home / "index.json"
    known: dict[str, dict[str, Any]] = json.loads(index.read_text()) if index.exists() else {}
    for file in files:
        if file.stem not in known:
            entry = Entry.of(file)
            known[file.stem] = _facts(entry)
    replace(index, lambda temporary: temporary.write_text(json.dumps(known)))
    return [Entry(file=file, **_typed(known[file.stem])) for file in files]


def open_example(entry: Entry) -> Example:
    """Read one stored example."""
    with np.load(entry.file) as stored:
        retrace = stored.get("retrace")
        arrays = {"heights": stored["heights"], "retrace": retrace, "targets": stored["targets"]}
    facts = {name: getattr(entry, name) for name in ("seed", "label", "kinds", "visible", "severity", "surface")}
    return Example(**arrays, **facts)


def simulate(seed: int, recipe: str) -> Example:
    """Ask a microscope for one example of the named recipe, or for a good one in which faults are then planted."""
    if recipe == SECOND:
        other = afmd.training.second.scan(seed)
        return _example(
            seed, other, heights=other.heights, retrace=other.retrace, feature=other.feature, surface=other.surface
        )
    if recipe == PLANTED:
        clean = afmd.twin.simulate(seed, recipe=afmd.twin.TRAINING.all_good())
        planted = plant(clean, seed)
        return _of_twin(seed, clean, planted, heights=planted.heights, retrace=planted.retrace)
    if recipe == TIP_CHANGES:
        changed = afmd.twin.TRAINING.only(("tip_change", "debris_pickup")[seed % 2])
        made = afmd.twin.simulate(seed, recipe=changed)
    else:
        made = afmd.twin.simulate(seed, recipe=getattr(afmd.twin, recipe.upper()))
    return _of_twin(seed, made, made, heights=made.scan.heights, retrace=made.scan.retrace)


def _of_twin(
    seed: int, made: Simulated, found: Simulated | Planted, *, heights: NDArray[np.float32],
    retrace: NDArray[np.float32] | None,
) -> Example:  # fmt: skip
    """Return the surface of ``made`` with the answers of ``found``."""
    surface = str(made.parameters["plan"]["surface"])
    return _example(seed, found, heights=heights, retrace=retrace, feature=made.feature, surface=surface)


def _example(
    seed: int, found: Simulated | Planted | Recorded, *, heights: NDArray[np.float32],
    retrace: NDArray[np.float32] | None, feature: NDArray[np.bool_], surface: str,
) -> Example:  # fmt: skip
    """Return heights with the answers of ``found``."""
    targets = found.artifact.astype(np.uint8) * ARTIFACT + feature.astype(np.uint8) * FEATURE
    return Example(
        seed=seed, heights=heights, retrace=retrace, targets=targets, label=Label(found.label),
        kinds=tuple(str(kind) for kind in found.kinds), visible=bool(found.visible), severity=float(found.severity),
        surface=surface,
    )  # fmt: skip


def default_folder() -> Path:
    """Return the cache that belongs to the twin's present source: another twin is another corpus."""
    digest = hashlib.sha256()
    home = Path(afmd.twin.__file__).parent
    for file in sorted(home.rglob("*.py")):
        if home / "pairs" not in file.parents:  # no scan is made of them
            digest.update(file.read_bytes())
    return Path("runs") / "corpus" / digest.hexdigest()[:8]


def _make(file: Path, recipe: str) -> None:
    example = simulate(int(file.stem), recipe)
    arrays: dict[str, Any] = {"heights": example.heights, "targets": example.targets}
    if example.retrace is not None:
        arrays["retrace"] = example.retrace
    facts = json.dumps(_facts(example))

    def write(temporary: Path) -> None:
        with temporary.open("wb") as out:
            np.savez(out, facts=np.array(facts), **arrays)

    replace(file, write)


def _facts(example: Example | Entry) -> dict[str, Any]:
    names = ("seed", "label", "kinds", "visible", "severity", "surface")
    return {name: getattr(example, name) for name in names}


def _typed(facts: dict[str, Any]) -> dict[str, Any]:
    return facts | {"label": Label(facts["label"]), "kinds": tuple(facts["kinds"])}


def kept(file: Path, make: Callable[[], NDArray[Any]]) -> Path:
    """Return the file of an array (``.npy``), made and stored, whole, where it is not kept yet."""
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        values = make()
        replace(file, lambda temporary: save_array(temporary, values))
    return file


def save_array(file: Path, values: NDArray[Any]) -> None:
    """Write an array under just this name, to which NumPy would add its own suffix."""
    with file.open("wb") as out:
        np.save(out, values)


def replace(file: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file under another name and then give it its own: it is whole, or it is not there."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        write(temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
