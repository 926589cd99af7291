"""A real daemon as a child process: started from a real settings file, ready when it says so, ended as a service is.

Rule: nothing is shared with it but the settings file, its log lines, and the wire.
"""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from afmd.errors import AfmdError

READY_S = 60.0
KEPT_LINES = 2000
if sys.platform == "win32":
    OWN_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP
    STOP = signal.CTRL_BREAK_EVENT
else:
    OWN_GROUP = 0
    STOP = signal.SIGTERM


class DaemonProcess:
    """``afmd serve`` on a settings file whose log goes to standard error; use it in a ``with``."""

    def __init__(self, config: Path, *, prefix: Sequence[str] = ()) -> None:
        """Start it; ``prefix`` is a command that runs it, such as ``nice``. It may not be ready yet."""
        self.lines: list[dict[str, Any]] = []
        self._heard = threading.Condition()
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "afmd", "serve", "--config", str(config)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            creationflags=OWN_GROUP,
        )  # fmt: skip
        self._listener = threading.Thread(target=self._listen, name="daemon-log", daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.kill()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def ready(self, *, limit_s: float = READY_S) -> dict[str, Any]:
        """Wait until clients can connect; return that log line, with ``port``. Raises ``AfmdError`` where it ended."""
        line = self.said("daemon.ready", limit_s=limit_s)
        if line is not None:
            return line
        refused = next((line for line in self.lines if line["event"] == "daemon.refused"), None)
        if refused is not None:
            raise AfmdError(refused["what"], why=refused["why"], mend=refused["mend"])
        told = self.lines[-1] if self.lines else "nothing"
        raise AfmdError("daemon", why=f"it was not ready within {limit_s:g} s; last it said {told}", mend="See its log")

    def said(self, event: str, *, limit_s: float, **fields: Any) -> dict[str, Any] | None:
        """Wait for a log line with these fields; None where it ended, or the time was up, without one."""

        def found() -> dict[str, Any] | None:
            wanted = {"event": event, **fields}.items()
            return next((line for line in self.lines if wanted <= {k: line.get(k) for k, _ in wanted}.items()), None)

        with self._heard:
            self._heard.wait_for(lambda: found() or not self._listener.is_alive(), timeout=limit_s)
            return found()

    def stop(self, *, limit_s: float) -> int:
        """Ask it to drain, as a service manager does, and return its exit status; it is killed after ``limit_s``."""
        self.ask_to_stop()
        return self.wait(limit_s=limit_s)

    def ask_to_stop(self) -> None:
        """Send the signal that a service manager sends."""
        self._process.send_signal(STOP)

    def wait(self, *, limit_s: float) -> int:
        """Return its exit status; it is killed after ``limit_s``."""
        try:
            status = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.returncode
        self._listener.join(limit_s)
        return status

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.kill()
        self._process.wait()
        self._listener.join()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for raw in stream:
                self._take(raw.decode("utf-8", "replace").strip())
        with self._heard:
            self._heard.notify_all()

    def _take(self, text: str) -> None:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            line = {"event": "text", "text": text}
        with self._heard:
            self.lines.append(line if isinstance(line, dict) and "event" in line else {"event": "text", "text": text})
            del self.lines[:-KEPT_LINES]
            self._heard.notify_all()
