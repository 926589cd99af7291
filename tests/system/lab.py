"""A lab: a capture folder, a real daemon in a process of its own, and a client that hears what it says."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from afmd.cli.child import DaemonProcess
from afmd.domain.scan import Channel, Direction
from afmd.files.nanoscope import encode
from afmd_client import Client
from afmd_client.nouns import Event, State

PATIENCE_S = 60.0

SETTINGS = """
[capture]
settle_s = 0.1
stalled_s = 1.0
reconcile_s = 0.2
[outputs]
pictures = {pictures}
[workers]
retry_s = 0.2
drain_s = 30.0
[server]
port = 0
bookmark_s = 0.5
[metrics]
port = {metrics_port}
[log]
level = "debug"
"""


class Ear:
    """Hears every event of one daemon after the other, and lets a test wait for what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self._client: Client | None = None
        self._thread: threading.Thread | None = None

    def listen(self, client: Client) -> None:
        known = self.events[-1].revision if self.events else 0
        watch = client.watch(known)
        self._client, self._thread = client, threading.Thread(target=self._hear, args=(watch,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._client and self._thread:
            self._client.close()
            self._thread.join(PATIENCE_S)
        self._client = self._thread = None

    def until(self, wanted: Callable[[], Any], *, what: str) -> None:
        with self._changed:
            heard = self._changed.wait_for(wanted, timeout=PATIENCE_S)
        assert heard, f"waited in vain for {what}; heard {[(e.name, e.state.value) for e in self.events]}"

    def of(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]

    def states(self, name: str) -> list[State]:
        return [event.state for event in self.of(name)]

    def _hear(self, watch: Iterator[Event]) -> None:
        for event in watch:
            with self._changed:
                self.events.append(event)
                self._changed.notify_all()


class Lab:
    """One capture folder and its daemon, which may be stopped, killed and started again."""

    def __init__(self, folder: Path, *, pictures: bool = False, metrics_port: int = 0, more: str = "") -> None:
        self.folder = folder
        self.capture = folder / "capture"
        self.restored = folder / "restored"
        self.config = folder / "service.toml"
        self.capture.mkdir(parents=True)
        settings = SETTINGS.format(pictures=str(pictures).lower(), metrics_port=metrics_port)
        self.config.write_text(settings + more, encoding="utf-8")
        self.ear = Ear()
        self.daemon: DaemonProcess | None = None
        self.ready: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ear.close()
        if self.daemon:
            self.daemon.__exit__(kind, error, trace)

    def start(self) -> Self:
        self.daemon = DaemonProcess(self.config)
        self.ready = self.daemon.ready(limit_s=PATIENCE_S)
        self.ear.listen(self.client())
        return self

    def stop(self) -> int:
        assert self.daemon
        self.ear.close()
        return self.daemon.stop(limit_s=PATIENCE_S)

    def kill(self) -> None:
        assert self.daemon
        self.daemon.kill()
        self.ear.close()

    def client(self) -> Client:
        return Client(f"127.0.0.1:{self.ready['port']}")

    def drop(self, name: str, content: bytes | Path) -> Path:
        """Put a file into the capture folder, whole, as a microscope's own rename does."""
        target = self.capture / name
        partial = self.capture / f"~{name}"
        if isinstance(content, Path):
            shutil.copy2(content, partial)
            partial.chmod(0o644)
        else:
            partial.write_bytes(content)
        return partial.rename(target)

    def until_at_rest(self, *names: str) -> None:
        def rested() -> bool:
            return all(self.ear.of(name) and self.ear.of(name)[-1].state.at_rest for name in names)

        self.ear.until(rested, what=f"the end of {names}")

    def until_state(self, name: str, state: State) -> Event:
        self.ear.until(lambda: state in self.ear.states(name), what=f"{name} {state}")
        return next(event for event in self.ear.of(name) if event.state is state)


def image(seed: int, side: int = 64) -> bytes:
    """A small NanoScope file with relief, tilt, noise and a lost line; each seed another."""
    rng = np.random.default_rng(seed)
    heights = np.linspace(0, 30, side)[:, None] + 5 * np.sin(np.linspace(0, 9, side))[None, :]
    heights = heights + rng.normal(0, 0.2, (side, side))
    heights[side // 3, : side // 2] += 40
    return encode([Channel("Height", Direction.TRACE, "nm", heights.astype(np.float32))], pixel_nm=(3.0, 3.0))
