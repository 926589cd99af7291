"""The daemon's life: growing files, the drain, the power cut, the second daemon, the neighbours."""

import signal
import socket
import sqlite3
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from lab import PATIENCE_S, Lab, image

from afmd.cli.child import DaemonProcess
from afmd.errors import AfmdError
from afmd_client.errors import ClientError
from afmd_client.nouns import State

MakeLab = Callable[..., Lab]
MANY = 12


def test_a_file_that_grows_is_taken_when_it_is_whole(shared_lab: Lab) -> None:
    content = image(101)
    with (shared_lab.capture / "growing.001").open("wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        shared_lab.until_state("growing.001", State.SEEN)
        file.write(content[len(content) // 2 :])
    shared_lab.until_at_rest("growing.001")

    assert shared_lab.ear.states("growing.001") == [
        State.SEEN, State.SETTLED, State.READ, State.RESTORED, State.COMPLETE
    ]  # fmt: skip


def test_a_scan_in_a_subfolder_lands_in_the_same_subfolder(shared_lab: Lab) -> None:
    folder = shared_lab.capture / "Tuesday" / "sample B"
    folder.mkdir(parents=True)
    (folder / "tuesday.001").write_bytes(image(102))
    shared_lab.until_at_rest("tuesday.001")

    assert list((shared_lab.restored / "Tuesday" / "sample B").glob("tuesday.001~*/r1/record.json"))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_it_in_peace(make_lab: MakeLab, name: str) -> None:
    lab = make_lab()
    lab.drop("a.001", image(1))
    lab.until_at_rest("a.001")
    assert lab.daemon
    if sys.platform == "win32":
        lab.daemon.ask_to_stop()
    else:
        psutil.Process(lab.daemon.pid).send_signal(getattr(signal, name))

    assert lab.daemon.wait(limit_s=PATIENCE_S) == 0
    told = [line["event"] for line in lab.daemon.lines if line["event"].startswith("daemon.")]
    assert told == ["daemon.ready", "daemon.draining", "daemon.stopped"]


def test_a_drain_finishes_the_scan_in_hand_and_the_next_start_does_the_rest(make_lab: MakeLab) -> None:
    lab = make_lab()
    names = [f"s.{n:03d}" for n in range(MANY)]
    for n, name in enumerate(names):
        lab.drop(name, image(n, side=256))
    lab.ear.until(lambda: any(e.state is State.RESTORED for e in lab.ear.events), what="a first result")

    assert lab.stop() == 0
    with sqlite3.connect(lab.folder / "afmd.sqlite3") as db:
        standing = dict(db.execute("SELECT state, count(*) FROM scans GROUP BY state"))
    db.close()
    assert standing.keys() <= {"seen", "settled", "complete"}

    lab.start()
    lab.until_at_rest(*names)
    assert_each_is_done_once(lab, names)


def test_a_power_cut_loses_nothing_and_doubles_nothing(make_lab: MakeLab) -> None:
    lab = make_lab()
    names = [f"s.{n:03d}" for n in range(MANY)]
    for n, name in enumerate(names):
        lab.drop(name, image(n, side=256))
    for state in (State.READ, State.RESTORED, State.COMPLETE):
        before = sum(e.state is state for e in lab.ear.events)
        lab.ear.until(lambda s=state, b=before: sum(e.state is s for e in lab.ear.events) > b, what=f"one more {state}")
        lab.kill()
        lab.start()
    lab.until_at_rest(*names)

    assert_each_is_done_once(lab, names)
    revisions = [event.revision for event in lab.ear.events]
    assert revisions == list(range(1, len(revisions) + 1))


def assert_each_is_done_once(lab: Lab, names: list[str]) -> None:
    for name in names:
        assert lab.ear.states(name).count(State.COMPLETE) == 1
        assert len(list(lab.restored.glob(f"{name}~*/r*/record.json"))) == 1
    assert len(list(lab.restored.glob("*/r*"))) == len(names)
    with lab.client() as client:
        assert {scan.repair.number for scan in client.scans() if scan.repair} == {1}


def test_a_second_signal_ends_it_at_once(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.drop("large.001", image(1, side=2048))
    lab.until_state("large.001", State.READ)
    assert lab.daemon
    lab.daemon.ask_to_stop()
    assert lab.daemon.said("daemon.draining", limit_s=PATIENCE_S)
    lab.daemon.ask_to_stop()

    assert lab.daemon.wait(limit_s=PATIENCE_S) == 130
    with sqlite3.connect(lab.folder / "afmd.sqlite3") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_watchers_hear_the_last_scan_before_the_door_closes(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.drop("last.001", image(1, side=1024))
    lab.until_state("last.001", State.READ)
    assert lab.daemon
    with lab.client() as client:
        watch, heard, ends = client.watch(), [], []
        lab.daemon.ask_to_stop()
        watch._on_lost = lambda error: (ends.append(error), watch.close())
        heard = list(watch)

    assert lab.daemon.wait(limit_s=PATIENCE_S) == 0
    assert heard[-1].state is State.COMPLETE
    assert isinstance(ends[0], ClientError)
    assert "going down" in str(ends[0])


def test_a_second_daemon_on_the_same_ledger_is_refused(shared_lab: Lab) -> None:
    with DaemonProcess(shared_lab.config) as second:
        with pytest.raises(AfmdError, match=f"process {shared_lab.ready['pid']}"):
            second.ready()
        assert second.wait(limit_s=PATIENCE_S) == 6


def test_a_second_daemon_on_the_same_port_is_refused(shared_lab: Lab, tmp_path: Path) -> None:
    config = tmp_path / "other.toml"
    config.write_text(
        f'[ledger]\npath = "other.sqlite3"\n[server]\nport = {shared_lab.ready["port"]}\n[metrics]\nport = 0\n'
    )

    with DaemonProcess(config) as second:
        with pytest.raises(AfmdError, match=str(shared_lab.ready["port"])):
            second.ready()
        assert second.wait(limit_s=PATIENCE_S) == 6


def test_an_output_root_inside_the_capture_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "service.toml").write_text('[outputs]\nroot = "capture/restored"\n')

    with DaemonProcess(tmp_path / "service.toml") as daemon:
        assert daemon.wait(limit_s=PATIENCE_S) == 4
        assert any("lies inside" in str(line.get("text")) for line in daemon.lines)


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")
def test_systemd_hears_ready_alive_and_stopping(
    make_lab: MakeLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        lab = make_lab()
        heard = [systemd.recv(4096).split(b"\n")[0] for _ in range(2)]
        assert lab.stop() == 0
        while heard[-1] != b"STOPPING=1":
            heard.append(systemd.recv(4096).split(b"\n")[0])

    assert heard[:2] == [b"READY=1", b"WATCHDOG=1"]
    assert heard.count(b"STOPPING=1") == 1


def test_it_gives_way_to_its_neighbours(shared_lab: Lab) -> None:
    own = psutil.Process(shared_lab.ready["pid"])

    below = psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else 5
    assert own.nice() == below


def test_metrics_say_what_happened(make_lab: MakeLab, unused_port: int) -> None:
    lab = make_lab(metrics_port=unused_port)
    lab.drop("a.001", image(1))
    lab.drop("b.txt", b"no scan")
    lab.until_at_rest("a.001", "b.txt")

    with urllib.request.urlopen(f"http://127.0.0.1:{lab.ready['metrics_port']}/metrics") as answer:
        text = answer.read().decode()
    assert 'afmd_ledger_scans{state="complete"} 1.0' in text
    assert 'afmd_scans_total{label="",state="refused"} 1.0' in text
    assert f"afmd_ledger_revision {lab.ear.events[-1].revision}.0" in text
    assert "afmd_capture_reachable 1.0" in text


def test_every_line_of_the_log_is_json_and_one_tells_the_whole_story(lab: Lab) -> None:
    lab.drop("a.001", image(1))
    lab.until_at_rest("a.001")
    lab.stop()
    assert lab.daemon

    assert not [line for line in lab.daemon.lines if line["event"] == "text"]
    (story,) = [line for line in lab.daemon.lines if line["event"] == "scan.restored"]
    assert story["scan"] == "a.001"
    assert story.keys() >= {"revision", "label", "masked_pct", "touched_pct", "total_ms", "time", "level"}
