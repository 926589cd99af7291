"""The generated code is that of the protos, and the protos keep the rules that a client's author relies on."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "clients" / "afmd_client" / "v1"
PROTOS = sorted((ROOT / "protos" / "afmd" / "v1").glob("*.proto"))
DECLARATION = re.compile(r"^\s*(service|rpc|message|enum|oneof|[\w.<>, ]+ \w+ = \d+;|[A-Z_0-9]+ = \d+;)")


def test_the_committed_code_is_what_the_protos_give(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "clients" / "generate.py", tmp_path / "v1"], check=True)

    made = {path.name: path.read_bytes() for path in (tmp_path / "v1").iterdir()}
    committed = {path.name: path.read_bytes().replace(b"\r\n", b"\n") for path in PACKAGE.iterdir() if path.is_file()}
    stale = sorted(name for name in made.keys() | committed.keys() if made.get(name) != committed.get(name))
    assert stale == [], "run: python clients/generate.py"


@pytest.mark.parametrize("proto", PROTOS, ids=lambda path: path.name)
def test_every_service_rpc_message_and_field_is_commented(proto: Path) -> None:
    lines = proto.read_text(encoding="utf-8").splitlines()

    bare = [
        line.strip()
        for before, line in pairwise(lines)
        if DECLARATION.match(line) and not before.strip().startswith("//")
    ]

    assert bare == []


@pytest.mark.parametrize("proto", PROTOS, ids=lambda path: path.name)
def test_names_keep_the_standard_rules(proto: Path) -> None:
    text = proto.read_text(encoding="utf-8")

    assert "\npackage afmd.v1;\n" in text
    for rpc, request, response in re.findall(r"rpc (\w+)\((?:stream )?(\w+)\) returns \((?:stream )?(\w+)\)", text):
        assert (request, response) == (f"{rpc}Request", f"{rpc}Response")
    for enum, body in re.findall(r"^enum (\w+) \{(.*?)^\}", text, flags=re.MULTILINE | re.DOTALL):
        prefix = re.sub(r"(?<!^)([A-Z])", r"_\1", enum).upper()
        values = re.findall(r"^  (\w+) = (\d+);", body, flags=re.MULTILINE)
        assert values[0] == (f"{prefix}_UNSPECIFIED", "0")
        assert all(name.startswith(f"{prefix}_") for name, _ in values)
    for service in re.findall(r"^service (\w+)", text, flags=re.MULTILINE):
        assert service.endswith("Service")
