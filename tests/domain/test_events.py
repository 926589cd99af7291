"""The table of states is a law: closed, and with a way out of everything that is not at rest."""

import pytest

from afmd.domain.events import AT_REST, FOLLOWS, HAS_RESULTS, WITHOUT_CLAIM, State


def reachable(start: State) -> set[State]:
    found, edge = {start}, {start}
    while edge:
        edge = {after for state in edge for after in FOLLOWS[state]} - found
        found |= edge
    return found


def test_the_table_names_every_state_once():
    assert set(FOLLOWS) == set(State)


@pytest.mark.parametrize("state", sorted(set(State) - AT_REST))
def test_a_state_that_is_not_at_rest_can_reach_each_kind_of_end(state):
    assert {State.COMPLETE, State.FAILED} <= reachable(state)


def test_every_state_can_be_reached_from_a_file_that_was_seen():
    assert reachable(State.SEEN) == set(State)


def test_only_a_refusal_is_final():
    assert {state for state in State if not FOLLOWS[state]} == {State.REFUSED}


def test_a_scan_that_has_results_can_not_vanish_in_one_step():
    assert all(State.VANISHED not in FOLLOWS[state] for state in HAS_RESULTS)


def test_a_scan_without_a_claim_has_no_results():
    assert not WITHOUT_CLAIM & HAS_RESULTS
