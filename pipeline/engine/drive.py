"""One run, put together: the lanes, what ends it, and how it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.brake import Halted
from pipeline.engine.budget import Budget
from pipeline.engine.desk import Desk
from pipeline.engine.fetches import Fetches
from pipeline.engine.journal import Journal
from pipeline.engine.references import References
from pipeline.engine.submits import Submits
from pipeline.engine.watch import Watch
from pipeline.engine.work import Lane, Work
from pipeline.errors import ApiError, BalanceEmpty, Exit, Trouble
from pipeline.lifecycle import Status
from pipeline.money import NOTHING, Money, display
from pipeline.state import Scribe

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.api import Api, Porter
    from pipeline.brake import Brake
    from pipeline.clock import Clock
    from pipeline.download import Shelf
    from pipeline.engine.bell import Bell
    from pipeline.engine.fetches import Facts
    from pipeline.engine.watch import Timing
    from pipeline.events import Listener
    from pipeline.state import Book, Store

_FETCHERS = 64
"""Downloads at once, at most; each holds a few megabytes."""


_GRACE = 8.0
"""Seconds that a stopping run leaves to downloads under way: an image that drips in must not keep
it from ending before whoever stopped it kills it. It is fetched by the next run, for free."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What this run is to do, and within which bounds. Times are seconds.

    `host` and `account` say whose tasks it may collect; `to_pay` is the plan's estimate;
    `agreed` numbers the jobs that may be paid for again when their task gives nothing.
    """

    host: str
    account: str
    concurrency: int
    patience: float
    deadline: float | None
    max_cost: Money | None
    task_retries: int
    wait: bool
    download: bool
    check_balance: bool
    to_pay: Money
    agreed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run works with.

    `porter` brings images home; `shelf` is where they are. `quiet_for` says how many seconds ago
    the API last answered anything at all. `facts` gives what is written into and beside an image;
    `bell` is rung by our own callback receiver.
    """

    api: Api
    porter: Porter
    store: Store
    book: Book
    shelf: Shelf
    clock: Clock
    brake: Brake
    emit: Listener
    timing: Timing
    delays: Callable[[int], float]
    quiet_for: Callable[[], float]
    facts: Facts
    bell: Bell


class OutOfReach(Trouble):
    """The API did not answer for as long as the run's patience lasts."""

    exit = Exit.UNFINISHED


class DeadlineReached(Trouble):
    """The run's time is over."""

    exit = Exit.UNFINISHED


async def drive(parts: Parts, orders: Orders) -> Money:
    """Work on every selected job until all are done or the brake is pulled.

    Returns the money spent. When it returns, everything that happened is on disk, no request is
    under way, and `parts.brake.cause` says why it stopped early, if it did. Raises `DiskError` or
    `StateError` when the state file could not be written, and any bug as it is.
    """
    scribe = Scribe(parts.store, parts.clock, failed=parts.brake.pull)
    try:
        if orders.check_balance:
            await _check_balance(parts, orders)
        run = _Run(parts, orders, Journal(scribe, parts.store, parts.clock, parts.emit))
        await run.go()
        await scribe.call(parts.store.drop_blobs)
    except Halted:
        return NOTHING
    finally:
        await scribe.close()
    return run.budget.spent


async def _check_balance(parts: Parts, orders: Orders) -> None:
    balance = await parts.api.balance()
    if balance.remaining is not None and balance.remaining < orders.to_pay:
        raise BalanceEmpty(
            f"the account holds {display(balance.remaining)}, and this run may cost"
            f" {display(orders.to_pay)}",
            why="You asked for a check of the balance before anything is sent.",
            fix="Top the account up, or run less at a time with --limit or --max-cost.",
        )


class _Run:
    """The lanes of one run and what connects them."""

    def __init__(self, parts: Parts, orders: Orders, journal: Journal) -> None:
        self._parts = parts
        self._orders = orders
        self._journal = journal
        brake = parts.brake
        self.budget = Budget(orders.max_cost, brake)
        self._work = Work(orders.concurrency, parts.book.highest(), brake, parts.bell, self.budget)
        desk = Desk(
            api=parts.api,
            host=orders.host,
            account=orders.account,
            journal=journal,
            budget=self.budget,
            work=self._work,
            brake=brake,
            clock=parts.clock,
            delays=parts.delays,
            weary=self._weary,
            agreed=set(orders.agreed),
        )
        self._references = References(
            parts.api, parts.book, journal, orders.host, parts.bell.address
        )
        submits = Submits(desk, self._references, parts.store.id, parts.bell)
        self._watch = Watch(desk, parts.timing, orders.task_retries, parts.bell)
        fetches = Fetches(desk, parts.porter, parts.shelf, parts.facts)
        self._submits = Lane(orders.concurrency, submits.one, brake)
        self._looks = Lane(min(orders.concurrency, _FETCHERS), self._watch.look, brake)
        self._fetches = Lane(min(orders.concurrency, _FETCHERS), fetches.one, brake)
        self._lead()

    def _lead(self) -> None:
        work, orders = self._work, self._orders
        work.lead(Status.PENDING, self._submits.put)
        work.lead(Status.SUBMITTING, self._submits.put)
        if orders.wait:
            self._watch.feed(self._looks)
            work.lead(Status.SUBMITTED, self._watch.add)
        if orders.wait and orders.download:
            work.lead(Status.COMPLETED, self._fetches.put)

    async def go(self) -> None:
        """Run the lanes until all is done or the brake is pulled, then let them finish a step."""
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(self._watch.run())]
                if self._orders.deadline is not None:
                    helpers.append(group.create_task(self._deadline(self._orders.deadline)))
                for lane in (self._submits, self._looks, self._fetches):
                    lane.start(group)
                helpers.append(group.create_task(self._work.dispatch(self._parts.book.work())))
                await self._parts.brake.pulled_or(self._work.done)
                if self._work.closed is not None:
                    self._parts.brake.pull(self._work.closed)
                for lane in (self._submits, self._looks):
                    await lane.stop()
                await self._fetches.stop(_GRACE)
                for helper in helpers:
                    helper.cancel()
        except BaseExceptionGroup as several:
            raise _first(several) from several
        finally:
            self._references.stop()

    async def _deadline(self, seconds: float) -> None:
        await self._parts.clock.sleep(seconds)
        self._parts.brake.pull(
            DeadlineReached(
                "the deadline is reached with work left",
                why="Tasks under way go on at the API and are collected by the next run.",
                fix="Run again to go on.",
            )
        )

    def _weary(self, error: ApiError) -> bool:
        """Stop the run when nothing has answered for longer than its patience."""
        if self._parts.brake.pulled:
            return True
        if self._parts.quiet_for() < self._orders.patience:
            return False
        self._parts.brake.pull(
            OutOfReach(
                f"the API has been out of reach for {self._orders.patience:.0f} seconds:"
                f" {error.summary}",
                why="Nothing is lost: every request is on disk with its key.",
                fix="Run again to go on.",
            )
        )
        return True


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what really went wrong first, out of the groups that tasks wrap it in."""
    error: BaseException = several
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
