"""State files of every version there ever was open as the present one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from state_desk import checked, records

from pipeline.lifecycle import Status
from pipeline.state import Store
from pipeline.state.migrations import APPLICATION_ID, MIGRATIONS, migrate

OLD = sorted(Path(__file__).parent.glob("version-*.sql"))


def old(script: Path, path: Path) -> bytes:
    """Make the file that an older program left; returns its bytes."""
    db = sqlite3.connect(path)
    db.executescript(script.read_text(encoding="utf-8"))
    db.close()
    return path.read_bytes()


def shape(db: sqlite3.Connection) -> list[tuple[str, ...]]:
    """Every table, column, index and trigger, however its statement is spaced."""
    told = db.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return sorted(
        (kind, name, " ".join(sql.split()))
        for kind, name, sql in told
        if not name.startswith("sqlite_")
    )


def test_there_is_an_old_file_of_every_version() -> None:
    assert [one.name for one in OLD] == [f"version-{n + 1}.sql" for n in range(len(MIGRATIONS))]


@pytest.mark.parametrize("script", OLD, ids=lambda one: one.stem)
def test_an_old_file_becomes_a_present_one_and_loses_nothing(script: Path, tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    old(script, path)
    store = Store(path)
    assert store.id == "0123456789abcdef"
    store.close()
    found = records(path)
    assert [one.status for one in found] == [
        Status.DOWNLOADED,
        Status.SUBMITTED,
        Status.SUBMITTING,
    ]
    assert [one.prompt for one in found] == ["a cup", "a bowl", "碗"]
    assert found[1].task_id == "task_1"
    assert checked(path) == []
    db = sqlite3.connect(path)
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    migrate(fresh)
    assert shape(db) == shape(fresh)
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    db.close()
    fresh.close()


@pytest.mark.parametrize("script", OLD, ids=lambda one: one.stem)
def test_reading_an_old_file_does_not_change_it(script: Path, tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    before = old(script, path)
    assert len(records(path)) == 3
    assert path.read_bytes() == before


@pytest.mark.parametrize("script", OLD, ids=lambda one: one.stem)
def test_a_job_of_an_old_file_goes_on_where_it_stood(script: Path, tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    old(script, path)
    store = Store(path)
    found = records(path)
    with store.transaction():
        store.note(found[1], 0.0, "move", results=())
    store.close()
    assert checked(path) == []


def test_the_first_version_is_never_edited(tmp_path: Path) -> None:
    path = tmp_path / "first.sqlite"
    old(OLD[0], path)
    theirs = sqlite3.connect(path)
    ours = sqlite3.connect(":memory:")
    ours.executescript(MIGRATIONS[0])
    assert shape(theirs) == shape(ours)
    theirs.close()
    ours.close()
