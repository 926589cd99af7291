"""Where a scan's outputs lie. Rule: whatever a file is called, its folder has a name that every system accepts.

``root / the scan's own folders / NAME~HASH / rN``: HASH is the first eight digits of the content's sha256, so that
another content under the same name gets another folder; N counts the repairs.
"""

import re
from pathlib import Path, PurePosixPath

MAX_NAME_BYTES = 120
"""A longer name is cut. Systems allow 255 bytes, but also bound the whole path."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)", re.IGNORECASE)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


def repair_folder(root: Path, *, path: str, sha256: str, repair: int) -> Path:
    """Return the folder of one repair of the scan at ``path`` (relative to the capture folder, forward slashes)."""
    *parents, name = PurePosixPath(path).parts or ("_",)
    return root.joinpath(*map(safe, parents), f"{safe(name)}~{sha256[:8]}", f"r{repair}")


def restored_name(name: str) -> str:
    """Return the restored copy's name: with the original's suffix, for the sake of the programs that go by it."""
    suffix = PurePosixPath(name).suffix
    fits = _SUFFIX.fullmatch(suffix) and suffix.casefold() not in (".txt", ".gwy", ".png", ".json", ".npz")
    return f"restored{suffix if fits else '.spm'}"


def safe(name: str) -> str:
    """Return a name of one folder that Linux and Windows accept, as like ``name`` as can be."""
    plain = _FORBIDDEN.sub("_", name).encode("utf-8", "replace")[:MAX_NAME_BYTES].decode("utf-8", "ignore")
    plain = plain.rstrip(". ")
    return f"_{plain}" if not plain or _RESERVED.match(plain) else plain
