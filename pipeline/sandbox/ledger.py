"""The sandbox's book: what it accepted, billed and holds, and whether a key ever leaked.

Optionally kept in a file of JSON lines, each written before the answer leaves, so that a sandbox
killed at any moment and started again on the same file knows its tasks, keys and uploads.
"""

from __future__ import annotations

import heapq
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import DiskError, InputError
from pipeline.money import Money
from pipeline.sandbox.tasks import Task, from_line, to_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.clock import Clock

REQUESTS = ("submit", "task", "upload", "balance", "file", "refused_429", "leaked_keys")


@dataclass(frozen=True, slots=True)
class Entry:
    """One accepted task as it stands: `billed` in `Money`, 0 once it failed (refunded).

    `outcome` is `submitted`, `processing`, `completed` or `failed`; `key` the Idempotency-Key.
    """

    task_id: str
    key: str
    body: Mapping[str, Any]
    accepted_at: float
    finished_at: float
    billed: Money
    outcome: str
    images: int
    delivered: int


@dataclass(frozen=True, slots=True)
class Upload:
    """One uploaded picture, served under `/uploads/<name>` for its lifetime."""

    name: str
    filename: str
    content_type: str
    bytes: int
    created_at: float


class Ledger:
    """Everything the sandbox accepted, in order. `requests` counts every request received.

    `requests["submit"]` counts refused ones too; `refused_429` counts refusals for the rate or
    the number of running tasks, `leaked_keys` requests to a file that carried a key.
    """

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        """Open the book, reading what `path` holds. Raises `InputError` if that is no ledger."""
        self.requests: Counter[str] = Counter()
        self.callbacks: Counter[str] = Counter()
        self.leaks: list[str] = []
        self._clock = clock
        self._tasks: dict[str, Task] = {}
        self._by_key: dict[str, Task] = {}
        self._unsettled: list[tuple[float, int, Money]] = []
        self._charged = 0
        self._uploads: dict[str, Upload] = {}
        self._bytes: dict[str, bytes] = {}
        self._file: int | None = None
        self._folder: Path | None = None
        if path is not None:
            self._open(path)

    # ── tasks ───────────────────────────────────────────────────────────────────────────────

    def accept(self, task: Task) -> None:
        """Write the task down, first on disk; from then on it exists and is charged."""
        self._append({"task": to_line(task)})
        self._know(task)

    def task(self, task_id: str) -> Task | None:
        """Return the task of that id."""
        return self._tasks.get(task_id)

    def by_key(self, key: str) -> Task | None:
        """Return the last task accepted under that Idempotency-Key."""
        return self._by_key.get(key)

    def tasks(self) -> list[Task]:
        """Return every accepted task, oldest first."""
        return list(self._tasks.values())

    @property
    def count(self) -> int:
        """How many tasks were ever accepted."""
        return len(self._tasks)

    @property
    def running(self) -> int:
        """How many tasks are not finished now."""
        self._settle()
        return len(self._unsettled)

    @property
    def billed(self) -> Money:
        """What all tasks together cost the account now."""
        self._settle()
        return Money(self._charged)

    @property
    def entries(self) -> list[Entry]:
        """Every accepted task as it stands now, oldest first."""
        now = self._clock.now()
        return [
            Entry(
                task_id=task.id,
                key=task.key,
                body=task.body,
                accepted_at=task.accepted_at,
                finished_at=task.finished_at,
                billed=task.billed(now),
                outcome=task.outcome(now),
                images=task.images,
                delivered=task.delivered,
            )
            for task in self._tasks.values()
        ]

    def report(self) -> dict[str, Any]:
        """Return the whole book as plain data: what `GET /_sandbox/ledger` answers."""
        return {
            "tasks": [asdict(entry) for entry in self.entries],
            "billed": self.billed,
            "requests": {name: self.requests[name] for name in REQUESTS},
            "callbacks": dict(self.callbacks),
            "leaks": self.leaks,
        }

    # ── uploads and leaks ───────────────────────────────────────────────────────────────────

    def keep(self, upload: Upload, contents: bytes) -> None:
        """Hold an uploaded picture: its bytes first, then the line that names them."""
        if self._folder is None:
            self._bytes[upload.name] = contents
        else:
            try:
                self._folder.mkdir(exist_ok=True)
                (self._folder / upload.name).write_bytes(contents)
            except OSError as error:
                raise DiskError(f"the sandbox cannot keep an upload: {error}") from error
        self._append({"upload": asdict(upload)})
        self._uploads[upload.name] = upload

    def upload(self, name: str) -> Upload | None:
        """Return the upload of that name, expired or not."""
        return self._uploads.get(name)

    @property
    def uploads(self) -> list[Upload]:
        """Every upload, oldest first."""
        return list(self._uploads.values())

    def contents(self, upload: Upload) -> bytes:
        """Return an upload's bytes; none when they were removed from under the sandbox."""
        if self._folder is None:
            return self._bytes[upload.name]
        try:
            return (self._folder / upload.name).read_bytes()
        except OSError:
            return b""

    def leak(self, path: str) -> None:
        """Record that a request for the file `path` carried a key, which it never should."""
        self.requests["leaked_keys"] += 1
        self.leaks.append(path)
        self._append({"leak": path})

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # ── inside ──────────────────────────────────────────────────────────────────────────────

    def _know(self, task: Task) -> None:
        self._tasks[task.id] = task
        if task.key:
            self._by_key[task.key] = task
        self._charged += task.reserved
        refund = Money(task.reserved - task.cost)
        heapq.heappush(self._unsettled, (task.finished_at, task.number, refund))

    def _settle(self) -> None:
        now = self._clock.now()
        while self._unsettled and self._unsettled[0][0] <= now:
            self._charged -= heapq.heappop(self._unsettled)[2]

    def _open(self, path: Path) -> None:
        self._folder = path.with_name(f"{path.name}.uploads")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            contents = path.read_bytes()
            # A line without its end was being written when the sandbox was killed: its answer
            # never left, so the request was never accepted.
            whole = contents[: contents.rfind(b"\n") + 1]
            os.ftruncate(self._file, len(whole))
        except OSError as error:
            raise InputError(f"the ledger {path} cannot be used: {error.strerror}") from error
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self._recall(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                self.close()
                raise InputError(
                    f"{path}:{number} is not a line of a sandbox ledger",
                    fix="Name another file, or move this one away.",
                ) from error

    def _recall(self, line: Mapping[str, Any]) -> None:
        if "task" in line:
            self._know(from_line(line["task"]))
        elif "upload" in line:
            upload = Upload(**line["upload"])
            self._uploads[upload.name] = upload
        else:
            self.leaks.append(str(line["leak"]))
            self.requests["leaked_keys"] += 1

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise DiskError(f"the sandbox cannot write its ledger: {error.strerror}") from error
