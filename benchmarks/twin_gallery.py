"""A picture of many simulated scans: raw, levelled by a plane, and what is true of each pixel.

    python benchmarks/twin_gallery.py OUT.png [--kind KIND] [--surface SURFACE] [--first SEED] [--count N]

    python benchmarks/twin_gallery.py OUT.png --blind SCANS_DIR

The second form mixes real scans with simulated ones, without titles: look at it before reading the key that is printed.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np

import afmd
from afmd.twin import EVERYTHING, gallery
from afmd.twin.gallery import Tile, plane_levelled

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLUMNS = 8
BLIND_PIXELS = 256


def main() -> None:
    wish = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wish.add_argument("out", type=Path)
    wish.add_argument("--kind")
    wish.add_argument("--surface")
    wish.add_argument("--first", type=int, default=0)
    wish.add_argument("--count", type=int, default=24)
    wish.add_argument("--blind", type=Path)
    wished = wish.parse_args()
    if wished.blind:
        _blind(wished.out, wished.blind, seed=wished.first)
        return
    recipe = EVERYTHING.only(wished.kind) if wished.kind else EVERYTHING
    recipe = recipe.on(wished.surface) if wished.surface else recipe
    _draw(wished.out, gallery(range(wished.first, wished.first + wished.count), shape=None, recipe=recipe))


def _draw(out: Path, tiles: tuple[Tile, ...]) -> None:
    rows = -(-len(tiles) // COLUMNS)
    figure, axes = plt.subplots(3 * rows, COLUMNS, figsize=(2.6 * COLUMNS, 7.8 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for number, tile in enumerate(tiles):
        row, col = 3 * (number // COLUMNS), number % COLUMNS
        for part, values in enumerate((tile.raw, tile.levelled)):
            _show(axes[row + part, col], values)
        truth = 2.0 * tile.artifact + tile.simulated.feature
        axes[row + 2, col].imshow(truth, vmin=0, vmax=3, interpolation="nearest")
        axes[row, col].set_title(tile.title + (" (visible)" if tile.simulated.visible else ""), fontsize=6)
    figure.subplots_adjust(0, 0, 1, 0.98, 0.02, 0.06)
    figure.savefig(out, dpi=60)


def _blind(out: Path, scans: Path, *, seed: int) -> None:
    rng = np.random.default_rng(seed)
    files = sorted((scans / "images").iterdir())
    real = [
        (path.name, afmd.read(path).heights) for path in (files[i] for i in rng.choice(len(files), 8, replace=False))
    ]
    seeds = rng.integers(0, 10**6, 22)
    made = [(f"seed {s}", gallery(range(s, s + 1), shape=None, recipe=EVERYTHING.all_good())[0].raw) for s in seeds]
    mixed = real + made
    order = rng.permutation(len(mixed))
    figure, axes = plt.subplots(5, 6, figsize=(18, 15))
    for axis, which in zip(axes.flat, order, strict=True):
        _show(axis, plane_levelled(mixed[which][1][:BLIND_PIXELS, :BLIND_PIXELS]))
        axis.axis("off")
    figure.subplots_adjust(0, 0, 1, 1, 0.02, 0.02)
    figure.savefig(out, dpi=60)
    print("key, row by row:", ", ".join(mixed[which][0] for which in order))


def _show(axis: plt.Axes, values: np.ndarray) -> None:
    low, high = np.percentile(values, [0.5, 99.5])
    axis.imshow(values, vmin=low, vmax=max(high, low + 1e-9), cmap="afmhot", interpolation="nearest")


if __name__ == "__main__":
    main()
