"""The rule for "this file is finished", told as stories of (second, size, promise)."""

from hypothesis import given
from hypothesis import strategies as st

from afmd.domain.events import Fingerprint
from afmd.domain.settle import Settler, Verdict

GROWING, FINISHED, STALLED = Verdict.GROWING, Verdict.FINISHED, Verdict.STALLED


def story(settler: Settler, *seen: tuple[float, int] | tuple[float, int, int | None]) -> list[Verdict]:
    return [
        settler.told(at_s, Fingerprint(size, 0), promised_bytes=promise[0] if promise else 0)
        for at_s, size, *promise in seen
    ]


def test_a_file_written_again_is_finished_again():
    told = story(Settler(settle_s=2), (0, 10), (2, 10), (3, 99), (5, 99))

    assert told == [GROWING, FINISHED, GROWING, FINISHED]


def test_a_file_is_not_finished_before_it_holds_what_it_promises():
    told = story(Settler(settle_s=2, stalled_s=60), (0, 10, 99), (30, 10, 99), (31, 99, 99), (32, 99, 99), (33, 99, 99))

    assert told == [GROWING, GROWING, GROWING, GROWING, FINISHED]


def test_a_file_that_holds_what_it_promises_but_moves_is_not_finished():
    settler = Settler(settle_s=2)

    told = [settler.told(t, Fingerprint(99, t), promised_bytes=99) for t in range(10)]

    assert told == [GROWING] * 10


def test_an_incomplete_file_that_stands_still_long_enough_is_stalled():
    told = story(Settler(settle_s=2, stalled_s=60), (0, 10, 99), (59, 10, 99), (60, 10, 99))

    assert told == [GROWING, GROWING, STALLED]


def test_a_stalled_file_that_grows_on_is_finished_in_the_end():
    told = story(Settler(settle_s=2, stalled_s=60), (0, 10, 99), (60, 10, 99), (61, 99, 99), (63, 99, 99))

    assert told == [GROWING, STALLED, GROWING, FINISHED]


def test_half_a_header_is_no_finished_file():
    told = story(Settler(settle_s=2, stalled_s=60), (0, 10, None), (5, 10, None), (6, 99, 99), (8, 99, 99))

    assert told == [GROWING, GROWING, GROWING, FINISHED]


def test_an_empty_file_is_never_finished():
    assert story(Settler(settle_s=2, stalled_s=60), (0, 0), (30, 0), (60, 0)) == [GROWING, GROWING, STALLED]


def test_with_no_time_to_settle_a_whole_file_is_finished_at_first_sight():
    assert story(Settler(settle_s=0), (7, 10)) == [FINISHED]


def test_the_time_to_look_again_follows_the_last_movement():
    settler = Settler(settle_s=2, stalled_s=60)

    story(settler, (5, 10, 99))
    assert settler.due_s == 65
    story(settler, (8, 99, 99), (9, 99, 99))
    assert settler.due_s == 10


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 3), st.one_of(st.none(), st.integers(0, 3))), max_size=30))
def test_a_verdict_other_than_growing_means_that_nothing_moved_for_as_long_as_it_takes(steps):
    settler, now, seen = Settler(settle_s=2, stalled_s=9), 0.0, []
    for wait_s, size, promise in steps:
        now += wait_s
        seen.append((now, size))
        told = settler.told(now, Fingerprint(size, 0), promised_bytes=promise)
        whole = promise is not None and size >= max(promise, 1)
        needs_s = 2 if whole else 9
        still_since = next((seen[i + 1][0] for i in reversed(range(len(seen) - 1)) if seen[i][1] != size), seen[0][0])
        expected = GROWING if now < still_since + needs_s else FINISHED if whole else STALLED
        assert told is expected
