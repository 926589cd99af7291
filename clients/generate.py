"""Turns ``protos/`` into the code of ``clients/afmd_client/v1``. Rule: the same protos always give the same bytes.

``python clients/generate.py [FOLDER]`` writes to the package, or to FOLDER. Needs the packages of the extra ``dev``.
"""

import re
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

CLIENTS = Path(__file__).resolve().parent
PROTOS = CLIENTS.parent / "protos"
PACKAGE = CLIENTS / "afmd_client" / "v1"

INIT = '"""Generated from ``protos/afmd/v1`` by ``clients/generate.py``; do not edit."""\n'


def generate(target: Path) -> None:
    """Write the whole package into ``target``, leaving nothing there that no proto stands for."""
    with tempfile.TemporaryDirectory() as scratch:
        _compile(Path(scratch))
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for made in sorted(Path(scratch, "afmd", "v1").iterdir()):
            text = made.read_text(encoding="utf-8")
            if "_pb2_grpc" not in made.name or "_service_" in made.name:
                (target / made.name).write_text(_rehomed(text), encoding="utf-8", newline="\n")
    (target / "__init__.py").write_text(INIT, encoding="utf-8", newline="\n")


def _compile(target: Path) -> None:
    """Run protoc with the compiler and well-known types that come with grpcio-tools."""
    import grpc_tools
    from grpc_tools import protoc

    well_known = Path(grpc_tools.__file__).parent / "_proto"
    sources = sorted(p.relative_to(PROTOS).as_posix() for p in PROTOS.glob("afmd/v1/*.proto"))
    stubs = [f"--plugin=protoc-gen-{name}={_plugin(name)}" for name in ("mypy", "mypy_grpc")]
    makers = [f"--{maker}_out={target}" for maker in ("python", "grpc_python")]
    makers += [f"--{maker}_out=quiet:{target}" for maker in ("mypy", "mypy_grpc")]
    status = protoc.main(["protoc", f"-I{PROTOS}", f"-I{well_known}", *stubs, *makers, *sources])
    if status != 0:
        raise SystemExit(f"protoc ended with status {status}: see its words above. Mend the protos.")


def _plugin(name: str) -> str:
    """Return the program that makes type stubs, from this interpreter's own environment."""
    found = shutil.which(f"protoc-gen-{name}", path=sysconfig.get_path("scripts")) or shutil.which(f"protoc-gen-{name}")
    if found is None:
        raise SystemExit(f"protoc-gen-{name}: it is not installed. Install the extra dev.")
    return found


def _rehomed(text: str) -> str:
    """Return generated code that lives in ``afmd_client.v1`` and not in the proto's own package."""
    text = re.sub(r"^from afmd\.v1 import", "from afmd_client.v1 import", text, flags=re.MULTILINE)
    return text.replace("(DESCRIPTOR, 'afmd.v1.", "(DESCRIPTOR, 'afmd_client.v1.")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)
