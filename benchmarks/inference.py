"""How long the networks take and how much memory they hold: ``python benchmarks/inference.py [--weights FOLDER]``.

Prints medians over repeated runs at one thread, for both shipped models, stage by stage, and the process's memory
before and after both sessions were opened and used.
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
from afmd.inference.sessions import runtime_version

SIDES = (256, 512, 1024, 2048)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=None)
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
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
