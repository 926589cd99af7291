"""Progress and the watchdog: fed by what moves, never by a timer."""

import socket
from pathlib import Path

import pytest

from afmd.runtime.progress import Progress
from afmd.runtime.watchdog import Notifier, Watchdog


class FakeTime:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def progress(time: FakeTime) -> Progress:
    return Progress(monotonic=time, wall=time)


class Supervisor:
    """systemd's end of the notification socket."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    if not hasattr(socket, "AF_UNIX"):
        pytest.skip("systemd is Linux's")
    return Supervisor(tmp_path)


def test_what_is_in_hand_shows_with_its_age(progress: Progress, time: FakeTime) -> None:
    with progress.doing("worker-0", "restoring a.spm"):
        time.now += 7
        (doing,) = progress.in_hand()

    assert (doing.who, doing.what, doing.for_s) == ("worker-0", "restoring a.spm", 7)
    assert progress.in_hand() == ()


def test_a_stage_that_ends_is_a_move_even_when_it_fails(progress: Progress, time: FakeTime) -> None:
    time.now += 5
    with pytest.raises(ZeroDivisionError), progress.doing("worker-0", "restoring a.spm"):
        raise ZeroDivisionError

    assert progress.moves == 1
    assert progress.last_move() == 1005


def test_a_stage_that_does_not_return_is_stuck_after_its_limit(progress: Progress, time: FakeTime) -> None:
    with progress.doing("worker-0", "restoring a.spm"):
        time.now += 60
        assert progress.stuck(limit_s=60) == ()
        time.now += 1
        (stuck,) = progress.stuck(limit_s=60)

    assert stuck.what == "restoring a.spm"


def test_the_watchdog_is_fed_once_for_every_move(progress: Progress, supervisor: Supervisor) -> None:
    watchdog = Watchdog(Notifier(supervisor.address), progress, limit_s=60)

    progress.moved()
    fed = [watchdog.look(), watchdog.look()]
    progress.moved()
    fed.append(watchdog.look())

    assert fed == [True, False, True]
    assert [m.splitlines()[0] for m in supervisor.heard()] == ["WATCHDOG=1", "WATCHDOG=1"]
    supervisor.close()


def test_the_watchdog_starves_while_a_stage_is_stuck_though_others_move(
    progress: Progress, time: FakeTime, supervisor: Supervisor
) -> None:
    watchdog = Watchdog(Notifier(supervisor.address), progress, limit_s=60)

    with progress.doing("worker-0", "restoring a.spm"):
        time.now += 61
        progress.moved()
        assert not watchdog.look()

    assert supervisor.heard() == ["STATUS=stuck: worker-0, restoring a.spm, 61 s"]
    supervisor.close()


def test_the_supervisor_hears_ready_and_stopping(supervisor: Supervisor) -> None:
    notifier = Notifier(supervisor.address)
    notifier.ready("watching")
    notifier.stopping()

    assert [m.splitlines()[0] for m in supervisor.heard()] == ["READY=1", "STOPPING=1"]
    supervisor.close()


def test_without_a_supervisor_nothing_is_sent_and_nothing_fails(tmp_path: Path) -> None:
    Notifier("").ready("watching")
    Notifier(str(tmp_path / "nobody")).ready("watching")
