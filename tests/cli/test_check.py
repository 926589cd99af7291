"""Whether the daemon would start: each thing that keeps it from starting is named, with what mends it."""

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afmd.cli import main
from afmd.inference import weights_folder
from afmd.runtime.lock import InstanceLock

Captured = pytest.CaptureFixture[str]
Checked = Callable[..., dict[str, dict[str, Any]]]
IN_ORDER = ["settings", "capture folder", "output root", "ledger", "server", "metrics", "models", "log"]


@pytest.fixture
def checked(tmp_path: Path, capsys: Captured) -> Checked:
    """Write settings with these tables, check them, and return the findings by name; the status must agree."""
    (tmp_path / "capture").mkdir()

    def check(text: str = "", *, port: int = 0, metrics: int = 0) -> dict[str, dict[str, Any]]:
        config = tmp_path / "service.toml"
        config.write_text(f"{text}\n[metrics]\nport = {metrics}\n" + ("" if "[server]" in text else _server(port)))
        status = main(["check", "--config", str(config), "--json"])
        told = json.loads(capsys.readouterr().out)
        assert status == (0 if told["ok"] else 1)
        assert told["ok"] == all(finding["ok"] for finding in told["checks"])
        return {finding["name"]: finding for finding in told["checks"]}

    return check


def _server(port: int) -> str:
    return f"[server]\nport = {port}\n"


def only_bad(findings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (bad,) = [finding for finding in findings.values() if not finding["ok"]]
    assert bad["detail"]
    assert bad["mend"]
    return bad


def test_all_in_order_is_status_zero_and_leaves_nothing_behind(checked: Checked, tmp_path: Path) -> None:
    findings = checked()

    assert list(findings) == IN_ORDER
    assert all(finding["ok"] for finding in findings.values())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["capture", "service.toml"]


def test_settings_that_make_no_sense_end_the_checks(checked: Checked) -> None:
    findings = checked("[capture]\nsettle = 1")

    assert list(findings) == ["settings"]
    assert "capture.settle" in only_bad(findings)["detail"]


def test_a_capture_folder_that_is_not_there(checked: Checked, tmp_path: Path) -> None:
    (tmp_path / "capture").rmdir()

    assert only_bad(checked())["name"] == "capture folder"


def test_an_output_root_that_cannot_be_written(checked: Checked, tmp_path: Path) -> None:
    (tmp_path / "restored").write_text("in the way")

    assert only_bad(checked())["name"] == "output root"


def test_a_ledger_that_is_no_ledger(checked: Checked, tmp_path: Path) -> None:
    (tmp_path / "afmd.sqlite3").write_bytes(b"not a database" * 100)

    assert only_bad(checked())["name"] == "ledger"
    assert (tmp_path / "afmd.sqlite3").read_bytes() == b"not a database" * 100


def test_a_daemon_that_runs_already(checked: Checked, tmp_path: Path) -> None:
    from afmd.files.ledger import SqliteLedger
    from afmd.runtime.clock import SystemClock

    SqliteLedger(tmp_path / "afmd.sqlite3", clock=SystemClock(), keep_events=1000).close()
    with InstanceLock(tmp_path / "afmd.sqlite3"):
        assert "works with it already" in only_bad(checked())["detail"]


@pytest.mark.parametrize("which", ["server", "metrics"])
def test_a_port_that_is_taken(checked: Checked, which: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        findings = checked(**{"port" if which == "server" else "metrics": port})

    assert only_bad(findings)["name"] == which
    assert str(port) in findings[which]["detail"]


@pytest.mark.parametrize(
    ("certificate", "key", "said"), [("missing", "missing", "tls_key"), ("empty", "empty", "no PEM file")]
)
def test_certificates_that_are_none(checked: Checked, tmp_path: Path, certificate: str, key: str, said: str) -> None:
    (tmp_path / "empty").write_text("")
    tls = f'[server]\nport = 0\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n'

    assert said in only_bad(checked(tls))["detail"]


def test_tokens_that_are_none(checked: Checked, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("viewer anna short\n")

    assert "16 characters" in only_bad(checked('[server]\nport = 0\ntokens = "tokens"\n'))["detail"]


def test_weights_that_are_demanded_and_missing(checked: Checked) -> None:
    assert only_bad(checked('[models]\nsegmenter = "network"\nweights = "none"'))["name"] == "models"


def test_weights_that_are_only_hoped_for_are_no_fault_but_said(checked: Checked) -> None:
    models = checked('[models]\nweights = "none"')["models"]

    assert models["ok"]
    assert "none" in models["detail"]


def test_why_no_network_removes_the_tip_is_said(checked: Checked, tmp_path: Path) -> None:
    shutil.copytree(weights_folder(), tmp_path / "weights")
    (tmp_path / "weights" / "tip.onnx").write_bytes(b"not these")

    models = checked('[models]\nweights = "weights"\n[deconvolution]\nmode = "estimated"')["models"]

    assert models["ok"]
    assert "tip by certainty" in models["detail"]
    assert "tip.onnx" in models["detail"]


def test_for_people_there_is_a_mark_for_each(checked: Checked, tmp_path: Path, capsys: Captured) -> None:
    checked()
    (tmp_path / "capture").rmdir()
    main(["check", "--config", str(tmp_path / "service.toml")])

    text = capsys.readouterr().out
    assert text.count("✓") == len(IN_ORDER) - 1
    assert text.count("✗") == 1
    assert "1 of 8 are not in order" in text
