"""One small scheduler for all looks at tasks, instead of a waiting coroutine for each."""

from __future__ import annotations

import asyncio
import heapq
from typing import TYPE_CHECKING, Protocol

from pipeline import schema
from pipeline.api import Phase
from pipeline.brake import Halted
from pipeline.errors import AccountError, ApiError, Refused, UnknownTask
from pipeline.lifecycle import Step
from pipeline.model import Image
from pipeline.money import NOTHING, display, parse
from pipeline.state.store import fresh_attempt

if TYPE_CHECKING:
    from pipeline.api import Task
    from pipeline.engine.bell import Bell
    from pipeline.engine.desk import Desk
    from pipeline.engine.work import Lane
    from pipeline.model import Record
    from pipeline.money import Money


_SETTLING = 60.0
"""Seconds in which a part of the API may not yet know a task that another part accepted."""


_ABSURD = 100
_DEAREST = parse("1")
"""A cost of more than a hundred times the estimate, and a hundred dollars, is not believed."""


class Timing(Protocol):
    """When to look: learned from the model's own tasks."""

    def first(self, model: str) -> float:
        """Return the seconds to wait after a task was submitted."""
        ...

    def nearly_all(self, model: str) -> float:
        """Return the seconds within which nearly all tasks were done, 0 when none is known."""
        ...

    def next(self, model: str, elapsed: float, task: Task) -> float:
        """Return the seconds to wait after a look that found the task running."""
        ...

    def learn(self, model: str, seconds: float, task: Task) -> None:
        """Remember how long a task took that was seen to be done `seconds` after its submit."""
        ...


class Watch:
    """Looks at submitted tasks when they are due, and hands on those that have finished."""

    def __init__(self, desk: Desk, timing: Timing, task_retries: int, bell: Bell) -> None:
        """Look at what is on the desk; a failed task is tried again `task_retries` times."""
        self._bell = bell
        self._grace: float = schema.api("looks", "callback_grace_seconds")
        self._watched: dict[int, Record] = {}
        self._by_ring: set[int] = set()
        bell.hear(self._hurry)
        self._desk = desk
        self._journal = desk.journal
        self._budget = desk.budget
        self._work = desk.work
        self._timing = timing
        self._task_retries = task_retries
        self._due: list[tuple[float, int, Record]] = []
        self._news = asyncio.Event()
        self._lane: Lane | None = None

    def feed(self, lane: Lane) -> None:
        """Give due jobs to `lane`, whose workers call `look`."""
        self._lane = lane

    def add(self, record: Record) -> None:
        """Watch a submitted job from now on."""
        if not self._desk.owns(record):
            self._journal.note(
                "warning",
                f"{record.entry_id} (task {record.task_id}) belongs to another key or host;"
                " run with those to collect it",
            )
            self._work.settle(record, left=True)
            return
        self._bell.expect(record.number)
        elapsed = self._journal.now() - record.submitted_at
        self._later(record, max(0.0, self._timing.first(record.model) - elapsed))

    def _later(self, record: Record, delay: float) -> None:
        """Look after `delay` seconds, or at once when a callback has come; later when one may."""
        if self._bell.answered(record.number):
            self._by_ring.add(record.number)
            delay = 0.0
        elif self._bell.trusted and not record.webhook:
            delay += self._grace
        if delay <= 0 and self._lane is not None:
            self._lane.put(record)
            return
        self._watched[record.number] = record
        heapq.heappush(self._due, (self._desk.clock.monotonic() + delay, record.number, record))
        if self._due[0][1] == record.number:
            self._news.set()

    def _spared(self, record: Record) -> float:
        """Return the seconds for which a due look is not needed: its callback is likely to come."""
        elapsed = self._journal.now() - record.submitted_at
        if record.webhook or not self._bell.proven or elapsed < 0:
            return 0.0
        return self._timing.nearly_all(record.model) + self._grace - elapsed

    def _hurry(self, number: int) -> None:
        """A callback has come: look at once, unless a look is under way already."""
        record = self._watched.pop(number, None)
        if record is not None and self._lane is not None and self._bell.answered(number):
            self._by_ring.add(number)
            self._lane.put(record)

    async def run(self) -> None:
        """Hand jobs to the lane as they fall due, for ever."""
        while True:
            self._news.clear()
            now = self._desk.clock.monotonic()
            while self._due and self._due[0][0] <= now:
                _, _, record = heapq.heappop(self._due)
                if self._lane is None or self._watched.get(record.number) is not record:
                    continue
                if (spared := self._spared(record)) > 0:
                    heapq.heappush(self._due, (now + spared, record.number, record))
                    continue
                del self._watched[record.number]
                self._lane.put(record)
            if not self._due:
                await self._news.wait()
                continue
            sleeper = asyncio.ensure_future(self._desk.clock.sleep(self._due[0][0] - now))
            waker = asyncio.ensure_future(self._news.wait())
            try:
                await asyncio.wait({sleeper, waker}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeper.cancel()
                waker.cancel()

    async def look(self, record: Record) -> None:
        """Ask for one task and act on the answer."""
        try:
            task = await self._desk.api.look(record.task_id)
        except Halted:
            self._work.settle(record, left=True)
        except UnknownTask as error:
            self._unknown(record, error)
        except AccountError as error:
            self._desk.brake.pull(error)
            self._work.settle(record, left=True)
        except ApiError as error:
            if self._desk.weary(error):
                self._work.settle(record, left=True)
            elif isinstance(error, Refused):
                self._journal.note(
                    "warning", f"{record.entry_id} (task {record.task_id}): {error.summary}"
                )
                self._work.settle(record, left=True)
            else:
                self._later(record, self._wait(record, None))
        else:
            self._act(record, task)

    def _unknown(self, record: Record, error: UnknownTask) -> None:
        """Hold a job whose task the API denies, unless it may only not know it yet."""
        if 0 <= self._journal.now() - record.submitted_at < _SETTLING:
            self._later(record, 2.0)
            return
        self._budget.settle(record.number, None, record.estimate)
        record = self._journal.post(
            record, Step.LOSE, error_type="unknown_task", error_message=error.summary
        )
        self._work.route(self._desk.again(record))

    def _wait(self, record: Record, task: Task | None) -> float:
        elapsed = self._journal.now() - record.submitted_at
        if task is None:
            return max(1.0, self._timing.first(record.model))
        return self._timing.next(record.model, elapsed, task)

    def _act(self, record: Record, task: Task) -> None:
        rung = record.number in self._by_ring
        self._by_ring.discard(record.number)
        if task.phase is Phase.RUNNING:
            self._later(record, self._wait(record, task))
            return
        if not record.webhook:  # else the callback is the user's own service's, not ours
            self._bell.count(rung=rung)
        if task.phase is Phase.FAILED:
            self._failed(record, task)
        else:
            self._completed(record, task)

    def _credible(self, record: Record, cost: Money | None) -> Money | None:
        """Return what a task says it cost, None when that cannot be: then the estimate counts."""
        if cost is None or cost <= max(record.estimate, _DEAREST) * _ABSURD:
            return cost
        self._journal.note(
            "warning",
            f"{record.entry_id} (task {record.task_id}) is told to have cost {display(cost)}; the"
            " estimate is counted instead: look at the account's own bill",
        )
        return None

    def _completed(self, record: Record, task: Task) -> None:
        now, cost = self._journal.now(), self._credible(record, task.cost)
        self._timing.learn(record.model, max(now - record.submitted_at, 0.0), task)
        # A finished task that cost nothing may be one whose cost is told later.
        self._budget.settle(record.number, task.cost or None, record.estimate)
        self._work.route(
            self._journal.post(
                record,
                Step.COMPLETE,
                cost=cost,
                completed_at=now,
                results=images(task),
                error_type="",
                error_message="",
            )
        )

    def _failed(self, record: Record, task: Task) -> None:
        cost = NOTHING if task.cost is None else task.cost
        self._budget.settle(record.number, cost, record.estimate)
        once_more = record.retries < self._task_retries and not self._desk.brake.pulled
        record = self._journal.post(
            record,
            Step.FAIL,
            again=once_more,
            cost=cost,
            completed_at=self._journal.now(),
            error_type=task.error_type or "task_failed",
            error_message=task.error_message or "the task failed; the API gave no reason",
        )
        if once_more:
            again = fresh_attempt(record, self._journal.now(), by_itself=True)
            self._journal.put(again)
            record = again.after
        self._work.route(record)


def images(task: Task) -> tuple[Image, ...]:
    """Return a finished task's images as the state file keeps them, before their download."""
    return tuple(
        Image(index, result.url, result.expires_at) for index, result in enumerate(task.results, 1)
    )
