"""afmctl, run as its users run it: against a real server, with its output, its errors and its exit status."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from served import RESTORED, Served

from afmd.domain.events import State
from afmd_client import Client, cli
from afmd_client.board import Board, percent

PATIENCE_S = 30


@pytest.fixture
def afmctl(served: Served, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run a command against the server."""
    monkeypatch.setenv("AFMD_ADDRESS", served.address)
    monkeypatch.delenv("AFMD_TOKEN", raising=False)
    return lambda *arguments: cli.main([str(argument) for argument in arguments])


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_status_for_people_and_for_programs(afmctl: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert afmctl("status") == 0
    page = capsys.readouterr().out
    assert afmctl("status", "--json") == 0
    (told,) = lines(capsys.readouterr().out)

    for words in ("afmd 1.2.3", "serving", "3 of 256", "1 of 2 busy", "complete 5", "rules@1", "7.0 GiB free"):
        assert words in page
    assert (told["version"], told["queue"], told["counts"]) == ("1.2.3", 3, {"complete": 5, "refused": 1})


def test_list_shows_each_scan_with_class_share_and_verdict(
    served: Served, afmctl: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    entry = served.restored("a.001")
    refused = served.seen("curve.002").scan_id
    served.advanced(refused, State.REFUSED, facts={"reason": "NOT_AN_IMAGE", "why": "it holds force curves"})

    assert afmctl("list") == 0
    page = capsys.readouterr().out
    assert afmctl("list", "--json") == 0
    told = lines(capsys.readouterr().out)

    row = next(line for line in page.splitlines() if "a.001" in line)
    assert re.search(r"complete +not tracking +0\.90 +2\.90 % +" + re.escape(RESTORED["verdict"]), row)
    assert entry.scan_id in row
    assert "it holds force curves" in page
    assert [scan["name"] for scan in told] == ["curve.002", "a.001"]
    assert told[0]["problem"]["reason"] == "NOT_AN_IMAGE"


def test_list_keeps_to_its_filters_and_its_limit(
    served: Served, afmctl: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    served.restored("a.001")
    served.restored("good.001", facts={"label": "good"})
    for n in range(4):
        served.seen(f"seen.{n:03}")

    def names(*options: str) -> list[str]:
        assert afmctl("list", "--json", *options) == 0
        return [scan["name"] for scan in lines(capsys.readouterr().out)]

    assert names("--state", "complete", "--label", "good") == ["good.001"]
    assert names("--limit", "2") == ["seen.003", "seen.002"]
    assert len(names("--limit", "0")) == 6
    assert names("--until", "2024-01-01") == []
    assert afmctl("list", "--limit", "2") == 0
    assert "and more" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name_of", [lambda e: e.scan_id, lambda e: e.scan_id[:-1], lambda e: e.name, lambda _: "latest"]
)
def test_show_finds_a_scan_by_what_people_call_it(
    served: Served, afmctl: Callable[..., int], capsys: pytest.CaptureFixture[str], name_of: Callable[[Any], str]
) -> None:
    entry = served.restored("a.001")

    assert afmctl("show", name_of(entry)) == 0
    page = capsys.readouterr().out
    assert afmctl("show", "--json", name_of(entry)) == 0
    (told,) = lines(capsys.readouterr().out)

    for words in (entry.scan_id, entry.sha256, "stopped after 4 of 8 lines", "2 × 3 nm", "Amplitude Error/retrace [V]",
                  "not tracking", "0.900", "3.10 % masked, 2.90 % filled", "preset=best", "record.json"):  # fmt: skip
        assert words in page
    assert told["scan_id"] == entry.scan_id
    assert told["repair"]["params"]["thr"] == 0.5


def test_a_scan_that_nobody_knows_is_an_error_with_a_status(
    afmctl: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert afmctl("show", "nobody") == 7
    told = capsys.readouterr()
    assert afmctl("show", "--json", "nobody") == 7
    error = json.loads(capsys.readouterr().err)["error"]

    assert told.out == ""
    assert told.err.startswith("afmctl: ")
    assert error["reason"] == "NOT_FOUND"


def test_no_daemon_is_an_error_that_says_what_to_do(
    served: Served, afmctl: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    served.stop()

    assert afmctl("status") == 5
    assert "Start one with 'afmd serve'" in capsys.readouterr().err
    assert afmctl("watch", "--json") == 5


@pytest.mark.parametrize("arguments", [["fly"], ["list", "--state", "nice"], ["show"], ["list", "--since", "soon"], []])
def test_nonsense_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)

    assert caught.value.code == 2


def with_arrays(served: Served, name: str = "a.001") -> Any:
    entry = served.restored(name)
    heights = np.random.default_rng(1).normal(size=(30, 20)).astype(np.float32)
    for kind, values in {"restored": heights, "raw": heights * 2, "mask": heights > 1}.items():
        served.results.put(entry.scan_id, kind, values)
    served.results.put(
        entry.scan_id, "channel", heights * 3, channel="Amplitude Error/retrace", unit="V"
    )  # fmt: skip
    return entry, heights


def test_get_saves_arrays_as_they_are(
    served: Served, afmctl: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry, heights = with_arrays(served)

    assert afmctl("get", entry.scan_id, "restored", "mask", "Amplitude Error/retrace", "-o", tmp_path) == 0

    told = capsys.readouterr().out
    assert np.array_equal(np.load(tmp_path / "a.001.restored.npy"), heights)
    assert np.array_equal(np.load(tmp_path / "a.001.mask.npy"), heights > 1)
    assert np.array_equal(np.load(tmp_path / "a.001.Amplitude_Error_retrace.npy"), heights * 3)
    assert "30 × 20 float32 in nm, 2 × 3 nm a pixel" in told
    assert sorted(path.name for path in tmp_path.glob("*.npy*")) == [
        "a.001.Amplitude_Error_retrace.npy", "a.001.mask.npy", "a.001.restored.npy",
    ]  # fmt: skip


def test_get_saves_text_that_gives_back_every_bit(
    served: Served, afmctl: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry, heights = with_arrays(served)

    assert afmctl("get", "--json", entry.scan_id, "-o", tmp_path / "h.txt") == 0

    (told,) = lines(capsys.readouterr().out)
    text = (tmp_path / "h.txt").read_text(encoding="utf-8")
    assert np.array_equal(np.loadtxt(tmp_path / "h.txt", dtype=np.float32), heights)
    assert "# unit: nm\n# pixel_nm_down: 2\n# pixel_nm_across: 3\n" in text
    assert (told["rows"], told["unit"], told["pixel_nm"]) == (30, "nm", [2.0, 3.0])


def test_get_saves_a_picture(served: Served, afmctl: Callable[..., int], tmp_path: Path) -> None:
    entry, _ = with_arrays(served)

    options = ("--format", "png", "--px", 300, "--colours", "viridis")
    assert afmctl("get", entry.scan_id, "mask", *options, "-o", tmp_path) == 0

    assert (tmp_path / "a.001.mask.png").read_bytes().endswith("300 viridis a.001 · mask".encode())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["restored", "mask", "-o", "both.npy"], "do not go into one file"),
        (["restored", "-o", "x.npy", "--format", "txt"], "not named as txt"),
        (["restored", "-o", "nowhere"], "no such folder"),
        (["nonsense"], "none of that name"),
        (["Height/sideways"], "not of the form"),
        (["restored", "-o", "there.npy"], "exists already"),
    ],
)
def test_get_refuses_what_makes_no_sense_and_writes_nothing(
    served: Served, afmctl: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], arguments: list[str], why: str,
) -> None:  # fmt: skip
    entry, _ = with_arrays(served)
    monkeypatch.chdir(tmp_path)
    Path("there.npy").write_bytes(b"mine")
    before = sorted(Path().iterdir())

    assert afmctl("get", entry.scan_id, *arguments) == 2

    assert why in capsys.readouterr().err
    assert sorted(Path().iterdir()) == before
    assert Path("there.npy").read_bytes() == b"mine"


def test_get_overwrites_only_by_force(served: Served, afmctl: Callable[..., int], tmp_path: Path) -> None:
    entry, heights = with_arrays(served)
    file = tmp_path / "there.npy"
    file.write_bytes(b"old")

    assert afmctl("get", entry.scan_id, "-o", file, "--force") == 0

    assert np.array_equal(np.load(file), heights)


@pytest.mark.parametrize("name", ["../../evil.001", "/etc/passwd", "..", "C:\\evil", "\x1b[2Jevil", "con"])
def test_a_scans_name_never_leads_out_of_the_folder(
    served: Served, afmctl: Callable[..., int], tmp_path: Path, name: str
) -> None:
    entry, _ = with_arrays(served, name)
    folder = tmp_path / "in" / "here"
    folder.mkdir(parents=True)
    before = {path for path in tmp_path.rglob("*") if not path.name.startswith("ledger")}

    assert afmctl("get", entry.scan_id, "-o", folder) == 0

    made = {path for path in tmp_path.rglob("*") if not path.name.startswith("ledger")} - before
    assert [path.parent for path in made] == [folder]
    assert all(re.fullmatch(r"[\w.()+-]+\.restored\.npy", path.name, re.ASCII) for path in made)
    assert not any(path.name.startswith("con.") for path in made), "Windows keeps this name for a device"


def test_a_disk_that_refuses_is_an_error_with_a_status(
    served: Served, afmctl: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    entry, _ = with_arrays(served)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    assert afmctl("get", entry.scan_id, "-o", tmp_path) == 6

    assert "No space left" in capsys.readouterr().err
    assert list(tmp_path.glob("*.npy*")) == []


def test_watch_speaks_json_lines_and_ends_when_all_is_told(
    served: Served, afmctl: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    served.restored("a.001")

    assert afmctl("watch", "--json", "--after", 0, "--no-follow") == 0

    told = lines(capsys.readouterr().out)
    assert [event["revision"] for event in told] == [1, 2, 3, 4, 5]
    assert [event["state"] for event in told] == ["seen", "settled", "read", "restored", "complete"]
    assert told[3]["classification"]["label"] == "not_tracking"


def test_watch_speaks_plain_lines_where_there_is_no_terminal(
    served: Served, afmctl: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    served.restored("a.001")

    assert afmctl("watch", "--after", 0, "--no-follow") == 0

    told = capsys.readouterr().out.splitlines()
    assert len(told) == 5
    assert re.fullmatch(r"\S+Z  4  restored  a\.001  not tracking 0\.90  touched 2\.90 %  Three lost .*", told[3])


def test_a_scans_name_never_steers_the_terminal(
    served: Served, afmctl: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    entry = served.restored("\x1b[2Jevil\r\n.001")

    for command in (["list"], ["show", entry.scan_id], ["watch", "--after", 0, "--no-follow"]):
        assert afmctl(*command) == 0
        shown = capsys.readouterr().out
        assert "evil" in shown
        assert "\x1b" not in shown
        assert "\r" not in shown


def test_watch_tells_only_what_is_new_unless_asked(
    served: Served, afmctl: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    served.restored("a.001")

    assert afmctl("watch", "--json", "--no-follow") == 0

    assert capsys.readouterr().out == ""


def test_history_that_is_gone_is_an_error_with_a_status(
    served: Served, afmctl: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert afmctl("watch", "--json", "--after", 99) == 7

    assert json.loads(capsys.readouterr().err)["error"]["reason"] == "HISTORY_GONE"


def test_the_program_runs_as_a_module_and_stops_when_its_reader_has_enough(served: Served) -> None:
    """As in ``afmctl watch --json | head -1``, over a restart of the daemon."""
    served.restored("a.001")
    command = [sys.executable, "-m", "afmd_client", "watch", "--json", "--after", "0", "--address", served.address]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stderr is not None

    first = [json.loads(program.stdout.readline())["revision"] for _ in range(5)]
    served.stop()
    lost = program.stderr.readline()
    served.start()
    late = served.seen("late.001").revision
    second = json.loads(program.stdout.readline())["revision"]
    program.stdout.close()
    served.seen("more.001")

    assert program.wait(PATIENCE_S) == 0
    assert program.stderr.read() == ""
    program.stderr.close()
    assert [*first, second] == [1, 2, 3, 4, 5, late]
    assert "connection lost" in lost


def drawn(board: Board, width: int) -> str:
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(board)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_live_table_follows_a_scan_to_its_end(served: Served, client: Client) -> None:
    served.restored("a.001")
    refused = served.seen("curve.002").scan_id
    served.advanced(refused, State.REFUSED, facts={"reason": "NOT_AN_IMAGE", "why": "it holds force curves"})
    table = Board(title="the daemon")

    states = []
    with client.watch() as events:
        for event in events:
            table.update(event)
            states.append(re.findall(r"a\.001 +(\w+)", drawn(table, 130))[0])
            if event.state == "refused":
                break

    page = drawn(table, 130)
    assert states == ["seen", "settled", "read", "restored", "complete", "complete", "complete"]
    assert page.index("curve.002") < page.index("a.001"), "the newest stands on top"
    assert re.search(r"a\.001 +complete +not tracking +0\.90 +2\.90 % +Three lost lines", page)
    assert "it holds force curves" in page
    assert table.counts() == {State.COMPLETE: 1, State.REFUSED: 1}
    assert table.revision == 7


def test_the_live_table_fits_a_narrow_terminal_and_keeps_its_bound(served: Served, client: Client) -> None:
    served.restored("a name that is far longer than any column could ever be.001")
    for n in range(9):
        served.seen(f"b.{n:03}")
    table = Board(most_rows=5)
    scans = client.scans()
    table.begin(list(scans), scans.revision)

    page = drawn(table, 80)

    assert all(len(line) <= 80 for line in page.splitlines())
    assert [name in page for name in ("b.008", "b.004", "b.003")] == [True, True, False]


HEEDING_INTERRUPTS = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("afmd_client", run_name="__main__")
"""
"""Undoes what a shell does to programs in its background; before exec it would, beside gRPC's threads, hang or fail."""


def test_a_live_table_on_a_terminal_can_be_left(served: Served) -> None:
    pty = pytest.importorskip("pty", reason="Windows has no pseudo terminals")
    served.restored("a.001")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", HEEDING_INTERRUPTS, "watch", "--address", served.address]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as program:
        try:
            os.close(theirs)
            shown = _read_until(ours, b"current")
            program.send_signal(signal.SIGINT)
            assert program.wait(PATIENCE_S) == 130
        finally:
            program.kill()
            os.close(ours)
    assert b"a.001" in shown
    assert b"Traceback" not in shown


def _read_until(descriptor: int, words: bytes) -> bytes:
    shown = b""
    guard = threading.Timer(PATIENCE_S, os.close, args=(descriptor,))
    guard.start()
    try:
        while words not in shown:
            shown += os.read(descriptor, 65536)
    finally:
        guard.cancel()
    return shown


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (1e-7, "<0.01 %"), (0.029, "2.90 %"), (0.5, "50.0 %"), (1.0, "100.0 %"), (float("nan"), "0 %")],
)
def test_a_share_is_never_told_as_nothing_when_it_is_something(share: float, text: str) -> None:
    assert percent(share) == text


def test_show_says_what_levelling_took_off(
    served: Served, afmctl: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"method": "joint", "direction": "row", "order": 2, "jumps": [{"row": 12, "col": 0, "height_nm": 4.5}],
            "disturbances": [{"kind": "hum", "amplitude_nm": 1.25, "down": 0.4, "across": 0.1}]}  # fmt: skip
    entry = served.restored("a.001", facts={**RESTORED, "levelling": told})

    assert afmctl("show", entry.scan_id) == 0

    page = " ".join(capsys.readouterr().out.split())
    assert "joint; hum of ±1.2 nm taken off; jump of +4.5 nm in line 13 undone" in page


@pytest.mark.parametrize("refusal", ["", "pixels of 9 nm are too coarse for a tip of 10 nm"])
def test_show_says_what_became_of_the_tip(
    served: Served, afmctl: Callable[..., int], capsys: pytest.CaptureFixture[str], refusal: str
) -> None:
    told = {"method": "certainty", "refusal": refusal, "form": "cone", "radius_nm": 9.5, "radius_sigma_nm": 0.4,
            "half_angle_deg": 21.0, "estimated": True, "touched_share": 0.25}  # fmt: skip
    entry = served.restored("a.001", facts={**RESTORED, "deconvolution": told})

    assert afmctl("show", entry.scan_id) == 0

    page = " ".join(capsys.readouterr().out.split())
    assert (f"left in: {refusal}" if refusal else "radius 9.5 ± 0.4 nm, half-angle 21°, told by the scan") in page
