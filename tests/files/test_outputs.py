"""The folder of a repair: what is in it, that it is whole, that it is never lost, and that it reads back."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from real_scans import IMAGES, gwyddion_reads, needs_gwyddion
from restorations import file_of, restoration_of, scan_of, without_tip

from afmd.domain.events import Entry, Fingerprint, State
from afmd.domain.findings import Label
from afmd.domain.ports import ResultReader, Results
from afmd.domain.result import Restoration
from afmd.domain.scan import Scan
from afmd.errors import NotFound, StorageError, WrongState
from afmd.files import disk, gwy
from afmd.files.nanoscope import decode
from afmd.files.outputs import KINDS, MASKS, OutputFolder
from afmd.files.outputs_names import repair_folder, restored_name, safe
from afmd.settings import Outputs

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def entry_of(data: bytes, path: str = "session 1/made.001", **changes: object) -> Entry:
    plain = Entry(
        scan_id="s1", name=Path(path).name, path=path, fingerprint=Fingerprint(len(data), 1),
        sha256=hashlib.sha256(data).hexdigest(), state=State.RESTORED, revision=4, first_seen=NOON, updated=NOON,
        repair=1, facts=MappingProxyType({}),
    )  # fmt: skip
    return replace(plain, **changes)


class Case:
    """One scan, its entry and an output folder without pictures, which are slow."""

    def __init__(
        self, root: Path, *, data: bytes | None = None, path: str = "session 1/made.001", **kinds: bool
    ) -> None:
        self.data = file_of() if data is None else data
        self.entry = entry_of(self.data, path)
        self.scan: Scan = scan_of(self.data, self.entry.name)
        self.outputs = OutputFolder(Outputs(root=root, **{"pictures": False, **kinds}))

    def store(self, restoration: Restoration, *, repair: int = 1) -> Path:
        self.outputs.store(self.entry, self.scan, restoration, original=self.data, repair=repair)
        return self.outputs.folder(self.entry, repair=repair)

    def finish(self, restoration: Restoration, *, repair: int = 1) -> Path:
        folder = self.store(restoration, repair=repair)
        self.outputs.finish(self.entry, self.scan, restoration, original=self.data, repair=repair)
        return folder


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_it_is_the_port_that_the_daemon_asks_for(case: Case) -> None:
    results: Results = case.outputs
    reader: ResultReader = case.outputs

    assert results is reader


def test_arrays_come_back_to_the_last_bit(case: Case) -> None:
    restoration = restoration_of(case.scan)
    case.store(restoration)

    for kind in KINDS:
        stored = case.outputs.array(case.entry, kind)
        wanted = case.scan.heights if kind == "raw" else getattr(restoration, kind)
        assert stored.values.dtype == wanted.dtype
        np.testing.assert_array_equal(stored.values, wanted)
        assert stored.unit == ("1" if kind in MASKS else "nm")
        assert stored.pixel_nm == (4.0, 2.0)


def test_channels_come_back_as_recorded_the_height_s_own_included(case: Case) -> None:
    case.store(restoration_of(case.scan))

    for channel in case.scan.channels:
        stored = case.outputs.array(case.entry, "channel", channel=f"{channel.name}/{channel.direction}")
        np.testing.assert_array_equal(stored.values, channel.values)
        assert stored.unit == channel.unit


def test_channels_come_back_without_a_restored_copy_too(tmp_path: Path) -> None:
    case = Case(tmp_path, nanoscope=False)
    folder = case.store(restoration_of(case.scan))

    stored = case.outputs.array(case.entry, "channel", channel="Phase/trace")

    assert [p.name for p in folder.iterdir()] == ["arrays.npz"]
    np.testing.assert_array_equal(stored.values, case.scan.channels[2].values)


def test_what_is_not_there_is_not_found(case: Case) -> None:
    with pytest.raises(NotFound, match="there are none"):
        case.outputs.array(case.entry, "raw")
    case.store(restoration_of(case.scan))
    with pytest.raises(NotFound, match="raw, flattened"):
        case.outputs.array(case.entry, "../../etc/passwd")
    with pytest.raises(NotFound, match="Phase/trace"):
        case.outputs.array(case.entry, "channel", channel="Friction/trace")
    with pytest.raises(NotFound):
        case.outputs.array(case.entry, "raw", repair=7)


def test_a_scan_without_results_says_so(case: Case) -> None:
    with pytest.raises(WrongState, match="it is read"):
        case.outputs.array(replace(case.entry, repair=0, state=State.READ), "raw")


def test_every_repair_has_its_folder_and_the_one_in_force_is_given(case: Case) -> None:
    case.store(restoration_of(case.scan))
    case.store(restoration_of(case.scan, scale=0.25), repair=2)

    first, second = (case.outputs.array(case.entry, "restored", repair=n).values for n in (1, 2))

    np.testing.assert_array_equal(first, 2 * second)
    in_force = case.outputs.array(replace(case.entry, repair=2), "restored").values
    np.testing.assert_array_equal(in_force, second)


def test_the_restored_copy_holds_the_restored_heights_and_a_note(case: Case) -> None:
    restoration = restoration_of(case.scan)
    folder = case.store(restoration)

    copy = (folder / "restored.001").read_bytes()

    np.testing.assert_allclose(decode(copy, name="a").heights, restoration.restored, atol=1e-3)
    assert b"\\History: afmd " in copy
    assert len(copy) == len(case.data)


def test_a_finished_folder_holds_everything_and_nothing_unfinished(tmp_path: Path) -> None:
    case = Case(tmp_path, pictures=True)

    folder = case.finish(restoration_of(case.scan))

    names = {"arrays.npz", "heights.txt", "panels.png", "record.json", "restored.001", "scan.gwy"}
    assert {p.name for p in folder.iterdir()} == names
    assert folder.relative_to(tmp_path).as_posix() == f"session 1/made.001~{case.entry.sha256[:8]}/r1"


def test_the_record_proves_every_other_file(case: Case) -> None:
    folder = case.finish(restoration_of(case.scan))

    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))

    others = {p.name for p in folder.iterdir()} - {"record.json"}
    assert set(record["outputs"]) == others
    for name in others:
        data = (folder / name).read_bytes()
        assert record["outputs"][name] == {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    assert record["omitted"] == {"panels.png": "switched off in the settings"}


def test_the_record_tells_what_was_done_by_what_with_what_result(case: Case) -> None:
    restoration = restoration_of(case.scan)

    record = json.loads((case.finish(restoration) / "record.json").read_text(encoding="utf-8"))

    told = record["restoration"]
    assert record["source"]["sha256"] == hashlib.sha256(case.data).hexdigest()
    assert record["source"]["size_bytes"] == len(case.data)
    assert record["software"]["libraries"]["numpy"] == np.__version__
    assert record["machine"]["cpu"]
    assert told["params"] == restoration.params.as_dict()
    assert sum(told["probabilities"].values()) == pytest.approx(1)
    assert (told["label"], told["abstained"], told["refusal"]) == ("not_tracking", False, "")
    assert told["share"]["touched"] == pytest.approx(17 / 2400)
    assert told["quality"]["after"]["sq_nm"] == 3.0
    assert told["levelling"] == {
        "method": "joint", "direction": "row", "order": 2, "jumps": [{"row": 12, "col": 0, "height_nm": 4.5}],
        "disturbances": [{"kind": "fringes", "amplitude_nm": 1.25, "down": 0.01, "across": -0.02}],
    }  # fmt: skip
    assert told["quality"]["pass_rms_after_nm"] is None, "JSON knows no NaN"
    assert told["classifier"] == {"name": "rules", "version": "1"}
    assert told["timings_ms"] == {"classify": 1.5, "total": 20.0}
    assert record["scan"]["header"]["note"] == "made by hand"


def test_the_text_reads_back_to_the_last_bit(case: Case) -> None:
    restoration = restoration_of(case.scan)
    text = case.finish(restoration) / "heights.txt"

    np.testing.assert_array_equal(np.loadtxt(text, dtype=np.float32), restoration.restored)
    head = [line for line in text.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    for told in ("Width: 120 nm", "Height: 160 nm", "Value units: nm", "Rows: 40", "Columns: 60", "pitch down: 4 nm"):
        assert any(told in line for line in head)


@needs_gwyddion
def test_gwyddion_shows_every_stage_with_its_mask(case: Case, tmp_path: Path) -> None:
    restoration = restoration_of(case.scan)
    folder = case.finish(restoration)

    read = gwyddion_reads(folder / "scan.gwy", tmp_path)

    stages = (case.scan.heights, restoration.flattened, restoration.restored, restoration.sigma)
    assert len(read) == 4
    for (values, pitch, unit), wanted in zip(read, stages, strict=True):
        np.testing.assert_allclose(values * 1e9, wanted, atol=1e-5)
        assert (pitch, unit) == (pytest.approx((4e-9, 2e-9)), "m")
    theirs = gwy.loads((tmp_path / "oracle.gwy").read_bytes()).items
    for i, mask in enumerate((restoration.raw_mask, restoration.mask, restoration.touched)):
        np.testing.assert_array_equal(gwy.field_values(theirs[f"/{i}/mask"]) > 0.5, mask)


def test_heights_that_do_not_fit_leave_the_copy_out_and_say_why(case: Case) -> None:
    restoration = restoration_of(case.scan, scale=1e6)

    folder = case.finish(restoration)

    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert "2-byte scale" in record["omitted"]["restored.001"]
    assert not (folder / "restored.001").exists()
    assert case.outputs.array(case.entry, "channel", channel="Phase/trace").unit == "°"


def test_heights_that_only_lie_too_high_are_lowered_alike_and_it_is_told(case: Case) -> None:
    made = restoration_of(case.scan, scale=0.9)
    high = made.restored + np.float32(40)

    folder = case.finish(replace(made, restored=high))

    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    copy = (folder / "restored.001").read_bytes()
    offset = high - decode(copy, name="a").heights
    assert np.ptp(offset) < 2e-3
    assert offset.mean() > 20
    assert f"lowered by {offset.mean():.3g}"[:12] in record["remarks"]["restored.001"]
    assert b"all heights lowered by" in copy
    np.testing.assert_array_equal(case.outputs.array(case.entry, "restored").values, high)


def test_a_scan_that_is_mostly_artefact_is_reported_without_a_copy(case: Case) -> None:
    folder = case.finish(restoration_of(case.scan, refusal="71 % of the pixels are spoilt"))

    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert "71 %" in record["omitted"]["restored.001"]
    assert record["restoration"]["refusal"] == "71 % of the pixels are spoilt"


def test_the_same_results_once_more_change_nothing(case: Case) -> None:
    folder = case.finish(restoration_of(case.scan))
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}

    later = replace(restoration_of(case.scan), timings_ms=MappingProxyType({"total": 99.0}))
    case.finish(later)

    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()} == before
    assert [p.name for p in folder.parent.iterdir()] == ["r1"]


def test_other_results_under_the_same_number_set_the_complete_folder_aside(case: Case) -> None:
    folder = case.finish(restoration_of(case.scan))
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    other = restoration_of(case.scan, scale=0.3)
    case.finish(other)

    aside = next(p for p in folder.parent.iterdir() if p != folder)
    assert {p.name: p.read_bytes() for p in aside.iterdir()} == before
    np.testing.assert_array_equal(case.outputs.array(case.entry, "restored").values, other.restored)
    assert (folder / "record.json").exists()


def test_a_run_cut_short_is_taken_up_again(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    restoration = restoration_of(case.scan)
    folder = case.store(restoration)
    (folder / "~1234abcd.tmp").write_bytes(b"half a file")
    (folder / "scan.gwy").write_bytes(b"stale")

    case.finish(restoration)

    assert not (folder / "~1234abcd.tmp").exists()
    assert (folder / "scan.gwy").read_bytes()[:4] == b"GWYP"


def test_without_a_record_nothing_passes_for_complete(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    restoration = restoration_of(case.scan)
    folder = case.store(restoration)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(disk.os, "fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            case.outputs.finish(case.entry, case.scan, restoration, original=case.data, repair=1)

    assert {p.name for p in folder.iterdir()} == {"arrays.npz", "restored.001"}


def test_damaged_arrays_are_the_disks_fault(case: Case) -> None:
    folder = case.store(restoration_of(case.scan))
    (folder / "arrays.npz").write_bytes((folder / "arrays.npz").read_bytes()[:500])

    with pytest.raises(StorageError, match="damaged"):
        case.outputs.array(case.entry, "raw")


def test_the_original_is_neither_opened_nor_changed(tmp_path: Path) -> None:
    case = Case(tmp_path / "out", path="gone/away.001")

    assert (case.finish(restoration_of(case.scan)) / "record.json").exists()


@pytest.mark.parametrize("name", IMAGES)
def test_every_real_scan_gets_its_folder(name: str, scans_dir: Path, tmp_path: Path) -> None:
    case = Case(tmp_path, data=(scans_dir / "images" / name).read_bytes(), path=name, text=False)
    restoration = restoration_of(case.scan, label=Label.GOOD)

    folder = case.finish(restoration)

    assert (folder / restored_name(name)).exists()
    np.testing.assert_array_equal(case.outputs.array(case.entry, "raw").values, case.scan.heights)


@pytest.mark.parametrize(
    "path",
    [
        "CON.001",
        "a/NUL/x.001",
        "what?*<>|.001",
        "dots...",
        "x" * 400,
        "ü" * 200,
        "../../etc/passwd",
        "/etc/passwd",
        "C:\\x",
        "",
        "💾.001",
    ],
)
def test_every_name_gets_a_folder_that_windows_takes_too(path: str, tmp_path: Path) -> None:
    folder = repair_folder(tmp_path, path=path, sha256="0123456789abcdef", repair=3)

    parts = folder.relative_to(tmp_path).parts
    folder.mkdir(parents=True)
    assert folder.resolve().is_relative_to(tmp_path.resolve())
    assert parts[-1] == "r3"
    for part in parts:
        assert len(part.encode()) <= 200
        assert not set(part) & set('<>:"/\\|?*')
        assert part.rstrip(". ") == part
        assert part.split(".")[0].upper() not in ("CON", "NUL")


def test_another_content_under_the_same_name_gets_another_folder(tmp_path: Path) -> None:
    one, other = (repair_folder(tmp_path, path="a.001", sha256=s, repair=1) for s in ("a" * 64, "b" * 64))

    assert one != other


def test_harmless_names_stay_as_they_are() -> None:
    assert safe("Veeco_20160622.003") == "Veeco_20160622.003"
    assert safe("Probe 7 (Glimmer).spm") == "Probe 7 (Glimmer).spm"


@pytest.mark.parametrize(
    ("name", "copy"),
    [("a.001", "restored.001"), ("a.txt", "restored.spm"), ("a", "restored.spm"), ("a.b/c", "restored.spm")],
)
def test_the_copy_keeps_the_suffix_that_programs_go_by(name: str, copy: str) -> None:
    assert restored_name(name) == copy


def test_a_surface_without_its_tip_is_a_further_output(case: Case) -> None:
    restoration = without_tip(restoration_of(case.scan))
    folder = case.finish(restoration)
    found = restoration.deconvolved
    assert found is not None

    for kind, values in (("surface", found.surface), ("surface_sigma", found.sigma), ("contact", found.touched)):
        np.testing.assert_array_equal(case.outputs.array(case.entry, kind).values, values)
    np.testing.assert_array_equal(np.loadtxt(folder / "surface.txt", dtype=np.float32), found.surface)
    np.testing.assert_array_equal(np.loadtxt(folder / "heights.txt", dtype=np.float32), restoration.restored)
    told = json.loads((folder / "record.json").read_text(encoding="utf-8"))["restoration"]["deconvolution"]
    assert told["tip"] == {
        "form": "cone", "radius_nm": 9.5, "radius_sigma_nm": 0.4, "half_angle_deg": 21.0, "estimated": True
    }  # fmt: skip
    assert told["touched"] == pytest.approx(1 / 40)


@pytest.mark.parametrize("refusal", ["", "pixels of 9 nm are too coarse for a tip of 10 nm"])
def test_where_the_tip_was_left_in_there_is_no_surface(case: Case, refusal: str) -> None:
    restoration = restoration_of(case.scan)
    folder = case.finish(without_tip(restoration, refusal=refusal) if refusal else restoration)

    with pytest.raises(NotFound, match="tip"):
        case.outputs.array(case.entry, "surface")
    assert not (folder / "surface.txt").exists()
    told = json.loads((folder / "record.json").read_text(encoding="utf-8"))["restoration"]
    assert told.get("deconvolution", {}).get("refusal", "") == refusal
