"""How soon a client hears of a scan, and what the daemon costs while it waits.

    python benchmarks/latency.py [--scans 20] [--side 512] [--settle 0.5] [--json]

Starts the real daemon, writes NanoScope files of four channels that grow in the capture folder, and follows the real
stream on loopback. Prints the time from a file's last byte to its RESTORED event at the client, less the settle time;
the time of ``import afmd``; the time to the first answer of a daemon; its memory at rest and after the scans.
Exit status 1 where a figure misses its goal.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from scaling import scan_file

from afmd.cli.child import DaemonProcess
from afmd_client import Client
from afmd_client.nouns import State

GOALS = {"import_ms": 150.0, "beyond_settle_median_s": 0.5, "rest_mb": 250.0}
SETTINGS = "[capture]\nsettle_s = {settle}\n[server]\nport = 0\n[metrics]\nport = 0\n"
PATIENCE_S = 60.0
TIDY_S = 3.0


class Heard:
    """When the client heard of each result."""

    def __init__(self, client: Client) -> None:
        self.restored: dict[str, float] = {}
        self.complete: dict[str, float] = {}
        self._changed = threading.Condition()
        self._watch = client.watch()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for event in self._watch:
            with self._changed:
                if event.state in {State.RESTORED, State.REPORTED}:
                    self.restored[event.name] = time.perf_counter()
                elif event.state.at_rest:
                    self.complete[event.name] = time.perf_counter()
                self._changed.notify_all()

    def wait(self, name: str) -> float:
        with self._changed:
            assert self._changed.wait_for(lambda: name in self.complete, timeout=PATIENCE_S), f"{name} was not done"
        return self.restored[name]


def main() -> int:
    asked = arguments()
    with tempfile.TemporaryDirectory() as folder:
        told = {"import_ms": import_ms(), **measured(Path(folder), asked)}
    if asked.json:
        print(json.dumps(told, indent=2))
    else:
        show(told, asked)
    return int(any(told[name] > goal for name, goal in GOALS.items()))


def measured(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    import psutil

    capture = folder / "capture"
    capture.mkdir()
    (folder / "service.toml").write_text(SETTINGS.format(settle=asked.settle), encoding="utf-8")
    start = time.perf_counter()
    with DaemonProcess(folder / "service.toml") as daemon:
        port = daemon.ready()["port"]
        with Client(f"127.0.0.1:{port}") as client:
            client.status()
            ready_s = time.perf_counter() - start
            heard = Heard(client)
            rest_mb = psutil.Process(daemon.pid).memory_info().rss / 1e6
            content = bytearray(scan_file(asked.side, channels=4))
            late = [one(capture / f"s.{n:03d}", content, n, heard) - asked.settle for n in range(asked.scans)]
        time.sleep(TIDY_S)
        after_mb = psutil.Process(daemon.pid).memory_info().rss / 1e6
        daemon.stop(limit_s=PATIENCE_S)
    late.sort()
    return {
        "ready_s": ready_s,
        "rest_mb": rest_mb,
        "after_mb": after_mb,
        "beyond_settle_median_s": statistics.median(late),
        "beyond_settle_p95_s": late[int(0.95 * (len(late) - 1))],
        "beyond_settle_max_s": late[-1],
    }


def one(path: Path, content: bytearray, number: int, heard: Heard) -> float:
    """Write one file line by line, each another scan; return the seconds from its last byte to the event."""
    content[-8:] = number.to_bytes(8, "little")
    step = len(content) // 32 + 1
    with path.open("wb") as file:
        for at in range(0, len(content), step):
            file.write(content[at : at + step])
            file.flush()
            time.sleep(0.005)
        last_byte = time.perf_counter()
    return heard.wait(path.name) - last_byte


def import_ms() -> float:
    """Return the least of five times that ``import afmd`` takes, the interpreter's own start aside."""
    program = "import time; t = time.perf_counter(); import afmd; print((time.perf_counter() - t) * 1e3)"
    runs = (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in range(5)
    )
    return min(float(run.stdout) for run in runs)


def show(told: dict[str, Any], asked: argparse.Namespace) -> None:
    def line(what: str, value: str, goal: str = "") -> None:
        print(f"{what:<58} {value:>10}   {goal}")

    line("import afmd", f"{told['import_ms']:.0f} ms", f"goal < {GOALS['import_ms']:.0f} ms")
    line("daemon: start to first answer", f"{told['ready_s']:.2f} s")
    line("daemon at rest", f"{told['rest_mb']:.0f} MB", f"goal < {GOALS['rest_mb']:.0f} MB")
    line(f"daemon after {asked.scans} scans of {asked.side}², pictures drawn", f"{told['after_mb']:.0f} MB")
    print(f"last byte to RESTORED at the client, less the settle time of {asked.settle:g} s:")
    line("  median", f"{told['beyond_settle_median_s']:.3f} s", f"goal < {GOALS['beyond_settle_median_s']:g} s")
    line("  95 %", f"{told['beyond_settle_p95_s']:.3f} s")
    line("  worst", f"{told['beyond_settle_max_s']:.3f} s")


def arguments() -> argparse.Namespace:
    own = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("--scans", type=int, default=20)
    own.add_argument("--side", type=int, default=512)
    own.add_argument("--settle", type=float, default=0.5)
    own.add_argument("--json", action="store_true")
    return own.parse_args()


if __name__ == "__main__":
    sys.exit(main())
