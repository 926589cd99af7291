"""Real scans by name, headers edited so that they lie, and Gwyddion's own reading as an oracle."""

import re
import shutil
import subprocess
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from afmd.files import gwy

IMAGES = (
    "09261606.001", "5.011", "Veeco_20160622.003", "di-1.di", "di-2.di", "di-3.di", "di-4.di", "di-5.di", "di-6.di",
    "full_multiple_images.txt", "kpg20080408.007", "old_bruker.002", "old_bruker.004", "pet.000",
)  # fmt: skip

needs_gwyddion = pytest.mark.skipif(not shutil.which("gwyddion"), reason="the gwyddion program is not installed")

DATA_AT = 81920
"""Where ``shrunk`` begins the data: behind the longest header."""

_END = b"\\*File list end"


def gwyddion_reads(source: Path, folder: Path) -> list[tuple[np.ndarray, tuple[float, float], str]]:
    """Return (values, pitch (down, across) in m, unit) of every channel, as the gwyddion program reads the file."""
    exported = folder / "oracle.gwy"
    command = ["gwyddion", f"--convert-to-gwy={exported}", str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    items = gwy.loads(exported.read_bytes()).items
    return [_channel(items[key]) for key in sorted(items) if re.fullmatch(r"/\d+/data", key)]


def _channel(field: gwy.GwyObject) -> tuple[np.ndarray, tuple[float, float], str]:
    values = gwy.field_values(field)
    pitch = (field.items["yreal"] / values.shape[0], field.items["xreal"] / values.shape[1])
    return values, pitch, field.items["si_unit_z"].items["unitstr"]


def header_of(data: bytes) -> str:
    """Return the header's text up to its last line, which is left out."""
    return data[: data.index(_END)].decode("latin-1")


def first_data(data: bytes) -> int:
    return int(data.split(b"\\Data offset: ")[1].split(b"\r\n")[0])


def with_header(data: bytes, head: str) -> bytes:
    """Return the file with another header; the data stay where they are, the padding gives way."""
    start = first_data(data)
    whole = head.encode("latin-1") + _END + b"\r\n\x1a"
    assert len(whole) <= start
    return whole.ljust(start, b"\0") + data[start:]


def edited(data: bytes, *changes: tuple[str, str]) -> bytes:
    """Return the file with text of its header replaced everywhere."""
    head = header_of(data)
    for old, new in changes:
        assert old in head, f"{old!r} is not in the header"
        head = head.replace(old, new)
    return with_header(data, head)


def without(data: bytes, key: str) -> bytes:
    """Return the file without the header lines of this key."""
    return edited(data, *zip({m[0] for m in re.finditer(rf"\\{re.escape(key)}:.*\r\n", header_of(data))}, repeat("")))


def only_channels(data: bytes, *kept: int) -> bytes:
    """Return the file whose header lists only these channels; the others' data stay, unnamed."""
    first, *lists = header_of(data).split("\\*Ciao image list")
    return with_header(data, first + "".join(f"\\*Ciao image list{lists[i]}" for i in kept))


def shrunk(data: bytes, *, side: int = 16) -> bytes:
    """Return a real header whose channels are ``side`` × ``side`` of made-up integers: small, and whole."""
    first, *lists = header_of(data).replace("\r\n", "\n").replace("\n", "\r\n").split("\\*Ciao image list")
    offset = start = DATA_AT
    for i, text in enumerate(lists):
        width = 4 if "Data length: 1048576" in text or "Data offset: 80960" in first + text else 2
        sizes = {"Data offset": offset, "Data length": side * side * width, "Number of lines": side}
        sizes |= {"Samps/line": side, "Valid data len X": side, "Valid data len Y": side}
        for key, size in sizes.items():
            text = re.sub(rf"\\{key}: \S+", rf"\\{key}: {size}", text)  # noqa: PLW2901
        lists[i] = text
        offset += side * side * width
    head = "\\*Ciao image list".join([first, *lists]).encode("latin-1") + _END + b"\r\n\x1a"
    values = np.random.default_rng(5).integers(0, 256, offset - start, dtype=np.uint8)
    return head.ljust(start, b"\0") + values.tobytes()
