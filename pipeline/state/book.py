"""The state file opened for reading: what a plan, a manifest, a gallery and a status ask of it.

Reads while a run writes: it sees everything committed before each question.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipeline.errors import StateError
from pipeline.lifecycle import RUNNING, Status, Step
from pipeline.model import Failure, Totals
from pipeline.state import rows
from pipeline.state.guard import check_size, check_version, translated
from pipeline.state.migrations import MIGRATIONS, migrate
from pipeline.state.store import replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import Any

    from pipeline.model import Record

_SPENT = (
    "sunk + coalesce(cost, CASE WHEN status IN ('completed', 'downloaded', 'expired')"
    " THEN estimate ELSE 0 END)"
)
_PAGE = 500
_LAST = 2**62
"""Comes after every image index."""


class Book:
    """Reads one state file. A file that is not there yet reads as an empty one."""

    def __init__(self, path: Path, *, page: int = _PAGE) -> None:
        """Open the file at `path`, to be read in pages of so many jobs.

        Raises `StateError` for a damaged, foreign or newer one.
        """
        self.path = path
        self._rows = page
        self._ahead: dict[str, list[Record]] = {}
        self._after = (-1, 0)
        self._read_all = False
        with translated(path):
            self._db = _open(path)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Inside, every question is answered as of the first one, whatever is written meanwhile."""
        with translated(self.path):
            self._db.execute("BEGIN")
        try:
            yield
        finally:
            with suppress(sqlite3.Error):  # it only read; what went wrong before is what counts
                self._db.execute("ROLLBACK")

    def _records(self, where: str, *values: Any) -> list[Record]:
        with translated(self.path):
            found = self._db.execute(
                f"SELECT {rows.SELECT} FROM jobs AS j {where}", values
            ).fetchall()
            return [rows.record(row) for row in found]

    # ── for a plan ──────────────────────────────────────────────────────────────────────────

    def of_entry(self, entry_id: str) -> list[Record]:
        """Return the jobs in force of an entry, by image index.

        Cheap when entries are asked for in the order of the last run: it reads ahead.
        """
        if entry_id not in self._ahead and len(self._ahead) < self._rows and not self._read_all:
            self._read_ahead()
        found = self._ahead.pop(entry_id, None)
        if found is None:
            found = self._records("WHERE entry_id = ? AND active ORDER BY image_index", entry_id)
        return found

    def _read_ahead(self) -> None:
        page = self._page(*self._after, self._rows)
        self._read_all = len(page) < self._rows
        whole = page
        if len(page) == self._rows:
            last = page[-1].entry_id
            whole = [one for one in page if one.entry_id != last]
        for one in whole:
            self._ahead.setdefault(one.entry_id, []).append(one)
        if whole:
            self._after = (whole[-1].position, whole[-1].image_index)
        elif page:  # an entry larger than a page: it is asked for by itself
            self._after = (page[-1].position, _LAST)

    def _page(self, position: int, image_index: int, limit: int) -> list[Record]:
        return self._records(
            "WHERE active AND (position, image_index) > (?, ?)"
            " ORDER BY position, image_index, number LIMIT ?",
            position,
            image_index,
            limit,
        )

    def with_fingerprint(self, fingerprint: str) -> list[Record]:
        """Return every job that ever asked for this picture, newest first."""
        return self._records("WHERE fingerprint = ? ORDER BY number DESC", fingerprint)

    def others(self, known: Callable[[int], bool]) -> Iterator[Record]:
        """Yield the jobs in force whose numbers are not `known`, in the order of the last run."""
        with translated(self.path):
            numbers = self._db.execute(
                "SELECT number FROM jobs WHERE active ORDER BY position, image_index"
            )
            for (number,) in numbers:
                if not known(number):
                    yield from self._records("WHERE number = ?", number)

    def highest(self) -> int:
        """Return the highest job number so far, 0 for none."""
        with translated(self.path):
            return int(self._db.execute("SELECT coalesce(max(number), 0) FROM jobs").fetchone()[0])

    # ── for an export ───────────────────────────────────────────────────────────────────────

    def active(self) -> Iterator[Record]:
        """Yield the jobs of the present spec in its order, paged, memory flat."""
        with translated(self.path):
            cursor = self._db.execute(
                f"SELECT {rows.SELECT} FROM jobs AS j WHERE active ORDER BY position, image_index"
            )
            while page := cursor.fetchmany(self._rows):
                yield from (rows.record(row) for row in page)

    def totals(self, *, selected: bool = False) -> Totals:
        """Count the jobs in force and their money; `selected`: only those of this run."""
        only = "AND number IN (SELECT number FROM selected)" if selected else ""
        counts: dict[Status, int] = {}
        images = reserved = to_pay = 0
        with translated(self.path):
            found = self._db.execute(
                "SELECT status, count(*), sum(images), sum(estimate) FROM jobs"
                f" WHERE active {only} GROUP BY status"
            ).fetchall()
            spent = self._db.execute(f"SELECT sum({_SPENT}) FROM jobs").fetchone()[0]
        for word, count, pictures, estimate in found:
            status = Status(word)
            counts[status] = count
            images += pictures if status is Status.DOWNLOADED else 0
            reserved += estimate if status in (Status.SUBMITTING, Status.SUBMITTED) else 0
            to_pay += estimate if status is Status.PENDING else 0
        return Totals(counts, images, rows.money(spent), rows.money(reserved), rows.money(to_pay))

    def failures(self, *, statuses: Iterable[Status], examples: int = 5) -> list[Failure]:
        """Group stopped jobs by cause, most frequent first, with a few of them by name."""
        words = list(statuses)
        marks = ", ".join("?" for _ in words)
        with translated(self.path):
            groups = self._db.execute(
                "SELECT status, error_type, error_message, count(*), min(position) FROM jobs"
                f" WHERE active AND status IN ({marks}) GROUP BY 1, 2, 3 ORDER BY 4 DESC, 5",
                words,
            ).fetchall()
            return [self._failure(group[:4], examples) for group in groups[:50]]

    def _failure(self, group: tuple[str, str, str, int], examples: int) -> Failure:
        status, kind, message, count = group
        few = self._db.execute(
            "SELECT entry_id, task_id FROM jobs WHERE active AND status = ? AND error_type = ?"
            " AND error_message = ? ORDER BY position, image_index LIMIT ?",
            (status, kind, message, examples),
        ).fetchall()
        return Failure(Status(status), kind, message, count, tuple((a, b) for a, b in few))

    def standing_at(self, statuses: Iterable[Status]) -> list[Record]:
        """Return the jobs in force that stand at one of `statuses`, in spec order."""
        words = list(statuses)
        marks = ", ".join("?" for _ in words)
        return self._records(
            f"WHERE active AND status IN ({marks}) ORDER BY position, image_index", *words
        )

    # ── for a run ───────────────────────────────────────────────────────────────────────────

    def work(self) -> Iterator[Record]:
        """Yield the selected jobs with something left to do: those under way first, then new ones.

        Paged by job number, so that a run of any size needs the memory of a page.
        """
        for status in (Status.SUBMITTING, Status.SUBMITTED, Status.COMPLETED, Status.PENDING):
            yield from self._work(status)

    def _work(self, status: Status) -> Iterator[Record]:
        last = (-1, 0, 0)
        while page := self._records(
            "JOIN selected USING (number) WHERE active AND status = ?"
            " AND (position, image_index, number) > (?, ?, ?)"
            " ORDER BY position, image_index, number LIMIT ?",
            status,
            *last,
            self._rows,
        ):
            yield from page
            last = (page[-1].position, page[-1].image_index, page[-1].number)

    def todo(self) -> int:
        """Count the selected jobs with something left to do."""
        words = [*RUNNING, Status.PENDING]
        marks = ", ".join("?" for _ in words)
        with translated(self.path):
            row = self._db.execute(
                "SELECT count(*) FROM jobs JOIN selected USING (number)"
                f" WHERE active AND status IN ({marks})",
                words,
            ).fetchone()
        return int(row[0])

    def pace(self) -> tuple[int, float]:
        """Return how many jobs past runs finished and in how many seconds of running."""
        with translated(self.path):
            row = self._db.execute(
                "SELECT coalesce(sum(finished), 0), coalesce(sum(ended_at - started_at), 0)"
                " FROM runs WHERE ended_at > 0 AND finished > 0"
            ).fetchone()
        return int(row[0]), float(row[1])

    def recent(self, now: float, within: float = 60.0) -> tuple[int, float]:
        """Return how many images came in the last seconds, and in how many seconds."""
        with translated(self.path):
            row = self._db.execute(
                "SELECT count(*), min(at) FROM history WHERE at > ? AND step = ? AND sequence >"
                " (SELECT max(sequence) FROM history) - 100000",
                (now - within, Step.DOWNLOAD),
            ).fetchone()
        return int(row[0]), now - row[1] if row[0] else 0.0

    def edition(self) -> str:
        """Return what tells one state of the jobs from every other one.

        With the fact `PUBLISHED`, which goes when a job's place or tags change, it says whether
        a manifest still tells the present.
        """
        with translated(self.path):
            row = self._db.execute("SELECT coalesce(max(sequence), 0) FROM history").fetchone()
        return str(row[0])

    def fact(self, name: str) -> str:
        """Return a fact kept under `name`, `""` when there is none."""
        with translated(self.path):
            row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def upload(self, sha256: str, host: str, now: float) -> str:
        """Return the url under which `host` holds a reference for some time yet, or `""`."""
        row = self._db.execute(
            "SELECT url FROM uploads WHERE sha256 = ? AND host = ? AND expires_at > ?",
            (sha256, host, now),
        ).fetchone()
        return str(row[0]) if row else ""

    def blob(self, sha256: str) -> bytes | None:
        """Return the contents of an inlined reference that a request under way was made with."""
        row = self._db.execute("SELECT data FROM blobs WHERE sha256 = ?", (sha256,)).fetchone()
        return bytes(row[0]) if row else None

    # ── for a doctor ────────────────────────────────────────────────────────────────────────

    def check(self) -> list[str]:
        """Return what is wrong with the file: SQLite's own check, and the history told again."""
        with translated(self.path):
            said = [row[0] for row in self._db.execute("PRAGMA integrity_check")]
            wrong = [line for line in said if line != "ok"]
            try:
                told = replay(self._db)
            except StateError as error:
                return [*wrong, error.summary]
            return wrong + list(self._untold(told))

    def _untold(self, told: dict[int, dict[str, Any]]) -> Iterator[str]:
        """Say where a job is not what its history made it, in any column the history tells."""
        for row in self._db.execute(f"SELECT {rows.SELECT} FROM jobs AS j ORDER BY number"):
            now = dict(zip(rows.COLUMNS, row, strict=True))
            for name, value in told.get(now["number"], {"status": None}).items():
                if now[name] != value:
                    yield (
                        f"job {now['number']}: {name} is {now[name]!r},"
                        f" but its history says {value!r}"
                    )

    def history(self, number: int) -> list[tuple[float, str, str]]:
        """Return what happened to a job: seconds since 1970, the step, its details as JSON."""
        with translated(self.path):
            return self._db.execute(
                "SELECT at, step, detail FROM history WHERE job = ? ORDER BY sequence", (number,)
            ).fetchall()


def _open(path: Path) -> sqlite3.Connection:
    if path.is_file():
        check_size(path)
        db = sqlite3.connect(
            _address(path), uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA busy_timeout = 10000")
            check_version(db, path)
            if db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS):
                return db
        except BaseException:
            db.close()
            raise
        return _migrated_copy(db)
    return _migrated_copy(
        sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    )


def _address(path: Path) -> str:
    """Return how to open a file for reading, also in a folder where nothing can be written."""
    log = path.with_name(f"{path.name}-wal")
    settled = not log.exists() or log.stat().st_size == 0
    still = settled and not os.access(path.parent, os.W_OK)
    return f"file:{quote(str(path))}?{'immutable=1' if still else 'mode=ro'}"


def _migrated_copy(db: sqlite3.Connection) -> sqlite3.Connection:
    """Return an older file (or an empty one) as it would look now; the file is not changed."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    db.backup(copy)
    db.close()
    migrate(copy)
    return copy
