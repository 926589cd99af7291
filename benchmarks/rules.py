"""What the rules find: ``python benchmarks/rules.py [--scans 120] [--development]``.

Simulated scans from the evaluation recipe. For kinds of artefact that rules can see: overlap of the masks with the
true ones (IoU), recall and precision of pixels, with and without the other pass. For clean scans: the share of pixels
masked, and the quantiles of what each detector says, from which the thresholds were set on the development recipe. For
all kinds: the classes.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from afmd.domain.findings import Label
from afmd.domain.scan import Scan
from afmd.science.rules import RulesClassifier
from afmd.science.rules.evidence import gathered
from afmd.twin import EVALUATION, TRAINING, Recipe, simulate
from afmd.twin.microscope import Simulated

SEEN = ("lost_lines", "lift_off", "jump", "scar", "drag", "spike", "burst", "parachute", "saturation", "smear")
FIRST_SEED = 800_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=120)
    parser.add_argument("--development", action="store_true", help="tuning recipe instead of the held-out one")
    args = parser.parse_args()
    recipe = TRAINING if args.development else EVALUATION
    spoilt = [one for one in scans(args.scans, recipe.only(*SEEN)) if one.kinds]
    for name, with_retrace in (("both passes", True), ("one pass", False)):
        print_masks(name, spoilt, with_retrace=with_retrace)
    print_clean(list(scans(args.scans // 2, recipe.all_good())))
    print_classes(list(scans(args.scans, recipe)))


def scans(count: int, recipe: Recipe) -> Iterator[Simulated]:
    """Yield scans whose artefacts, if any, a person would see."""
    seed = FIRST_SEED
    while count:
        made = simulate(seed, recipe=recipe)
        seed += 1
        if made.visible or not made.kinds:
            count -= 1
            yield made


def seen(scan: Scan, *, with_retrace: bool) -> Scan:
    return scan if with_retrace else replace(scan, retrace=None)


def print_masks(name: str, made: list[Simulated], *, with_retrace: bool) -> None:
    figures = defaultdict(list)
    for one in made:
        found = gathered(seen(one.scan, with_retrace=with_retrace)).excess() > 1
        both = np.count_nonzero(found & one.artifact)
        figures[one.kinds[0]].append(
            (
                both / max(np.count_nonzero(found | one.artifact), 1),
                both / max(np.count_nonzero(one.artifact), 1),
                both / max(np.count_nonzero(found), 1),
            )
        )
    every = np.mean([row for rows in figures.values() for row in rows], axis=0)
    print(f"\n{name}: IoU {every[0]:.3f}, recall {every[1]:.2f}, precision {every[2]:.2f} over {len(made)} scans")
    print("| kind | IoU | recall | precision |\n|---|---:|---:|---:|")
    for kind in sorted(figures):
        print(f"| {kind} | " + " | ".join(f"{value:.2f}" for value in np.mean(figures[kind], axis=0)) + " |")


def print_clean(made: list[Simulated]) -> None:
    shares, says = [], defaultdict(list)
    for one in made:
        if one.artifact.any():
            continue
        evidence = gathered(one.scan)
        shares.append(float(np.mean(evidence.excess() > 1)))
        for name in ("streak", "hit", "alone"):
            says[name].append(getattr(evidence, name).ravel()[::7])
    print(f"\nclean: {100 * np.mean(shares):.2f} % of the pixels masked, at most {100 * max(shares):.1f} %")
    for name, values in says.items():
        quantiles = np.quantile(np.concatenate(values), [0.99, 0.999, 0.9999])
        print(f"  {name} over its threshold, 99 / 99.9 / 99.99 %: " + " / ".join(f"{q:.2f}" for q in quantiles))


def print_classes(made: list[Simulated]) -> None:
    labels = list(Label)
    counts, sure = np.zeros((4, 4), dtype=int), []
    for one in made:
        found = RulesClassifier().classify(one.scan)
        counts[labels.index(one.label), labels.index(found.label)] += 1
        sure.append(found.probabilities[found.label])
    print(f"\nclasses: {100 * np.trace(counts) / counts.sum():.0f} % right, {100 * np.mean(sure):.0f} % claimed")
    print("| true \\ told | " + " | ".join(labels) + " |\n|---|" + "---:|" * 4)
    for label, row in zip(labels, counts, strict=True):
        print(f"| {label} | " + " | ".join(str(n) for n in row) + " |")


if __name__ == "__main__":
    main()
