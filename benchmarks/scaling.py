"""Time and memory of one scan, bytes to finished outputs, from 256² to 4096²; each size in a process of its own.

    python benchmarks/scaling.py [--sides 256 512 1024 2048 4096] [--channels 2] [--pictures] [--json]

Prints milliseconds and the peak of memory, and how both grow for each pixel. Exit status 1 where 4096² takes 2 GB or
more, or where a pixel of the largest scan costs more than twice one of the smallest above 256².
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LIMIT_MB = 2000.0
LINEAR = 2.0


def main() -> int:
    asked = arguments()
    if asked.one:
        print(json.dumps(measured(asked.one, channels=asked.channels, pictures=asked.pictures)))
        return 0
    rows = [in_a_process(side, asked) for side in asked.sides]
    if asked.json:
        print(json.dumps(rows, indent=2))
    else:
        show(rows)
    return verdict(rows)


def in_a_process(side: int, asked: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", str(side), "--channels", str(asked.channels)]
    run = subprocess.run(
        [*command, *(["--pictures"] if asked.pictures else [])], capture_output=True, text=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    told: dict[str, Any] = json.loads(run.stdout)
    return told


def measured(side: int, *, channels: int, pictures: bool) -> dict[str, Any]:
    """Restore and write one synthetic scan twice; the second time is counted, memory is the peak of both."""
    from afmd import compose, settings
    from afmd.cli.restore import Bench
    from afmd.domain.params import Params
    from afmd.runtime.limits import limit_opencv_threads

    limit_opencv_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{side}.001"
        file.write_bytes(scan_file(side, channels=channels))
        craft = compose.craft(Params(), compose.backends(settings.Models()))
        idle_mb = peak_mb()
        spent: dict[str, float] = {}
        for turn in range(2):
            bench = Bench(
                Params(), tip=settings.Deconvolution(), out_root=Path(folder) / f"out{turn}", pictures=pictures
            )
            start = time.perf_counter()
            timings = dict(bench.restored(file)[0].timings_ms)
            spent["whole"] = (time.perf_counter() - start) * 1e3
        data = craft.load(file)
        start = time.perf_counter()
        scan = craft.decode(data, name=file.name)
        spent["read"] = (time.perf_counter() - start) * 1e3
        assert scan.heights.shape == (side, side)
    return {
        "side": side,
        "file_mb": len(data) / 1e6,
        "read_ms": spent["read"],
        "restore_ms": timings.pop("total"),
        "stages_ms": {stage: round(ms, 1) for stage, ms in timings.items()},
        "whole_ms": spent["whole"],
        "idle_mb": idle_mb,
        "peak_mb": peak_mb(),
    }


def scan_file(side: int, *, channels: int) -> bytes:
    """Return a NanoScope file with relief, tilt, line offsets and lost lines, made in little memory."""
    import numpy as np

    from afmd.domain.scan import Channel, Direction
    from afmd.files.nanoscope import encode

    rng = np.random.default_rng(side)
    across = np.linspace(0, 12 * np.pi, side, dtype=np.float32)
    heights = 8 * np.sin(across)[:, None] * np.sin(across)[None, :] + np.linspace(0, 40, side, dtype=np.float32)
    heights += rng.normal(0, 1.0, (side, 1)).astype(np.float32)
    heights += rng.normal(0, 0.2, (side, side)).astype(np.float32)
    for row in rng.integers(0, side, side // 64):
        heights[row, : side // 2] += 25
    signals = [
        Channel("Height", direction, "nm", heights.astype(np.float32))
        for direction in (Direction.TRACE, Direction.RETRACE)
    ]
    signals += [Channel(f"Input{n}", Direction.TRACE, "V", heights.astype(np.float32)) for n in range(2, channels)]
    return encode(signals[:channels], pixel_nm=2.0)


def peak_mb() -> float:
    """Return the most memory that this process ever had, in MB."""
    import psutil

    own = psutil.Process().memory_info()
    if hasattr(own, "peak_wset"):
        return float(own.peak_wset) / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def show(rows: list[dict[str, Any]]) -> None:
    columns = ("scan", "file MB", "read ms", "restore ms", "whole ms", "ms/Mpx", "peak MB", "MB/Mpx", "slowest stage")
    print("  ".join(f"{column:>10}" for column in columns))
    for row in rows:
        mpx = row["side"] ** 2 / 1e6
        slowest = max(row["stages_ms"], key=row["stages_ms"].get)
        cells = (
            f"{row['side']}²", f"{row['file_mb']:.1f}", f"{row['read_ms']:.1f}", f"{row['restore_ms']:.1f}",
            f"{row['whole_ms']:.0f}", f"{row['restore_ms'] / mpx:.1f}", f"{row['peak_mb']:.0f}",
            f"{(row['peak_mb'] - row['idle_mb']) / mpx:.1f}", f"{slowest} {row['stages_ms'][slowest]:.0f} ms",
        )  # fmt: skip
        print("  ".join(f"{cell:>10}" for cell in cells))


def verdict(rows: list[dict[str, Any]]) -> int:
    by_side = {row["side"]: row["restore_ms"] / row["side"] ** 2 for row in rows if row["side"] > 256}
    grows = by_side[max(by_side)] / by_side[min(by_side)] if by_side else 1.0
    most = max(row["peak_mb"] for row in rows)
    print(
        f"a pixel of the largest costs {grows:.2f} of one of the smallest; most memory {most:.0f} MB", file=sys.stderr
    )
    return int(grows > LINEAR or most >= LIMIT_MB)


def arguments() -> argparse.Namespace:
    own = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("--sides", type=int, nargs="+", default=[256, 512, 1024, 2048, 4096])
    own.add_argument("--channels", type=int, default=2)
    own.add_argument("--pictures", action="store_true", help="draw the six panels, too")
    own.add_argument("--json", action="store_true")
    own.add_argument("--one", type=int, help=argparse.SUPPRESS)
    return own.parse_args()


if __name__ == "__main__":
    sys.exit(main())
