"""What goes wrong around the daemon: the disk, the folder. Everything comes to its end once the fault is gone."""

import sys
from collections.abc import Callable

import psutil
import pytest
from lab import Lab, image

from afmd_client.nouns import State

MakeLab = Callable[..., Lab]


def test_an_output_root_that_is_in_the_way_means_failed_and_then_done(lab: Lab) -> None:
    lab.restored.write_text("a file where the folder should be")
    lab.drop("a.001", image(1))
    failed = lab.until_state("a.001", State.FAILED)
    lab.restored.unlink()
    lab.until_state("a.001", State.COMPLETE)

    assert failed.problem is not None
    assert failed.problem.reason == "STORAGE_ERROR"
    assert failed.problem.mend
    with lab.client() as client:
        (scan,) = client.scans()
        assert scan.problem is None


@pytest.mark.skipif(sys.platform != "linux", reason="file size limits can be set from outside on Linux only")
def test_a_full_disk_means_failed_and_then_done(lab: Lab) -> None:
    daemon = psutil.Process(lab.ready["pid"])
    limits = daemon.rlimit(psutil.RLIMIT_FSIZE)
    daemon.rlimit(psutil.RLIMIT_FSIZE, (1_000_000, limits[1]))
    lab.drop("large.001", image(1, side=512))
    lab.drop("small.001", image(2))
    failed = lab.until_state("large.001", State.FAILED)
    lab.until_state("small.001", State.COMPLETE)
    assert State.COMPLETE not in lab.ear.states("large.001")
    assert not list(lab.restored.glob("large.001~*/r1/record.json"))

    daemon.rlimit(psutil.RLIMIT_FSIZE, limits)
    lab.until_state("large.001", State.COMPLETE)
    assert failed.problem is not None
    assert failed.problem.reason == "STORAGE_ERROR"
    assert len(list(lab.restored.glob("large.001~*/r*"))) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="file size limits can be set from outside on Linux only")
def test_a_ledger_that_cannot_be_written_stops_nothing_for_good(lab: Lab) -> None:
    daemon = psutil.Process(lab.ready["pid"])
    limits = daemon.rlimit(psutil.RLIMIT_FSIZE)
    daemon.rlimit(psutil.RLIMIT_FSIZE, (100, limits[1]))
    lab.drop("a.001", image(1))
    assert lab.daemon
    assert lab.daemon.said("intake.failed", limit_s=30) or lab.daemon.said("ledger.refused", limit_s=30)

    daemon.rlimit(psutil.RLIMIT_FSIZE, limits)
    lab.until_state("a.001", State.COMPLETE)


def test_a_capture_folder_that_goes_away_and_comes_back_loses_no_scan(lab: Lab) -> None:
    lab.drop("before.001", image(1))
    lab.until_at_rest("before.001")
    away = lab.folder / "away"
    lab.capture.rename(away)
    assert lab.daemon
    assert lab.daemon.said("capture.unreachable", limit_s=30)
    with lab.client() as client:
        assert not client.status().capture_reachable
        (away / "during.001").write_bytes(image(2))
        away.rename(lab.capture)
        lab.until_at_rest("during.001")
        assert client.status().capture_reachable

    assert lab.ear.states("before.001").count(State.COMPLETE) == 1
    assert State.VANISHED not in lab.ear.states("before.001")


def test_a_folder_that_is_not_there_at_the_start_is_waited_for(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.stop()
    lab.capture.rmdir()
    lab.start()
    with lab.client() as client:
        assert not client.status().capture_reachable
        lab.capture.mkdir()
        lab.drop("a.001", image(1))
        lab.until_at_rest("a.001")


def test_a_file_that_vanishes_while_it_waits_is_no_failure(shared_lab: Lab) -> None:
    content = image(103)
    (shared_lab.capture / "half.001").write_bytes(content[: len(content) // 2])
    shared_lab.until_state("half.001", State.SEEN)
    (shared_lab.capture / "half.001").unlink()
    shared_lab.until_at_rest("half.001")

    assert shared_lab.ear.states("half.001") == [State.SEEN, State.VANISHED]


def test_one_bad_file_never_stops_the_next(shared_lab: Lab) -> None:
    for n in range(5):
        shared_lab.drop(f"bad{n}.txt", f"no scan {n}".encode())
        shared_lab.drop(f"good.{n:03d}", image(200 + n))
    shared_lab.until_at_rest(*(f"bad{n}.txt" for n in range(5)), *(f"good.{n:03d}" for n in range(5)))

    assert {shared_lab.ear.states(f"bad{n}.txt")[-1] for n in range(5)} == {State.REFUSED}
    assert {shared_lab.ear.states(f"good.{n:03d}")[-1] for n in range(5)} == {State.COMPLETE}
