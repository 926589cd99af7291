"""Levelling beside its peers, in one run: how near the truth, and how fast.

    OMP_NUM_THREADS=1 python benchmarks/levelling.py [--scans 90] [--json FILE]

Truth: simulated scans of ``afmd.twin.EVALUATION``; the distance is the rms over pixels outside the true artefacts, the
median taken off, in nm and in % of the relief. Every method is told the same mask, once the segmenter's and once the
true one. Speed: the fastest of several runs at 512² and 2048², beside Gwyddion's polynomial levelling (its C library,
where it is installed) and beside a plain numpy least squares.
"""

import argparse
import ctypes
import ctypes.util
import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from afmd import compose, settings
from afmd.domain.params import Params
from afmd.errors import CannotLevel
from afmd.pipeline.stages import segmented
from afmd.science.flatten import level
from afmd.twin import EVALUATION, Simulated, simulate

FIRST_SEED = 30_000_000
METHODS = {
    "best (joint)": Params(),
    "published (smart)": Params("published"),
    "plane": Params(level="plane"),
    "polynomial, order 2": Params(level="poly", order=2),
    "row median": Params(level="median", direction="row"),
    "median of differences": Params(level="median_of_differences", direction="row"),
    "trimmed mean": Params(level="trimmed_mean", direction="row"),
    "facet": Params(level="facet"),
}
Heights = np.ndarray


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=90)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found = {"truth": nearness(asked.scans), "ms": {side: speed(side) for side in (512, 2048)}}
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2))


def nearness(scans: int) -> dict[str, dict[str, list[float]]]:
    """Return mean nm, its standard error, median % and 90th percentile % by mask and method, and print them."""
    errors: dict[str, dict[str, list[tuple[float, float]]]] = {m: {n: [] for n in METHODS} for m in ("own", "true")}
    segmenter = compose.backends(settings.Models()).segmenter
    for seed in range(FIRST_SEED, FIRST_SEED + scans):
        one = simulate(seed, shape=(256, 256), recipe=EVALUATION)
        own = segmented(one.scan, params=Params(), segmenter=segmenter)[1].final
        for name, params in METHODS.items():
            errors["own"][name].append(distance(one, own, params))
            errors["true"][name].append(distance(one, one.artifact, params))
    print(f"{scans} simulated scans; rms distance to the truth\n")
    print(f"{'':24s}{'own masks':^37s}{'true masks':^37s}")
    print(f"{'method':24s}" + f"{'mean nm':>17s}{'median %':>10s}{'90th %':>10s}" * 2)
    table: dict[str, dict[str, list[float]]] = {}
    for name in METHODS:
        table[name] = {mask: summary(errors[mask][name]) for mask in errors}
        shown = "".join(f"{m:9.2f} ± {e:5.2f}{p:10.2f}{q:10.2f}" for m, e, p, q in table[name].values())
        print(f"{name:24s}{shown}")
    return table


def distance(one: Simulated, mask: Heights, params: Params) -> tuple[float, float]:
    """Return the rms distance to the truth in nm and in % of the relief; what cannot be levelled stays raw."""
    try:
        flat = level(one.scan.heights, pixel_nm=one.scan.pixel_nm, ground=~mask, params=params).heights
    except CannotLevel:
        flat = one.scan.heights
    rest = (flat - one.imaged)[~one.artifact]
    if rest.size == 0:
        return np.nan, np.nan
    rms = float(np.sqrt(np.mean(np.square(rest - np.median(rest), dtype=np.float64))))
    return rms, 100 * rms / float(np.ptp(one.imaged))


def summary(pairs: list[tuple[float, float]]) -> list[float]:
    """Return mean nm, its standard error, median % and 90th percentile %."""
    nm, percent = np.array(pairs).T
    count = np.sqrt(np.isfinite(nm).sum())
    return [float(v) for v in (np.nanmean(nm), np.nanstd(nm) / count, *np.nanpercentile(percent, [50, 90]))]


def speed(side: int) -> dict[str, float]:
    """Return milliseconds by method at ``side`` × ``side``, and print them as ratios to the peers."""
    heights = np.array(simulate(7, shape=(side, side)).scan.heights)
    mask = np.ones(heights.shape, dtype=bool)
    runs: dict[str, Callable[[], object]] = {
        name: (lambda params=params: level(heights, pixel_nm=1.0, ground=mask, params=params))
        for name, params in METHODS.items()
    }
    peers = {"numpy least squares, order 2": lambda: least_squares(heights), **gwyddion(heights)}
    spent = {name: fastest(run, rounds=9 if side <= 512 else 3) for name, run in {**runs, **peers}.items()}
    print(f"\n{side} × {side}, fastest run" + "".join(f"{f'× {peer}':>34s}" for peer in peers))
    for name, ms in spent.items():
        print(f"{name:30s}{ms:9.1f} ms" + "".join(f"{ms / spent[peer]:20.2f}{'':14s}" for peer in peers))
    return spent


def fastest(run: Callable[[], object], *, rounds: int) -> float:
    """Return the milliseconds of the fastest of several runs."""
    spent = []
    for _ in range(rounds):
        begin = perf_counter()
        run()
        spent.append(perf_counter() - begin)
    return 1e3 * min(spent)


def least_squares(heights: Heights) -> Heights:
    """The plain way: a polynomial of order 2 by numpy's own solver."""
    rows, cols = heights.shape
    r, c = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : cols * 1j].reshape(2, -1)
    basis = np.stack([np.ones_like(r), r, c, r * r, r * c, c * c], axis=1)
    return heights - (basis @ np.linalg.lstsq(basis, heights.ravel(), rcond=None)[0]).reshape(heights.shape)


def gwyddion(heights: Heights) -> dict[str, Callable[[], object]]:
    """Gwyddion's polynomial levelling of order 2 through its C library, or nothing where that is absent."""
    base, name = ctypes.util.find_library("gwyddion2"), ctypes.util.find_library("gwyprocess2")
    if base is None or name is None:
        print("Gwyddion's library is not installed")
        return {}
    ctypes.CDLL(base, mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(name)
    library.gwy_process_type_init()
    pointer, integer, double = ctypes.c_void_p, ctypes.c_int, ctypes.c_double
    library.gwy_data_field_new.restype = pointer
    library.gwy_data_field_new.argtypes = [integer, integer, double, double, integer]
    library.gwy_data_field_get_data.restype = ctypes.POINTER(double)
    library.gwy_data_field_get_data.argtypes = [pointer]
    library.gwy_data_field_fit_polynom.restype = ctypes.POINTER(double)
    library.gwy_data_field_fit_polynom.argtypes = [pointer, integer, integer, pointer]
    library.gwy_data_field_subtract_polynom.argtypes = [pointer, integer, integer, pointer]
    rows, cols = heights.shape
    field = library.gwy_data_field_new(cols, rows, 1.0, 1.0, 1)
    np.ctypeslib.as_array(library.gwy_data_field_get_data(field), shape=heights.shape)[:] = heights
    coefficients = (double * 9)()

    def levelled() -> None:
        library.gwy_data_field_fit_polynom(field, 2, 2, coefficients)
        library.gwy_data_field_subtract_polynom(field, 2, 2, coefficients)

    return {"Gwyddion, polynomial 2 × 2": levelled}


if __name__ == "__main__":
    main()
