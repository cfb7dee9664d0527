"""The state file opened for reading: the same answers in any order, and one moment at a time."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from state_desk import NOW, PRICE, image, job, live, new, records, staged

from pipeline.lifecycle import Status, Step
from pipeline.model import Action, Item
from pipeline.money import Money
from pipeline.state import Book, Store, change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.model import Job, Record


def test_a_snapshot_sees_one_moment_while_others_write(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    staged(path, [job("a")])
    reader, store = Book(path), Store(path)
    with reader.snapshot():
        (before,) = reader.active()
        live(store, before)
        with store.transaction():
            store.stage([new(job("b", position=1, prompt="b"))], NOW)
        assert list(reader.active()) == [before]
        assert reader.highest() == 1
        assert reader.with_fingerprint(job("b", prompt="b").fingerprint) == []
        assert reader.totals().counts == {Status.PENDING: 1}
    assert [one.status for one in reader.active()] == [Status.DOWNLOADED, Status.PENDING]
    reader.close()
    store.close()


def test_without_a_snapshot_a_reader_sees_what_was_just_written(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    (record,) = staged(path, [job("a")])
    reader, store = Book(path), Store(path)
    assert reader.todo() == 1
    live(store, record)
    assert reader.todo() == 0
    reader.close()
    store.close()


# ── reading ahead ───────────────────────────────────────────────────────────────────────────


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_reading_ahead_answers_as_plain_questions_would(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=12), label="jobs an entry")
    names = [f"e{n}" for n in range(len(sizes))]
    known = [
        job(name, position=position, index=index, prompt=name)
        for position, (name, size) in enumerate(zip(names, sizes, strict=True))
        for index in range(1, size + 1)
    ]
    asked = data.draw(
        st.lists(st.sampled_from([*names, "inserted", "other"]), max_size=20)
        | st.permutations([*names, "inserted"]),
        label="order of questions",
    )
    with memory(known, data.draw(st.integers(1, 6), label="page")) as (reader, plain):
        for name in asked:
            assert reader.of_entry(name) == plain.get(name, [])


@contextmanager
def memory(known: list[Job], page: int) -> Iterator[tuple[Book, dict[str, list[Record]]]]:
    """A state file with these jobs, and what plain questions to it answer."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state.sqlite"
        plain: dict[str, list[Record]] = {}
        for one in staged(path, known):
            plain.setdefault(one.entry_id, []).append(one)
        reader = Book(path, page=page)
        try:
            yield reader, plain
        finally:
            reader.close()


def test_an_entry_larger_than_a_page_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    jobs = [job("big", index=n, prompt="x") for n in range(1, 1301)]
    staged(path, [*jobs, job("small", position=1, prompt="y")])
    reader = Book(path)
    assert [one.image_index for one in reader.of_entry("big")] == list(range(1, 1301))
    assert len(reader.of_entry("small")) == 1
    assert len(reader.of_entry("big")) == 1300
    reader.close()


def test_work_comes_under_way_first_and_each_job_once(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    found = staged(path, [job(f"e{n}", position=n, prompt=str(n)) for n in range(12)])
    store = Store(path)
    for number, upto in ((3, 1), (5, 3), (7, 4), (9, 5)):
        live(store, found[number], upto)
    store.close()
    reader = Book(path, page=2)
    given_out = [(one.entry_id, one.status) for one in reader.work()]
    assert reader.todo() == len(given_out)
    reader.close()
    assert given_out[:3] == [
        ("e3", Status.SUBMITTING),
        ("e5", Status.SUBMITTED),
        ("e7", Status.COMPLETED),
    ]
    assert [name for name, _ in given_out[3:]] == ["e0", "e1", "e2", "e4", "e6", "e8", "e10", "e11"]


def test_only_selected_jobs_are_work(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    store = Store(path)
    with store.transaction():
        store.stage([new(job("a")), (new(job("b", position=1, prompt="b"))[0], False)], NOW)
    store.close()
    reader = Book(path)
    assert [one.entry_id for one in reader.work()] == ["a"]
    assert reader.totals(selected=True).jobs == 1
    assert reader.totals().jobs == 2
    reader.close()


# ── totals and failures ─────────────────────────────────────────────────────────────────────


def test_totals_count_known_costs_and_estimate_what_nobody_told(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    found = staged(path, [job(f"e{n}", position=n, prompt=str(n)) for n in range(6)])
    store = Store(path)
    told = live(store, found[0])  # cost 5
    silent = live(store, found[1], 3)
    store.write([change(silent, Step.COMPLETE, NOW)])
    live(store, found[2], 3)  # submitted
    live(store, found[3], 1)  # submitting
    failed = live(store, found[4], 3)
    store.write([change(failed, Step.FAIL, NOW, cost=Money(0))])
    store.close()
    reader = Book(path)
    totals = reader.totals()
    reader.close()
    assert told.cost == 5
    assert totals.counts == {
        Status.DOWNLOADED: 1,
        Status.COMPLETED: 1,
        Status.SUBMITTED: 1,
        Status.SUBMITTING: 1,
        Status.FAILED: 1,
        Status.PENDING: 1,
    }
    assert (totals.images, totals.jobs) == (1, 6)
    assert totals.spent == 5 + PRICE
    assert totals.reserved == 2 * PRICE
    assert totals.to_pay == PRICE


def test_what_left_the_spec_still_counts_as_spent_and_no_longer_as_a_job(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    (record,) = staged(path, [job("a")])
    store = Store(path)
    record = live(store, record)
    with store.transaction():
        store.stage([(Item(Action.REMOVED, "", None, record), False)], NOW)
    store.close()
    reader = Book(path)
    assert reader.totals().spent == 5
    assert reader.totals().jobs == 0
    reader.close()


def test_failures_are_grouped_by_cause_the_most_frequent_first(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    found = staged(path, [job(f"e{n}", position=n, prompt=str(n)) for n in range(9)])
    store = Store(path)
    for number, record in enumerate(found):
        kind = "rare" if number == 0 else "usual"
        sent = live(store, record, 3)
        store.write([change(sent, Step.FAIL, NOW, error_type=kind, error_message="no")])
    store.close()
    reader = Book(path)
    usual, rare = reader.failures(statuses=[Status.FAILED], examples=2)
    assert reader.failures(statuses=[Status.HELD]) == []
    reader.close()
    assert (usual.error_type, usual.count) == ("usual", 8)
    assert usual.examples == (("e1", "task_1"), ("e2", "task_1"))
    assert (rare.error_type, rare.count) == ("rare", 1)


def test_recent_images_are_those_of_the_last_seconds(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    found = staged(path, [job(f"e{n}", position=n, prompt=str(n)) for n in range(2)])
    store = Store(path)
    for one, at in zip(found, (NOW, NOW + 100), strict=True):
        done = live(store, one, 4)
        store.write([change(done, Step.DOWNLOAD, at, results=(image(),))])
    store.close()
    reader = Book(path)
    assert reader.recent(NOW + 110) == (1, 10.0)
    assert reader.recent(NOW + 500) == (0, 0.0)
    reader.close()


def test_a_damaged_page_is_reported_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    staged(path, [job(f"e{n}", position=n, prompt=f"p{n}" * 60) for n in range(300)])
    data = bytearray(path.read_bytes())
    data[8192:-4096] = b"\xa5" * (len(data) - 4096 - 8192)
    path.write_bytes(data)
    reader = Book(path)
    said = []
    try:
        said = reader.check()
    except Exception as error:  # noqa: BLE001 - the claim is which error it is
        said = [f"{type(error).__name__}: {error}"]
    finally:
        reader.close()
    assert said
    assert all(not one.startswith("DatabaseError") for one in said)
    assert path.read_bytes() == data


def test_a_book_reads_names_that_look_like_addresses(tmp_path: Path) -> None:
    path = tmp_path / "a?b#c%20d" / "state.sqlite"
    staged(path, [job("a")])
    assert len(records(path)) == 1


def test_a_record_comes_back_as_it_went_in(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    (record,) = staged(path, [replace(job("a"), tags=("x", "y"), stems=("a", "b"))])
    assert record.tags == ("x", "y")
    assert record.stems == ("a", "b")
    store = Store(path)
    after = live(store, record)
    store.close()
    assert records(path) == [after]
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM history").fetchone()[0] == 6
    db.close()
