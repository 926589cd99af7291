"""What the ledger promises to those who write and those who read."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_clock import FakeClock

from afmd.domain.events import FOLLOWS, WITHOUT_CLAIM, Event, Fingerprint, State
from afmd.domain.findings import Label
from afmd.domain.ports import Ledger, ScanQuery
from afmd.errors import HistoryGone, InvalidInput, LedgerError, NotFound, WrongState
from afmd.files.ledger import SqliteLedger

PRINT = Fingerprint(size_bytes=100, mtime_ns=5)
WAYS = {
    State.SEEN: (),
    State.SETTLED: (State.SETTLED,),
    State.DUPLICATE: (State.DUPLICATE,),
    State.READ: (State.SETTLED, State.READ),
    State.RESTORED: (State.SETTLED, State.READ, State.RESTORED),
    State.REPORTED: (State.SETTLED, State.READ, State.REPORTED),
    State.COMPLETE: (State.SETTLED, State.READ, State.RESTORED, State.COMPLETE),
    State.REFUSED: (State.REFUSED,),
    State.FAILED: (State.SETTLED, State.FAILED),
    State.VANISHED: (State.VANISHED,),
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(tmp_path / "ledger.sqlite3", clock=clock, keep_events=1000)
    yield opened
    opened.close()


def take(ledger: Ledger, scan_id: str, state: State, *, sha256: str = "", **given: Any) -> Event:
    """One step, with the hash or the repair's number that the state demands."""
    if state is State.SETTLED and not ledger.entry(scan_id).sha256:
        given["sha256"] = sha256 or f"content of {scan_id}"
    if state in {State.RESTORED, State.REPORTED}:
        given.setdefault("repair", len(ledger.repairs(scan_id)) + 1)
    return ledger.advance(scan_id, state, **given)


def seen(ledger: Ledger, path: str = "a.spm", *states: State, **given: Any) -> str:
    scan_id = ledger.see(path, PRINT).scan_id
    for state in states:
        take(ledger, scan_id, state, **given)
    return scan_id


def test_the_ledger_is_the_port(ledger):
    port: Ledger = ledger
    assert port.revision() == 0


def test_a_seen_file_is_a_scan_and_an_event(ledger, clock):
    event = ledger.see("day 1/a.spm", PRINT)

    entry = ledger.entry(event.scan_id)
    assert (entry.name, entry.path, entry.state) == ("a.spm", "day 1/a.spm", State.SEEN)
    assert (entry.fingerprint, entry.sha256, entry.repair, dict(entry.facts)) == (PRINT, "", 0, {})
    assert entry.first_seen == entry.updated == clock.now() == event.time
    assert ledger.after(0, limit=10) == [event]


def test_what_the_writer_hands_back_is_what_readers_get(ledger):
    scan_id = seen(ledger)

    event = ledger.advance(scan_id, State.REFUSED, facts={"why": "kräftig", "n": [1, {"a": None}]})

    assert ledger.after(1, limit=10) == [event]
    assert ledger.entry(scan_id).revision == event.revision == ledger.revision() == 2


@pytest.mark.parametrize("after", State)
@pytest.mark.parametrize("before", State)
def test_the_ledger_takes_exactly_the_steps_of_the_table(ledger, before, after):
    scan_id = seen(ledger, "a.spm", *WAYS[before])
    revision = ledger.revision()

    if after in FOLLOWS[before] and not (before is State.READ and after is State.COMPLETE):
        assert take(ledger, scan_id, after).state is ledger.entry(scan_id).state is after
    else:
        with pytest.raises((WrongState, NotFound)):
            take(ledger, scan_id, after)
        assert (ledger.entry(scan_id).state, ledger.revision()) == (before, revision)


def test_many_files_are_seen_together_or_not_at_all(ledger):
    with pytest.raises(LedgerError):
        ledger.see_all([("a.spm", PRINT), ("b.spm", Fingerprint(object(), 0))])
    assert ledger.revision() == 0

    events = ledger.see_all([(f"{i}.spm", PRINT) for i in range(50)])

    assert [event.revision for event in events] == list(range(1, 51))
    assert sorted(event.scan_id for event in events) == [event.scan_id for event in events]
    assert ledger.see_all([]) == []


def test_facts_are_merged_and_a_none_forgets(ledger):
    scan_id = seen(ledger)
    ledger.advance(scan_id, State.FAILED, facts={"why": "disk full", "retries": 1, "kept": {"a": 1}})

    event = ledger.advance(scan_id, State.SEEN, facts={"why": None, "retries": 2})

    assert dict(ledger.entry(scan_id).facts) == {"retries": 2, "kept": {"a": 1}}
    assert dict(event.facts) == {"why": None, "retries": 2}


@pytest.mark.parametrize("facts", [{"sq_nm": float("nan")}, {"path": Path("a")}, {"x": {1, 2}}])
def test_facts_that_json_cannot_hold_are_refused_and_change_nothing(ledger, facts):
    scan_id = seen(ledger)

    with pytest.raises(InvalidInput, match="facts"):
        ledger.advance(scan_id, State.REFUSED, facts=facts)

    assert (ledger.entry(scan_id).state, ledger.revision()) == (State.SEEN, 1)


def test_a_scan_cannot_settle_without_its_hash(ledger):
    scan_id = seen(ledger)

    with pytest.raises(InvalidInput, match="hash"):
        ledger.advance(scan_id, State.SETTLED)


def test_content_has_one_owner(ledger):
    first, second = seen(ledger, "a.spm", State.SETTLED, sha256="abc"), seen(ledger, "b.spm")

    with pytest.raises(WrongState, match=first):
        ledger.advance(second, State.SETTLED, sha256="abc")

    ledger.advance(second, State.DUPLICATE, sha256="abc")
    assert ledger.holder("abc") == ledger.entry(first)
    assert ledger.holder("") is ledger.holder("other") is None


@pytest.mark.parametrize("state", sorted(WITHOUT_CLAIM))
def test_a_scan_without_a_claim_does_not_own_its_content(ledger, state):
    scan_id = seen(ledger, "a.spm", *([State.SETTLED, State.VANISHED] if state is State.VANISHED else []), sha256="abc")
    if state is State.DUPLICATE:
        ledger.advance(scan_id, state, sha256="abc")

    assert ledger.entry(scan_id).state is state
    assert ledger.holder("abc") is None


def test_a_duplicate_is_an_orphan_once_its_original_has_gone(ledger):
    original, copy = seen(ledger, "a.spm", State.SETTLED, sha256="abc"), seen(ledger, "b.spm")
    ledger.advance(copy, State.DUPLICATE, sha256="abc")
    assert ledger.orphans() == []

    ledger.advance(original, State.VANISHED)

    assert [entry.scan_id for entry in ledger.orphans()] == [copy]
    ledger.advance(copy, State.SETTLED)
    assert ledger.orphans() == []


def test_a_file_that_comes_back_has_no_hash_until_it_settles_again(ledger):
    scan_id = seen(ledger, "a.spm", State.SETTLED, State.VANISHED, State.SEEN)

    assert ledger.entry(scan_id).sha256 == ""


def test_the_newest_scan_at_a_path_is_the_known_one(ledger):
    seen(ledger, "a.spm"), seen(ledger, "other/a.spm")
    newest = seen(ledger, "a.spm")

    assert ledger.known("a.spm").scan_id == newest
    assert ledger.known("b.spm") is None


def test_a_touch_changes_the_fingerprint_and_makes_no_event(ledger):
    scan_id = seen(ledger)

    ledger.touch(scan_id, Fingerprint(100, 77))

    assert ledger.entry(scan_id).fingerprint == Fingerprint(100, 77)
    assert ledger.revision() == 1


def test_an_unknown_scan_is_not_found(ledger):
    for ask in (
        lambda: ledger.entry("0"),
        lambda: ledger.repairs("0"),
        lambda: ledger.touch("0", PRINT),
        lambda: ledger.advance("0", State.SETTLED),
    ):
        with pytest.raises(NotFound):
            ask()


def test_unfinished_scans_are_what_a_restart_picks_up_oldest_first(ledger):
    ids = {state: seen(ledger, f"{state}.spm", *WAYS[state]) for state in reversed(State)}

    assert [entry.scan_id for entry in ledger.unfinished()] == [
        ids[state] for state in (State.REPORTED, State.RESTORED, State.READ, State.SETTLED, State.SEEN)
    ]


def test_counts_name_every_state(ledger):
    seen(ledger, "a.spm"), seen(ledger, "b.spm"), seen(ledger, "c.spm", State.VANISHED)

    counts = ledger.counts()

    assert set(counts) == set(State)
    assert {state: n for state, n in counts.items() if n} == {State.SEEN: 2, State.VANISHED: 1}


def pages(ledger: Ledger, query: ScanQuery, *, limit: int) -> list[list[str]]:
    found = []
    while page := ledger.entries(query, limit=limit):
        found.append([entry.name for entry in page])
        query = replace(query, before=(page[-1].first_seen.isoformat(), page[-1].scan_id))
    return found


def test_pages_go_newest_first_without_gap_or_repeat_even_for_scans_of_one_moment(ledger, clock):
    for moment in range(3):
        ledger.see_all([(f"{moment}{i}", PRINT) for i in range(3)])
        clock.pass_s(0.5)

    assert pages(ledger, ScanQuery(), limit=4) == [["22", "21", "20", "12"], ["11", "10", "02", "01"], ["00"]]


def test_a_page_is_not_moved_by_a_scan_that_arrives_meanwhile(ledger, clock):
    ledger.see_all([(f"{i}", PRINT) for i in range(4)])
    first = ledger.entries(ScanQuery(), limit=2)
    clock.pass_s(1)
    ledger.see("new", PRINT)

    rest = ledger.entries(ScanQuery(before=(first[-1].first_seen.isoformat(), first[-1].scan_id)), limit=9)

    assert [entry.name for entry in rest] == ["1", "0"]


def test_a_query_filters_by_state_label_and_time(ledger, clock):
    start = clock.now()
    for name, label in (("a", Label.GOOD), ("b", Label.NOT_TRACKING), ("c", Label.GOOD)):
        scan_id = seen(ledger, name, State.SETTLED, State.READ)
        take(ledger, scan_id, State.RESTORED, facts={"label": label.value})
        clock.pass_s(60)
    seen(ledger, "d")

    def names(query: ScanQuery) -> str:
        return "".join(entry.name for entry in ledger.entries(query, limit=9))

    minute = timedelta(seconds=60)
    assert names(ScanQuery(states=frozenset({State.RESTORED, State.SEEN}))) == "dcba"
    assert names(ScanQuery(states=frozenset({State.SEEN}))) == "d"
    assert names(ScanQuery(labels=frozenset({Label.GOOD}))) == "ca"
    assert names(ScanQuery(labels=frozenset({Label.GOOD}), since=start + minute)) == "c"
    assert names(ScanQuery(since=start + minute, until=start + 2 * minute)) == "b"


def test_a_page_after_no_time_is_refused(ledger):
    with pytest.raises(InvalidInput, match="before"):
        ledger.entries(ScanQuery(before=("yesterday", "0")), limit=1)


def test_identities_sort_like_the_order_of_seeing_even_when_the_clock_is_set_back(ledger, clock):
    ids = [ledger.see("a", PRINT).scan_id for _ in range(5)]
    clock.set_back_s(3600)
    ids += [ledger.see("a", PRINT).scan_id for _ in range(5)]
    clock.pass_s(7200)
    ids += [ledger.see("a", PRINT).scan_id]

    assert ids == sorted(set(ids))
    assert {len(scan_id) for scan_id in ids} == {12}


def test_events_come_in_order_in_pages_and_each_once(ledger):
    ledger.see_all([(f"{i}", PRINT) for i in range(10)])

    found, revision = [], 0
    while page := ledger.after(revision, limit=3):
        found += [event.revision for event in page]
        revision = page[-1].revision

    assert found == list(range(1, 11))


def test_old_events_are_forgotten_but_never_scans(tmp_path, clock):
    ledger = SqliteLedger(tmp_path / "l", clock=clock, keep_events=5)
    ledger.see_all([(f"{i}", PRINT) for i in range(12)])
    ledger.see("12", PRINT)

    assert (ledger.oldest_revision(), ledger.revision()) == (9, 13)
    assert len(ledger.entries(ScanQuery(), limit=99)) == 13
    assert [event.revision for event in ledger.after(0, limit=99)] == [9, 10, 11, 12, 13]
    assert [event.revision for event in ledger.after(8, limit=99)] == [9, 10, 11, 12, 13]
    with pytest.raises(HistoryGone) as gone:
        ledger.after(7, limit=99)
    assert gone.value.oldest == 9
    ledger.close()


def test_a_revision_from_another_ledger_is_history_gone(ledger):
    ledger.see("a", PRINT)
    assert ledger.after(1, limit=9) == []

    with pytest.raises(HistoryGone) as gone:
        ledger.after(2, limit=9)

    assert gone.value.oldest == 1


def test_everything_is_there_after_reopening_and_revisions_go_on(tmp_path, clock):
    path = tmp_path / "deep" / "ledger.sqlite3"
    ledger = SqliteLedger(path, clock=clock, keep_events=2)
    scan_id = seen(ledger, "a.spm", *WAYS[State.COMPLETE])
    before = ledger.entry(scan_id), ledger.repairs(scan_id), ledger.after(0, limit=9)
    ledger.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]

    clock.set_back_s(86400)
    again = SqliteLedger(path, clock=clock, keep_events=2)

    assert (again.entry(scan_id), again.repairs(scan_id), again.after(0, limit=9)) == before
    assert again.see("b.spm", PRINT).revision == before[0].revision + 1
    assert again.known("b.spm").scan_id > scan_id
    again.close()


def test_a_closed_ledger_says_so(ledger):
    ledger.close()
    ledger.close()

    with pytest.raises(LedgerError, match="closed"):
        ledger.revision()
    with pytest.raises(LedgerError, match="closed"):
        ledger.see("a", PRINT)


def test_the_first_repair_is_booked_and_finished(ledger, clock):
    scan_id = seen(ledger, "a.spm", State.SETTLED, State.READ)
    begun = clock.now()
    ledger.advance(scan_id, State.RESTORED, repair=1, facts={"label": "good"})
    assert ledger.repairs(scan_id)[0].finished is None
    clock.pass_s(3)

    ledger.advance(scan_id, State.COMPLETE, facts={"outputs": ["scan.gwy"]})

    (repair,) = ledger.repairs(scan_id)
    assert (repair.number, repair.created, repair.finished) == (1, begun, clock.now())
    assert dict(repair.facts) == {"label": "good", "outputs": ["scan.gwy"]}
    assert ledger.entry(scan_id).repair == 1


def repaired_twice(ledger: Ledger) -> str:
    scan_id = seen(ledger, "a.spm", State.SETTLED)
    for number, label in ((1, "good"), (2, "not_tracking")):
        ledger.advance(scan_id, State.READ)
        ledger.advance(scan_id, State.RESTORED, repair=number, facts={"label": label})
        ledger.advance(scan_id, State.COMPLETE)
    return scan_id


def test_an_earlier_repair_is_put_back_in_force_with_its_facts(ledger):
    scan_id = repaired_twice(ledger)
    assert (ledger.entry(scan_id).repair, ledger.entry(scan_id).facts["label"]) == (2, "not_tracking")

    event = ledger.advance(scan_id, State.COMPLETE, repair=1)

    assert (ledger.entry(scan_id).repair, ledger.entry(scan_id).facts["label"]) == (1, "good")
    assert event.facts["label"] == "good"
    assert [repair.number for repair in ledger.repairs(scan_id)] == [1, 2]


def test_a_further_repair_that_is_given_up_leaves_the_scan_with_the_one_before(ledger):
    scan_id = repaired_twice(ledger)
    ledger.advance(scan_id, State.READ, facts={"label": "imaging_artifact"})

    ledger.advance(scan_id, State.COMPLETE)

    assert (ledger.entry(scan_id).repair, ledger.entry(scan_id).facts["label"]) == (2, "not_tracking")


def test_a_repair_is_never_overwritten(ledger):
    scan_id = repaired_twice(ledger)
    ledger.advance(scan_id, State.READ)

    with pytest.raises(WrongState, match="never overwritten"):
        ledger.advance(scan_id, State.RESTORED, repair=1)


def test_a_repair_that_was_never_finished_may_begin_anew_but_not_be_chosen(ledger):
    scan_id = repaired_twice(ledger)
    for step in (State.READ, State.RESTORED, State.SETTLED, State.READ):
        take(ledger, scan_id, step)
    with pytest.raises(WrongState, match="never finished"):
        ledger.advance(scan_id, State.COMPLETE, repair=3)

    ledger.advance(scan_id, State.REPORTED, repair=3)
    ledger.advance(scan_id, State.COMPLETE)

    assert [repair.finished is not None for repair in ledger.repairs(scan_id)] == [True, True, True]


def test_a_repair_that_never_was_is_not_found(ledger):
    scan_id = repaired_twice(ledger)

    with pytest.raises(NotFound, match="repair 7"):
        ledger.advance(scan_id, State.COMPLETE, repair=7)


@pytest.mark.parametrize(("state", "repair"), [(State.RESTORED, None), (State.RESTORED, 0), (State.FAILED, 1)])
def test_a_repair_is_named_exactly_where_results_are_made(ledger, state, repair):
    scan_id = seen(ledger, "a.spm", State.SETTLED, State.READ)

    with pytest.raises(InvalidInput) as refused:
        ledger.advance(scan_id, state, repair=repair)

    assert refused.value.field == "repair"


def test_a_time_without_a_zone_is_refused(tmp_path):
    ledger = SqliteLedger(tmp_path / "l", clock=FakeClock(datetime(2024, 1, 1)), keep_events=5)

    with pytest.raises((InvalidInput, TypeError)):
        ledger.see("a", PRINT)

    ledger.close()
