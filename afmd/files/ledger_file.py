"""The ledger's file: who may open it, by how many connections, and what each trouble with it means.

Rule: a file that cannot be trusted is left exactly as it is, and a person is told what to do.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import LifoQueue

from afmd.errors import LedgerError
from afmd.files.ledger_log import lost_commits
from afmd.files.ledger_schema import APPLICATION_ID, OLDEST_SQLITE, STEPS, migrate, pragma
from afmd.files.local_disk import refuse_network_share

BUSY_S = 10.0
"""How long a statement waits for another program that has the file locked, in seconds."""


def opened(path: Path) -> sqlite3.Connection:
    """Open the ledger's file as the one writer, make or migrate its tables, and return the connection.

    Nothing of a file that we cannot trust is changed, moved or deleted: a damaged ledger, a foreign database, a newer
    schema and a log without its database are each refused with what a person should do, since beginning anew means
    that every scan of the folder is taken in again, and that is a person's choice. A log torn by a crash is no
    damage: SQLite takes what was committed. File and log are checked whole only after a stop that left a log behind.
    Raises ``LedgerError``.
    """
    examine(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        db = connected(path)
        try:
            _turn_on_log(db, path)
            migrate(db)
        except BaseException:
            db.close()
            raise
    return db


def examine(path: Path) -> None:
    """Raise what ``opened`` would refuse the file for, and change nothing. Raises ``LedgerError``."""
    _refuse_old_sqlite(path)
    refuse_network_share(path)
    with explained(path):
        _refuse_untrusted(path)


class Readers:
    """At most ``limit`` connections that only read, each lent to one thread at a time.

    A pool, rather than a connection for each thread: threads that end leave nothing behind.
    """

    def __init__(self, path: Path, *, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._closed = False
        self._places: LifoQueue[sqlite3.Connection | None] = LifoQueue()
        for _ in range(limit):
            self._places.put(None)

    @contextmanager
    def borrowed(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; waits where all are out. Raises ``LedgerError`` after ``close``."""
        db = self._places.get()
        try:
            if self._closed:
                raise closed(self._path)
            if db is None:
                db = connected(self._path)
                db.execute("PRAGMA query_only = ON")
            yield db
        finally:
            self._places.put(db)

    def close(self) -> None:
        """Wait until every connection is back, and close them."""
        self._closed = True
        for db in [self._places.get() for _ in range(self._limit)]:
            if db is not None:
                db.close()
            self._places.put(None)


def connected(path: Path) -> sqlite3.Connection:
    """Return a connection that any one thread at a time may use, with explicit transactions."""
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA trusted_schema = OFF")
    return db


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite or the disk says into a ``LedgerError`` that says what to do."""
    try:
        yield
    except sqlite3.Error as e:
        why, mend = _MEANING.get(getattr(e, "sqlite_errorcode", 0) & 0xFF, ("", _REPORT))
        raise LedgerError(f"ledger {path}", why=why or str(e), mend=mend.format(name=path.name)) from e
    except OSError as e:
        raise LedgerError(f"ledger {path}", why=e.strerror or str(e), mend="Check its folder and permissions") from e


_REPORT = "Restart afmd; if it comes again, report it with the log"
_SET_ASIDE = (
    "Stop afmd and copy back a good {name}, or move {name}, {name}-wal and {name}-shm together to a safe place "
    "to begin anew: every scan in the capture folder is then taken in again"
)
_MEANING = {
    sqlite3.SQLITE_FULL: ("its disk is full", "Free some space; nothing that was committed is lost"),
    sqlite3.SQLITE_BUSY: ("another program has locked it", "Close the program that has {name} open"),
    sqlite3.SQLITE_LOCKED: ("another program has locked it", "Close the program that has {name} open"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "Check its folder and permissions"),
    sqlite3.SQLITE_PERM: ("it may not be opened", "Check its folder and permissions"),
    sqlite3.SQLITE_READONLY: ("it may not be written", "Check its folder and permissions"),
    sqlite3.SQLITE_IOERR: ("its disk failed to read or write", "Check the disk before anything else"),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", _SET_ASIDE),
    sqlite3.SQLITE_NOTADB: ("the file is damaged, or not a ledger", _SET_ASIDE),
}


def _refuse_old_sqlite(path: Path) -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        raise LedgerError(
            f"ledger {path}", why=f"this Python has SQLite {sqlite3.sqlite_version}, older than {needed}",
            mend="Use a Python that brings a newer SQLite",
        )  # fmt: skip


def _refuse_untrusted(path: Path) -> None:
    """Look at the file through a connection that only reads: another would fold the log in and delete it."""
    log = path.with_name(f"{path.name}-wal")
    left_behind = log.exists() and log.stat().st_size > 0
    if left_behind and not path.exists():
        raise LedgerError(
            f"ledger {path}", why=f"the file is gone but its log {log.name} is there, with scans that only it knows",
            mend=f"Put {path.name} back beside it, or move {log.name} to a safe place to begin anew",
        )  # fmt: skip
    if left_behind and (lost := lost_commits(log)):
        raise _damaged(path, f"{lost} commits in its log {log.name} cannot be read any more")
    if not path.exists():
        return
    if not path.is_file():
        raise LedgerError(f"ledger {path}", why="it is no file", mend="Set ledger.path to a file of its own")
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_S, isolation_level=None)
    try:
        _refuse_foreign(db, path)
        if left_behind:
            _refuse_damaged(db, path)
    finally:
        db.close()


def _refuse_foreign(db: sqlite3.Connection, path: Path) -> None:
    """Refuse another program's database and a newer afmd's, before anything is written."""
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and pragma(db, "application_id") != APPLICATION_ID:
        raise LedgerError(
            f"ledger {path}", why="it is a database of another program", mend="Set ledger.path to a file of its own"
        )
    version = pragma(db, "user_version")
    if version > len(STEPS):
        raise LedgerError(
            f"ledger {path}", why=f"its schema {version} is newer than {len(STEPS)}, the newest that this afmd knows",
            mend="Install the newer afmd again, or set ledger.path to another file",
        )  # fmt: skip


def _refuse_damaged(db: sqlite3.Connection, path: Path) -> None:
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _damaged(path, verdict)


def _damaged(path: Path, how: str) -> LedgerError:
    return LedgerError(f"ledger {path}", why=f"the file is damaged: {how}", mend=_SET_ASIDE.format(name=path.name))


def _turn_on_log(db: sqlite3.Connection, path: Path) -> None:
    (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise LedgerError(
            f"ledger {path}", why=f"its disk allows no write-ahead log (journal mode {mode})",
            mend="Set ledger.path to a file on a local disk",
        )  # fmt: skip
    db.execute("PRAGMA journal_size_limit = 16777216")


def closed(path: Path) -> LedgerError:
    """Return the error of a ledger that is used after its end."""
    return LedgerError(f"ledger {path}", why="it is closed", mend="Start afmd again")
