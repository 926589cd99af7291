"""The demo, as a user runs it: another working directory, a pipe instead of a terminal."""

import subprocess
import sys
from pathlib import Path

DEMO = (sys.executable, "-m", "afmd", "demo")


def test_the_demo_repairs_what_it_scans_and_shows_what_came_of_it(tmp_path: Path, scans_dir: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    for name in ("images/di-3.di", "not_images/force_bruker.001", "damaged/example1.di"):
        (real / Path(name).name).write_bytes((scans_dir / name).read_bytes())
    command = [*DEMO, "--out", "stage", "--count", "3", "--seconds", "1", "--scans", str(real)]

    run = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "9 files came to their end, 0 did not" in run.stdout
    assert "same content as good.000" in run.stdout
    assert "its first line says force curves" in run.stdout
    assert "\x1b" not in run.stdout
    assert len(list((tmp_path / "stage" / "restored").glob("*/r1/panels.png"))) == 4


def test_a_stage_that_is_used_already_is_refused(tmp_path: Path) -> None:
    (tmp_path / "capture").mkdir()

    run = subprocess.run([*DEMO, "--out", str(tmp_path)], capture_output=True, encoding="utf-8", check=False)

    assert run.returncode == 5
    assert "new or empty" in run.stderr


def test_a_folder_without_scans_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    command = [*DEMO, "--out", str(tmp_path / "stage"), "--scans", str(tmp_path / "empty")]

    run = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)

    assert run.returncode == 7
    assert "no file below it" in run.stderr
    assert not (tmp_path / "stage").exists()
