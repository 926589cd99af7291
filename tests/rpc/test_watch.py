"""Every promise of Watch, through a real server."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_status import rpc_status
from served import Served

from afmd.domain.events import Fingerprint, State
from afmd_client.v1 import event_service_pb2 as pb
from afmd_client.v1 import scan_pb2
from afmd_client.v1.event_service_pb2_grpc import EventServiceStub

PATIENCE_S = 30
STILL = Fingerprint(1000, 1)


def watched(channel: grpc.Channel, after_revision: int = 0) -> Any:
    return EventServiceStub(channel).Watch(pb.WatchRequest(after_revision=after_revision), timeout=PATIENCE_S)


def until_current(stream: Iterator[pb.WatchResponse]) -> list[pb.WatchResponse]:
    """The responses up to the mark that the replay is over, the mark included."""
    heard = []
    for response in stream:
        heard.append(response)
        if response.replay_complete:
            break
    return heard


def revisions(responses: list[pb.WatchResponse]) -> list[int]:
    return [event.revision for response in responses for event in response.events]


def next_event(stream: Iterator[pb.WatchResponse]) -> pb.Event:
    return next(event for response in stream for event in response.events)


def test_the_replay_gives_every_event_after_a_revision_once_and_in_order(served: Served, channel: grpc.Channel) -> None:
    for n in range(7):
        served.seen(f"a.{n:03}")

    assert revisions(until_current(watched(channel, 0))) == [1, 2, 3, 4, 5, 6, 7]
    assert revisions(until_current(watched(channel, 3))) == [4, 5, 6, 7]
    assert revisions(until_current(watched(channel, 7))) == []


def test_a_replay_of_many_pages_has_no_gap_and_no_double(served: Served, channel: grpc.Channel) -> None:
    served.ledger.see_all([(f"a.{n:03}", STILL) for n in range(700)])

    heard = until_current(watched(channel))

    assert revisions(heard) == list(range(1, 701))
    assert max(len(response.events) for response in heard) <= 256


def test_large_events_are_spread_over_several_responses(served: Served, channel: grpc.Channel) -> None:
    channels = [{"name": "n" * 1000, "direction": "trace", "unit": "V"}] * 200
    scan_id = served.seen("a.001").scan_id
    served.advanced(scan_id, State.SETTLED, sha256="0" * 64)
    for _ in range(6):
        served.advanced(scan_id, State.READ, facts={"rows": 4, "cols": 4, "channels": channels})
        served.advanced(scan_id, State.SETTLED)

    heard = until_current(watched(channel))

    assert revisions(heard) == list(range(1, 15))
    assert max(response.ByteSize() for response in heard) < 2**20


def test_after_the_replay_the_stream_follows(served: Served, channel: grpc.Channel) -> None:
    first = served.seen("a.001")
    stream = watched(channel)
    until_current(stream)

    second = served.advanced(first.scan_id, State.SETTLED, sha256="1" * 64)

    event = next_event(stream)
    assert (event.revision, event.scan_id, event.name) == (second.revision, first.scan_id, "a.001")
    assert event.state == scan_pb2.SCAN_STATE_SETTLED
    stream.cancel()


def test_the_end_of_the_replay_is_told_exactly_once(served: Served, channel: grpc.Channel) -> None:
    served.seen("a.001")
    stream = watched(channel)

    marks = [response.replay_complete for response in islice(stream, 5)]

    assert marks.count(True) == 1
    stream.cancel()


def test_an_empty_ledger_is_current_at_once(channel: grpc.Channel) -> None:
    mark = next(iter(watched(channel)))

    assert mark.replay_complete
    assert mark.revision == 0


def test_a_silent_stream_sends_bookmarks_with_the_present_revision(served: Served, channel: grpc.Channel) -> None:
    served.seen("a.001")
    stream = watched(channel)
    until_current(stream)

    bookmarks = list(islice(stream, 3))

    assert [(len(b.events), b.revision, b.replay_complete) for b in bookmarks] == [(0, 1, False)] * 3
    assert bookmarks[0].bookmark_interval.ToTimedelta().total_seconds() == pytest.approx(0.05)
    stream.cancel()


def test_a_broken_stream_resumes_at_its_last_revision_without_gap_or_double(
    served: Served, channel: grpc.Channel
) -> None:
    served.ledger.see_all([(f"a.{n:03}", STILL) for n in range(600)])
    known, heard = 0, []
    for _ in range(2):
        stream = watched(channel, known)
        response = next(iter(stream))
        heard.append(response)
        known = response.revision
        stream.cancel()
    heard += until_current(watched(channel, known))

    assert revisions(heard) == list(range(1, 601))


def test_revisions_go_on_growing_over_a_restart(served: Served) -> None:
    served.seen("a.001")
    served.stop()
    served.start()
    served.seen("a.002")

    with grpc.insecure_channel(served.address) as channel:
        assert revisions(until_current(watched(channel, 1))) == [2]


def test_history_that_is_gone_is_out_of_range_with_the_oldest_revision(serve: Callable[..., Served]) -> None:
    served = serve(keep_events=100)
    for n in range(30):
        served.ledger.see_all([(f"a.{n}.{m:03}", STILL) for m in range(20)])
    oldest = served.ledger.oldest_revision()
    assert oldest > 2

    with grpc.insecure_channel(served.address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            next(iter(watched(channel, oldest - 2)))
        assert until_current(watched(channel, oldest - 1))
        assert revisions(until_current(watched(channel, 0)))[0] == oldest

    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
    info = ErrorInfo()
    assert rpc_status.from_call(caught.value).details[0].Unpack(info)
    assert (info.reason, info.domain, info.metadata["oldest_revision"]) == ("HISTORY_GONE", "afmd", str(oldest))


def test_a_revision_that_a_new_ledger_has_not_reached_is_out_of_range(served: Served, channel: grpc.Channel) -> None:
    served.seen("a.001")

    with pytest.raises(grpc.RpcError) as caught:
        next(iter(watched(channel, 500)))

    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE


def test_a_negative_revision_is_an_invalid_argument(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        next(iter(watched(channel, -1)))

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_client_that_does_not_read_holds_no_other_up(served: Served, channel: grpc.Channel) -> None:
    """The slow one's unread events far exceed what a connection buffers; it then finds every one of them."""
    slow = watched(channel)
    until_current(slow)
    channels = [{"name": "n" * 1000, "direction": "trace", "unit": "V"}] * 50
    scan_id = served.seen("a.001").scan_id
    served.advanced(scan_id, State.SETTLED, sha256="0" * 64)
    for _ in range(300):
        served.advanced(scan_id, State.READ, facts={"rows": 4, "cols": 4, "channels": channels})
        served.advanced(scan_id, State.SETTLED)

    with grpc.insecure_channel(served.address) as other:
        assert len(revisions(until_current(watched(other)))) == 602
    late = (event.revision for response in slow for event in response.events)
    assert list(islice(late, 602)) == list(range(1, 603))
    slow.cancel()


def test_a_stop_ends_every_stream_with_unavailable_and_a_retry_delay(served: Served, channel: grpc.Channel) -> None:
    streams = [watched(channel) for _ in range(20)]
    for stream in streams:
        until_current(stream)

    served.stop()

    for stream in streams:
        with pytest.raises(grpc.RpcError) as caught:
            list(stream)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        details = rpc_status.from_call(caught.value).details
        assert [any(d.Is(kind.DESCRIPTOR) for d in details) for kind in (ErrorInfo, RetryInfo)] == [True, True]


def test_watchers_hear_of_the_last_scan_while_the_daemon_drains(served: Served, channel: grpc.Channel) -> None:
    stream = watched(channel)
    until_current(stream)

    assert served.server is not None
    served.wait_for(served.server.drain())
    last = served.seen("a.001")

    assert next_event(stream).revision == last.revision
    stream.cancel()


def test_one_stream_too_many_is_refused_and_a_place_that_is_left_is_free(serve: Callable[..., Served]) -> None:
    served = serve(max_streams=2)
    with grpc.insecure_channel(served.address) as channel:
        first, second = watched(channel), watched(channel)
        until_current(first)
        until_current(second)
        with pytest.raises(grpc.RpcError) as caught:
            next(iter(watched(channel)))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

        first.cancel()
        assert _let_in_again(channel)
        second.cancel()


def _let_in_again(channel: grpc.Channel) -> bool:
    """The server hears of a cancelled stream a moment after its client."""
    for _ in range(10_000):
        try:
            return bool(until_current(watched(channel)))
        except grpc.RpcError:
            continue
    return False
