"""Many scans in a row through the real daemon: does anything grow?

    python benchmarks/soak.py [--scans 5000] [--side 128] [--pictures] [--limit-s 3600] [--report FILE]

Feeds NanoScope files into the capture folder, at most 32 at a time, and takes each away with its results once it is
complete, so that the disk does not fill. A client follows all the while; another comes, reads an array and goes, every
50 scans. Prints memory, open files, threads and the rate along the way. Exit status 1 where a scan did not come to its
end, or where memory, files or threads grew: the last quarter of the run is held against the second.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from scaling import scan_file

from afmd.cli.child import DaemonProcess
from afmd_client import Client
from afmd_client.nouns import Event, State

IN_FLIGHT = 32
EVERY = 50
MOST_MORE = {"rss_mb": 10.0, "files": 8.0, "threads": 2.0}
"""What may be more at the end than in the second quarter: noise, not a trend over thousands of scans."""

SETTINGS = """
[capture]
settle_s = 0.05
reconcile_s = 0.5
[outputs]
pictures = {pictures}
[server]
port = 0
[metrics]
port = 0
[log]
level = "info"
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the daemon held after so many scans."""

    scans: int
    seconds: float
    rss_mb: float
    files: int
    threads: int


class Run:
    """Feeds one daemon and notes what it holds."""

    def __init__(self, folder: Path, client: Client, pid: int, *, side: int) -> None:
        self._capture, self._restored = folder / "capture", folder / "restored"
        self._client = client
        self._process = psutil.Process(pid)
        self._content = bytearray(scan_file(side, channels=2))
        self._start = time.perf_counter()
        self._done = threading.Condition()
        self._pending: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.samples: list[Sample] = []
        self._watch = client.watch()
        threading.Thread(target=self._listen, daemon=True).start()

    def feed(self, count: int, *, limit_s: float) -> None:
        for number in range(count):
            if not self._room(IN_FLIGHT, limit_s=limit_s):
                return
            self._content[-8:] = number.to_bytes(8, "little")
            name = f"s{number:06d}.001"
            with self._done:
                self._pending[name] = number
            partial = self._capture / f"~{name}"
            partial.write_bytes(self._content)
            partial.rename(self._capture / name)
            if number % EVERY == EVERY - 1:
                self._note(number + 1)
        self._room(1, limit_s=limit_s)

    def _room(self, most: int, *, limit_s: float) -> bool:
        left_s = limit_s - (time.perf_counter() - self._start)
        with self._done:
            return self._done.wait_for(lambda: len(self._pending) < most, timeout=max(left_s, 0))

    def _listen(self) -> None:
        for event in self._watch:
            if event.state.at_rest and event.name in self._pending:
                self._end(event)

    def _end(self, event: Event) -> None:
        number = self._pending[event.name]
        if event.state is State.COMPLETE and number % EVERY == 0:
            with Client(self._client.address) as guest:
                guest.array(event.scan_id, "restored")
        (self._capture / event.name).unlink(missing_ok=True)
        for folder in self._restored.glob(f"{event.name}~*"):
            shutil.rmtree(folder, ignore_errors=True)
        with self._done:
            self.ends[event.state.value] = self.ends.get(event.state.value, 0) + 1
            del self._pending[event.name]
            self._done.notify_all()

    def _note(self, scans: int) -> None:
        own = self._process
        files = own.num_handles() if sys.platform == "win32" else own.num_fds()
        seconds = time.perf_counter() - self._start
        sample = Sample(scans, seconds, own.memory_info().rss / 1e6, files, own.num_threads())
        self.samples.append(sample)
        if scans % (EVERY * 5) == 0:
            rate = scans / seconds
            print(
                f"{scans:>6} scans {seconds:>6.0f} s {rate:>6.1f}/s {sample.rss_mb:>7.1f} MB "
                f"{files:>4} files {sample.threads:>3} threads",
                flush=True,
            )  # fmt: skip


def main() -> int:
    asked = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "capture").mkdir()
        settings = SETTINGS.format(pictures=str(asked.pictures).lower())
        (folder / "service.toml").write_text(settings, encoding="utf-8")
        told = soaked(folder, asked)
    print(json.dumps({key: value for key, value in told.items() if key != "samples"}, indent=2))
    if asked.report:
        asked.report.write_text(json.dumps(told, indent=2), encoding="utf-8")
    return int(not told["steady"] or told["ends"] != {"complete": asked.scans} or told["exit_status"] != 0)


def soaked(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    with DaemonProcess(folder / "service.toml") as daemon:
        port = daemon.ready()["port"]
        with Client(f"127.0.0.1:{port}") as client:
            run = Run(folder, client, daemon.pid, side=asked.side)
            run.feed(asked.scans, limit_s=asked.limit_s)
        status = daemon.stop(limit_s=60)
    growth = {name: round(grown(run.samples, name), 1) for name in MOST_MORE}
    return {
        "scans": asked.scans,
        "ends": run.ends,
        "exit_status": status,
        "last_quarter_less_second": growth,
        "steady": all(growth[name] <= most for name, most in MOST_MORE.items()),
        "samples": [asdict(sample) for sample in run.samples],
    }


def grown(samples: list[Sample], name: str) -> float:
    """Return the median of the last quarter less that of the second."""
    values = [float(getattr(sample, name)) for sample in samples]
    quarter = max(len(values) // 4, 1)
    return statistics.median(values[-quarter:]) - statistics.median(values[quarter : 2 * quarter] or values)


def arguments() -> argparse.Namespace:
    own = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("--scans", type=int, default=5000)
    own.add_argument("--side", type=int, default=128)
    own.add_argument("--pictures", action="store_true", help="draw the six panels, too")
    own.add_argument("--limit-s", type=float, default=3600.0, help="stop feeding after this long")
    own.add_argument("--report", type=Path, help="write every sample to this JSON file")
    return own.parse_args()


if __name__ == "__main__":
    sys.exit(main())
