"""Which disks may hold the ledger: local ones only.

Rule: SQLite's write-ahead log needs memory shared between processes of one machine, and honest locks. Network file
systems give neither, and the damage shows only later; so they are refused by name.
"""

import sys
from pathlib import Path

from afmd.errors import LedgerError

NETWORK_TYPES = frozenset(
    [
        "9p",
        "afs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "drvfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "ncp",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "prl_fs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "vmhgfs",
    ]
)
"""File system types, as in /proc/self/mountinfo, that live on another machine or on a virtual machine's host."""

NETWORK_FUSE = ("ceph", "curlftpfs", "davfs", "gluster", "gvfsd", "goofys", "rclone", "s3", "smb", "sshfs", "vmhgfs")
"""How the subtypes of FUSE file systems (``fuse.sshfs``) begin that do so."""

DRIVE_REMOTE = 4
"""What GetDriveTypeW says of a mapped network drive."""


def refuse_network_share(path: Path) -> None:
    """Raise ``LedgerError`` where ``path`` would lie on a network share. What cannot be told is taken for local."""
    share = network_share(path.resolve())
    if share:
        raise LedgerError(
            f"ledger {path}", why=f"it would lie on a network share ({share}), where SQLite loses data",
            mend="Set ledger.path to a file on a local disk",
        )  # fmt: skip


def network_share(path: Path) -> str:
    """Return what kind of network share an absolute path lies on, or an empty text for a local disk."""
    if sys.platform == "win32":
        return _windows_share(path)
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    kind = mounted_type(path, mounts)
    return kind if is_network_type(kind) else ""


def is_network_type(kind: str) -> bool:
    """True for a file system type of another machine, such as ``nfs4``, ``cifs`` or ``fuse.sshfs``."""
    if kind.startswith("fuse."):
        return kind.removeprefix("fuse.").startswith(NETWORK_FUSE)
    return kind in NETWORK_TYPES


def mounted_type(path: Path, mounts: str) -> str:
    """Return the file system type under an absolute path, given the text of /proc/self/mountinfo (see proc(5)).

    The longest mount point above the path counts, and of equals the last, which covers the others.
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        before, separator, after = line.partition(" - ")
        if not separator or len(before.split()) < 5:
            continue
        point = Path(_unescaped(before.split()[4]))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split()[0]
    return kind


def _unescaped(text: str) -> str:
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, sign)
    return text


if sys.platform == "win32":

    def _windows_share(path: Path) -> str:
        import ctypes

        drive = path.drive
        if drive.upper().startswith("\\\\?\\UNC") or (drive.startswith("\\\\") and not drive.startswith("\\\\?\\")):
            return f"{drive} is a network path"
        kind = ctypes.windll.kernel32.GetDriveTypeW(f"{drive}\\")
        return f"{drive} is a network drive" if kind == DRIVE_REMOTE else ""
