"""The door to training: hung under ``afmd``, entered only when it must be, and clear about what is missing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from afmd.cli import main
from afmd.cli.arguments import parser
from afmd.training import commands
from afmd.training.arguments import COMMANDS, JUDGED, MODELS, PRESETS
from afmd.training.config import load

Captured = pytest.CaptureFixture[str]
WITHOUT_TORCH = (
    "import sys\n"
    "sys.modules['torch'] = None\n"  # what an import finds where the extra is not installed
    "from afmd.cli import main\n"
    "sys.exit(main(sys.argv[1:]))\n"
)


def test_every_command_of_the_room_hangs_under_afmd_and_is_done_by_one_function() -> None:
    assert set(COMMANDS) == set(commands.RUN)
    for name in COMMANDS:
        with pytest.raises(SystemExit) as caught:
            parser().parse_args([name, "--help"])
        assert caught.value.code == 0


@pytest.mark.parametrize("line", [example for command in COMMANDS.values() for example in command.examples])
def test_the_examples_of_the_help_are_commands(line: str) -> None:
    import shlex

    parser().parse_args(shlex.split(line))


@pytest.mark.parametrize("model", MODELS)
def test_every_model_can_be_trained_and_sealed(model: str) -> None:
    assert parser().parse_args(["train", model]).model == model
    assert parser().parse_args(["seal", model]).model == model


@pytest.mark.parametrize("model", JUDGED)
def test_a_model_s_own_preset_is_taken_where_none_is_named(model: str) -> None:
    arguments = parser().parse_args(["train", model])

    assert commands._configuration(arguments) == load(PRESETS / f"{model}.toml")


@pytest.mark.parametrize("command", [("train", "segmenter"), ("evaluate", "classifier"), ("quantise", "out")])
def test_without_the_extra_a_command_says_how_to_install_it(command: tuple[str, ...], tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *command], capture_output=True, text=True, check=False, cwd=tmp_path
    )

    assert (told.returncode, told.stdout) == (4, "")
    assert 'pip install "afmd[training]"' in told.stderr
    assert "Traceback" not in told.stderr
    assert not list(tmp_path.iterdir())


def test_a_module_missing_for_another_reason_is_a_defect_and_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "afmd.training.commands", None)

    with pytest.raises(ModuleNotFoundError, match=r"afmd\.training\.commands"):
        main(["train", "segmenter"])


def test_the_extra_that_is_named_is_the_extra_that_brings_it() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    brought = {requirement.split(">")[0] for requirement in project["project"]["optional-dependencies"]["training"]}

    assert brought == {"torch", "onnx"}


def test_help_loads_no_torch() -> None:
    program = (
        "import sys, contextlib, io\n"
        "from afmd.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main(['train', '--help'])\n"
        "print(sorted({'torch', 'onnx', 'numpy', 'pydantic'} & set(sys.modules)))\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"


def test_a_configuration_of_another_model_is_refused(capsys: Captured) -> None:
    assert main(["train", "classifier", "--preset", "segmenter"]) == 2
    assert "is for a segmenter" in capsys.readouterr().err


def test_training_sealing_and_evaluating_from_the_command_line(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "tiny.toml"
    config.write_text(
        'name = "tiny"\nmodel = "segmenter"\n[corpus]\ntraining = 3\nvalidation = 2\n'
        "[segmenter]\nwidth = 4\ncrops = [[64, 64]]\n"
        "[optimiser]\nsteps = 2\nvalidate_every = 2\nbatch = 2\nmixed_precision = false\n"
    )
    common = ["--config", str(config), "--corpus", "corpus"]

    assert main(["train", "segmenter", *common]) == 0
    assert main(["train", "segmenter", *common]) == 7, "a run is not overwritten"
    assert main(["train", "segmenter", *common, "--resume"]) == 0
    assert main(["seal", "segmenter", *common, "--weights", "weights", "--trial", "tiny"]) == 0
    assert main(["evaluate", "segmenter", "--scans", "3", *common[2:], "--weights", "weights", "--record"]) == 0

    assert "IoU, visible artefacts" in capsys.readouterr().out
    assert json.loads(Path("runs/evaluation/segmenter.json").read_text(encoding="utf-8"))["model"] == "segmenter"
    manifest = Path("weights/manifest.toml").read_text(encoding="utf-8")
    assert 'command = "afmd train segmenter --config tiny.toml"' in manifest
    assert "[segmenter.evaluation]" in manifest


def test_leaving_a_kind_out_takes_its_arms_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[Any, ...]] = []

    def caught(arms: Any, kinds: Any, bench: Any, *, scans: int) -> Path:
        called.append((arms, kinds, bench, scans))
        return tmp_path

    monkeypatch.setattr(commands, "leave_one_out", caught)
    line = "evaluate leave-one-out --kinds spike,ripple --steps 30 --training 40 --scans 5 --classifier --corpus c"
    assert main([*line.split(), "--out", str(tmp_path)]) == 0

    ((arms, kinds, bench, scans),) = called
    assert (kinds, scans, bench.out, bench.corpus) == (("spike", "ripple"), 5, tmp_path, Path("c"))
    assert [arm.model for arm in arms] == ["segmenter", "classifier"]
    assert (arms[0].optimiser.steps, arms[0].optimiser.validate_every, arms[0].corpus.training) == (30, 30, 40)
    assert arms[0].segmenter == load(PRESETS / "segmenter.toml").segmenter
    assert arms[1].corpus.skip == 40


def test_the_ceiling_takes_its_configuration_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[Any, ...]] = []

    def caught(configuration: Any, bench: Any, *, weights: Path, scans: int) -> Path:
        called.append((configuration, bench, weights, scans))
        return tmp_path

    monkeypatch.setattr(commands, "ceiling", caught)
    assert main(["evaluate", "ceiling", "segmenter", "--out", str(tmp_path), "--weights", "w", "--scans", "7"]) == 0

    ((configuration, bench, weights, scans),) = called
    assert (configuration.corpus.recipe, bench.out, weights, scans) == ("evaluation", tmp_path, Path("w"), 7)
    assert configuration.optimiser == load(PRESETS / "segmenter.toml").optimiser
