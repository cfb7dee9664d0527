"""An API that answers by a script and counts what it billed: no network, every answer possible."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine_rig import ESTIMATE, FastClock, Rig
from PIL import Image as Picture

from pipeline.api import Accepted, Balance, Download, Phase, Result, Task, Uploaded
from pipeline.errors import ApiError, Gone, KeyReused, UnknownTask
from pipeline.lifecycle import SUBMIT_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from pipeline.money import Money


def png(color: int = 0) -> bytes:
    """A small picture of its own for each number."""
    data = io.BytesIO()
    Picture.new("RGB", (8, 8), (color % 256, color // 256 % 256, 7)).save(data, "PNG")
    return data.getvalue()


@dataclass
class Paid:
    """One task that the API started and billed."""

    id: str
    key: str
    body: bytes
    looks: int = 0


@dataclass
class Script:
    """Implements `Api`. Each `on_…` may be replaced: it returns, or raises, what is answered.

    A submit whose error may have been executed was executed, the worst that can be: it is billed
    unless the same key was before, and the answer is lost.
    """

    clock: FastClock
    on_submit: Callable[[int, str], ApiError | None] = lambda n, key: None
    on_look: Callable[[Paid, Task], Task] = lambda paid, task: task
    on_upload: Callable[[int], None] = lambda n: None
    on_fetch: Callable[[int, str], bytes] = lambda n, url: png(hash(url))
    on_balance: Money | None = None
    cost: Money | None = ESTIMATE
    price: int = ESTIMATE
    images: int = 1
    tasks: list[Paid] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    uploads: list[bytes] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    async def submit(self, body: bytes, key: str) -> Accepted:
        self.calls["submit"] += 1
        self.sent.append((key, body))
        said = self.on_submit(self.calls["submit"], key)
        if said is not None and not SUBMIT_OUTCOMES[said.submit].maybe_paid:
            raise said
        known = next((one for one in self.tasks if one.key == key), None)
        if known is not None and known.body != body:
            raise KeyReused("another body under this key")
        if known is None:
            known = Paid(f"task_{len(self.tasks) + 1}", key, body)
            self.tasks.append(known)
        if said is not None:
            raise said
        return Accepted(known.id)

    async def look(self, task_id: str) -> Task:
        self.calls["look"] += 1
        paid = next((one for one in self.tasks if one.id == task_id), None)
        if paid is None:
            raise UnknownTask("no such task")
        paid.looks += 1
        results = tuple(Result(f"http://images/{task_id}/{n + 1}") for n in range(self.images))
        return self.on_look(paid, Task(task_id, Phase.COMPLETED, cost=self.cost, results=results))

    async def upload(self, path: Path, media_type: str) -> Uploaded:
        self.calls["upload"] += 1
        self.on_upload(self.calls["upload"])
        self.uploads.append(path.read_bytes())
        return Uploaded(f"http://uploads/{len(self.uploads)}", self.clock.now())

    async def balance(self) -> Balance:
        self.calls["balance"] += 1
        return Balance(self.on_balance, None)

    @asynccontextmanager
    async def fetch(self, url: str) -> AsyncIterator[Download]:
        self.calls["fetch"] += 1
        self.fetched.append(url)
        data = self.on_fetch(self.calls["fetch"], url)

        async def chunks() -> AsyncIterator[bytes]:
            yield data

        yield Download(len(data), chunks())

    async def close(self) -> None:
        self.calls["close"] += 1

    @property
    def keys(self) -> list[str]:
        """Every key that was sent, once, in the order of its first sending."""
        return list(dict.fromkeys(key for key, _ in self.sent))

    def requests(self) -> int:
        """How many requests reached it at all."""
        return sum(count for name, count in self.calls.items() if name != "close")


def gone(n: int, url: str) -> bytes:
    """No image is there any more."""
    raise Gone("gone")


def desk(folder: Path) -> tuple[Rig, Script]:
    """A rig without a server, and the script that answers it."""
    clock = FastClock()
    return Rig(folder / "out", None, clock), Script(clock)
