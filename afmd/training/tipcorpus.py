"""Prepared pairs on disk for the tip's network: made once, in any order, picked up again after a kill.

Rule: a file is its recipe, its seed, the twin's pairs and the planes' recipe; a file that exists is whole.
Seeds as for scans: training from 0, validation from 5 000 000, evaluation from 10 000 000.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import afmd.twin.pairs
from afmd.science.tip import planes
from afmd.training.corpus import FIRST_SEED, Part, make_each, replace
from afmd.twin.pairs import PAPER_B, TRAINING, Pair, PairRecipe, pair

RECIPES: dict[str, PairRecipe] = {"training": TRAINING, "paper_b": PAPER_B}
VARYING = (planes.HEIGHT, planes.GAP, planes.ROBUST, planes.SLOPE, planes.TOUCHES, planes.MASKED)
DEPTH, GROUND = len(VARYING), len(VARYING) + 1
"""Rows of ``Prepared.stack`` after the planes: how far the surface lies under its bound, and the ground, in units."""
MASKED_SHARE = 0.12


@dataclass(frozen=True, slots=True)
class PairEntry:
    """A prepared pair that has not been opened."""

    file: Path
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """``stack``: float32 (8, rows, cols). ``constants``: float32 (5,), values of the constant planes. ``unit_nm``."""

    stack: NDArray[np.float32]
    constants: NDArray[np.float32]
    unit_nm: float
    kind: str


def gather_pairs(folder: Path, part: Part, count: int, *, recipe: str, workers: int = 1) -> list[PairEntry]:
    """Make what is missing of ``count`` prepared pairs of a part and return them all, by seed."""
    home = folder / recipe
    home.mkdir(parents=True, exist_ok=True)
    first = FIRST_SEED[part]
    entries = [PairEntry(home / f"{seed}.npz", seed) for seed in range(first, first + count)]
    missing = [entry for entry in entries if not entry.file.exists()]
    make_each(missing, partial(_make, recipe=recipe), workers=workers)
    return entries


def open_pair(entry: PairEntry) -> Prepared:
    """Read one prepared pair."""
    with np.load(entry.file) as stored:
        return Prepared(stored["stack"], stored["constants"], float(stored["unit_nm"]), str(stored["kind"]))


def prepared(made: Pair) -> Prepared:
    """Return a pair as the network learns it; some pairs lose lines and patches to a mask, and are filled there."""
    rng = np.random.default_rng([made.seed, 7])
    mask = _random_mask(rng, made.image.shape) if rng.random() < MASKED_SHARE else None
    image = made.image if mask is None else _filled(made.image, mask)
    view = planes.tip_view(image, pixel_nm=made.pixel_nm, tip=made.tip, mask=mask)
    depth = (view.bound - made.surface) / np.float32(view.unit_nm)
    rows = [*view.planes[list(VARYING)], depth, view.ground / np.float32(view.unit_nm)]
    constants = view.planes[list(planes.CONSTANT), 0, 0]
    return Prepared(np.stack(rows).astype(np.float32), constants, view.unit_nm, made.kind)


def default_pairs_folder() -> Path:
    """Return the cache that belongs to the pairs and planes as they stand."""
    digest = hashlib.sha256(str(planes.RECIPE).encode())
    for file in sorted(Path(afmd.twin.pairs.__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return Path("runs") / "pairs" / digest.hexdigest()[:8]


def _make(entry: PairEntry, recipe: str) -> None:
    made = prepared(pair(entry.seed, recipe=RECIPES[recipe]))

    def write(temporary: Path) -> None:
        with temporary.open("wb") as out:
            np.savez(out, stack=made.stack, constants=made.constants, unit_nm=made.unit_nm, kind=made.kind)

    replace(entry.file, write)


def _random_mask(rng: np.random.Generator, shape: Sequence[int]) -> NDArray[np.bool_]:
    mask = np.zeros(tuple(shape), np.bool_)
    for _ in range(int(rng.integers(1, 6))):
        top, left = (int(rng.integers(0, n)) for n in shape)
        if rng.random() < 0.5:
            mask[top : top + int(rng.integers(1, 6)), :] = True
        else:
            mask[top : top + int(rng.integers(2, 16)), left : left + int(rng.integers(2, 40))] = True
    return mask


def _filled(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the image with masked pixels on the straight line between what is known above and below."""
    result = image.copy()
    at = np.arange(len(image))
    for col in np.flatnonzero(mask.any(axis=0)):
        known = ~mask[:, col]
        if known.any():
            result[mask[:, col], col] = np.interp(at[mask[:, col]], at[known], image[known, col])
    return result
