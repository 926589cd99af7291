"""How long reading takes, beside pySPM and beside the least that numpy could do, in one run.

    python benchmarks/read.py [SCANS_DIR]

The lower bound reads the file and multiplies every channel's integers, the places of which it is told. All three give
every channel; files are in the page cache; the fastest of many runs counts, for a busy machine only adds.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from afmd.domain.scan import Channel, Direction
from afmd.files.nanoscope import encode, read_scan

REPEATS = 41


def main() -> None:
    scans = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "shared" / "scans"
    with tempfile.TemporaryDirectory() as folder:
        for path in (scans / "images" / "di-1.di", scans / "images" / "09261606.001", _large(Path(folder))):
            _compare(path)


def _compare(path: Path) -> None:
    scan = read_scan(path)
    print(f"{path.name}: {len(scan.channels)} channels of {scan.heights.shape}, {path.stat().st_size / 2**20:.1f} MiB")
    ours = _milliseconds(lambda: read_scan(path))
    bound = _milliseconds(lambda: _least(path, [c.values.size for c in scan.channels]))
    print(f"  afmd   {ours:8.2f} ms   {ours / bound:5.2f} × the numpy lower bound ({bound:.2f} ms)")
    try:
        import pySPM
    except ImportError:
        print("  pySPM is not installed")
        return
    signals = {(c.name, c.direction is Direction.RETRACE) for c in scan.channels}
    theirs = _milliseconds(lambda: _pyspm(pySPM, path, signals))
    print(f"  pySPM  {theirs:8.2f} ms   afmd is {theirs / ours:.1f} × as fast")


def _least(path: Path, sizes: list[int]) -> list[np.ndarray]:
    data = path.read_bytes()
    start = len(data) - 2 * sum(sizes)
    ends = np.cumsum(sizes) * 2 + start
    return [
        np.frombuffer(data, dtype="<i2", count=n, offset=end - 2 * n) * np.float32(0.1)
        for n, end in zip(sizes, ends, strict=True)
    ]


def _pyspm(library: object, path: Path, signals: set[tuple[str, bool]]) -> list[object]:
    whole = library.Bruker(str(path))  # type: ignore[attr-defined]
    return [whole.get_channel(name, backward=backward) for name, backward in signals]


def _large(folder: Path) -> Path:
    heights = np.random.default_rng(0).normal(0, 20, (4096, 4096)).astype(np.float32)
    path = folder / "4096.spm"
    path.write_bytes(encode([Channel("Height", Direction.TRACE, "nm", heights)], pixel_nm=1))
    return path


def _milliseconds(act: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = perf_counter()
        act()
        times.append(perf_counter() - start)
    return min(times) * 1e3


if __name__ == "__main__":
    main()
