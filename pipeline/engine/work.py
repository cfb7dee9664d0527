"""The jobs of one run: handed out in bounded numbers, passed from lane to lane, counted.

A job holds a *slot* while the API may be running its task (`--concurrency` of them) and *room*
until this run is done with it, so that memory is bounded by the slots and never by the spec.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from pipeline.lifecycle import Status
from pipeline.planning import Bits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from pipeline.brake import Brake
    from pipeline.engine.bell import Bell
    from pipeline.engine.budget import Budget
    from pipeline.errors import Trouble
    from pipeline.model import Record

_HEADROOM = 64
"""Jobs that may wait for their download, beyond the slots, before new ones are handed out."""


class Lane:
    """A bounded set of workers over one queue of jobs."""

    def __init__(
        self, workers: int, work: Callable[[Record], Awaitable[None]], brake: Brake
    ) -> None:
        """Have `workers` coroutines do `work` on whatever is put in."""
        self._workers = workers
        self._work = work
        self._brake = brake
        self._queue: asyncio.Queue[Record] = asyncio.Queue()
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []

    def put(self, record: Record) -> None:
        """Hand a job in."""
        self._queue.put_nowait(record)

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start the workers inside `group`."""
        self._tasks = [group.create_task(self._run()) for _ in range(self._workers)]

    async def stop(self, grace: float | None = None) -> None:
        """Return once no worker is in the middle of a job; jobs still queued stay as they are.

        With `grace`, workers are given up after so many seconds: for work that costs nothing to
        do again.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace)
        for task in self._tasks:
            task.cancel()

    async def _run(self) -> None:
        while True:
            record = await self._queue.get()
            if self._brake.pulled:
                continue
            self._busy += 1
            self._idle.clear()
            try:
                await self._work(record)
            finally:
                self._busy -= 1
                if not self._busy:
                    self._idle.set()


class Work:
    """Hands jobs out and knows when the run is over.

    `left` counts the jobs that this run gave up on but a later one can go on with.
    """

    def __init__(
        self, concurrency: int, highest: int, brake: Brake, bell: Bell, budget: Budget
    ) -> None:
        """Let at most `concurrency` tasks run at once; job numbers go up to `highest`."""
        self._budget = budget
        self._brake = brake
        self._bell = bell
        self._slots = asyncio.Semaphore(concurrency)
        self._room = asyncio.Semaphore(concurrency + _HEADROOM)
        self._holding: set[int] = set()
        self._given = Bits(highest)
        self._open = 0
        self._exhausted = False
        self._lanes: dict[Status, Callable[[Record], None]] = {}
        self.done = asyncio.Event()
        self.left = 0
        self.closed: Trouble | None = None

    def close(self, cause: Trouble) -> None:
        """Start nothing new, because of `cause`; what is under way goes on to its end."""
        self.closed = self.closed or cause

    def lead(self, status: Status, lane: Callable[[Record], None]) -> None:
        """Lead every job that stands at `status` to `lane`."""
        self._lanes[status] = lane

    def route(self, record: Record) -> None:
        """Hand a job on to the lane that its status wants, or leave it when no lane does."""
        if record.status in (Status.COMPLETED, Status.FAILED, Status.HELD):
            self.free(record)
        lane = self._lanes.get(record.status)
        if lane is None:
            self.settle(record)
        else:
            lane(record)

    def free(self, record: Record) -> None:
        """Give a job's slot back: its task no longer runs."""
        if record.number in self._holding:
            self._holding.discard(record.number)
            self._slots.release()

    def settle(self, record: Record, *, left: bool = False) -> None:
        """This run is done with the job; `left` when a later one can go on with it.

        Money still set aside for it counts as spent, or others would wait for it for ever.
        """
        self._budget.settle(record.number, None, record.estimate)
        self.free(record)
        self._bell.forget(record.number)
        self.left += left
        self._open -= 1
        self._room.release()
        self._check()

    async def dispatch(self, feed: Iterable[Record]) -> None:
        """Hand out every job of the feed, as fast as slots and room come free."""
        for record in feed:
            if record.number in self._given or record.status not in self._lanes:
                continue
            self._given.add(record.number)
            await self._room.acquire()
            if record.status is not Status.COMPLETED:
                await self._slots.acquire()
                self._holding.add(record.number)
            if self._brake.pulled:
                return
            if self.closed is not None and record.status is Status.PENDING:
                break
            self._open += 1
            self.route(record)
        self._exhausted = True
        self._check()

    def _check(self) -> None:
        if self._exhausted and not self._open:
            self.done.set()
