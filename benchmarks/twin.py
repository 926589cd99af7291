"""How long one simulated scan takes, by size, by sample and by artefact, on one core.

    OMP_NUM_THREADS=1 python benchmarks/twin.py [SCANS]

Processor time, so that a busy machine does not count. SCANS scans for each figure (default 12).
"""

import sys
from time import process_time

from afmd.twin import EVERYTHING, KINDS, SURFACES, Recipe, simulate

SIZES = ((128, 128), (256, 256), (512, 512), (1024, 1024))


def main() -> None:
    scans = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    simulate(0, shape=(64, 64))
    print("size          ms a scan (mean, worst)      µs a pixel")
    for shape in SIZES:
        mean, worst = _milliseconds(EVERYTHING, shape, max(scans * 256 // shape[0], 4))
        print(f"{shape[0]:5d} × {shape[1]:<5d} {mean:9.1f} {worst:9.1f} {1e3 * mean / (shape[0] * shape[1]):16.2f}")
    print("\n256 × 256, good scans by sample")
    _table({name: EVERYTHING.all_good().on(name) for name in SURFACES}, scans)
    print("\n256 × 256, scans with one artefact")
    _table({kind: EVERYTHING.only(kind) for kind in KINDS}, scans)


def _table(recipes: dict[str, Recipe], scans: int) -> None:
    for name, recipe in recipes.items():
        mean, worst = _milliseconds(recipe, (256, 256), scans)
        print(f"{name:16s} {mean:7.1f} ms, worst {worst:7.1f} ms")


def _milliseconds(recipe: Recipe, shape: tuple[int, int], scans: int) -> tuple[float, float]:
    taken = []
    for seed in range(scans):
        start = process_time()
        simulate(seed, shape=shape, recipe=recipe)
        taken.append(1e3 * (process_time() - start))
    return sum(taken) / len(taken), max(taken)


if __name__ == "__main__":
    main()
