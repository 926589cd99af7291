"""All that is claimed about levelling, filling and whole repairs, beside their peers: makes ``docs/results.md``.

    OMP_NUM_THREADS=1 python benchmarks/results.py [--scans 216] [--peers PYTHON] [--real FOLDER] [--out FILE]

The evaluation set is ``results_scans.py``'s; ``--scans 27`` is a quick pass, and ``--development`` takes other seeds,
so that the set stays unseen. ``--peers`` names a Python that has TopoStats and pySPM. Without it, without Gwyddion's
library or without the folder of real scans, those rows are absent and the page says so.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from results_filling import filling_figures
from results_page import page
from results_peers import by_other_python, gwyddion
from results_pictures import draw_real, draw_simulated
from results_scans import (
    DEVELOPMENT_SEED,
    EVERY_PAIR,
    FIRST_SEED,
    Case,
    cases,
    distance,
    flat_dna,
    levelling_figures,
    rippled,
    unexplained,
)

import afmd
from afmd import compose, settings
from afmd.domain.findings import Label
from afmd.domain.params import Params
from afmd.errors import AfmdError, CannotLevel
from afmd.pipeline.restore import restore
from afmd.pipeline.stages import ground_of, segmented
from afmd.science.flatten import level

REAL = Path(__file__).resolve().parents[2] / "shared" / "scans" / "images"
PEERS_PER_SCAN_S = 20.0
LEVELLING = {
    "best": Params(),
    "published": Params("published"),
    "plane": Params(level="plane"),
    "polynomial, order 2": Params(level="poly", order=2),
    "rows, polynomial 1": Params(level="smart", direction="row", order=1),
    "columns, polynomial 1": Params(level="smart", direction="column", order=1),
    "rows, median": Params(level="median", direction="row"),
    "columns, median": Params(level="median", direction="column"),
    "rows, median of differences": Params(level="median_of_differences", direction="row"),
    "rows, trimmed mean": Params(level="trimmed_mean", direction="row"),
    "facet": Params(level="facet"),
}
TRUE_MASKS = "best, true masks"
UNTOUCHED = "raw"
EXACT = "scanner exactly taken off"
Plane = np.ndarray


@dataclass
class Found:
    """Every figure by table and method, one entry a scan; NaN where it could not be had."""

    levelling: dict[str, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    filling: dict[str, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    covered: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    ripple: dict[int, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    chain: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    by_surface: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    by_fault: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    clean: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    real: dict[str, dict[str, tuple[float | None, float | None]]] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    backends: str = ""
    scans: int = 0
    wall_s: float = 0.0


def main() -> None:
    """Measure, then write the page and its pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=EVERY_PAIR)
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--real", type=Path, default=REAL)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "docs" / "results.md")
    parser.add_argument("--development", action="store_true")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    begun = time.perf_counter()
    found = measured(asked.scans, DEVELOPMENT_SEED if asked.development else FIRST_SEED, python=asked.peers)
    pictures = asked.out.with_suffix("")
    draw_simulated(Path(f"{pictures}-simulated.png"), DEVELOPMENT_SEED)
    if asked.real.is_dir():
        found.real = real_figures(asked.real)
        draw_real(Path(f"{pictures}-real.png"), asked.real)
    else:
        found.absent.append("real scans: no folder of them")
    found.wall_s = time.perf_counter() - begun
    asked.out.write_text(page(found, pictures.name), encoding="utf-8")
    print(f"{asked.out}: {found.scans} scans in {found.wall_s:.0f} s")


def measured(scans: int, first_seed: int, *, python: str | None) -> Found:
    """Return all figures of the first ``scans`` of the set."""
    found = Found(scans=scans)
    backends = compose.backends(settings.Models())
    found.backends = f"{backends.classifier.backend}; {backends.segmenter.backend}"
    other = gwyddion()
    if not other:
        found.absent.append("Gwyddion: its library is not installed")
    seen: list[Case] = []
    for case in cases(scans, first_seed=first_seed):
        seen.append(case)
        add_levelling(found, case, backends, other)
        add_filling(found, case)
        add_chain(found, case, backends)
        if len(seen) % 27 == 0:
            print(f"{len(seen)} of {scans} scans", flush=True)
    add_other_python(found, seen, python)
    add_ripple(found, max(3, scans // 6), first_seed, other)
    return found


def add_levelling(found: Found, case: Case, backends: compose.Backends, other: dict[str, Callable]) -> None:
    """Level one scan by every method, each told the same mask: the segmenter's own."""
    heights, pitch = case.one.scan.heights, case.one.scan.pixel_nm
    seen, masks = segmented(case.one.scan, params=Params(), segmenter=backends.segmenter)
    nothing = np.zeros_like(masks.grown)
    own = ground_of(masks.grown, excluded=nothing, feature=seen.feature, params=Params())
    features = {"best": ~(masks.grown | own)}
    grounds = {"best": own}
    flats = {UNTOUCHED: heights, EXACT: heights - case.one.background}
    for name, params in LEVELLING.items():
        ground = grounds.get(name, ~masks.grown)
        flats[name] = levelled(heights, ground, pitch, params, feature=features.get(name))
    substrate = ground_of(case.one.artifact, excluded=nothing, feature=case.one.feature, params=Params())
    feature = ~(case.one.artifact | substrate)
    flats[TRUE_MASKS] = levelled(heights, substrate, pitch, Params(), feature=feature)
    flats |= {name: method(heights, masks.grown) for name, method in other.items()}
    for name, flat in flats.items():
        add(found.levelling[name], levelling_figures(case, flat))


def levelled(
    heights: Plane, ground: Plane, pitch: tuple[float, float], params: Params, *, feature: Plane | None = None
) -> Plane:
    """Return the levelled heights; what cannot be levelled stays raw. Masks as `level` takes them."""
    try:
        return level(heights, pixel_nm=pitch, ground=ground, feature=feature, params=params).heights
    except CannotLevel:
        return heights


def add(table: dict[str, list[float]], figures: dict[str, float]) -> None:
    """Append each figure to its list."""
    for name, value in figures.items():
        table[name].append(value)


def add_other_python(found: Found, seen: list[Case], python: str | None) -> None:
    """Level all scans by the peers that live in another Python."""
    if python is None:
        found.absent.append("TopoStats and pySPM: no --peers given")
        return
    scans = [(case.one.scan.heights, case.one.scan.pixel_nm[1]) for case in seen]
    flats, absent = by_other_python(python, scans, timeout_s=60 + PEERS_PER_SCAN_S * len(scans))
    found.absent += absent
    for name, own in flats.items():
        for case, flat in zip(seen, own, strict=True):
            shaped = flat is not None and flat.shape == case.one.imaged.shape and np.isfinite(flat).all()
            add(found.levelling[name], levelling_figures(case, flat if shaped else case.one.scan.heights))


def add_filling(found: Found, case: Case) -> None:
    """Fill one scan by every method, where its artefacts are holes."""
    figures, covered = filling_figures(case)
    for name, own in figures.items():
        add(found.filling[name], own)
    for name in covered:
        found.covered[name].append(covered[name])


def add_chain(found: Found, case: Case, backends: compose.Backends) -> None:
    """Restore one scan, raw to restored, in both presets."""
    one = case.one
    found.chain["raw"].append(100 * distance(one.scan.heights, one.imaged) / case.relief)
    for name in ("published", "best"):
        try:
            done = restore(
                one.scan, params=Params(name), classifier=backends.classifier, segmenter=backends.segmenter,
                clock=time.perf_counter,
            ).restored  # fmt: skip
        except AfmdError:
            done = one.scan.heights
        far = 100 * distance(done, one.imaged) / case.relief
        found.chain[name].append(far)
        if one.label is Label.GOOD:
            found.clean[name].append(100 * unexplained(one, done) / case.relief)
    floor = distance(one.scan.heights - one.background - one.displacement, one.imaged)
    found.chain["the microscope's own noise and lag"].append(100 * floor / case.relief)
    pair = (found.chain["published"][-1], found.chain["best"][-1])
    found.by_surface[case.surface].append(pair)
    found.by_fault[case.fault or "good"].append(pair)


def add_ripple(found: Found, count: int, first_seed: int, other: dict[str, Callable]) -> None:
    """Paper A's ripple on clean scans of DNA on flat mica, along either axis."""
    for number, one in enumerate(flat_dna(count, first_seed=first_seed)):
        clean = (one.scan.heights - one.background).astype(np.float64)
        clean -= clean.min()
        nothing = np.zeros(clean.shape, dtype=bool)
        for degrees in (0, 90):
            heights = rippled(clean, degrees=degrees, phase=1.3 * number)
            flats = {name: levelled(heights, ~nothing, one.scan.pixel_nm, params) for name, params in LEVELLING.items()}
            flats |= {name: method(heights, nothing) for name, method in other.items()}
            for name, flat in flats.items():
                found.ripple[degrees][name].append(100 * distance(flat, clean) / float(np.ptp(one.imaged)))


def real_figures(folder: Path) -> dict[str, dict[str, tuple[float | None, float | None]]]:
    """Return by scan and preset how far trace and retrace lie apart before and after, nm."""
    told: dict[str, dict[str, tuple[float | None, float | None]]] = {}
    for path in sorted(folder.iterdir()):
        scan = afmd.read(path)
        if scan.retrace is None:
            continue
        told[path.name] = {}
        for name in ("published", "best"):
            quality = afmd.restore(scan, Params(name)).quality
            told[path.name][name] = (quality.pass_rms_before_nm, quality.pass_rms_after_nm)
    return told


if __name__ == "__main__":
    main()
