"""How long the networks take and how much memory they hold: ``python benchmarks/inference.py [--weights FOLDER]``.

Prints medians over repeated runs at one thread, for both shipped models, stage by stage, and the process's memory
before and after both sessions were opened and used. With ``--against FOLDER`` it prints instead how long another folder
of weights (such as ``afmd quantise`` makes) takes, as a ratio, both taken by turns in one run.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from afmd.domain.scan import Scan
from afmd.inference import load_manifest, network_classifier, network_segmenter, planes
from afmd.inference.sessions import runtime_version, shared_session

SIDES = (256, 512, 1024, 2048)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=None)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--against", type=Path, default=None)
    args = parser.parse_args()
    if args.against is not None:
        compare(args.weights, args.against, repeats=args.repeats)
        return
    process = psutil.Process()
    before = process.memory_info().rss
    begun = time.perf_counter()
    classifier, segmenter = network_classifier(args.weights, trial=True), network_segmenter(args.weights, trial=True)
    opened = time.perf_counter() - begun
    print(f"ONNX Runtime {runtime_version()}, 1 thread; both sessions opened in {1e3 * opened:.0f} ms")
    for role in ("classifier", "segmenter"):
        model = load_manifest(args.weights).model(role)
        print(f"{role}: {model.name}, {model.file.stat().st_size / 1e6:.1f} MB")
    print("| side | planes | classify | segment | segment, ns/px |\n|---:|---:|---:|---:|---:|")
    for side in SIDES:
        scan = surface(side)
        repeats = args.repeats if side <= 512 else 5
        prepare = median_ms(lambda s=scan: planes.segmenter_planes(s.heights, s.retrace), repeats)
        classify = median_ms(lambda s=scan: classifier.classify(s), repeats)
        segment = median_ms(lambda s=scan: segmenter.segment(s), repeats)
        print(f"| {side} | {prepare:.1f} ms | {classify:.1f} ms | {segment:.1f} ms | {1e6 * segment / side**2:.0f} |")
        if side == 512:
            held = (process.memory_info().rss - before) / 2**20
    print(f"memory held by both sessions after 512² scans: {held:.0f} MiB")


def compare(weights: Path | None, other: Path, *, repeats: int) -> None:
    """Print the ratio of times, other over own: of segmenting, planes included, and of the network alone."""
    folders = (weights, other)
    models = [load_manifest(folder).model("segmenter") for folder in folders]
    print(f"{models[1].name} over {models[0].name}, 1 thread, medians of {repeats} turns")
    segmenters = [network_segmenter(folder, trial=True) for folder in folders]
    for side in SIDES[:3]:
        scan = surface(side)
        own, others = by_turns([lambda s=s, x=scan: s.segment(x) for s in segmenters], repeats)
        print(f"{side}²: {others:.1f} / {own:.1f} ms = {others / own:.2f}")
    tile = planes.segmenter_planes(surface(512).heights)[None]
    sessions = [shared_session(model) for model in models]
    own, others = by_turns([lambda s=s: s.run(tile) for s in sessions], repeats)
    print(f"network alone, 512²: {others:.1f} / {own:.1f} ms = {others / own:.2f}")


def by_turns(acts: list[Callable[[], object]], repeats: int) -> list[float]:
    """Return each act's median time, ms, all done by turns so that they share the machine's moods."""
    times: list[list[float]] = [[] for _ in acts]
    for act in acts:
        act()
    for _ in range(repeats):
        for own, act in zip(times, acts, strict=True):
            begun = time.perf_counter()
            act()
            own.append(time.perf_counter() - begun)
    return [1e3 * statistics.median(own) for own in times]


def surface(side: int) -> Scan:
    rng = np.random.default_rng(side)
    heights = np.cumsum(rng.normal(size=(side, side)), axis=1)
    return Scan.from_heights(heights, retrace=heights + rng.normal(0, 0.1, heights.shape), pixel_nm=1.0)


def median_ms(act: Callable[[], object], repeats: int) -> float:
    act()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        act()
        times.append(time.perf_counter() - begun)
    return 1e3 * statistics.median(times)


if __name__ == "__main__":
    main()
