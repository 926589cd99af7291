"""The instance lock between real processes."""

import os
import subprocess
import sys

import pytest

from afmd.errors import AlreadyRunning, StorageError
from afmd.runtime.lock import InstanceLock

HOLDER = """
import sys, time
from pathlib import Path
from afmd.runtime.lock import InstanceLock
with InstanceLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
print("released", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock until it reads a line."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "ledger.sqlite3")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_daemon_is_told_which_process_holds_the_ledger(tmp_path, holder):
    with pytest.raises(AlreadyRunning, match=f"process {holder.pid} "):
        InstanceLock(tmp_path / "ledger.sqlite3").acquire()


def test_the_lock_ends_with_a_process_that_is_killed(tmp_path, holder):
    holder.kill()
    holder.wait()

    with InstanceLock(tmp_path / "ledger.sqlite3"):
        assert (tmp_path / "ledger.sqlite3.lock").read_text() == str(os.getpid())


def test_the_lock_ends_when_it_is_released(tmp_path, holder):
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "released\n"

    lock = InstanceLock(tmp_path / "ledger.sqlite3")
    lock.acquire()
    lock.release()
    lock.release()


def test_two_locks_in_one_process_exclude_each_other(tmp_path):
    with InstanceLock(tmp_path / "l"), pytest.raises(AlreadyRunning, match=str(os.getpid())):
        InstanceLock(tmp_path / "l").acquire()
    with InstanceLock(tmp_path / "other"), InstanceLock(tmp_path / "l"):
        pass


def test_a_lock_that_holds_no_number_names_no_process(tmp_path):
    with InstanceLock(tmp_path / "l"):
        (tmp_path / "l.lock").write_text("half a numb")
        with pytest.raises(AlreadyRunning, match="another process"):
            InstanceLock(tmp_path / "l").acquire()


def test_a_place_where_no_lock_can_lie_is_explained(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="Check its folder"):
        InstanceLock(tmp_path / "file" / "ledger.sqlite3").acquire()


def test_a_child_process_does_not_inherit_the_lock(tmp_path):
    lock = InstanceLock(tmp_path / "l")
    lock.acquire()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as child:
        lock.release()
        with InstanceLock(tmp_path / "l"):
            pass
        child.communicate("\n")
