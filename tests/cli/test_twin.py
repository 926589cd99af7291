"""``afmd twin``: files that read back as what was simulated, with a truth that fits them pixel for pixel."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from afmd.cli import main
from afmd.cli.twin.scans import as_traced
from afmd.domain.scan import Direction
from afmd.files.nanoscope import read_scan
from afmd.twin import KINDS, TRAINING, simulate

Captured = pytest.CaptureFixture[str]
SMALL = ("--size", "64x96")


def run(*arguments: object) -> int:
    return main(["twin", *(str(argument) for argument in arguments)])


def facts(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.truth.json"))]


def test_a_written_scan_reads_back_as_what_was_simulated_and_its_truth_fits(tmp_path: Path) -> None:
    assert run("scans", tmp_path, "--count", 6, *SMALL) == 0

    directions = set()
    for seed in range(6):
        file = tmp_path / f"twin-1-{seed}.spm"
        made, read = simulate(seed, shape=(64, 96), recipe=TRAINING), read_scan(file)
        directions.add(made.scan.direction)
        turn = slice(None, None, 1 if made.scan.direction is Direction.TRACE else -1)
        step = 1.02 * np.ptp(made.scan.heights) / 2**15
        assert np.abs(read.heights - made.scan.heights[:, turn]).max() <= step
        assert np.abs(read.retrace - made.scan.retrace[:, turn]).max() <= 2 * step
        assert read.pixel_nm == pytest.approx(made.scan.pixel_nm, rel=1e-6)
        assert (read.frame, read.direction) == (made.scan.frame, Direction.TRACE)
        with np.load(file.with_suffix(".truth.npz")) as truth:
            assert (truth["artifact"] == made.artifact[:, turn]).all()
            assert (truth["feature"] == made.feature[:, turn]).all()
            np.testing.assert_array_equal(truth["truth"], made.truth[:, turn])
            np.testing.assert_array_equal(truth["imaged"], made.imaged[:, turn])
    assert directions == set(Direction), "both kinds of scan must have been tried"


def test_a_mirrored_scan_keeps_the_sum_that_it_is_made_of() -> None:
    one = next(one for one in (simulate(seed, shape=(64, 64)) for seed in range(40)) if one.scan.direction != "trace")
    turned = as_traced(one)
    left = [o.scan.heights - o.imaged - o.displacement - o.background for o in (one, turned)]

    np.testing.assert_array_equal(left[0][:, ::-1], left[1])
    assert turned.parameters["mirrored"]
    assert turned.scan.channels[0].direction is Direction.TRACE


def test_afmd_read_takes_a_written_file(tmp_path: Path, capsys: Captured) -> None:
    run("scans", tmp_path, "--count", 1, "--seed", 9, *SMALL)
    capsys.readouterr()

    assert main(["read", str(tmp_path / "twin-1-9.spm"), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["cols"], told["retrace"]) == (64, 96, True)
    assert told["meta"]["note"] == "simulated by afmd twin"


def test_the_facts_tell_class_kinds_and_every_parameter(tmp_path: Path, capsys: Captured) -> None:
    run("scans", tmp_path, "--count", 2, *SMALL, "--json")

    told = json.loads(capsys.readouterr().out)
    assert told == facts(tmp_path)
    assert told[0]["parameters"]["seed"] == 0
    assert {"label", "kinds", "visible", "severity", "spoilt_share"} <= set(told[0])


def test_a_kind_and_a_surface_are_the_only_ones_drawn(tmp_path: Path) -> None:
    run("scans", tmp_path, "--count", 4, "--kind", "lost_lines", "--surface", "dna", *SMALL)

    for told in facts(tmp_path):
        assert {fault["kind"] for fault in told["parameters"]["faults"]} == {"lost_lines"}
        assert told["parameters"]["plan"]["surface"] == "dna"


def test_good_is_a_kind_too(tmp_path: Path) -> None:
    run("scans", tmp_path, "--count", 4, "--kind", "good", *SMALL)

    assert {told["label"] for told in facts(tmp_path)} == {"good"}


def test_recipes_do_not_share_names(tmp_path: Path) -> None:
    run("scans", tmp_path, "--count", 1, *SMALL)
    run("scans", tmp_path, "--count", 1, "--recipe", "evaluation", *SMALL)

    assert sorted(file.name for file in tmp_path.glob("*.spm")) == ["twin-1-0.spm", "twin-2-0.spm"]


def test_the_same_arguments_give_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    run("scans", tmp_path / "here", "--count", 1, "--seed", 4, *SMALL)
    command = [sys.executable, "-m", "afmd", "twin", "scans", str(tmp_path / "there"), "--count", "1", "--seed", "4"]
    subprocess.run([*command, *SMALL], check=True, capture_output=True)

    here, there = ((tmp_path / place / "twin-1-4.spm").read_bytes() for place in ("here", "there"))
    assert here == there


def test_a_scan_that_is_there_is_not_written_over(tmp_path: Path, capsys: Captured) -> None:
    run("scans", tmp_path, "--count", 1, *SMALL)
    before = (tmp_path / "twin-1-0.spm").read_bytes()

    assert run("scans", tmp_path, "--count", 1, "--kind", "spike", *SMALL) == 5

    assert (tmp_path / "twin-1-0.spm").read_bytes() == before
    assert "already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kind", "gremlin"), "gremlin"),
        (("--surface", "moon"), "moon"),
        (("--size", "wide"), "ROWSxCOLS"),
        (("--size", "7x64"), "32..4096"),
    ],
)
def test_what_there_is_not_is_status_two(
    arguments: tuple[str, ...], said: str, tmp_path: Path, capsys: Captured
) -> None:
    assert run("scans", tmp_path, "--count", 1, *arguments) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("*.spm"))


@pytest.mark.parametrize("what", ["scans", "gallery", "dataset"])
def test_a_count_of_nothing_is_status_two(what: str, tmp_path: Path, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        run(what, tmp_path / "out", "--count", 0)

    assert caught.value.code == 2
    assert "less than 1" in capsys.readouterr().err


def test_a_gallery_is_one_picture_of_all_scans(tmp_path: Path) -> None:
    assert run("gallery", tmp_path / "new" / "g.png", "--count", 3, "--size", "48") == 0

    picture = cv2.imread(str(tmp_path / "new" / "g.png"))
    assert picture is not None
    assert picture.shape[1] == pytest.approx(3 * 2.6 * 75, abs=2)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


def test_a_dataset_is_what_training_reads(tmp_path: Path, capsys: Captured) -> None:
    from afmd.training.corpus import gather, open_example, simulate

    assert run("dataset", tmp_path, "--count", 3, "--skip", 2, "--json") == 0

    told = json.loads(capsys.readouterr().out)
    assert told["scans"] == 3 == sum(told["classes"].values())
    entries = gather(tmp_path, "training", 3, recipe="training", skip=2)
    assert [entry.seed for entry in entries] == [2, 3, 4]
    stored, made = open_example(entries[0]), simulate(2, "training")
    np.testing.assert_array_equal(stored.heights, made.heights)
    np.testing.assert_array_equal(stored.targets, made.targets)


def test_the_twin_needs_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from afmd.cli import main\n"
        f"main(['twin', 'dataset', {str(tmp_path)!r}, '--count', '1'])\n"
        f"main(['twin', 'scans', {str(tmp_path)!r}, '--count', '1', '--size', '64'])\n"
        "print('torch' in sys.modules, 'onnxruntime' in sys.modules)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert told.stdout.splitlines()[-1] == "False False"


def test_every_kind_can_be_asked_for() -> None:
    from afmd.cli.arguments import parser
    from afmd.cli.twin.recipes import asked

    for kind in KINDS:
        recipe = asked(parser().parse_args(["twin", "scans", "out", "--kind", kind, "--kind", "good"]))
        assert dict(recipe.kinds) == {kind: 1.0}
        assert recipe.good == 0.5


def test_the_demo_s_truth_fits_what_is_read_from_its_files() -> None:
    from afmd.cli.demo.microscope import program
    from afmd.files.nanoscope import decode

    captures = [capture for capture in program(1, count=2) if capture.truth is not None]
    for capture in captures:
        read, truth = decode(capture.content, name=capture.name), capture.truth
        assert truth is not None
        step = 1.02 * np.ptp(truth.scan.heights) / 2**15
        assert np.abs(read.heights - truth.scan.heights).max() <= step
    assert any(c.truth is not None and c.truth.parameters.get("mirrored") for c in captures), "one must be mirrored"
