"""The client stands alone: without the daemon, without rich, from its own folder."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CLIENTS = Path(__file__).resolve().parents[2] / "clients"

WITHOUT = """
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
sys.path.insert(0, {clients!r})
"""


def run(code: str, *, absent: set[str], folder: Path) -> str:
    script = WITHOUT.format(absent=absent, clients=str(CLIENTS)) + code
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, check=False,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_imports_with_grpcio_protobuf_and_numpy_alone(tmp_path: Path) -> None:
    absent = {"afmd", "rich", "google.rpc", "grpc_status", "grpc_health", "grpc_reflection", "grpc_tools"}

    code = "import afmd_client; print(afmd_client.Client('127.0.0.1:1').address)"

    assert run(code, absent=absent, folder=tmp_path) == "127.0.0.1:1\n"


def test_the_command_imports_with_rich_besides(tmp_path: Path) -> None:
    code = "import afmd_client.cli; afmd_client.cli._parser(); print('ok')"

    assert run(code, absent={"afmd", "grpc_status", "structlog"}, folder=tmp_path) == "ok\n"


def test_both_distributions_ask_for_the_runtime_that_the_generated_code_needs() -> None:
    from google.protobuf import descriptor_pb2  # noqa: F401 — the runtime must be there at all

    generated = (CLIENTS / "afmd_client" / "v1" / "scan_pb2.py").read_text(encoding="utf-8")
    grpc_generated = (CLIENTS / "afmd_client" / "v1" / "scan_service_pb2_grpc.py").read_text(encoding="utf-8")
    protobuf = generated.partition("# Protobuf Python Version: ")[2].partition("\n")[0]
    grpcio = grpc_generated.partition("GRPC_GENERATED_VERSION = '")[2].partition("'")[0]

    for file in (CLIENTS / "pyproject.toml", CLIENTS.parent / "pyproject.toml"):
        asked = tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"]
        assert f"protobuf>={protobuf}" in asked, file
        assert f"grpcio>={grpcio}" in asked, file


@pytest.mark.parametrize("key", ["version", "requires-python", "license"])
def test_both_distributions_agree(key: str) -> None:
    own, whole = (
        tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        for file in (CLIENTS / "pyproject.toml", CLIENTS.parent / "pyproject.toml")
    )

    assert own[key] == whole[key]
