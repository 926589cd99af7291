"""Real scans and simulated ones mixed, without titles: look at the picture before reading the key that is printed.

    python benchmarks/twin_gallery.py OUT.png --blind SCANS_DIR [--first SEED]

`afmd twin gallery` draws simulated scans with their titles and their truth.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np

import afmd
from afmd.twin import EVERYTHING, gallery
from afmd.twin.gallery import plane_levelled

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BLIND_PIXELS = 256


def main() -> None:
    wish = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wish.add_argument("out", type=Path)
    wish.add_argument("--first", type=int, default=0)
    wish.add_argument("--blind", type=Path, required=True)
    wished = wish.parse_args()
    _blind(wished.out, wished.blind, seed=wished.first)


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
