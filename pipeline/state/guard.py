"""Which files are ours to open, and what SQLite and the disk report, in our own errors."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import DiskError, StateError
from pipeline.state.migrations import APPLICATION_ID, MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def check_size(path: Path) -> None:
    """Raise `StateError` for a file with nothing in it, which SQLite would take for a new one."""
    if path.is_file() and path.stat().st_size == 0:
        raise StateError(
            f"the state file {path} is empty",
            why="It knew what was paid for; a run without it would pay for everything again.",
            fix="Restore it from a copy, or delete it to start anew (and pay anew).",
        )


def check_version(db: sqlite3.Connection, path: Path) -> None:
    """Raise `StateError` for a database that is not ours or comes from a newer program."""
    ours = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if not empty and ours != APPLICATION_ID:
        raise StateError(
            f"{path} is a database, but not a banana-batch state file",
            why="Writing to it could destroy somebody's data.",
            fix="Move it away, or choose another folder with --output.",
        )
    if version > len(MIGRATIONS):
        raise StateError(
            f"{path} was written by a newer banana-batch (state version {version};"
            f" this one knows up to {len(MIGRATIONS)})",
            why="An older program could misread what was paid for.",
            fix="Update banana-batch:\n  pipx upgrade banana-batch",
        )


_DISK = ("full", "readonly", "read-only", "disk i/o", "unable to open")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the disk report into our own errors."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if any(word in str(error).lower() for word in _DISK):
            raise disk_error(path, error) from error
        if "locked" in str(error):
            raise DiskError(
                f"{path} is in use by another program: {error}",
                fix="Close what has it open (a database browser?), then run again.",
            ) from error
        if "no such" in str(error) or "overflow" in str(error):
            raise _damaged(path, error) from error
        raise
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise
        raise _damaged(path, error) from error
    except (ValueError, KeyError) as error:  # a row that does not say what a row says
        raise _damaged(path, error) from error
    except OSError as error:
        raise disk_error(path, error) from error


def _damaged(path: Path, error: Exception) -> StateError:
    return StateError(
        f"the state file {path} is damaged: {error}",
        why="It knows what was paid for, so it is neither used nor overwritten like this.",
        fix="Look at it with\n  banana-batch doctor SPEC\n"
        "and restore it from a copy, or move it away to start anew (and pay anew).",
    )


def disk_error(path: Path, error: Exception) -> DiskError:
    """Say that the disk did not take what had to be written."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return DiskError(
        f"cannot write {path}: {said}",
        why="Nothing more is sent, because what it cost could not be written down.",
        fix="Make room, or mend the permissions, then run again: it goes on from here.",
    )
