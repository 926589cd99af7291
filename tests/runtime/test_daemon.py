"""The drain goes on whatever hangs or breaks; the daemon as a whole is tried in tests/system."""

import asyncio
import threading

import pytest
from structlog.testing import capture_logs

from afmd.runtime.daemon import within


def test_a_part_that_hangs_does_not_keep_the_daemon_from_ending() -> None:
    never = threading.Event()

    def hangs() -> None:
        never.wait(30)

    with capture_logs() as lines:
        asyncio.run(within(0.01, hangs))
    never.set()

    assert [line["event"] for line in lines] == ["drain.hangs"]
    assert "hangs" in lines[0]["part"]


def test_a_part_that_breaks_does_not_either() -> None:
    def breaks() -> None:
        raise OSError("gone")

    with capture_logs() as lines:
        asyncio.run(within(30, breaks))

    assert [line["event"] for line in lines] == ["drain.failed"]


@pytest.mark.parametrize("value", [None, True])
def test_a_part_that_stops_is_waited_for(value: object) -> None:
    stopped: list[object] = []

    asyncio.run(within(30, lambda: stopped.append(value)))

    assert stopped == [value]
