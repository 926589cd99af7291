"""The ledger's tables, and the steps by which an older file becomes a newer one.

Rule: a step that was ever released is never edited; a change is a new step at the end. The file's ``user_version`` is
the number of steps that it has taken, its ``application_id`` says that it is ours.
"""

import sqlite3

APPLICATION_ID = 0x61666D64
"""The letters ``afmd``."""

OLDEST_SQLITE = (3, 24, 0)
"""The first version with INSERT ... ON CONFLICT DO UPDATE."""

OWNED = "sha256 <> '' AND state NOT IN ('seen', 'duplicate', 'vanished')"
"""The scans that own their content (all but ``WITHOUT_CLAIM``). SQLite takes the unique index over them only for
queries in these very words, so a change here is a step that makes the index anew."""

STEPS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE scans (
            scan_id    TEXT PRIMARY KEY NOT NULL,
            name       TEXT NOT NULL,
            path       TEXT NOT NULL,
            size_bytes INTEGER NOT NULL,
            mtime_ns   INTEGER NOT NULL,
            sha256     TEXT NOT NULL DEFAULT '',
            state      TEXT NOT NULL,
            revision   INTEGER NOT NULL,
            first_seen TEXT NOT NULL,
            updated    TEXT NOT NULL,
            repair     INTEGER NOT NULL DEFAULT 0,
            label      TEXT NOT NULL DEFAULT '',
            facts      TEXT NOT NULL DEFAULT '{}'
        )
        """,
        """
        CREATE TABLE events (
            revision INTEGER PRIMARY KEY AUTOINCREMENT,
            time     TEXT NOT NULL,
            scan_id  TEXT NOT NULL REFERENCES scans (scan_id),
            state    TEXT NOT NULL,
            facts    TEXT NOT NULL
        )
        """,
        """
        CREATE UNIQUE INDEX scans_by_content ON scans (sha256)
        WHERE sha256 <> '' AND state NOT IN ('seen', 'duplicate', 'vanished')
        """,
        "CREATE INDEX scans_by_copied_content ON scans (sha256) WHERE state = 'duplicate'",
        "CREATE INDEX scans_by_path ON scans (path, scan_id)",
        "CREATE INDEX scans_by_time ON scans (first_seen, scan_id)",
        "CREATE INDEX scans_by_state ON scans (state, first_seen, scan_id)",
        "CREATE INDEX scans_by_label ON scans (label, first_seen, scan_id)",
    ),
    (
        """
        CREATE TABLE repairs (
            scan_id  TEXT NOT NULL REFERENCES scans (scan_id),
            number   INTEGER NOT NULL CHECK (number >= 1),
            created  TEXT NOT NULL,
            finished TEXT,
            facts    TEXT NOT NULL,
            PRIMARY KEY (scan_id, number)
        ) WITHOUT ROWID
        """,
    ),
)


def migrate(db: sqlite3.Connection) -> None:
    """Take the steps that the file lacks: all of them or none."""
    db.execute("BEGIN EXCLUSIVE")
    try:
        for step in STEPS[pragma(db, "user_version") :]:
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(STEPS)}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def pragma(db: sqlite3.Connection, name: str) -> int:
    """Return a whole number that the file's header holds."""
    (value,) = db.execute(f"PRAGMA {name}").fetchone()
    return int(value)
