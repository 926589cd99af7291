"""A whole repair beside TopoStats' filters with scar removal, on the same scan, in one run.

    python benchmarks/restore.py SCAN [--peers PYTHON] [--rounds 5]

Ours goes from the file's bytes to stored results, as far as the RESTORED event: read, classify, segment, level, repair,
measure, write. TopoStats gets the decoded heights and only filters them. ``--peers`` names the Python that TopoStats is
installed for (``pip install topostats``), if not this one. Both take turns; the fastest of each counts, for a busy
machine only adds. Exit status 1 where ours is not at least 15 times as fast.
"""

import argparse
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import perf_counter

import numpy as np

from afmd import compose, settings
from afmd.domain.events import Entry, Fingerprint, State
from afmd.domain.params import Params
from afmd.files.nanoscope import decode
from afmd.files.outputs import OutputFolder
from afmd.pipeline.restore import restore

GOAL = 15.0

TOPOSTATS = """
import logging, sys, time
import numpy as np
import yaml
from importlib.resources import files
from topostats.classes import TopoStats
from topostats.filters import Filters

logging.disable(logging.CRITICAL)
heights = np.load(sys.argv[1]).astype(float)
config = yaml.safe_load(files("topostats").joinpath("default_config.yaml").read_text())["filter"]
config.pop("run")
config["remove_scars"]["run"] = True
spent = []
for _ in range(2):
    scan = TopoStats(image_original=heights.copy(), pixel_to_nm_scaling=float(sys.argv[2]), filename="scan")
    scars = dict(config["remove_scars"])
    begin = time.perf_counter()
    Filters(scan, **{**config, "remove_scars": scars}).filter_image()
    spent.append(time.perf_counter() - begin)
print(min(spent))
"""


def main() -> int:
    """Take turns and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    data = asked.scan.read_bytes()
    ours, theirs, stages = [], [], {}
    with tempfile.TemporaryDirectory() as folder:
        array = Path(folder, "heights.npy")
        scan = decode(data, name=asked.scan.name)
        np.save(array, scan.heights)
        backends = compose.backends(settings.Models())
        for number in range(asked.rounds):
            spent, stages = repaired(data, asked.scan.name, backends, Path(folder, f"out{number}"))
            ours.append(spent)
            theirs.append(filtered(asked.peers, array, scan.pixel_nm[1]))
    ratio = min(theirs) / min(ours)
    print(f"{asked.scan.name}, {scan.heights.shape[0]} × {scan.heights.shape[1]}, {len(data) / 1e6:.1f} MB")
    print(f"afmd, bytes to stored results     {min(ours) * 1e3:8.1f} ms   {backends.classifier.backend}")
    print(f"TopoStats, filters with scars     {min(theirs) * 1e3:8.1f} ms")
    print(f"afmd is {ratio:.1f} times as fast (goal {GOAL:g})")
    print("stages, ms: " + ", ".join(f"{name} {spent:.1f}" for name, spent in stages.items()))
    return 0 if ratio >= GOAL else 1


def repaired(data: bytes, name: str, backends: compose.Backends, root: Path) -> tuple[float, dict[str, float]]:
    """Return the seconds from bytes to stored results, and the stages' milliseconds."""
    now = datetime.now(UTC)
    begin = perf_counter()
    digest = sha256(data).hexdigest()
    scan = decode(data, name=name)
    result = restore(
        scan, params=Params(), classifier=backends.classifier, segmenter=backends.segmenter, clock=perf_counter
    )
    entry = Entry("benchmark", name, name, Fingerprint(len(data), 0), digest, State.READ, 1, now, now, 0, {})
    OutputFolder(settings.Outputs(root=root)).store(entry, scan, result, original=data, repair=1)
    return perf_counter() - begin, dict(result.timings_ms)


def filtered(python: str, array: Path, pixel_nm: float) -> float:
    """Return the seconds that TopoStats' filters take, imports aside."""
    told = subprocess.run([python, "-c", TOPOSTATS, array, str(pixel_nm)], capture_output=True, text=True, check=False)
    if told.returncode:
        raise SystemExit(f"TopoStats did not run under {python}:\n{told.stderr[-2000:]}")
    return float(told.stdout.split()[-1])


if __name__ == "__main__":
    raise SystemExit(main())
