"""The commands that need no daemon: what they print, where, and with which exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import afmd
from afmd.cli import main
from afmd.cli.restore import expanded, overrides
from afmd.domain.params import PARAMETERS
from afmd.domain.scan import Channel, Direction
from afmd.errors import InvalidInput
from afmd.files.nanoscope import encode

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    hills = 40 * ndimage.gaussian_filter(rng.normal(size=(64, 64)), 4) + np.linspace(0, 50, 64)[:, None]
    heights = (hills + rng.normal(0, 0.05, (64, 64))).astype(np.float32)
    file = tmp_path / "a.001"
    file.write_bytes(encode([Channel("Height", Direction.TRACE, "nm", heights)], pixel_nm=(2.0, 1.0)))
    return file


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    file = tmp_path / "notes.txt"
    file.write_text("Tuesday: new tip")
    return file


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def printed(captured: Captured) -> Any:
    return json.loads(captured.readouterr().out)


def test_read_tells_channels_units_pitch_and_size(image: Path, capsys: Captured) -> None:
    assert run("read", image, "--json") == 0

    told = printed(capsys)
    assert (told["rows"], told["cols"], told["pixel_nm"], told["size_nm"]) == (64, 64, [2.0, 1.0], [128.0, 64.0])
    assert [(c["name"], c["direction"], c["unit"]) for c in told["channels"]] == [("Height", "trace", "nm")]
    assert told["partial"] is False


def test_read_for_people_says_the_same(image: Path, capsys: Captured) -> None:
    assert run("read", image) == 0

    text = capsys.readouterr().out
    assert "64 × 64 px" in text
    assert "pitch 2 × 1 nm" in text


def test_read_of_a_partial_capture_says_so(tmp_path: Path, capsys: Captured) -> None:
    heights = np.zeros((16, 64), dtype=np.float32)
    heights[0] = 1
    file = tmp_path / "part.001"
    channel = Channel("Height", Direction.TRACE, "nm", heights)
    file.write_bytes(encode([channel], pixel_nm=1.0, rows_expected=64))

    assert run("read", file) == 0
    assert "16 of 64 lines captured" in capsys.readouterr().out


def test_a_refusal_goes_to_standard_error_with_what_mends_it(notes: Path, capsys: Captured) -> None:
    assert run("read", notes, "--json") == 3

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "notes.txt" in captured.err
    assert len(captured.err.strip().splitlines()) == 2


def test_a_missing_file_is_status_five(tmp_path: Path, capsys: Captured) -> None:
    assert run("read", tmp_path / "none.001") == 5
    assert "none.001" in capsys.readouterr().err


def test_params_lists_every_parameter(capsys: Captured) -> None:
    assert run("params", "--json") == 0

    assert [parameter["name"] for parameter in printed(capsys)] == list(PARAMETERS)


def test_models_names_both_backends(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert run("models", "--json") == 0

    told = printed(capsys)
    assert told["classifier"]["name"]
    assert told["segmenter"]["version"]


def test_weights_that_are_demanded_and_missing_are_status_four(tmp_path: Path, capsys: Captured) -> None:
    config = tmp_path / "service.toml"
    config.write_text('[models]\nclassifier = "network"\nweights = "none"\n')

    assert run("models", "--config", config) == 4
    assert "none" in capsys.readouterr().err


def test_restore_writes_one_folder_a_scan_and_says_which(image: Path, tmp_path: Path, capsys: Captured) -> None:
    status = run("restore", image, "--out", tmp_path / "out", "--no-pictures", "--json")

    (told,) = printed(capsys)
    assert (status, told["ok"]) == (0, True)
    assert {"arrays.npz", "heights.txt", "record.json", "restored.001", "scan.gwy"} == set(told["outputs"])
    assert (Path(told["folder"]) / "record.json").exists()
    assert told["label"] in {label.value for label in afmd.Label}


def test_a_bad_file_stops_nothing_is_listed_and_counts(
    image: Path, notes: Path, tmp_path: Path, capsys: Captured
) -> None:
    status = run("restore", notes, tmp_path / "none.001", image, "--out", tmp_path / "out", "--no-pictures")

    captured = capsys.readouterr()
    assert status == 1
    assert "✓" in captured.out
    assert "2 of 3 files were not restored" in captured.err
    assert captured.err.count("notes.txt") >= 1


def test_restore_takes_other_values_for_parameters(image: Path, tmp_path: Path, capsys: Captured) -> None:
    run("restore", image, "--out", tmp_path / "out", "--no-pictures", "--preset", "published",
        "--set", "thr=0.4", "--set", "expand=no", "--json")  # fmt: skip

    (told,) = printed(capsys)
    assert (told["params"]["preset"], told["params"]["thr"], told["params"]["expand"]) == ("published", 0.4, False)


@pytest.mark.parametrize("setting", ["thr", "threshold=0.4", "thr=much", "win=2.5", "expand=perhaps"])
def test_a_setting_that_means_nothing_is_refused_before_any_file(setting: str) -> None:
    with pytest.raises(InvalidInput):
        overrides([setting])


def test_a_value_out_of_range_is_status_two(image: Path, tmp_path: Path, capsys: Captured) -> None:
    assert run("restore", image, "--out", tmp_path / "out", "--set", "thr=7") == 2
    assert not (tmp_path / "out").exists()
    assert "0.01..0.99" in capsys.readouterr().err


def test_wildcards_that_the_shell_left_alone_are_expanded(tmp_path: Path) -> None:
    for name in ("b.001", "a.001", "c.002"):
        (tmp_path / name).write_bytes(b"")

    assert [path.name for path in expanded([str(tmp_path / "*.001")])] == ["a.001", "b.001"]
    assert expanded([str(tmp_path / "none.*")]) == [tmp_path / "none.*"]


def test_the_original_is_not_touched(image: Path, tmp_path: Path) -> None:
    before, stat = image.read_bytes(), image.stat()

    run("restore", image, "--out", tmp_path / "out", "--no-pictures")

    assert image.read_bytes() == before
    assert image.stat().st_mtime_ns == stat.st_mtime_ns


@pytest.mark.parametrize(
    ("arguments", "status"), [((), 2), (("fly",), 2), (("restore", "a.001"), 2), (("--version",), 0), (("-h",), 0)]
)
def test_wrong_arguments_are_status_two(arguments: tuple[str, ...], status: int, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)

    assert caught.value.code == status


def test_a_reader_that_has_seen_enough_is_no_error(image: Path) -> None:
    command = f"{sys.executable} -m afmd params | head -c 10"
    if os.name == "nt":
        pytest.skip("needs a shell with pipes that break")
    shell = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)

    assert (shell.returncode, shell.stderr) == (0, "")


def test_importing_afmd_and_asking_for_help_loads_nothing_heavy() -> None:
    program = (
        "import sys, afmd, contextlib, io\n"
        "from afmd.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main(['--help'])\n"
        "heavy = {'numpy', 'scipy', 'cv2', 'matplotlib', 'grpc', 'onnxruntime', 'torch', 'rich', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"


def test_restore_takes_the_tip_out_where_it_is_told_to(image: Path, tmp_path: Path, capsys: Captured) -> None:
    assert run("restore", image, "--out", tmp_path / "out", "--no-pictures", "--json", "--tip", "20,25") == 0

    told = printed(capsys)[0]
    assert told["deconvolution"]["radius_nm"] == 20
    assert told["deconvolution"]["half_angle_deg"] == 25
    assert "surface.txt" in told["outputs"]


def test_restore_for_people_says_why_a_tip_was_left_in(image: Path, tmp_path: Path, capsys: Captured) -> None:
    assert run("restore", image, "--out", tmp_path / "out", "--no-pictures", "--tip", "1.5") == 0

    assert "too coarse" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("tip", ["sharp", "-3", "10,95", "1,2,3"])
def test_a_tip_that_makes_no_sense_is_refused(image: Path, tmp_path: Path, tip: str, capsys: Captured) -> None:
    assert run("restore", image, "--out", tmp_path / "out", f"--tip={tip}") == 2

    assert tip in capsys.readouterr().err
