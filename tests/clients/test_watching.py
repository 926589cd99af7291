"""A watch outlives servers that stop, die, hang or come late, and never gives a gap or a double."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from served import Served

from afmd.domain.events import Fingerprint
from afmd_client import Bookmark, Client, ClientError, HistoryGone, InvalidInput, State, TimedOut, Unavailable
from afmd_client.v1 import event_service_pb2 as pb
from afmd_client.v1.event_service_pb2_grpc import EventServiceServicer, add_EventServiceServicer_to_server

STILL = Fingerprint(1000, 1)


def revisions(events: Iterator[Any], count: int) -> list[int]:
    return [event.revision for event in islice(events, count)]


def test_events_come_typed_and_in_order(served: Served, client: Client) -> None:
    entry = served.restored("a.001")

    events = list(islice(client.watch(), 5))

    assert [event.state for event in events] == [
        State.SEEN, State.SETTLED, State.READ, State.RESTORED, State.COMPLETE,
    ]  # fmt: skip
    assert {event.scan_id for event in events} == {entry.scan_id}
    assert events[2].grid is not None
    assert events[3].repair is not None
    assert events[3].classification is not None
    assert events[4].repair is not None
    assert events[4].repair.outputs == ("heights.txt", "panels.png", "record.json")


def test_a_watch_knows_how_far_it_is_and_when_the_replay_is_over(served: Served, client: Client) -> None:
    served.seen("a.001")
    told: list[Bookmark] = []
    watch = client.watch(on_bookmark=told.append)

    next(watch)
    assert (watch.revision, watch.current) == (1, False)
    served.seen("a.002")
    next(watch)

    assert (watch.revision, watch.current) == (2, True)
    assert told[0] == Bookmark(revision=1, replay_complete=True)


def test_a_watch_resumes_where_it_was_left_in_the_middle_of_a_response(served: Served, client: Client) -> None:
    served.ledger.see_all([(f"a.{n:03}", STILL) for n in range(10)])
    watch = client.watch()
    first = revisions(watch, 4)
    watch.close()

    assert first + revisions(client.watch(watch.revision), 6) == list(range(1, 11))


def test_a_watch_goes_on_over_restarts_of_the_server(served: Served, client: Client) -> None:
    lost: list[ClientError] = []
    watch = client.watch(on_lost=lost.append)
    heard: list[int] = []
    for _ in range(3):
        for n in range(40):
            served.seen(f"a.{n:03}")
        heard += revisions(watch, 25)
        served.stop()
        served.ledger.see_all([(f"b.{n:03}", STILL) for n in range(5)])
        served.start()
        heard += revisions(watch, 20)

    assert heard == list(range(1, 136))
    assert len(lost) >= 2
    assert all(isinstance(error, Unavailable) for error in lost)


class LedgerProcess:
    """A server process, and the ledger and port that outlive it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        script = Path(__file__).with_name("ledger_server.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(self._folder), str(self.port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.port = int(self._answer())

    def commit(self, events: int) -> int:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{events}\n")
        self._process.stdin.flush()
        return int(self._answer())

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _answer(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[LedgerProcess]:
    process = LedgerProcess(tmp_path)
    process.start()
    yield process
    process.kill()


def test_a_watch_goes_on_over_a_server_process_that_is_killed(process: LedgerProcess) -> None:
    """Killed in the middle of what it has to say, three times over, on the same port and ledger."""
    process.commit(700)
    with Client(f"127.0.0.1:{process.port}") as client:
        watch = client.watch()
        heard = revisions(watch, 300)
        for _ in range(3):
            process.commit(60)
            heard += revisions(watch, 30)
            process.kill()
            process.start()
            newest = process.commit(20)
        heard += revisions(watch, newest - len(heard))

    assert heard == list(range(1, newest + 1))


def test_nobody_there_at_the_first_try_is_an_error(served: Served, client: Client) -> None:
    served.stop()

    with pytest.raises(Unavailable, match="connection refused"):
        next(client.watch())


def test_a_patient_watch_waits_for_a_daemon_that_comes_late(served: Served, client: Client) -> None:
    served.stop()
    served.ledger.see("a.001", STILL)
    coming = threading.Event()
    watch = client.watch(patient=True, on_lost=lambda _: coming.set())
    found: futures.Future[int] = futures.Future()
    waiting = threading.Thread(target=lambda: found.set_result(next(watch).revision))
    waiting.start()
    assert coming.wait(30)

    served.start()

    assert found.result(30) == 1
    waiting.join(30)


def test_history_that_is_gone_is_told_and_not_skipped(tmp_path: Path) -> None:
    served = Served(tmp_path, keep_events=100).start()
    for n in range(30):
        served.ledger.see_all([(f"a.{n}.{m:03}", STILL) for m in range(20)])

    with Client(served.address) as client, pytest.raises(HistoryGone) as caught:
        next(client.watch(1))

    assert caught.value.oldest_revision == served.ledger.oldest_revision() > 2
    served.close()


def test_what_trying_again_cannot_mend_is_raised(client: Client) -> None:
    with pytest.raises(InvalidInput):
        next(client.watch(-1))


@pytest.mark.parametrize("end", ["watch", "client"])
def test_a_watch_that_waits_can_be_ended_from_another_thread(served: Served, end: str) -> None:
    current = threading.Event()
    client = Client(served.address)
    watch = client.watch(on_bookmark=lambda _: current.set())
    left: list[Any] = []
    waiting = threading.Thread(target=lambda: left.extend(watch))
    waiting.start()
    assert current.wait(30)

    (watch if end == "watch" else client).close()

    waiting.join(30)
    assert not waiting.is_alive()
    assert left == []
    client.close()


def test_an_ended_watch_gives_no_more_of_what_it_has_already_heard(served: Served, client: Client) -> None:
    served.ledger.see_all([(f"a.{n:03}", STILL) for n in range(10)])
    watch = client.watch()
    next(watch)

    watch.close()

    assert list(watch) == []
    assert watch.revision == 1


def test_no_thread_stays_behind_a_watch(served: Served, client: Client) -> None:
    served.seen("a.001")
    before = set(threading.enumerate())
    with client.watch() as watch:
        next(watch)
        made = [thread for thread in set(threading.enumerate()) - before if thread.name == "afmd-watch-silence"]

    made[0].join(30)

    assert not made[0].is_alive()


class HangingService(EventServiceServicer):
    """Says one event, then nothing more, as a daemon that hangs; and the next one at the next connection."""

    def __init__(self, hang: Callable[[], None]) -> None:
        self._hang = hang

    def Watch(self, request: pb.WatchRequest, context: Any) -> Iterator[pb.WatchResponse]:
        revision = request.after_revision + 1
        yield pb.WatchResponse(
            events=[pb.Event(revision=revision)], revision=revision, bookmark_interval=Duration(nanos=10**7)
        )
        self._hang()


def test_a_daemon_that_hangs_without_closing_is_noticed_and_left() -> None:
    gate = threading.Event()
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    add_EventServiceServicer_to_server(HangingService(lambda: assert_opened(gate)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    lost: list[ClientError] = []

    with Client(f"127.0.0.1:{port}") as client:
        assert revisions(client.watch(on_lost=lost.append), 2) == [1, 2]

    assert [type(error) for error in lost] == [TimedOut]
    gate.set()
    server.stop(0).wait(30)


def assert_opened(gate: threading.Event) -> None:
    assert gate.wait(60)
