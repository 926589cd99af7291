"""Log lines: JSON, one a line, and nothing lost."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from afmd.errors import NotAnImage, StorageError
from afmd.settings import Log
from afmd.telemetry.logs import configure, error_fields, logger


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("afmd").setLevel(logging.NOTSET)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_an_event_is_one_json_line_with_its_fields(tmp_path: Path) -> None:
    configure(Log(file=tmp_path / "a.log"))

    logger("runtime").info("scan.restored", revision=412, scan="a.spm", masked_pct=3.1)

    (line,) = lines(tmp_path / "a.log")
    assert list(line)[:3] == ["time", "level", "event"]
    assert line["event"] == "scan.restored"
    assert (line["revision"], line["scan"], line["masked_pct"]) == (412, "a.spm", 3.1)


def test_a_name_that_is_no_text_still_makes_a_line(tmp_path: Path) -> None:
    configure(Log(file=tmp_path / "a.log"))

    logger("files").info("scan.seen", scan="bad\udcff\n.spm")

    assert lines(tmp_path / "a.log")[0]["scan"] == "bad\udcff\n.spm"


def test_lines_below_the_level_are_left_out(tmp_path: Path) -> None:
    configure(Log(file=tmp_path / "a.log", level="warning"))

    logger("runtime").info("scan.seen")
    logger("runtime").warning("disk.full")

    assert [line["event"] for line in lines(tmp_path / "a.log")] == ["disk.full"]


def test_foreign_loggers_write_json_too(tmp_path: Path) -> None:
    configure(Log(file=tmp_path / "a.log"))

    logging.getLogger("grpc").error("socket %d closed", 7)
    logging.getLogger("grpc").info("chatter")

    assert [line["event"] for line in lines(tmp_path / "a.log")] == ["socket 7 closed"]


def test_a_traceback_stays_on_its_line(tmp_path: Path) -> None:
    configure(Log(file=tmp_path / "a.log"))

    try:
        raise ZeroDivisionError("by nought")
    except ZeroDivisionError:
        logger("runtime").exception("scan.failed")

    (line,) = lines(tmp_path / "a.log")
    assert "ZeroDivisionError: by nought" in line["exception"]


def test_a_log_file_is_put_aside_at_its_size(tmp_path: Path) -> None:
    configure(Log(file=tmp_path / "a.log", max_mib=1, keep_files=2))

    for _ in range(4):
        logger("runtime").info("x.y", text="x" * 700_000)

    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2"]


def test_a_log_file_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageError, match="log file"):
        configure(Log(file=tmp_path / "file" / "a.log"))


@pytest.mark.parametrize("where", ["raise ValueError('lost')", "t = threading.Thread(target=lambda: 1 / 0); t.start()"])
def test_an_uncaught_error_leaves_a_line(where: str) -> None:
    program = (
        "import threading\n"
        "from afmd.settings import Log\n"
        "from afmd.telemetry.logs import configure, log_uncaught\n"
        f"configure(Log()); log_uncaught()\n{where}\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    (line,) = map(json.loads, run.stderr.splitlines())
    assert line["event"] == "error.uncaught"
    assert "Traceback" in line["exception"]


def test_an_error_of_ours_gives_what_why_and_mend() -> None:
    fields = error_fields(NotAnImage("a.spm", why="it holds force curves", mend="Give an image"))

    assert fields == {
        "reason": "NOT_AN_IMAGE", "what": "a.spm", "why": "it holds force curves", "mend": "Give an image",
    }  # fmt: skip


def test_an_error_of_a_stranger_gives_its_type_and_text() -> None:
    assert error_fields(KeyError("k"))["reason"] == "INTERNAL"
    assert error_fields(KeyError("k"))["what"] == "KeyError"
