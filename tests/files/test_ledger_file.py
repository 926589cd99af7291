"""The ledger's file: crashes, damage, older and newer schemas, foreign files, network shares."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from fake_clock import FakeClock

from afmd.domain.events import Fingerprint, State
from afmd.errors import LedgerError
from afmd.files import ledger_schema, local_disk
from afmd.files.ledger import SqliteLedger
from afmd.files.ledger_log import lost_commits

PRINT = Fingerprint(size_bytes=100, mtime_ns=5)
WRITER = """
import sys
from pathlib import Path
from datetime import UTC, datetime
from afmd.domain.events import Fingerprint, State
from afmd.files.ledger import SqliteLedger

class Clock:
    def now(self): return datetime.now(UTC)
    def monotonic(self): return 0.0

ledger = SqliteLedger(Path(sys.argv[1]), clock=Clock(), keep_events=1_000_000)
for i in range(100_000):
    scans = ledger.see_all([(f"{i}-{n}.spm", Fingerprint(i, n)) for n in range(8)])
    event = ledger.advance(scans[0].scan_id, State.SETTLED, sha256=f"{i}", facts={"i": i})
    print(event.revision, event.scan_id, flush=True)
"""


def opened(path: Path, **given: int) -> SqliteLedger:
    return SqliteLedger(path, clock=FakeClock(), keep_events=given.get("keep_events", 100_000))


def killed_while_writing(path: Path, *, after: int) -> list[tuple[int, str]]:
    """Let another process write until it has acknowledged ``after`` scans, kill it, return what it acknowledged."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(after)]
        writer.kill()
        told += writer.stdout.readlines()
    whole = [line.split() for line in told if line.endswith("\n")]
    return [(int(revision), scan_id) for revision, scan_id in whole]


def left_behind(tmp_path: Path, *, scans: int = 60, batch: int = 1) -> Path:
    """A ledger's file and log as a killed process leaves them."""
    running = opened(tmp_path / "running.sqlite3")
    for start in range(0, scans, batch):
        running.see_all([(f"{i}.spm", PRINT) for i in range(start, start + batch)])
    path = tmp_path / "ledger.sqlite3"
    for suffix in ("", "-wal"):
        shutil.copy(tmp_path / f"running.sqlite3{suffix}", f"{path}{suffix}")
    running.close()
    return path


def content(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.glob(f"{path.name}*") if file.suffix != ".sqlite3-shm"}


def test_every_acknowledged_event_survives_a_kill_in_order_and_without_gap(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    acknowledged = killed_while_writing(path, after=400)

    ledger = opened(path)

    events = ledger.after(0, limit=1_000_000)
    assert [event.revision for event in events] == list(range(1, ledger.revision() + 1))
    assert ledger.revision() >= acknowledged[-1][0] >= 400 * 9
    settled = {event.revision: event.scan_id for event in events if event.state is State.SETTLED}
    assert set(acknowledged) <= set(settled.items())
    assert all(ledger.entry(scan_id).facts for _, scan_id in random.Random(1).sample(acknowledged, 50))
    ledger.close()


def test_a_log_torn_at_its_end_costs_nothing_that_came_before(tmp_path):
    path = left_behind(tmp_path, scans=30)
    log = Path(f"{path}-wal")
    os.truncate(log, log.stat().st_size - 1000)

    ledger = opened(path)

    assert 29 <= ledger.revision() <= 30
    ledger.close()


def test_a_sound_log_has_lost_nothing(tmp_path):
    path = left_behind(tmp_path)

    assert lost_commits(Path(f"{path}-wal")) == 0
    ledger = opened(path)
    assert ledger.revision() == 60
    ledger.close()


def test_a_log_used_anew_is_sound_although_old_frames_stand_behind_the_new(tmp_path):
    running = opened(tmp_path / "running.sqlite3")
    for i in range(60):
        running.see_all([(f"{i}-{n}.spm", PRINT) for n in range(20)])
    log = tmp_path / "running.sqlite3-wal"
    assert log.stat().st_size > 1_000_000, "the log went round at least once"

    assert lost_commits(log) == 0
    running.close()


@pytest.mark.parametrize("where", [0.1, 0.5, 0.8])
def test_a_log_damaged_in_its_middle_is_refused_and_left_as_it_is(tmp_path, where):
    path = left_behind(tmp_path)
    log = Path(f"{path}-wal")
    data = bytearray(log.read_bytes())
    data[int(len(data) * where)] ^= 0xFF
    log.write_bytes(data)
    before = content(path)

    with pytest.raises(LedgerError, match=r"commits in its log .* move ledger.sqlite3, ledger.sqlite3-wal"):
        opened(path)

    assert content(path) == before


def test_a_log_without_a_sound_header_is_refused(tmp_path):
    path = left_behind(tmp_path)
    log = Path(f"{path}-wal")
    data = bytearray(log.read_bytes())
    data[10] ^= 1
    log.write_bytes(data)

    with pytest.raises(LedgerError, match="damaged"):
        opened(path)


@pytest.mark.parametrize("log", [b"", b"\0" * 20, b"\0" * 8192])
def test_a_log_that_was_never_written_is_no_damage(tmp_path, log):
    path = left_behind(tmp_path, scans=1)
    Path(f"{path}-wal").write_bytes(log)

    opened(path).close()


def test_a_damaged_file_is_refused_with_what_to_do_and_left_as_it_is(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    ledger = opened(path)
    ledger.see_all([(f"{i}.spm", PRINT) for i in range(2000)])
    ledger.close()
    data = bytearray(path.read_bytes())
    data[: 4096 * 3] = random.Random(1).randbytes(4096 * 3)
    path.write_bytes(data)
    before = content(path)

    with pytest.raises(LedgerError, match="to a safe place to begin anew: every scan"):
        opened(path)

    assert content(path) == before


def test_a_damaged_page_is_found_after_a_stop_that_left_a_log_behind(tmp_path):
    path = left_behind(tmp_path, scans=3000, batch=100)
    data = bytearray(path.read_bytes())
    pages = len(data) // 4096
    for page in range(pages // 2, pages // 2 + 8):
        data[page * 4096 : page * 4096 + 2000] = random.Random(page).randbytes(2000)
    path.write_bytes(data)
    before = content(path)

    with pytest.raises(LedgerError, match="damaged"):
        opened(path)

    assert content(path) == before


def test_a_log_without_its_file_is_refused(tmp_path):
    path = left_behind(tmp_path)
    path.unlink()

    with pytest.raises(LedgerError, match="the file is gone but its log"):
        opened(path)

    assert Path(f"{path}-wal").exists()
    assert not path.exists()


def test_another_programs_database_is_refused_and_untouched(tmp_path):
    path = tmp_path / "other.sqlite3"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE photos (name)")
    other.close()
    before = path.read_bytes()

    with pytest.raises(LedgerError, match="another program"):
        opened(path)

    assert path.read_bytes() == before


def test_a_text_file_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("these are not the scans you are looking for " * 100)

    with pytest.raises(LedgerError, match="not a ledger"):
        opened(path)


def test_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    opened(path).close()
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {len(ledger_schema.STEPS) + 1}")
    newer.close()

    with pytest.raises(LedgerError, match="newer"):
        opened(path)


def test_a_ledger_of_the_first_version_is_brought_up_to_date_with_everything_in_it(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    old = sqlite3.connect(path)
    for statement in ledger_schema.STEPS[0]:
        old.execute(statement)
    old.execute(f"PRAGMA application_id = {ledger_schema.APPLICATION_ID}")
    old.execute("PRAGMA user_version = 1")
    old.execute(
        "INSERT INTO scans VALUES ('0123456789ab', 'a.spm', 'x/a.spm', 10, 20, 'abc', 'read', 7, "
        "'2024-01-01T00:00:00.000000+00:00', '2024-01-02T00:00:00.000000+00:00', 0, 'good', '{\"label\":\"good\"}')"
    )
    old.execute("INSERT INTO events VALUES (7, '2024-01-02T00:00:00.000000+00:00', '0123456789ab', 'read', '{}')")
    old.commit()
    old.close()

    ledger = opened(path)

    entry = ledger.entry("0123456789ab")
    assert (entry.path, entry.state, entry.revision, entry.fingerprint) == (
        "x/a.spm",
        State.READ,
        7,
        Fingerprint(10, 20),
    )
    assert ledger.repairs(entry.scan_id) == []
    ledger.advance(entry.scan_id, State.RESTORED, repair=1)
    assert ledger.advance(entry.scan_id, State.COMPLETE).revision == 9
    ledger.close()


def test_an_interrupted_migration_leaves_the_file_at_its_old_version(tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite3"
    opened(path).close()
    broken = (*ledger_schema.STEPS, ("CREATE TABLE extra (x)", "CREATE TABLE scans (x)"))
    with monkeypatch.context() as patch:
        patch.setattr(ledger_schema, "STEPS", broken)
        patch.setattr("afmd.files.ledger_file.STEPS", broken)
        with pytest.raises(LedgerError, match="already exists"):
            opened(path)

    opened(path).close()
    db = sqlite3.connect(path)
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    db.close()
    assert "extra" not in tables


def test_the_owners_of_content_are_found_by_their_index(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    opened(path).close()
    db = sqlite3.connect(path)
    plan = db.execute(
        f"EXPLAIN QUERY PLAN SELECT * FROM scans WHERE sha256 = ? AND {ledger_schema.OWNED}", ("x",)
    ).fetchall()
    db.close()
    assert "scans_by_content" in str(plan)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    with pytest.raises(LedgerError, match="it is no file"):
        opened(tmp_path)


def test_a_ledger_locked_by_another_program_is_explained(tmp_path, monkeypatch):
    monkeypatch.setattr("afmd.files.ledger_file.BUSY_S", 0.01)
    path = tmp_path / "ledger.sqlite3"
    ledger = opened(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(LedgerError, match="another program has locked it"):
        ledger.see("a.spm", PRINT)

    other.execute("ROLLBACK")
    other.close()
    assert ledger.see("a.spm", PRINT).revision == 1
    ledger.close()


def test_a_full_disk_is_explained_and_nothing_is_half_written(tmp_path):
    ledger = opened(tmp_path / "ledger.sqlite3")
    scan_id = ledger.see("a.spm", PRINT).scan_id
    ledger._writer.execute("PRAGMA max_page_count = 1")

    with pytest.raises(LedgerError, match="its disk is full"):
        ledger.advance(scan_id, State.REFUSED, facts={"why": "x" * 100_000})

    assert (ledger.entry(scan_id).state, ledger.revision()) == (State.SEEN, 1)
    ledger._writer.execute("PRAGMA max_page_count = 100000")
    assert ledger.advance(scan_id, State.REFUSED).revision == 2
    ledger.close()


MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 0:50 / /home rw shared:1 - nfs4 server:/home rw
41 27 0:51 / /mnt/my\\040share rw - cifs //server/share rw
42 40 0:52 / /home/local rw - xfs /dev/vdb rw
43 27 0:53 / /mnt/ssh rw - fuse.sshfs me@there: rw
44 27 0:54 / /mnt/usb rw - fuseblk /dev/sdb1 rw
45 27 0:55 / /data rw - ext4 /dev/vdc rw
46 27 0:56 / /data rw - 9p host rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/lib/afmd.sqlite3", "ext4", False),
        ("/home/me/afmd.sqlite3", "nfs4", True),
        ("/home/local/afmd.sqlite3", "xfs", False),
        ("/homestead/afmd.sqlite3", "ext4", False),
        ("/mnt/my share/afmd.sqlite3", "cifs", True),
        ("/mnt/ssh/afmd.sqlite3", "fuse.sshfs", True),
        ("/mnt/usb/afmd.sqlite3", "fuseblk", False),
        ("/data/afmd.sqlite3", "9p", True),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="mount points are of Unix")
def test_a_network_share_is_known_by_its_mount(path, kind, network):
    assert local_disk.mounted_type(Path(path), MOUNTS) == kind
    assert local_disk.is_network_type(kind) is network


def test_a_ledger_on_a_network_share_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(local_disk, "network_share", lambda path: "nfs4")

    with pytest.raises(LedgerError, match=r"network share \(nfs4\).*local disk"):
        opened(tmp_path / "deep" / "ledger.sqlite3")

    assert not (tmp_path / "deep").exists()
