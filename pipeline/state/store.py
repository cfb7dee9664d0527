"""The state file opened for writing: staging a plan, and steps that only the table allows."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.errors import StateError
from pipeline.lifecycle import Status, Step, after
from pipeline.model import Action
from pipeline.money import NOTHING, Money
from pipeline.state import rows
from pipeline.state.guard import check_size, check_version, translated
from pipeline.state.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from pipeline.model import Item, Job, Record


PUBLISHED = "published"
"""The fact that names what the manifest was last written from; see `Book.edition`."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step of one job, ready to be written: the record before and after it."""

    before: Record
    after: Record
    step: Step
    at: float
    fields: tuple[str, ...]


def change(record: Record, step: Step, at: float, **fields: Any) -> Change:
    """Take `record` through `step`. Raises `ValueError` when the table of steps forbids it."""
    status = after(step, record.status)
    if status is None:
        raise ValueError(f"job {record.number} cannot {step} while it is {record.status}")
    return Change(record, rows.altered(record, status, fields), step, at, tuple(fields))


class Store:
    """The one writer of a state file. Not for use from two threads at once."""

    def __init__(self, path: Path, *, witness: Callable[[str], None] = lambda _: None) -> None:
        """Open or make the state file at `path`, and bring it to the present version.

        `witness` is told before and after each commit; a test may end the run there.
        Raises `StateError` for a file that is damaged, foreign or newer than this program, and
        `DiskError` when the disk does not allow it. Never overwrites a file it cannot read.
        """
        self.path = path
        self._witness = witness
        with translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                _make(path)
            check_size(path)
            os.close(os.open(path, os.O_RDWR))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise
        self.id = self.fact("id")

    def _prepare(self) -> None:
        check_version(self._db, self.path)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA busy_timeout = 10000")
        migrate(self._db)

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        with translated(self.path):
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is on disk when it ends, or nothing of it is."""
        with translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._witness("commit")
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        self._witness("committed")

    # ── steps ───────────────────────────────────────────────────────────────────────────────

    def write(self, changes: Sequence[Change]) -> None:
        """Write steps in one transaction. A job that is not where the step starts is a bug."""
        with self.transaction():
            for one in changes:
                self.step(one)

    def step(self, one: Change) -> None:
        """Write one step. Call it inside a transaction."""
        cells = {name: rows.cell(name, getattr(one.after, name)) for name in one.fields}
        updates = "".join(f', "{name}" = ?' for name in cells)
        done = self._db.execute(
            f"UPDATE jobs SET status = ?{updates} WHERE number = ? AND status = ?",
            (one.after.status, *cells.values(), one.before.number, one.before.status),
        )
        if done.rowcount != 1:
            raise RuntimeError(f"job {one.before.number} is not {one.before.status} on disk")
        self._remember(one.before.number, one.at, one.step, cells)

    def _remember(self, number: int, at: float, step: str, detail: dict[str, Any]) -> None:
        self._db.execute(
            "INSERT INTO history (job, at, step, detail) VALUES (?, ?, ?, ?)",
            (number, at, step, rows.dump(detail)),
        )

    def note(self, record: Record, at: float, what: str, **fields: Any) -> Record:
        """Write what is no step: a file that moved, say. Call it inside a transaction."""
        cells = {name: rows.cell(name, value) for name, value in fields.items()}
        self._set(record.number, cells)
        self._remember(record.number, at, what, cells)
        return replace(record, **fields)

    def _set(self, number: int, cells: dict[str, Any]) -> None:
        updates = ", ".join(f'"{name}" = ?' for name in cells)
        self._db.execute(
            f"UPDATE jobs SET {updates} WHERE number = ?",
            (*cells.values(), number),
        )

    # ── the plan ────────────────────────────────────────────────────────────────────────────

    def stage(self, items: Iterable[tuple[Item, bool]], at: float) -> None:
        """Make the record what the plan says. Each item comes with whether it is selected.

        Call it inside a transaction, so that a spec found wrong half-way changes nothing. The
        selected jobs are remembered until the next plan, for `Book.work`.
        """
        self._db.execute("DELETE FROM selected")
        for item, selected in items:
            number = self._stage(item, selected, at)
            if selected and item.job is not None:
                self._db.execute("INSERT OR IGNORE INTO selected VALUES (?)", (number,))

    def _stage(self, item: Item, selected: bool, at: float) -> int:
        job, record = item.job, item.record
        if item.action in (Action.NEW, Action.CHANGED) or (
            selected and item.action is Action.FORCED
        ):
            if record is not None:
                self.note(record, at, "retire", active=0)
            return self._add(job, at)  # type: ignore[arg-type]  # these actions have a job
        if record is None:
            raise RuntimeError(f"a plan that says {item.action} of no record")
        if job is None:
            self.note(record, at, "remove", active=0)
            return record.number
        self._refresh(job, record, at)
        if selected and item.action is Action.FETCH:
            self.step(change(record, Step.MISS, at))
        elif selected and rechecked(item):
            self.step(change(record, Step.RECHECK, at))
        elif selected and item.action is Action.RETRY:
            self.step(fresh_attempt(record, at))
        return record.number

    def _add(self, job: Job, at: float) -> int:
        cells = rows.asked(job)
        names = ", ".join(f'"{name}"' for name in cells)
        marks = ", ".join("?" for _ in cells)
        done = self._db.execute(
            f"INSERT INTO jobs ({names}, status) VALUES ({marks}, ?)",
            (*cells.values(), Status.PENDING),
        )
        number = int(done.lastrowid or 0)
        self._remember(number, at, Step.ADD, {})
        return number

    def _refresh(self, job: Job, record: Record, at: float) -> None:
        """Bring what the spec says of a known job up to date, where it says something else."""
        if _same(job, record):
            return
        cells = rows.asked(job)
        self._set(record.number, {**cells, "active": 1})
        self._db.execute("DELETE FROM facts WHERE name = ?", (PUBLISHED,))
        known = (record.entry_id, record.image_index, record.active)
        if known != (job.entry_id, job.image_index, True):
            told = {"entry_id": job.entry_id, "image_index": job.image_index, "active": 1}
            what = Action.RENAMED if record.active else Action.RESTORED
            self._remember(record.number, at, what, told)

    # ── small tables ────────────────────────────────────────────────────────────────────────

    def fact(self, name: str) -> str:
        """Return a fact kept under `name`, `""` when there is none."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def keep_fact(self, name: str, value: str) -> None:
        """Keep a fact; a new value replaces the old one."""
        with translated(self.path):
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def keep_upload(self, sha256: str, host: str, url: str, expires_at: float) -> None:
        """Remember that `host` holds a reference at `url` until `expires_at`."""
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?)",
                (sha256, host, url, expires_at),
            )

    def keep_blob(self, sha256: str, data: bytes) -> None:
        """Keep an inlined reference as it is now, so that the same body can go out again."""
        with self.transaction():
            self._db.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (sha256, data))

    def drop_blobs(self) -> None:
        """Let go of inlined references once no request that holds them may go out again."""
        with self.transaction():
            self._db.execute(
                "DELETE FROM blobs WHERE NOT EXISTS"
                " (SELECT 1 FROM jobs WHERE status = ? AND extras <> '')",
                (Status.SUBMITTING,),
            )

    def begin_run(self, at: float, host: str, version: str) -> int:
        """Note that a run starts; returns its number."""
        with translated(self.path):
            done = self._db.execute(
                "INSERT INTO runs (started_at, host, version) VALUES (?, ?, ?)", (at, host, version)
            )
            return int(done.lastrowid or 0)

    def end_run(self, number: int, at: float, code: int, reason: str, finished: int) -> None:
        """Note how a run ended, and how many jobs it finished."""
        with translated(self.path):
            self._db.execute(
                "UPDATE runs SET ended_at = ?, exit = ?, reason = ?, finished = ? WHERE number = ?",
                (at, code, reason, finished, number),
            )


def rechecked(item: Item) -> bool:
    """Whether a job that is to be tried again may have been paid for, so that its task is asked
    once more first."""
    record = item.record
    return (
        item.action is Action.RETRY
        and record is not None
        and record.status in (Status.HELD, Status.EXPIRED)
        and record.task_id != ""
    )


def fresh_attempt(record: Record, at: float, *, by_itself: bool = False) -> Change:
    """Start a stopped job again with a new key; what it cost so far stays counted.

    An expired job was paid: while nobody told its cost, that is its estimate.
    """
    paid = record.cost
    if paid is None:
        paid = record.estimate if record.status is Status.EXPIRED else NOTHING
    return change(
        record,
        Step.RETRY,
        at,
        retries=record.retries + 1 if by_itself else 0,
        key="",
        extras="",
        host="",
        account="",
        task_id="",
        cost=None,
        sunk=Money(record.sunk + paid),
        error_type="",
        error_message="",
        intended_at=0.0,
        submitted_at=0.0,
        completed_at=0.0,
        results=(),
    )


def _same(job: Job, record: Record) -> bool:
    return (
        record.active
        and job.entry_id == record.entry_id
        and job.image_index == record.image_index
        and job.position == record.position
        and job.tags == record.tags
        and job.stems == record.stems
        and job.estimate == record.estimate
        and job.references == record.references
        and job.references_as == record.references_as
        and job.webhook == record.webhook
    )


def _make(path: Path) -> None:
    """Make a new state file, whole from its first moment: an empty one means that one was lost."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists():  # of a file that was moved away; it must not be read into the new one
        log.replace(path.with_name(f"{log.name}.kept"))
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    db = sqlite3.connect(new, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = MEMORY")  # what dies half-made is made anew
        migrate(db)
        db.execute("INSERT INTO facts (name, value) VALUES ('id', ?)", (secrets.token_hex(8),))
    finally:
        db.close()
    new.replace(path)


_STEPS: frozenset[str] = frozenset(Step)


def replay(db: sqlite3.Connection) -> dict[int, dict[str, Any]]:
    """Tell every job's life again from the history alone: number to status and told fields.

    What comes out equals the table `jobs` as long as every change went through this room.
    """
    told: dict[int, dict[str, Any]] = {}
    for number, step, detail in db.execute(
        "SELECT job, step, detail FROM history ORDER BY sequence"
    ):
        job = told.setdefault(number, {"status": None})
        status = after(Step(step), job["status"]) if step in _STEPS else job["status"]
        if status is None:
            raise StateError(f"history: job {number} cannot {step} while it is {job['status']}")
        job.update(json.loads(detail) if detail else {}, status=status)
    return told
