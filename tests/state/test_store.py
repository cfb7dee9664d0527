"""The state file opened for writing: what it accepts, what it refuses, what it remembers."""

from __future__ import annotations

import sqlite3
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from state_desk import NOW, STORY, at, checked, image, job, live, new, records, staged

from pipeline.errors import DiskError, StateError
from pipeline.lifecycle import STEPS, Status, Step, after
from pipeline.model import Action, Item
from pipeline.money import Money
from pipeline.state import Book, Store, change, rows
from pipeline.state.migrations import MIGRATIONS
from pipeline.state.store import fresh_attempt

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out" / "state.sqlite"


# ── opening ─────────────────────────────────────────────────────────────────────────────────


def test_a_new_state_file_and_its_log_are_for_their_owner_only(path: Path) -> None:
    store = Store(path)
    live(store, staged_in(store)[0], 1)
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    store.close()
    assert modes["state.sqlite"] == 0o600
    assert set(modes.values()) == {0o600}


def staged_in(store: Store) -> list:
    with store.transaction():
        store.stage([new(job("a"))], NOW)
    return records(store.path)


def test_a_state_file_keeps_its_name_for_life(path: Path) -> None:
    first = Store(path)
    first.close()
    second = Store(path)
    second.close()
    assert first.id == second.id != ""


def foreign(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (x)")
    db.commit()
    db.close()


def newer(path: Path) -> None:
    Store(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no database at all, but somebody's notes" * 100)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    staged(path, [job(f"e{n}", position=n, prompt=f"p{n}" * 50) for n in range(200)])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def stump(path: Path) -> None:
    Store(path).close()
    path.write_bytes(path.read_bytes()[:50])


@pytest.mark.parametrize("spoil", [foreign, newer, garbage, empty, truncated, stump])
@pytest.mark.parametrize("opened", [Store, Book])
def test_a_file_that_is_not_whole_and_ours_is_refused_and_left_as_it_is(
    path: Path, spoil, opened
) -> None:
    path.parent.mkdir()
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(StateError) as refused:
        opened(path)
    assert str(path) in refused.value.summary
    assert refused.value.fix
    assert path.read_bytes() == before
    names = {one.name for one in path.parent.iterdir()}
    assert names <= {"state.sqlite", "state.sqlite-wal", "state.sqlite-shm"}


def test_a_place_that_cannot_be_written_is_a_matter_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder must go")
    with pytest.raises(DiskError):
        Store(tmp_path / "out" / "state.sqlite")


def test_a_file_that_was_being_made_when_the_run_died_is_made_anew(path: Path) -> None:
    path.parent.mkdir()
    path.with_name("state.sqlite.new").write_bytes(b"half of a")
    Store(path).close()
    assert checked(path) == []
    assert not path.with_name("state.sqlite.new").exists()


def test_the_log_of_a_file_that_was_moved_away_does_not_leak_into_the_new_one(path: Path) -> None:
    store = Store(path)
    staged_in(store)
    log = path.with_name("state.sqlite-wal").read_bytes()
    store.close()
    path.unlink()
    path.with_name("state.sqlite-wal").write_bytes(log)
    Store(path).close()
    assert records(path) == []
    assert path.with_name("state.sqlite-wal.kept").read_bytes() == log


def test_a_missing_file_reads_as_an_empty_one_and_is_not_made(path: Path) -> None:
    assert records(path) == []
    assert not path.exists()


# ── steps ───────────────────────────────────────────────────────────────────────────────────


def test_the_table_of_steps_is_all_that_a_job_may_do(path: Path) -> None:
    (record,) = staged(path, [job("a")])
    legal = {(rule.step, before) for rule in STEPS for before in rule.before}
    for step in Step:
        for status in Status:
            if (step, status) in legal:
                assert change(at(record, status), step, NOW).after.status is after(step, status)
            else:
                with pytest.raises(ValueError, match="cannot"):
                    change(at(record, status), step, NOW)


def test_a_step_from_where_the_job_is_not_changes_nothing(path: Path) -> None:
    (record,) = staged(path, [job("a")])
    store = Store(path)
    wrong = change(at(record, Status.SUBMITTING), Step.ACCEPT, NOW, task_id="task_x")
    right = change(record, Step.INTEND, NOW, key="k")
    with pytest.raises(RuntimeError, match="is not submitting on disk"):
        store.write([right, wrong, wrong])
    store.close()
    assert records(path) == [record]
    assert checked(path) == []


@pytest.mark.parametrize(
    "statement", ["UPDATE history SET at = 0", "DELETE FROM history", "UPDATE history SET step='x'"]
)
def test_history_can_only_grow(path: Path, statement: str) -> None:
    staged(path, [job("a")])
    db = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement)
    db.close()


def test_history_tells_every_column_it_ever_set(path: Path) -> None:
    (record,) = staged(path, [job("a")])
    store = Store(path)
    record = live(store, record)
    with store.transaction():
        record = store.note(record, NOW, "move", results=(image(1, "b"),))
        store.step(change(record, Step.MISS, NOW))
    store.close()
    assert checked(path) == []
    book = Book(path)
    steps = [step for _, step, _ in book.history(1)]
    book.close()
    assert steps == ["add", *(step for step, _ in STORY), "move", "miss"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("status", "'failed'"),
        ("key", "'another'"),
        ("task_id", "''"),
        ("cost", "NULL"),
        ("results", "''"),
        ("sends", "9"),
    ],
)
def test_a_record_changed_behind_our_back_is_found_by_the_check(
    path: Path, column: str, value: str
) -> None:
    (record,) = staged(path, [job("a")])
    store = Store(path)
    live(store, record)
    store.close()
    db = sqlite3.connect(path)
    db.execute(f"UPDATE jobs SET {column} = {value}")
    db.commit()
    db.close()
    (said,) = checked(path)
    assert "job 1" in said
    assert column in said


def test_a_job_without_any_history_is_found_by_the_check(path: Path) -> None:
    staged(path, [job("a")])
    db = sqlite3.connect(path)
    others = [name for name in rows.COLUMNS if name not in ("number", "entry_id")]
    columns = ", ".join(f'"{name}"' for name in others)
    db.execute(f"INSERT INTO jobs (number, entry_id, {columns}) SELECT 2, 'b', {columns} FROM jobs")
    db.commit()
    db.close()
    (said,) = checked(path)
    assert "job 2" in said


def test_a_history_that_cannot_have_been_is_found_by_the_check(path: Path) -> None:
    staged(path, [job("a")])
    db = sqlite3.connect(path)
    db.execute("INSERT INTO history (job, at, step) VALUES (1, 0, 'download')")
    db.commit()
    db.close()
    (said,) = checked(path)
    assert "cannot download while it is pending" in said


@pytest.mark.parametrize("action", [Action.FETCH, Action.RENAMED, Action.RESTORED, Action.RETRY])
def test_whatever_brings_a_job_back_under_another_name_is_told(path: Path, action: Action) -> None:
    (record,) = staged(path, [job("a")])
    store = Store(path)
    record = live(store, record)
    if action is Action.RETRY:
        for step in (Step.MISS, Step.EXPIRE):
            store.write([change(record, step, NOW)])
            record = change(record, step, NOW).after
    with store.transaction():
        store.stage([(Item(Action.REMOVED, "", None, record), False)], NOW)
    gone = replace(record, active=False)
    with store.transaction():
        store.stage([(Item(action, "", job("b"), gone), True)], NOW)
    store.close()
    (back,) = records(path)
    assert back.entry_id == "b"
    assert checked(path) == []


# ── money over attempts ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("cost", "sunk"), [(Money(7), 7), (None, 33_600_000)])
def test_an_expired_job_that_is_tried_again_stays_paid_for(path: Path, cost, sunk: int) -> None:
    (record,) = staged(path, [job("a")])
    store = Store(path)
    record = live(store, record, 3)
    for step, fields in (
        (Step.COMPLETE, {"cost": cost}),
        (Step.EXPIRE, {}),
    ):
        one = change(record, step, NOW, **fields)
        store.write([one])
        record = one.after
    book = Book(path)
    before = book.totals().spent
    store.write([fresh_attempt(record, NOW)])
    assert book.totals().spent == before == sunk
    book.close()
    store.close()


def test_a_retry_starts_over_with_no_trace_of_the_old_task_but_its_history(path: Path) -> None:
    (record,) = staged(path, [job("a")])
    store = Store(path)
    record = live(store, record, 3)
    failed = change(record, Step.FAIL, NOW, cost=Money(3), error_type="x", error_message="y").after
    store.write([change(record, Step.FAIL, NOW, cost=Money(3), error_type="x", error_message="y")])
    store.write([fresh_attempt(failed, NOW, by_itself=True)])
    store.close()
    (now,) = records(path)
    assert (now.status, now.key, now.task_id, now.error_type) == (Status.PENDING, "", "", "")
    assert (now.attempt, now.retries, now.sunk) == (1, 1, 3)
    assert checked(path) == []
    book = Book(path)
    assert any("task_1" in detail for _, _, detail in book.history(1))
    book.close()


# ── small tables ────────────────────────────────────────────────────────────────────────────


def test_inlined_references_are_kept_while_a_request_with_them_may_go_out_again(
    path: Path,
) -> None:
    (record,) = staged(path, [job("a")])
    store = Store(path)
    store.keep_blob("d1", b"picture")
    intend = change(record, Step.INTEND, NOW, key="k", extras='{"image_urls":["kept:x:d1"]}')
    store.write([intend])
    store.drop_blobs()
    book = Book(path)
    assert book.blob("d1") == b"picture"
    store.write([change(intend.after, Step.ACCEPT, NOW, task_id="task_1")])
    store.drop_blobs()
    assert book.blob("d1") is None
    book.close()
    store.close()


def test_an_upload_is_known_by_contents_and_host_until_it_expires(path: Path) -> None:
    store = Store(path)
    store.keep_upload("d1", "one", "http://one/1", NOW + 10)
    book = Book(path)
    assert book.upload("d1", "one", NOW) == "http://one/1"
    assert book.upload("d1", "two", NOW) == ""
    assert book.upload("d1", "one", NOW + 10) == ""
    book.close()
    store.close()


def test_the_pace_of_past_runs_counts_only_runs_that_finished_something(path: Path) -> None:
    store = Store(path)
    for finished, seconds in ((10, 20.0), (0, 500.0), (5, 10.0)):
        number = store.begin_run(NOW, "h", "1")
        store.end_run(number, NOW + seconds, 0, "", finished)
    store.begin_run(NOW, "h", "1")
    book = Book(path)
    assert book.pace() == (15, 30.0)
    book.close()
    store.close()
