"""A whole run without the command line: real state file, real files, real HTTP to the sandbox.

Time jumps instead of passing, and a `Fuse` ends the run at its n-th side effect, the way a
`kill -9` would: nothing that comes after it has any effect.
"""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipeline import sandbox
from pipeline.brake import Brake
from pipeline.client import Client, Hosts
from pipeline.commands.staging import move, noting_agreed, noting_moves
from pipeline.download import Shelf
from pipeline.engine import Bell, Orders, Parts, drive
from pipeline.errors import Trouble
from pipeline.model import Entry, Job, Reference
from pipeline.planning import Choice, Comparison, select
from pipeline.porter import Hands
from pipeline.problem import Place
from pipeline.retry import Backoff, Careful, Looks, Manners, Pace, Patient
from pipeline.state import Book, Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from pipeline.api import Accepted, Api, Balance, Download, Source, Task, Uploaded
    from pipeline.events import Event
    from pipeline.lifecycle import Status
    from pipeline.model import Item, Record

ESTIMATE = 33_600_000
MODEL = "gemini-3.1-flash-lite-image"
TIMEOUTS = {"connect": 5, "read": 5, "write": 5, "pool": 5}


class FastClock:
    """A clock whose sleeps end at once and move it on by what was slept."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self.time = start

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += max(seconds, 0.0)
        await asyncio.sleep(0)


class Dead(BaseException):
    """The process was killed here."""


class Fuse:
    """Lets `length` side effects happen, and none after them. None burns for ever."""

    def __init__(self, length: int | None = None) -> None:
        self.length = length
        self.count = 0

    def __call__(self, _what: str) -> None:
        self.count += 1
        if self.length is not None and self.count > self.length:
            raise Dead


class Fused:
    """An `Api` that may be the end of the run, before a request leaves or after its answer."""

    def __init__(self, api: Api, source: Source, fuse: Fuse) -> None:
        self._api = api
        self._source = source
        self._fuse = fuse

    async def submit(self, body: bytes, key: str) -> Accepted:
        self._fuse("submit")
        accepted = await self._api.submit(body, key)
        self._fuse("submitted")
        return accepted

    async def look(self, task_id: str) -> Task:
        self._fuse("look")
        task = await self._api.look(task_id)
        self._fuse("looked")
        return task

    async def upload(self, path: Path, media_type: str) -> Uploaded:
        self._fuse("upload")
        uploaded = await self._api.upload(path, media_type)
        self._fuse("uploaded")
        return uploaded

    async def balance(self) -> Balance:
        return await self._api.balance()

    @asynccontextmanager
    async def fetch(self, url: str) -> AsyncIterator[Download]:
        self._fuse("fetch")
        async with self._source.fetch(url) as download:
            yield download

    async def close(self) -> None:
        await self._api.close()


def job(
    entry_id: str,
    prompt: str = "a cup",
    *,
    index: int = 1,
    position: int = 0,
    references: tuple[Reference, ...] = (),
    references_as: str = "upload",
    images: int = 1,
) -> Job:
    """A job as `entries` would make it, with a fingerprint that its picture determines."""
    request = {"model": MODEL, "n": images, "prompt": prompt, "resolution": "1K", "size": "1:1"}
    seal = f"{prompt}|{index}|{images}|{[one.identity for one in references]}"
    first = entry_id if index == 1 else f"{entry_id}-{index}"
    return Job(
        entry_id=entry_id,
        image_index=index,
        images=images,
        position=position,
        model=MODEL,
        prompt=prompt,
        size="1:1",
        request=json.dumps(request, sort_keys=True, separators=(",", ":")),
        references=references,
        references_as=references_as,
        webhook="",
        fingerprint=f"{random.Random(seal).getrandbits(256):064x}",
        stems=(first, *(f"{entry_id}-{index + n}" for n in range(1, images))),
        tags=(),
        estimate=ESTIMATE * images,
    )


def entries(*jobs: Job) -> list[Entry]:
    """Entries of one job each, in the order given."""
    return [
        Entry(one.entry_id, at, Place("spec.yaml"), one.tags, (replace(one, position=at),))
        for at, one in enumerate(jobs)
    ]


@contextmanager
def suppress_trouble(brake: Brake) -> Iterator[None]:
    """What stops a run is why it stopped, as `banana-batch run` has it."""
    try:
        yield
    except Trouble as error:
        brake.pull(error)


@dataclass
class Rig:
    """One output folder and one sandbox; `run` does what `banana-batch run` does in between."""

    folder: Path
    server: sandbox.Sandbox | None
    clock: FastClock
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    events: list[Event] = field(default_factory=list)
    host: str = ""
    key: str = "key-for-tests"
    agreed: set[int] = field(default_factory=set)
    spent: int = 0
    heed: Callable[[Event], None] = lambda event: None
    timing: Looks = field(default_factory=Looks)

    @property
    def state(self) -> Path:
        return self.folder / "state.sqlite"

    async def run(
        self,
        wanted: list[Entry],
        *,
        fuse: Fuse | None = None,
        choice: Choice | None = None,
        concurrency: int = 4,
        max_cost: int | None = None,
        task_retries: int = 1,
        wait: bool = True,
        download: bool = True,
        deadline: float | None = None,
        patience: float = 300.0,
        brake: Brake | None = None,
        api: Api | None = None,
        thorough: bool = False,
        check_balance: bool = False,
        to_pay: int = 0,
        bell: Bell | None = None,
    ) -> BaseException | str | None:
        """Plan and drive; returns what stopped the run. Raises `Dead` when the fuse burns down."""
        fuse = fuse or Fuse()
        brake = brake or Brake(self.clock)
        choice = choice or Choice()
        store = Store(self.state, witness=fuse)
        shelf = Shelf(self.folder, thorough=thorough, witness=fuse)
        client = api or self._client(concurrency)
        hosts = Hosts(timeouts=TIMEOUTS, connections=concurrency + 4, clock=self.clock, environ={})
        orders = Orders(
            host=self.host or "test",
            account=self.key,
            concurrency=concurrency,
            patience=patience,
            deadline=deadline,
            max_cost=max_cost,
            task_retries=task_retries,
            wait=wait,
            download=download,
            check_balance=check_balance,
            to_pay=to_pay,
        )
        book = None
        try:
            moves = self._stage(store, shelf, wanted, choice)
            move(moves, store, shelf, self.clock.now())
            shelf.sweep()
            book = Book(self.state)
            fused = Fused(client, api or hosts, fuse)
            parts = self._parts(fused, store, book, shelf, brake, bell or Bell())
            with suppress_trouble(brake):
                agreed = frozenset(self.agreed)
                self.spent = await drive(parts, replace(orders, agreed=agreed))
        finally:
            await client.close()
            await hosts.close()
            if book is not None:
                book.close()
            with suppress(Dead):
                store.close()
            shelf.close()
        return brake.cause

    def _client(self, concurrency: int) -> Client:
        return Client(
            self.server.url,
            self.key,
            timeouts=TIMEOUTS,
            connections=concurrency + 4,
            clock=self.clock,
            environ={},
        )

    def _parts(
        self, api: Fused, store: Store, book: Book, shelf: Shelf, brake: Brake, bell: Bell
    ) -> Parts:
        paces = [Pace(clock=self.clock, brake=brake, listener=self.tell) for _ in range(2)]
        backoff = Backoff(self.dice)
        manners = Manners(paces[0], backoff, self.clock, brake, self.tell)
        patient = Patient(api, manners)
        hands = Hands(api, shelf, self.clock, embed=False, sidecar=False)
        return Parts(
            api=patient,
            porter=Careful(hands, replace(manners, pace=paces[1])),
            store=store,
            book=book,
            shelf=shelf,
            clock=self.clock,
            brake=brake,
            emit=self.tell,
            timing=self.timing,
            delays=backoff.delay,
            quiet_for=lambda: self.clock.monotonic() - patient.last_answer,
            facts=lambda record, index: {},
            bell=bell,
        )

    def _stage(
        self, store: Store, shelf: Shelf, wanted: list[Entry], choice: Choice
    ) -> tuple[Item, ...]:
        book = Book(self.state)
        moves: list[Item] = []
        self.agreed = set[int]()
        try:
            with book.snapshot(), store.transaction():
                items = select(Comparison(book, choice, shelf.lost).items(wanted), choice)
                noted = noting_agreed(noting_moves(items, moves), self.agreed)
                store.stage(noted, self.clock.now())
        finally:
            book.close()
        return tuple(moves)

    def tell(self, event: Event) -> None:
        self.events.append(event)
        self.heed(event)

    def records(self) -> list[Record]:
        """Every job in force, in spec order."""
        book = Book(self.state)
        try:
            return list(book.active())
        finally:
            book.close()

    def statuses(self) -> list[Status]:
        return [one.status for one in self.records()]

    def sound(self) -> None:
        """The file is whole and its history tells the present."""
        book = Book(self.state)
        try:
            assert book.check() == []
        finally:
            book.close()

    def billed(self) -> int:
        """How many tasks the server has billed."""
        return sum(1 for one in self.server.ledger.entries if one.billed)

    def files(self) -> list[str]:
        """Every file below the output folder that is not the state."""
        return sorted(
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_file() and not path.name.startswith("state.sqlite")
        )


@asynccontextmanager
async def rig(
    folder: Path, *faults: str, seed: int = 1, start: float = 1_800_000_000.0
) -> AsyncIterator[Rig]:
    """A rig with a sandbox that has these faults."""
    clock = FastClock(start)
    told = sandbox.faults(["plain=true", *faults])
    async with sandbox.serve(told, clock=clock, dice=random.Random(seed)) as server:
        yield Rig(folder, server, clock)
