"""Filling with the true mask, against its peers.

    OMP_NUM_THREADS=1 python benchmarks/filling.py [--scans 90] [--times] [--real FOLDER] [--development] [--json FILE]

Simulated scans from the evaluation recipe (surfaces, sizes and parameter ranges that nothing was tuned on), each with
one of nine kinds of artefact that spoil a part of the frame, the scanner's background taken off exactly. Every method
gets the heights and the true mask; what lies under the mask is blanked but for ``evidence``, which looks at it, and, in
a row of its own, at the other pass as recorded. Judged
inside the mask against the same scan without the artefact: rms error in % of the range, structural similarity, and for
ours how often the 90 % interval covers the truth, by distance to data and by kind. ``--real`` adds holes in measured
surfaces, with contents that tell nothing and such that tell something. ``--times`` adds processor milliseconds for 512²
and 2048² with 6 % masked.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import griddata

from afmd.science.inpaint import fill
from afmd.science.inpaint.gaps import reach
from afmd.twin import EVALUATION, TRAINING, Recipe, simulate

KINDS = ("lost_lines", "lift_off", "jump", "scar", "drag", "parachute", "spike", "burst", "smear")
FIRST_SEED, FIRST_SEED_DEVELOPMENT = 41_000_000, 33_000_000
LARGEST_SHARE = 0.3
RING_PX = 3
INTERVAL_SIGMAS = 1.645
DISTANCES = ((1, 1), (2, 3), (4, 7), (8, 10_000))
WIDTHS = {
    "holes of 1-2 px": (0, 1.5),
    "holes of 3-4 px": (1.5, 2.5),
    "holes of 5-8 px": (2.5, 4.5),
    "wider holes": (4.5, np.inf),
}
"""Holes by their widest place; the bounds are distances from its middle to data."""
FEWEST = 30
"""Pixels that a class must have for its share to count."""

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]
Method = Callable[[Plane, Mask], Plane]


@dataclass(frozen=True)
class Case:
    """One scan: ``spoilt`` and ``clean`` heights in nm without background, true mask, ``other`` pass as recorded."""

    kind: str
    spoilt: Plane
    clean: Plane
    mask: Mask
    pixel_nm: tuple[float, float]
    other: Plane | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=90)
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--real", type=Path, help="folder with surfaces.json and the surfaces that it lists")
    parser.add_argument("--development", action="store_true", help="tuning recipe instead of the held-out one")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    recipe, first = (TRAINING, FIRST_SEED_DEVELOPMENT) if args.development else (EVALUATION, FIRST_SEED)
    found = quality(list(cases(args.scans, recipe, first=first)))
    print_quality(found)
    if args.real:
        found["real"] = real(args.real)
        print_real(found["real"])
    if args.times:
        found["ms"] = {side: milliseconds(side) for side in (512, 2048)}
        print_times(found["ms"])
    if args.json:
        args.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


def cases(count: int, recipe: Recipe, *, first: int) -> Iterator[Case]:
    """Yield scans, the kinds in turn."""
    seed, done = first, 0
    while done < count:
        kind = KINDS[done % len(KINDS)]
        made = simulate(seed, recipe=recipe.only(kind))
        seed += 1
        if not (made.visible and made.artifact.mean() <= LARGEST_SHARE):
            continue
        spoilt = made.scan.heights - made.background
        yield Case(kind, spoilt, spoilt - made.displacement, made.artifact, made.scan.pixel_nm, made.scan.retrace)
        done += 1


def ours(method: str) -> Method:
    return lambda heights, mask: fill(heights, mask, method=method, pixel_nm=(1.0, 1.0)).heights


def nearest_along_row(heights: Plane, mask: Mask) -> Plane:
    result = heights.copy()
    for row in np.flatnonzero(mask.any(axis=1) & ~mask.all(axis=1)):
        good = np.flatnonzero(~mask[row])
        bad = np.flatnonzero(mask[row])
        after = np.clip(np.searchsorted(good, bad), 1, len(good) - 1) if len(good) > 1 else np.zeros(len(bad), int)
        before = np.maximum(after - 1, 0)
        near = np.where(bad - good[before] <= good[after] - bad, good[before], good[after])
        result[row, bad] = heights[row, near]
    empty = mask.all(axis=1)
    result[empty] = np.median(heights[~mask])
    return result


def linear_across_rows(heights: Plane, mask: Mask) -> Plane:
    result = heights.copy()
    for col in np.flatnonzero(mask.any(axis=0)):
        bad = mask[:, col]
        if bad.all():
            result[:, col] = np.median(heights[~mask])
            continue
        result[bad, col] = np.interp(np.flatnonzero(bad), np.flatnonzero(~bad), heights[~bad, col])
    return result


def telea_scaled(heights: Plane, mask: Mask) -> Plane:
    low, high = heights[~mask].min(), heights[~mask].max()
    scale = np.float32(65535 / (high - low))
    mapped = np.where(mask, 0, (heights - low) * scale).astype(np.float32)
    painted = cv2.inpaint(mapped, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA) / scale + low
    return np.where(mask, painted, heights).astype(np.float32)


def telea_in_nm(heights: Plane, mask: Mask) -> Plane:
    blank = np.where(mask, np.float32(0), heights)
    return np.where(mask, cv2.inpaint(blank, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA), heights)


def griddata_linear(heights: Plane, mask: Mask) -> Plane:
    """SciPy's triangulation of a ring around the holes alone: a whole frame takes 10 s and gives the same."""
    ring = ndimage.binary_dilation(mask, np.ones((2 * RING_PX + 1,) * 2)) & ~mask
    points, wanted = np.argwhere(ring), np.argwhere(mask)
    value = griddata(points, heights[ring], wanted, method="linear")
    missing = np.isnan(value)
    if missing.any():
        value[missing] = griddata(points, heights[ring], wanted[missing], method="nearest")
    result = heights.copy()
    result[mask] = value
    return result


def skimage_biharmonic(heights: Plane, mask: Mask) -> Plane:
    from skimage.restoration import inpaint_biharmonic

    return inpaint_biharmonic(heights, mask, split_into_regions=True).astype(np.float32)


PEERS: dict[str, Method] = {
    "nearest along the row": nearest_along_row,
    "linear across rows": linear_across_rows,
    "SciPy griddata linear": griddata_linear,
    "OpenCV Telea, in nm": telea_in_nm,
    "OpenCV Telea, scaled": telea_scaled,
    "scikit-image biharmonic": skimage_biharmonic,
}
BEST, BOTH = "afmd best (evidence)", "afmd best, given both passes"
OURS: dict[str, Method] = {
    "afmd published (directional)": ours("directional"),
    "afmd laplace": ours("laplace"),
    "afmd biharmonic": ours("biharmonic"),
    "afmd across": ours("across"),
    BEST: ours("evidence"),
}


def quality(scans: list[Case]) -> dict[str, object]:
    """Return error in % and in-mask similarity by method, and the coverage of our 90 % interval by hole and kind."""
    table = {name: {"error": [], "ssim": [], "kind": []} for name in (*PEERS, *OURS, BOTH)}
    rows = (*(f"{low}-{high}" for low, high in DISTANCES), *WIDTHS, *KINDS)
    covered: dict[str, dict[str, list[float]]] = {name: {row: [] for row in rows} for name in ("across", BEST, BOTH)}
    for case in scans:
        blank = np.where(case.mask, np.median(case.spoilt[~case.mask]), case.spoilt).astype(np.float32)
        for name, method in (PEERS | OURS).items():
            if name != BEST:
                note(table[name], case, method(blank, case.mask))
        for name, method, other in (
            ("across", "across", None), (BEST, "evidence", None), (BOTH, "evidence", case.other),
        ):  # fmt: skip
            filled = fill(case.spoilt, case.mask, method=method, pixel_nm=case.pixel_nm, other_pass=other)
            if name != "across":
                note(table[name], case, filled.heights)
            inside = (np.abs(filled.heights - case.clean) <= INTERVAL_SIGMAS * filled.sigma)[case.mask]
            covered[name][case.kind].append(float(inside.mean()))
            by_distance(covered[name], inside, case.mask)
            by_width(covered[name], inside, case.mask)
    return {"scans": len(scans), "methods": table, "covered": covered}


def note(row: dict[str, list], case: Case, heights: Plane) -> None:
    """Add one scan's figures to a method's."""
    span = float(np.ptp(case.clean))
    result = np.where(case.mask, heights, case.clean)
    error = (result - case.clean)[case.mask]
    row["error"].append(float(100 * np.sqrt(np.mean(np.square(error))) / span))
    row["ssim"].append(float(similarity(result, case.clean, span)[case.mask].mean()))
    row["kind"].append(case.kind)


def by_width(found: dict[str, list[float]], inside: Mask, mask: Mask) -> None:
    """Note the share of pixels inside for holes by their widest place."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    deepest = ndimage.maximum(ndimage.distance_transform_edt(mask), labels, np.arange(count + 1))
    deep = np.asarray(deepest)[labels[mask]]
    for name, (low, high) in WIDTHS.items():
        here = (deep > low) & (deep <= high)
        if np.count_nonzero(here) >= FEWEST:
            found[name].append(float(inside[here].mean()))


def within(spoilt: Plane, clean: Plane, mask: Mask, *, method: str) -> Mask:
    """Return for each masked pixel whether the 90 % interval holds the truth."""
    filled = fill(spoilt, mask, method=method, pixel_nm=(1.0, 1.0))
    return np.abs(filled.heights - clean)[mask] <= INTERVAL_SIGMAS * filled.sigma[mask]


def by_distance(found: dict[str, list[float]], inside: Mask, mask: Mask) -> None:
    """Note the share of pixels inside for each class of distance to data that the mask has enough of."""
    distance = reach(mask).min(axis=0)
    for low, high in DISTANCES:
        here = (distance >= low) & (distance <= high)
        if np.count_nonzero(here) >= FEWEST:
            found[f"{low}-{high}"].append(float(inside[here].mean()))


def real(folder: Path) -> dict[str, dict[str, list[float]]]:
    """Return errors and coverages for holes in measured surfaces, by what stands in the holes."""
    listed = json.loads((folder / "surfaces.json").read_text(encoding="utf-8"))
    found: dict[str, dict[str, list[float]]] = {}
    for seed, entry in enumerate(listed):
        clean = np.load(folder / entry["file"]).astype(np.float32)
        for name, (content, mask) in contents(clean, np.random.default_rng(seed)).items():
            columns = ("across", "evidence", "covered", *(f"{low}-{high}" for low, high in DISTANCES))
            row = found.setdefault(name, {column: [] for column in columns})
            spoilt = np.where(mask, content, clean).astype(np.float32)
            for method in ("across", "evidence"):
                error = (fill(spoilt, mask, method=method, pixel_nm=(1.0, 1.0)).heights - clean)[mask]
                row[method].append(100 * float(np.sqrt(np.mean(np.square(error))) / np.ptp(clean)))
            inside = within(spoilt, clean, mask, method="evidence")
            row["covered"].append(float(inside.mean()))
            by_distance(row, inside, mask)
    return found


def contents(clean: Plane, rng: np.random.Generator) -> dict[str, tuple[NDArray[np.float64], Mask]]:
    """Return what stands in holes of a measured surface, and where the holes are."""
    mask, spread = holes(clean.shape, rng), float(clean.std())
    number, count = ndimage.label(mask)
    fading = clean.astype(np.float64)
    for col in range(1, clean.shape[1]):
        fading[:, col] = np.maximum(fading[:, col], fading[:, col - 1] - 0.05 * spread)
    found = {
        "a constant": (np.full(clean.shape, float(clean.mean())), mask),
        "noise": (rng.normal(clean.mean(), spread, clean.shape), mask),
        "another place": (np.roll(clean, (clean.shape[0] // 3, clean.shape[1] // 5), (0, 1)), mask),
        "the truth with an offset": (clean + rng.normal(0, spread, count + 1)[number], mask),
        "the truth with noise": (clean + rng.normal(0, 0.5 * spread, clean.shape), mask),
    }
    tails = fading - clean > 0.3 * spread
    if 0.002 < tails.mean() < 2 * LARGEST_SHARE:
        found["tails behind falling edges"] = (fading, tails)
    return found


def holes(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """Return streaks of one to four lines and discs over 5 % of a frame."""
    mask = np.zeros(shape, dtype=bool)
    down, across = np.ogrid[: shape[0], : shape[1]]
    while mask.mean() < 0.05:
        row, col = rng.integers(shape[0]), rng.integers(shape[1])
        if rng.random() < 0.5:
            mask[row : row + rng.integers(1, 5), col : col + rng.integers(20, shape[1])] = True
        else:
            mask |= np.square(down - row) + np.square(across - col) <= rng.integers(2, 9) ** 2
    return mask


def similarity(one: Plane, other: Plane, span: float) -> NDArray[np.float64]:
    """Return the structural similarity of every pixel (Wang 2004; Gaussian window of 1.5 px)."""
    a, b = one.astype(np.float64), other.astype(np.float64)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    am, bm = mean(a), mean(b)
    aa, bb, ab = mean(a * a) - am * am, mean(b * b) - bm * bm, mean(a * b) - am * bm
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    return (2 * am * bm + c1) * (2 * ab + c2) / ((am * am + bm * bm + c1) * (aa + bb + c2))


def milliseconds(side: int) -> dict[str, float]:
    """Return the least of some runs of each method on one thread, 6 % masked: lines, scars and specks."""
    heights = simulate(FIRST_SEED, shape=(side, side), recipe=EVALUATION.all_good()).scan.heights
    mask = mixed_mask(side)
    found = {}
    for name, method in (PEERS | OURS).items():
        if side > 1024 and name == "SciPy griddata linear":
            continue
        found[name] = least_ms(method, heights, mask)
    return found


def least_ms(method: Method, heights: Plane, mask: Mask) -> float:
    spent = []
    for _ in range(5):
        begun = time.process_time()
        method(heights, mask)
        spent.append(time.process_time() - begun)
        if sum(spent) > 5:
            break
    return 1e3 * min(spent)


def mixed_mask(side: int) -> Mask:
    """6 % of the pixels: a third in whole lines, a third in scars, a third in compact holes."""
    rng = np.random.default_rng(side)
    mask = np.zeros((side, side), dtype=bool)
    while mask.mean() < 0.02:
        row = rng.integers(side)
        mask[row : row + rng.integers(1, 5)] = True
    while mask.mean() < 0.04:
        row, col = rng.integers(side, size=2)
        mask[row : row + rng.integers(1, 3), col : col + rng.integers(8, max(9, side // 5))] = True
    down, across = np.ogrid[:side, :side]
    while mask.mean() < 0.06:
        row, col = rng.integers(side, size=2)
        mask |= np.square(down - row) + np.square(across - col) <= rng.integers(2, 9) ** 2
    return mask


def print_quality(found: dict[str, object]) -> None:
    print(f"{found['scans']} scans; error in the mask, % of range: mean ± standard error, median; SSIM in the mask\n")
    print("| method | error | median | SSIM |\n|---|---:|---:|---:|")
    for name, row in found["methods"].items():
        error, ssim = np.array(row["error"]), np.array(row["ssim"])
        spread = error.std() / np.sqrt(len(error))
        print(f"| {name} | {error.mean():.2f} ± {spread:.2f} | {np.median(error):.2f} | {ssim.mean():.3f} |")
    print("\n| distance to data in px, or kind | 90 % interval covers: across | evidence | both passes | scans |")
    print("|---:|---:|---:|---:|---:|")
    for name, shares in found["covered"][BEST].items():
        if shares:
            cells = (f"{100 * np.mean(found['covered'][each][name]):.0f} %" for each in ("across", BEST, BOTH))
            print(f"| {name} | {' | '.join(cells)} | {len(shares)} |")
    shown = ("linear across rows", "scikit-image biharmonic", "afmd across", BEST, BOTH)
    print("\n| kind, error | " + " | ".join(shown) + " |\n|---|" + "---:|" * len(shown))
    for kind in KINDS:
        rows = (found["methods"][name] for name in shown)
        picked = (np.mean([e for e, k in zip(row["error"], row["kind"], strict=True) if k == kind]) for row in rows)
        print(f"| {kind} | " + " | ".join(f"{error:.2f}" for error in picked) + " |")


def print_real(found: dict[str, dict[str, list[float]]]) -> None:
    classes = [f"{low}-{high}" for low, high in DISTANCES]
    print("\n| in holes of measured surfaces stands | across | evidence | covered | " + " | ".join(classes) + " |")
    print("|---|---:|---:|---:|" + "---:|" * len(classes))
    for name, row in found.items():
        shares = (f"{100 * np.mean(row[c]):.0f} %" if row[c] else "–" for c in ("covered", *classes))
        print(
            f"| {name} | {np.mean(row['across']):.2f} | {np.mean(row['evidence']):.2f} | " + " | ".join(shares) + " |"
        )


def print_times(found: dict[int, dict[str, float]]) -> None:
    print("\n| method, ms of one thread, 6 % masked | " + " | ".join(f"{side}²" for side in found) + " |")
    print("|---|" + "---:|" * len(found))
    for name in (*PEERS, *OURS):
        times = (f"{row[name]:.1f}" if name in row else "–" for row in found.values())
        print(f"| {name} | " + " | ".join(times) + " |")


if __name__ == "__main__":
    main()
