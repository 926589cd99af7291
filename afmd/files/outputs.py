"""One folder for each repair of each scan: arrays first, so that they can be fetched; the record last.

Rule: every file appears whole or not at all, nothing complete is ever overwritten, and the original is not opened.
"""

import filecmp
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from afmd import __version__
from afmd.domain.events import Entry
from afmd.domain.ports import StoredArray
from afmd.domain.result import Restoration
from afmd.domain.scan import Scan
from afmd.errors import HeightOverflow, NotFound, ScanError, StorageError, WrongState
from afmd.files.disk import TEMPORARY, fresh_file, load_bytes, replace, storage_errors, write_file
from afmd.files.nanoscope import decode, replace_heights
from afmd.files.outputs_formats import height_title, write_gwyddion, write_text
from afmd.files.outputs_names import repair_folder, restored_name
from afmd.files.outputs_record import Made, file_sha256, record
from afmd.settings import Outputs

ARRAYS = "arrays.npz"
RECORD = "record.json"
MASKS = frozenset({"raw_mask", "mask", "touched", "contact"})
TIP_KINDS = MappingProxyType({"surface": "surface", "surface_sigma": "sigma", "contact": "touched"})
"""Arrays of a deconvolved scan, and what they are called there."""
KINDS = ("raw", "flattened", "restored", "raw_mask", "mask", "touched", "sigma")
OFF = "switched off in the settings"


class OutputFolder:
    """Keeps results as files under one root; the port ``Results``. Safe from any thread for different repairs."""

    def __init__(self, settings: Outputs) -> None:
        self._settings = settings

    def folder(self, entry: Entry, *, repair: int = 0) -> Path:
        """Return where this repair's outputs lie, or would. Raises ``WrongState`` where none is in force yet."""
        number = repair or entry.repair
        if number == 0:
            raise WrongState(
                entry.name, why=f"it is {entry.state} and has no results", mend="Wait until it is restored"
            )
        return repair_folder(self._settings.root, path=entry.path, sha256=entry.sha256, repair=number)

    def array(self, entry: Entry, kind: str, *, repair: int = 0, channel: str = "") -> StoredArray:
        """Return one array; only what is asked for is read.

        ``kind`` is one of ``KINDS`` or ``TIP_KINDS``, or ``channel`` with ``channel`` as ``NAME/trace`` or
        ``NAME/retrace``. Heights are in nm; masks have the unit ``1``. Raises ``NotFound``, ``WrongState``,
        ``StorageError``.
        """
        folder = self.folder(entry, repair=repair)
        if kind in KINDS or kind in TIP_KINDS:
            values, down_across = _members(folder, kind, "pixel_nm")
            return StoredArray(values, "1" if kind in MASKS else "nm", (float(down_across[0]), float(down_across[1])))
        if kind == "channel":
            return _channel(folder, entry, channel)
        raise NotFound(
            f"array {kind!r}",
            why="there is none of that kind",
            mend=f"Ask for {', '.join((*KINDS, *TIP_KINDS))} or channel",
        )

    def store(self, entry: Entry, scan: Scan, restoration: Restoration, *, original: bytes, repair: int) -> None:
        """Write arrays and the restored copy. Raises ``StorageError`` and leaves nothing half-written.

        The same results once more change nothing; others under the same number set the complete folder aside first.
        """
        folder = self.folder(entry, repair=repair)
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for left_behind in folder.glob(TEMPORARY):
                left_behind.unlink(missing_ok=True)
        copy, _ = self._restored_copy(entry, restoration, original)
        arrays = _arrays(scan, restoration)
        if copy is None:
            (folder / restored_name(entry.name)).unlink(missing_ok=True)
            arrays["source"] = np.frombuffer(original, dtype=np.uint8)
        fresh = folder / "new.npz"
        with fresh_file(fresh) as file:
            np.savez(file, **arrays)
        with storage_errors(folder):
            if _already_complete(folder, fresh):
                fresh.unlink()
                return
            folder = _cleared(folder, keep=fresh)
        if copy is not None:
            write_file(folder / restored_name(entry.name), copy)
        with storage_errors(folder):
            replace(folder / fresh.name, folder / ARRAYS)

    def finish(self, entry: Entry, scan: Scan, restoration: Restoration, *, original: bytes, repair: int) -> None:
        """Write what people open, and the record last. Raises ``StorageError``."""
        folder = self.folder(entry, repair=repair)
        if (folder / RECORD).exists():
            return
        written, omitted, remarks = [folder / ARRAYS], dict[str, str](), dict[str, str]()
        copy = folder / restored_name(entry.name)
        data, told = self._restored_copy(entry, restoration, original)
        if data is None:
            omitted[copy.name] = told
        else:
            written.append(copy)
            remarks |= {copy.name: told} if told else {}
        for name, wanted, write in self._for_people(entry, scan, restoration):
            if wanted:
                with fresh_file(folder / name) as file:
                    write(file)
                written.append(folder / name)
            else:
                omitted[name] = OFF
        with storage_errors(folder):
            made = Made(repair, written, omitted, remarks)
            write_file(folder / RECORD, record(entry, scan, restoration, made=made))

    def _for_people(
        self, entry: Entry, scan: Scan, restoration: Restoration
    ) -> tuple[tuple[str, bool, Callable[[BinaryIO], object]], ...]:
        """Return name, whether it is wanted, and what writes it, of each output that people open."""
        title = f"{height_title(scan)}, {'not restored' if restoration.refusal else 'restored'}"
        text = partial(write_text, heights=restoration.restored, scan=scan, title=title, sha256=entry.sha256)
        gwyddion = partial(write_gwyddion, scan=scan, restoration=restoration, facts=_facts(entry, scan, restoration))
        return (
            ("heights.txt", self._settings.text, text),
            *self._surface(entry, scan, restoration),
            ("scan.gwy", self._settings.gwy, gwyddion),
            ("panels.png", self._settings.pictures, partial(_write_panels, scan=scan, restoration=restoration)),
        )

    def _surface(
        self, entry: Entry, scan: Scan, restoration: Restoration
    ) -> tuple[tuple[str, bool, Callable[[BinaryIO], object]], ...]:
        """Return the same of the surface without the tip's shape; nothing where there is none."""
        found = restoration.deconvolved
        if found is None or found.refusal:
            return ()
        title = f"{height_title(scan)}, without the tip's shape"
        text = partial(write_text, heights=found.surface, scan=scan, title=title, sha256=entry.sha256)
        return (("surface.txt", self._settings.text, text),)

    def _restored_copy(self, entry: Entry, restoration: Restoration, original: bytes) -> tuple[bytes | None, str]:
        """Return the restored NanoScope file and a remark on it, or None and why there is none."""
        if not self._settings.nanoscope:
            return None, OFF
        if restoration.refusal:
            return None, f"the scan was not restored: {restoration.refusal}"
        try:
            return _replaced(original, restoration.restored, note=_note(entry, restoration))
        except (HeightOverflow, ScanError) as e:
            return None, f"{e.what}: {e.why}"


def _replaced(original: bytes, heights: NDArray[np.float32], *, note: str) -> tuple[bytes, str]:
    """Return the original with its heights replaced, and what had to be done for it.

    Levelling moves the zero, which means nothing in itself, and an offline-fitted original leaves no room beside its
    own heights: where the heights fit but for that, all are moved alike, and note and record say by how much.
    """
    try:
        return replace_heights(original, heights, note=note), ""
    except HeightOverflow:
        middle = np.float32((float(heights.min()) + float(heights.max())) / 2)
        moved = f"all heights lowered by {middle:.9g} nm to fit the file's scale"
        return replace_heights(original, heights - middle, note=f"{note}; {moved}"), moved


def _arrays(scan: Scan, restoration: Restoration) -> dict[str, Any]:
    named = {name: getattr(restoration, name) for name in KINDS if name != "raw"}
    return {"pixel_nm": np.array(scan.pixel_nm), "raw": scan.heights, **named, **_without_tip(restoration)}


def _without_tip(restoration: Restoration) -> dict[str, Any]:
    """Return the arrays of a surface freed from its tip; none where the scan was left alone."""
    found = restoration.deconvolved
    if found is None or found.refusal:
        return {}
    return {kind: getattr(found, name) for kind, name in TIP_KINDS.items()}


def _write_panels(file: BinaryIO, *, scan: Scan, restoration: Restoration) -> None:
    from afmd.files.pictures import panels

    file.write(panels(scan, restoration))


def _note(entry: Entry, restoration: Restoration) -> str:
    """Return what the restored copy says of itself, in one line."""
    share = float(restoration.touched.mean())
    return (
        f"afmd {__version__}: heights levelled ({restoration.params.level}) and {share:.2%} of the pixels filled; "
        f"plane fits named above are those of the original, sha256 {entry.sha256}"
    )


def _facts(entry: Entry, scan: Scan, restoration: Restoration) -> dict[str, str]:
    """Return what Gwyddion shows as metadata."""
    return {
        **{f"capture {name}": value for name, value in scan.meta.items()},
        "afmd version": __version__,
        "afmd source sha256": entry.sha256,
        "afmd class": f"{restoration.label} ({restoration.probabilities.get(restoration.label, 0):.1%})",
        "afmd verdict": restoration.quality.verdict,
        "afmd parameters": repr(restoration.params),
        "afmd classifier": str(restoration.classifier),
        "afmd segmenter": str(restoration.segmenter),
    }


def _already_complete(folder: Path, fresh: Path) -> bool:
    """True where a record says that the very same arrays, and all other outputs, are there."""
    old = folder / ARRAYS
    return (folder / RECORD).exists() and old.exists() and filecmp.cmp(fresh, old, shallow=False)


def _cleared(folder: Path, *, keep: Path) -> Path:
    """Set a complete folder aside under its record's hash and return an empty one with ``keep`` in it."""
    if not (folder / RECORD).exists():
        return folder
    aside = folder.with_name(f"{folder.name}~{file_sha256(folder / RECORD)[:8]}")
    if aside.exists():
        raise StorageError(str(aside), why="it is in the way of an earlier result", mend="Move it elsewhere")
    waiting = folder.with_name(f"~{folder.name}.npz")
    replace(keep, waiting)
    replace(folder, aside)
    folder.mkdir()
    replace(waiting, folder / keep.name)
    return folder


def _members(folder: Path, *names: str) -> list[NDArray[Any]]:
    """Read members of the arrays' archive; nothing else of it is read."""
    try:
        with storage_errors(folder / ARRAYS), (folder / ARRAYS).open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            _refuse_absent(names, archive.files, folder)
            return [archive[name] for name in names]
    except StorageError as e:
        if isinstance(e.__cause__, FileNotFoundError):
            raise NotFound(f"results in {folder}", why="there are none", mend="Ask for a repair that exists") from e
        raise
    except (KeyError, ValueError, BadZipFile) as e:
        raise StorageError(str(folder / ARRAYS), why=f"it is damaged: {e}", mend="Repair the scan again") from e


def _refuse_absent(names: Sequence[str], present: Sequence[str], folder: Path) -> None:
    """Raise ``NotFound`` for an array that only a deconvolved scan has."""
    for name in names:
        if name in TIP_KINDS and name not in present:
            raise NotFound(
                f"array {name!r} in {folder.name}", why="the tip's shape was not removed from this scan",
                mend="See [deconvolution] in service.toml, and the record for why a scan was left alone",
            )  # fmt: skip


def _channel(folder: Path, entry: Entry, asked: str) -> StoredArray:
    """Return a recorded channel, from the restored copy or the stored original; the height's own is the raw one."""
    copy = folder / restored_name(entry.name)
    data = load_bytes(copy) if copy.exists() else _members(folder, "source")[0].tobytes()
    scan = decode(data, name=entry.name)
    for channel in scan.channels:
        if f"{channel.name}/{channel.direction}" == asked:
            values = _members(folder, "raw")[0] if channel.values is scan.heights else channel.values
            return StoredArray(values, channel.unit, scan.pixel_nm)
    names = ", ".join(f"{c.name}/{c.direction}" for c in scan.channels)
    raise NotFound(f"channel {asked!r} of {entry.name}", why="the scan has none of that name", mend=f"Ask for {names}")
