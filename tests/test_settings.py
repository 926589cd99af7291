"""The settings file: complete, equal to the defaults, anchored to its own folder, and exact about what is wrong."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from afmd.errors import SettingsError
from afmd.settings import Settings, load, parse, shipped

SHIPPED = shipped()


def test_the_shipped_file_equals_the_defaults(tmp_path: Path) -> None:
    table = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))

    assert parse(table, base=tmp_path) == parse({}, base=tmp_path)


def test_the_shipped_file_names_every_setting() -> None:
    table = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))

    named = {(part, key) for part, keys in table.items() for key in keys}
    known = {(part, key) for part, field in Settings.model_fields.items() for key in type(field.default).model_fields}
    assert named == known


def test_every_setting_of_the_shipped_file_is_commented() -> None:
    bare = [line for line in SHIPPED.read_text(encoding="utf-8").splitlines() if "=" in line and "#" not in line]

    assert bare == []


def test_relative_paths_are_taken_from_the_files_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "lab"
    home.mkdir()
    (home / "service.toml").write_text('[capture]\nfolder = "scans"\n[server]\ntokens = "tokens.txt"\n')
    monkeypatch.chdir(tmp_path)

    settings = load(Path("lab/service.toml"))

    assert settings.capture.folder == home / "scans"
    assert settings.outputs.root == home / "restored"
    assert settings.server.tokens == home / "tokens.txt"
    assert settings.log.file is None


def test_a_file_saved_by_notepad_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "service.toml"
    file.write_bytes(b"\xef\xbb\xbf[capture]\r\nsettle_s = 3.5\r\n")

    assert load(file).capture.settle_s == 3.5


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"capture": {"setle_s": 1}}, "capture.setle_s"),
        ({"capture": {"settle_s": -1}}, "capture.settle_s"),
        ({"capture": {"settle_s": float("nan")}}, "capture.settle_s"),
        ({"capture": {"settle_s": float("inf")}}, "capture.settle_s"),
        ({"capture": {"folder": ""}}, "capture.folder"),
        ({"capture": {"patterns": []}}, "capture.patterns"),
        ({"capture": 3}, "capture"),
        ({"kapture": {}}, "kapture"),
        ({"server": {"port": 70000}}, "server.port"),
        ({"workers": {"count": 0}}, "workers.count"),
        ({"restore": {"preset": "finest"}}, "restore.preset"),
        ({"restore": {"overrides": {"thr": 2.0}}}, "restore.overrides"),
        ({"restore": {"overrides": {"threshold": 0.4}}}, "restore.overrides"),
        ({"outputs": {"root": "capture/restored"}}, "outputs.root"),
        ({"outputs": {"root": "capture"}}, "outputs.root"),
        ({"ledger": {"path": "capture/afmd.sqlite3"}}, "ledger.path"),
        ({"log": {"file": "capture/afmd.log"}}, "log.file"),
        ({"server": {"host": "0.0.0.0"}}, "tls_certificate"),
        ({"server": {"host": "0.0.0.0", "tls_certificate": "a.pem", "tls_key": "a.key"}}, "tokens"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_key(table: dict[str, Any], key: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(table, base=tmp_path)

    assert key in str(caught.value)


def test_an_output_root_that_reaches_the_capture_by_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "capture").mkdir()
    (tmp_path / "elsewhere").symlink_to(tmp_path / "capture", target_is_directory=True)

    with pytest.raises(SettingsError, match="inside"):
        parse({"outputs": {"root": "elsewhere/restored"}}, base=tmp_path)


@pytest.mark.parametrize("text", ["[capture", "[capture]\nsettle_s = ", "\udcff"])
def test_broken_toml_is_a_settings_error(text: str, tmp_path: Path) -> None:
    file = tmp_path / "service.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(SettingsError):
        load(file)


def test_a_missing_file_is_a_settings_error_that_names_the_one_to_copy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "none.toml")

    assert str(shipped()) in caught.value.mend
    assert load(shipped()).workers == Settings().workers
