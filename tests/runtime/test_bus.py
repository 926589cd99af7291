"""The bus on real loops and real threads."""

import asyncio
import gc
import threading
import weakref

from afmd.domain.ports import Bus
from afmd.runtime.bus import RevisionBus

PATIENCE_S = 30.0
NEVER_S = 3600.0


async def waiting(bus: RevisionBus, count: int) -> None:
    """Give way until ``count`` tasks wait."""
    while bus.waiting != count:
        await asyncio.sleep(0)


def test_the_bus_is_the_port():
    bus: Bus = RevisionBus()
    bus.publish(1)


def test_what_is_known_already_needs_no_waiting():
    assert asyncio.run(RevisionBus(7).beyond(6, timeout_s=NEVER_S)) == 7


def test_when_the_time_is_up_the_newest_revision_comes_back():
    assert asyncio.run(RevisionBus(7).beyond(7, timeout_s=0)) == 7


def test_a_revision_published_from_another_thread_wakes_everyone():
    async def scene() -> list[int]:
        bus = RevisionBus()
        tasks = [asyncio.create_task(bus.beyond(0, timeout_s=NEVER_S)) for _ in range(100)]
        await waiting(bus, 100)
        threading.Thread(target=bus.publish, args=(3,)).start()
        return await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)

    assert asyncio.run(scene()) == [3] * 100


def test_who_waits_for_more_is_not_woken_by_less():
    async def scene() -> tuple[int, bool, int]:
        bus = RevisionBus()
        near = asyncio.create_task(bus.beyond(1, timeout_s=NEVER_S))
        far = asyncio.create_task(bus.beyond(5, timeout_s=NEVER_S))
        await waiting(bus, 2)
        bus.publish(5)
        first = await asyncio.wait_for(near, PATIENCE_S)
        still = not far.done() and bus.waiting == 1
        bus.publish(6)
        return first, still, await asyncio.wait_for(far, PATIENCE_S)

    assert asyncio.run(scene()) == (5, True, 6)


def test_an_older_revision_changes_nothing():
    async def scene() -> int:
        bus = RevisionBus(9)
        bus.publish(4)
        return await bus.beyond(8, timeout_s=NEVER_S)

    assert asyncio.run(scene()) == 9


def test_a_burst_of_revisions_is_one_waking(monkeypatch):
    async def scene() -> tuple[int, int]:
        bus, wakings = RevisionBus(), []
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(bus.beyond(0, timeout_s=NEVER_S))
        await waiting(bus, 1)
        call = loop.call_soon_threadsafe
        monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *args: (wakings.append(1), call(*args)))
        for revision in range(1, 1001):
            bus.publish(revision)
        return await asyncio.wait_for(task, PATIENCE_S), len(wakings)

    assert asyncio.run(scene()) == (1000, 1)


def test_a_thousand_cancelled_watchers_leave_nothing_behind():
    async def scene() -> tuple[int, int]:
        bus = RevisionBus()
        tasks = [asyncio.create_task(bus.beyond(0, timeout_s=NEVER_S)) for _ in range(1000)]
        await waiting(bus, 1000)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        bus.publish(1)
        return bus.waiting, len(bus._rooms)

    assert asyncio.run(scene()) == (0, 0)


def test_a_watcher_cancelled_while_its_waking_is_under_way_harms_no_other():
    async def scene() -> int:
        bus = RevisionBus()
        gone, stays = (asyncio.create_task(bus.beyond(0, timeout_s=NEVER_S)) for _ in range(2))
        await waiting(bus, 2)
        bus.publish(1)
        gone.cancel()
        return await asyncio.wait_for(stays, PATIENCE_S)

    assert asyncio.run(scene()) == 1


def test_an_outer_timeout_is_not_swallowed():
    async def scene() -> str:
        try:
            async with asyncio.timeout(0):
                await RevisionBus().beyond(0, timeout_s=NEVER_S)
        except TimeoutError:
            return "outer"
        return "swallowed"

    assert asyncio.run(scene()) == "outer"


def test_a_loop_that_was_closed_under_its_watchers_hurts_nobody():
    bus = RevisionBus()
    loop = asyncio.new_event_loop()
    task = loop.create_task(bus.beyond(0, timeout_s=NEVER_S))
    loop.run_until_complete(waiting(bus, 1))
    task._log_destroy_pending = False
    loop.close()

    bus.publish(1)

    assert bus._rooms == {}
    assert asyncio.run(bus.beyond(0, timeout_s=NEVER_S)) == 1


def test_a_loop_that_ended_is_not_kept_alive():
    bus = RevisionBus()

    async def scene() -> weakref.ref[asyncio.AbstractEventLoop]:
        await bus.beyond(0, timeout_s=0)
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(scene())
    gc.collect()
    assert loop() is None


def test_no_revision_is_missed_while_threads_publish_as_fast_as_they_can():
    last = 20_000

    async def follow(bus: RevisionBus) -> list[int]:
        seen, revision = [], 0
        while revision < last:
            revision = await bus.beyond(revision, timeout_s=NEVER_S)
            seen.append(revision)
        return seen

    async def scene() -> list[list[int]]:
        bus = RevisionBus()
        writers = [
            threading.Thread(target=lambda start=n: [bus.publish(r) for r in range(start, last + 1, 4)])
            for n in range(1, 5)
        ]
        tasks = [asyncio.create_task(follow(bus)) for _ in range(20)]
        for writer in writers:
            writer.start()
        return await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)

    for seen in asyncio.run(scene()):
        assert seen == sorted(set(seen))
        assert seen[-1] == last


def test_watchers_on_two_loops_are_both_woken():
    bus, told = RevisionBus(), []
    threads = [
        threading.Thread(target=lambda: told.append(asyncio.run(bus.beyond(0, timeout_s=NEVER_S)))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    while bus.waiting != 2:
        pass
    bus.publish(5)
    for thread in threads:
        thread.join(PATIENCE_S)

    assert told == [5, 5]
