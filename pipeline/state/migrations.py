"""How a state file came to look as it does: one script a version, run in order, never edited.

The version is SQLite's own `user_version`; `application_id` marks the file as ours.
"""

import sqlite3

APPLICATION_ID = 0x62626174  # "bbat"

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

    CREATE TABLE jobs (
        number         INTEGER PRIMARY KEY AUTOINCREMENT,
        entry_id       TEXT    NOT NULL,
        image_index    INTEGER NOT NULL,
        images         INTEGER NOT NULL,
        position       INTEGER NOT NULL,
        active         INTEGER NOT NULL DEFAULT 1,
        status         TEXT    NOT NULL,
        request        TEXT    NOT NULL,
        "references"   TEXT    NOT NULL DEFAULT '',
        references_as  TEXT    NOT NULL DEFAULT '',
        webhook        TEXT    NOT NULL DEFAULT '',
        fingerprint    TEXT    NOT NULL,
        stems          TEXT    NOT NULL,
        tags           TEXT    NOT NULL DEFAULT '',
        estimate       INTEGER NOT NULL,
        attempt        INTEGER NOT NULL DEFAULT 0,
        sends          INTEGER NOT NULL DEFAULT 0,
        retries        INTEGER NOT NULL DEFAULT 0,
        key            TEXT    NOT NULL DEFAULT '',
        extras         TEXT    NOT NULL DEFAULT '',
        host           TEXT    NOT NULL DEFAULT '',
        account        TEXT    NOT NULL DEFAULT '',
        task_id        TEXT    NOT NULL DEFAULT '',
        cost           INTEGER,
        sunk           INTEGER NOT NULL DEFAULT 0,
        error_type     TEXT    NOT NULL DEFAULT '',
        error_message  TEXT    NOT NULL DEFAULT '',
        intended_at    REAL    NOT NULL DEFAULT 0,
        submitted_at   REAL    NOT NULL DEFAULT 0,
        completed_at   REAL    NOT NULL DEFAULT 0,
        results        TEXT    NOT NULL DEFAULT ''
    );
    CREATE INDEX jobs_by_entry ON jobs (entry_id) WHERE active;
    CREATE INDEX jobs_by_fingerprint ON jobs (fingerprint);
    CREATE INDEX jobs_in_order ON jobs (position, image_index) WHERE active;

    CREATE TABLE selected (number INTEGER PRIMARY KEY);

    CREATE TABLE history (
        sequence INTEGER PRIMARY KEY,
        job      INTEGER NOT NULL,
        at       REAL    NOT NULL,
        step     TEXT    NOT NULL,
        detail   TEXT    NOT NULL DEFAULT ''
    );
    CREATE TRIGGER history_is_kept BEFORE UPDATE ON history
    BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
    CREATE TRIGGER history_stays BEFORE DELETE ON history
    BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;

    CREATE TABLE uploads (
        sha256     TEXT NOT NULL,
        host       TEXT NOT NULL,
        url        TEXT NOT NULL,
        expires_at REAL NOT NULL,
        PRIMARY KEY (sha256, host)
    ) WITHOUT ROWID;

    CREATE TABLE blobs (sha256 TEXT PRIMARY KEY, data BLOB NOT NULL);

    CREATE TABLE runs (
        number     INTEGER PRIMARY KEY,
        started_at REAL    NOT NULL,
        ended_at   REAL    NOT NULL DEFAULT 0,
        exit       INTEGER,
        reason     TEXT    NOT NULL DEFAULT '',
        host       TEXT    NOT NULL DEFAULT '',
        version    TEXT    NOT NULL DEFAULT '',
        finished   INTEGER NOT NULL DEFAULT 0
    );
    """,
)


def migrate(db: sqlite3.Connection) -> None:
    """Bring a database to the present version, each script in a transaction of its own."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        db.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number};"
            f" PRAGMA application_id = {APPLICATION_ID}; COMMIT;"
        )
