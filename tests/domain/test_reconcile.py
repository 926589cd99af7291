"""A listing held against what is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afmd.domain.events import AT_REST, Fingerprint, State
from afmd.domain.reconcile import Change, Difference, Known, reconcile

PRINT = Fingerprint(100, 5)


def known(state: State = State.COMPLETE, fingerprint: Fingerprint = PRINT) -> Known:
    return Known("scan", fingerprint, state)


def change(seen: Fingerprint | None, before: Known | None) -> Change | None:
    listed = {} if seen is None else {"a.spm": seen}
    found = reconcile(listed, {} if before is None else {"a.spm": before})
    return found[0].change if found else None


def test_a_path_of_which_nothing_is_known_is_new():
    assert change(PRINT, None) is Change.NEW


@pytest.mark.parametrize("state", sorted(set(State) - {State.VANISHED}))
def test_a_file_as_it_was_is_no_difference_in_any_state(state):
    assert change(PRINT, known(state)) is None


@pytest.mark.parametrize("state", sorted(set(State) - {State.VANISHED, State.SEEN}))
def test_another_size_is_another_scan_and_another_time_a_question(state):
    assert change(Fingerprint(101, 5), known(state)) is Change.REWRITTEN
    assert change(Fingerprint(100, 6), known(state)) is Change.TOUCHED


def test_the_growth_of_a_file_that_is_watched_is_no_difference():
    assert change(Fingerprint(101, 6), known(State.SEEN)) is None


def test_a_vanished_file_that_is_there_is_back():
    assert change(PRINT, known(State.VANISHED)) is Change.BACK


def test_a_file_that_is_waited_for_and_missing_is_gone_and_any_other_is_forgotten():
    assert change(None, known(State.SEEN)) is Change.GONE
    assert {change(None, known(state)) for state in AT_REST} == {Change.FORGOTTEN}


def test_of_what_cannot_be_looked_at_nothing_is_said():
    before = {path: known(State.SEEN) for path in ("day/a.spm", "day/x/b.spm", "daylight.spm", "c.spm")}

    found = reconcile({}, before, hidden={"day", "c.spm"})

    assert found == [Difference("daylight.spm", Change.GONE)]


def test_differences_come_oldest_file_first_so_that_an_original_comes_before_its_copy():
    listed = {"b": Fingerprint(1, 3), "c": Fingerprint(1, 1), "a": Fingerprint(1, 2), "d": Fingerprint(1, 1)}

    assert [difference.path for difference in reconcile(listed, {})] == ["c", "d", "a", "b"]


PATHS = st.sampled_from([f"{i}" for i in range(6)])
PRINTS = st.builds(Fingerprint, st.integers(0, 2), st.integers(0, 2))
KNOWN = st.builds(Known, st.just("scan"), PRINTS, st.sampled_from(State))


@given(st.dictionaries(PATHS, PRINTS), st.dictionaries(PATHS, KNOWN))
def test_every_path_differs_at_most_once_and_acting_on_it_settles_it(listed, before):
    found = reconcile(listed, before)
    assert len({difference.path for difference in found}) == len(found)

    after = dict(before)
    for difference in found:
        if difference.change in {Change.GONE, Change.FORGOTTEN}:
            del after[difference.path]
        else:
            after[difference.path] = Known("scan", listed[difference.path], State.COMPLETE)

    assert reconcile(listed, after) == []
