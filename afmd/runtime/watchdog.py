"""systemd's notification protocol (sd_notify(3)): ready, stopping, and the watchdog.

Rule: the watchdog is fed by progress. A timer that feeds it would only prove that timers run.
"""

import os
import socket

from afmd.runtime.progress import Progress


class Notifier:
    """Sends to the socket that systemd names; says nothing where there is none."""

    def __init__(self, address: str | None = None) -> None:
        """Take ``address``, or the one in the environment (``NOTIFY_SOCKET``)."""
        self._address = os.environ.get("NOTIFY_SOCKET", "") if address is None else address

    def ready(self, text: str) -> None:
        """Say that the daemon answers clients."""
        self._send(f"READY=1\nSTATUS={text}")

    def stopping(self) -> None:
        """Say that the daemon is going down."""
        self._send("STOPPING=1\nSTATUS=draining")

    def alive(self, text: str) -> None:
        """Feed the watchdog."""
        self._send(f"WATCHDOG=1\nSTATUS={text}")

    def tell(self, text: str) -> None:
        """Change the status text only."""
        self._send(f"STATUS={text}")

    def _send(self, message: str) -> None:
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
                speaker.setblocking(False)
                speaker.sendto(message.encode(), address)
        except OSError:
            return  # a supervisor that does not listen is no reason to stop repairing scans


class Watchdog:
    """Feeds the notifier only when the pipeline has moved since the last time and nothing is stuck."""

    def __init__(self, notifier: Notifier, progress: Progress, *, limit_s: float) -> None:
        self._notifier = notifier
        self._progress = progress
        self._limit_s = limit_s
        self._seen = -1

    def look(self) -> bool:
        """Feed if deserved; return whether it was."""
        stuck = self._progress.stuck(limit_s=self._limit_s)
        if stuck:
            self._notifier.tell(f"stuck: {stuck[0].who}, {stuck[0].what}, {stuck[0].for_s:.0f} s")
            return False
        moves = self._progress.moves
        if moves == self._seen:
            return False
        self._seen = moves
        self._notifier.alive(f"{moves} steps")
        return True
