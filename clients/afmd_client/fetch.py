"""Arrays and pictures into files. Rule: a file appears whole or not at all, and only where the user said.

A scan's name comes from the daemon, so it is cut down to what can be no path before it becomes part of a file's name.
"""

import contextlib
import io
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from afmd_client.arrays import Progress, ScanArray
from afmd_client.client import Client
from afmd_client.errors import InvalidInput
from afmd_client.nouns import ArrayKind, Scan

SUFFIXES = ("npy", "txt", "png")
MOST_CHARS = 120
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
"""Names that Windows keeps for devices, whatever follows them."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to fetch of one scan, and how."""

    kind: str
    channel: str = ""
    repair: int = 0
    longest_px: int = 0
    colour_map: str = ""


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that was written; shape, unit and pitch of the array in it, or None for a picture."""

    file: str
    kind: str
    size_bytes: int
    rows: int | None = None
    cols: int | None = None
    dtype: str | None = None
    unit: str | None = None
    pixel_nm: tuple[float, float] | None = None


def save(
    client: Client, scan: Scan, wish: Wish, file: Path, *, overwrite: bool = False, on_progress: Progress | None = None
) -> Saved:
    """Fetch one array and write it as the file's suffix says. Raises ``ClientError``, ``OSError``."""
    suffix = file.suffix.removeprefix(".").lower()
    if suffix not in SUFFIXES:
        raise InvalidInput(str(file), why=f"there is no format {suffix!r}", mend=f"Use one of {', '.join(SUFFIXES)}")
    if file.exists() and not overwrite:
        raise InvalidInput(str(file), why="it exists already", mend="Give another name, or --force")
    if suffix == "png":
        picture = client.image(
            scan.scan_id, wish.kind, channel=wish.channel, repair=wish.repair, longest_px=wish.longest_px,
            colour_map=wish.colour_map, on_progress=on_progress,
        )  # fmt: skip
        write_whole(file, picture)
        return Saved(str(file), wish.kind, len(picture))
    array = client.array(
        scan.scan_id, wish.kind, channel=wish.channel, repair=wish.repair, on_progress=on_progress
    )  # fmt: skip
    content = _npy(array) if suffix == "npy" else _text(array, scan=scan, wish=wish)
    write_whole(file, content)
    rows, cols = array.shape
    return Saved(str(file), wish.kind, len(content), rows, cols, str(array.dtype), array.unit, array.pixel_nm)


def file_name(scan: Scan, wish: Wish, suffix: str) -> str:
    """Return a name for the file that can be no path: ``SCAN.KIND.SUFFIX``."""
    parts = [scan.name, wish.channel or wish.kind]
    clean = [re.sub(r"[^\w.()+-]+", "_", part, flags=re.ASCII).strip("._")[:MOST_CHARS] or "scan" for part in parts]
    reserved = clean[0].partition(".")[0].lower() in RESERVED
    return f"{'_' if reserved else ''}{'.'.join(clean)}.{suffix}"


def write_whole(file: Path, content: bytes) -> None:
    """Write under another name in the same folder, flush to the disk, then rename. Raises ``OSError``."""
    scratch = file.with_name(f".{file.name[:40]}.{secrets.token_hex(4)}")
    try:
        with scratch.open("xb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        scratch.replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise


def _npy(array: ScanArray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()


def _text(array: ScanArray, *, scan: Scan, wish: Wish) -> bytes:
    """Return a matrix as text, with enough digits to give back every bit."""
    down, across = array.pixel_nm
    header = (
        f"afmd {wish.channel or wish.kind}\nscan: {scan.name}\nscan_id: {scan.scan_id}\nrepair: {array.repair}\n"
        f"rows: {array.shape[0]}\ncols: {array.shape[1]}\nunit: {array.unit}\n"
        f"pixel_nm_down: {down:.9g}\npixel_nm_across: {across:.9g}"
    )
    buffer = io.BytesIO()
    number = "%d" if array.dtype == np.bool_ else "%.9g"
    np.savetxt(buffer, np.asarray(array), fmt=number, delimiter="\t", header=header, encoding="utf-8")
    return buffer.getvalue()


KINDS = tuple(kind.value for kind in ArrayKind)
