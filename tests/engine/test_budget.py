"""Money that may still be spent: never more than the limit, whatever happens at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from engine_rig import ESTIMATE, FastClock, entries, job
from engine_script import desk, gone, png
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.api import Phase, Task
from pipeline.brake import Brake, Halted
from pipeline.engine import Budget, BudgetReached
from pipeline.errors import ApiError, BalanceEmpty, Cut, Exit, Refused
from pipeline.lifecycle import Status
from pipeline.money import Money

if TYPE_CHECKING:
    from pathlib import Path

CENT = Money(10_000_000)


def budget(limit: int | None) -> Budget:
    return Budget(None if limit is None else Money(limit), Brake(FastClock()))


# ── alone ───────────────────────────────────────────────────────────────────────────────────


def test_a_reservation_becomes_what_the_job_cost_to_the_billionth() -> None:
    async def spend() -> Budget:
        one = budget(10 * CENT)
        await one.reserve(1, CENT)
        assert (one.spent, one.reserved) == (0, CENT)
        one.settle(1, Money(CENT - 3), CENT)
        return one

    one = asyncio.run(spend())
    assert (one.spent, one.reserved) == (CENT - 3, 0)


def test_a_job_of_an_earlier_run_changes_nothing() -> None:
    one = budget(CENT)
    one.settle(7, CENT, CENT)
    assert one.spent == 0


def test_a_job_without_a_told_cost_counts_its_estimate() -> None:
    async def spend() -> Budget:
        one = budget(None)
        await one.reserve(1, CENT)
        one.settle(1, None, CENT)
        return one

    assert asyncio.run(spend()).spent == CENT


def test_a_refund_makes_room() -> None:
    async def spend() -> None:
        one = budget(CENT)
        await one.reserve(1, CENT)
        one.settle(1, Money(0), CENT)
        await one.reserve(2, CENT)

    asyncio.run(spend())


def test_a_dearer_account_makes_later_reservations_grow() -> None:
    async def spend() -> None:
        one = budget(10 * CENT)
        await one.reserve(1, CENT)
        one.settle(1, Money(3 * CENT), CENT)
        await one.reserve(2, CENT)
        assert one.reserved == 3 * CENT
        await one.reserve(3, CENT)
        one.settle(2, Money(3 * CENT), CENT)
        one.settle(3, Money(3 * CENT), CENT)
        with pytest.raises(BudgetReached):
            await one.reserve(4, CENT)

    asyncio.run(spend())


def test_whoever_finds_no_room_waits_while_something_may_still_cost_less() -> None:
    async def spend() -> list[str]:
        said: list[str] = []
        one = budget(2 * CENT)
        await one.reserve(1, CENT)
        await one.reserve(2, CENT)

        async def third() -> None:
            await one.reserve(3, CENT)
            said.append("room")

        waiting = asyncio.ensure_future(third())
        await asyncio.sleep(0)
        said.append("waits")
        one.settle(1, Money(0), CENT)
        await waiting
        return said

    assert asyncio.run(spend()) == ["waits", "room"]


def test_when_nothing_is_under_way_and_there_is_no_room_the_budget_is_reached() -> None:
    with pytest.raises(BudgetReached) as reached:
        asyncio.run(budget(CENT - 1).reserve(1, CENT))
    assert reached.value.exit is Exit.STOPPED
    assert "--max-cost $0.01 is reached" in reached.value.summary


def test_whoever_waits_for_room_is_woken_when_the_run_stops() -> None:
    async def spend() -> None:
        brake = Brake(FastClock())
        one = Budget(CENT, brake)
        await one.reserve(1, CENT)
        waiting = asyncio.ensure_future(one.reserve(2, CENT))
        await asyncio.sleep(0)
        brake.pull("stopped")
        with pytest.raises(Halted):
            await waiting

    asyncio.run(spend())


@settings(max_examples=150, deadline=None)
@given(
    limit=st.integers(0, 30),
    jobs=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=25),
    dice=st.randoms(use_true_random=False),
)
def test_spent_and_reserved_together_never_exceed_the_limit(
    limit: int, jobs: list[tuple[int, int]], dice: object
) -> None:
    """As long as no job costs more than was set aside for it, which nobody could know before."""

    async def run() -> None:
        one = budget(limit)

        async def live(number: int, estimate: int, cost: int) -> None:
            try:
                await one.reserve(number, Money(estimate))
            except BudgetReached:
                return
            assert one.spent + one.reserved <= limit
            for _ in range(dice.randrange(4)):  # type: ignore[attr-defined]
                await asyncio.sleep(0)
            one.settle(number, Money(min(cost, estimate)), Money(estimate))
            assert one.spent + one.reserved <= limit

        await asyncio.gather(*(live(n, *job) for n, job in enumerate(jobs)))
        assert one.reserved == 0

    asyncio.run(run())


# ── in a run ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("concurrency", [1, 3, 16, 64])
def test_a_run_never_spends_more_than_it_was_told(folder: Path, concurrency: int) -> None:
    run, api = desk(folder)
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(40)))
    cause = asyncio.run(run.run(jobs, api=api, concurrency=concurrency, max_cost=7 * ESTIMATE + 1))
    assert isinstance(cause, BudgetReached)
    assert len(api.tasks) == 7
    assert run.spent == 7 * ESTIMATE
    counts = [run.statuses().count(status) for status in (Status.DOWNLOADED, Status.PENDING)]
    assert counts == [7, 33]
    run.sound()


def test_what_is_paid_comes_home_before_the_run_stops_for_money(folder: Path) -> None:
    run, api = desk(folder)
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(30)))
    looks = {}

    def slow(paid: object, task: Task) -> Task:
        looks[task.id] = looks.get(task.id, 0) + 1
        return task if looks[task.id] > 3 else Task(task.id, Phase.RUNNING)

    api.on_look = slow
    asyncio.run(run.run(jobs, api=api, concurrency=10, max_cost=5 * ESTIMATE))
    assert len(api.tasks) == 5
    assert run.statuses().count(Status.DOWNLOADED) == 5


def test_failed_tasks_are_refunded_and_others_take_their_place(folder: Path) -> None:
    run, api = desk(folder)
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(12)))

    def fail_early(paid: object, task: Task) -> Task:
        if int(task.id.removeprefix("task_")) <= 4:
            return Task(task.id, Phase.FAILED)
        return task

    api.on_look = fail_early
    asyncio.run(run.run(jobs, api=api, concurrency=4, max_cost=5 * ESTIMATE, task_retries=0))
    assert run.statuses().count(Status.FAILED) == 4
    assert run.statuses().count(Status.DOWNLOADED) == 5


def test_a_job_without_a_clear_answer_does_not_keep_others_waiting_for_its_money(
    folder: Path,
) -> None:
    run, api = desk(folder)
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(6)))
    api.on_submit = lambda n, key: Cut("cut") if "-1-" in key else None
    cause = asyncio.run(run.run(jobs, api=api, concurrency=3, max_cost=3 * ESTIMATE))
    assert isinstance(cause, BudgetReached)
    assert run.statuses().count(Status.DOWNLOADED) == 2
    assert run.statuses()[0] is Status.SUBMITTING
    assert len(api.tasks) == 3


def test_a_job_that_cannot_be_looked_at_does_not_keep_others_waiting_for_its_money(
    folder: Path,
) -> None:
    run, api = desk(folder)

    def refuse(paid: object, task: Task) -> Task:
        raise Refused("no", code=400)

    api.on_look = refuse
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(4)))
    cause = asyncio.run(run.run(jobs, api=api, max_cost=2 * ESTIMATE))
    assert isinstance(cause, BudgetReached)
    assert run.statuses() == [Status.SUBMITTED] * 2 + [Status.PENDING] * 2


def test_a_run_that_does_not_wait_holds_its_limit_and_ends(folder: Path) -> None:
    run, api = desk(folder)
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(9)))
    cause = asyncio.run(run.run(jobs, api=api, max_cost=4 * ESTIMATE, wait=False))
    assert isinstance(cause, BudgetReached)
    assert len(api.tasks) == 4
    assert run.statuses().count(Status.SUBMITTED) == 4


def test_a_refused_request_costs_nothing(folder: Path) -> None:
    run, api = desk(folder)

    def refuse(n: int, key: str) -> ApiError | None:
        return Refused("no") if n <= 3 else None

    api.on_submit = refuse
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(5)))
    asyncio.run(run.run(jobs, api=api, concurrency=1, max_cost=2 * ESTIMATE))
    assert run.statuses() == [Status.FAILED] * 3 + [Status.DOWNLOADED] * 2


@pytest.mark.parametrize("cost", [None, Money(0)])
def test_a_cost_that_is_told_late_or_as_nothing_does_not_open_the_purse(
    folder: Path, cost: Money | None
) -> None:
    run, api = desk(folder)
    api.cost = cost
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(9)))
    asyncio.run(run.run(jobs, api=api, concurrency=2, max_cost=4 * ESTIMATE))
    assert len(api.tasks) == 4


def test_a_dear_account_stops_early(folder: Path) -> None:
    run, api = desk(folder)
    api.cost = Money(3 * ESTIMATE)
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(20)))
    asyncio.run(run.run(jobs, api=api, concurrency=1, max_cost=10 * ESTIMATE))
    assert len(api.tasks) == 3
    assert run.spent == 9 * ESTIMATE


def test_the_limit_is_for_each_run_and_what_is_under_way_was_paid_by_the_last(
    folder: Path,
) -> None:
    run, api = desk(folder)
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(6)))
    asyncio.run(run.run(jobs, api=api, max_cost=3 * ESTIMATE, wait=False))
    asyncio.run(run.run(jobs, api=api, max_cost=3 * ESTIMATE))
    assert set(run.statuses()) == {Status.DOWNLOADED}
    assert len(api.tasks) == 6


def test_a_stop_while_jobs_wait_for_money_leaves_them_pending(folder: Path) -> None:
    run, api = desk(folder)
    brake = Brake(run.clock)

    def stop(paid: object, task: Task) -> Task:
        brake.pull("stopped")
        return Task(task.id, Phase.RUNNING)

    api.on_look = stop
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(9)))
    cause = asyncio.run(run.run(jobs, api=api, concurrency=8, max_cost=2 * ESTIMATE, brake=brake))
    assert cause == "stopped"
    assert run.statuses() == [Status.SUBMITTED] * 2 + [Status.PENDING] * 7
    run.sound()


# ── the balance ─────────────────────────────────────────────────────────────────────────────


def test_a_balance_that_is_too_small_stops_before_anything_is_sent(folder: Path) -> None:
    run, api = desk(folder)
    api.on_balance = Money(ESTIMATE - 1)
    cause = asyncio.run(run.run(entries(job("a")), api=api, check_balance=True, to_pay=ESTIMATE))
    assert isinstance(cause, BalanceEmpty)
    assert api.sent == []


@pytest.mark.parametrize("balance", [None, Money(ESTIMATE)])
def test_a_balance_that_is_enough_or_unlimited_lets_the_run_go(
    folder: Path, balance: Money | None
) -> None:
    run, api = desk(folder)
    api.on_balance = balance
    asyncio.run(run.run(entries(job("a")), api=api, check_balance=True, to_pay=ESTIMATE))
    assert run.statuses() == [Status.DOWNLOADED]


def test_a_stop_during_the_check_of_the_balance_is_an_ordinary_stop(folder: Path) -> None:
    run, api = desk(folder)
    brake = Brake(run.clock)
    brake.pull("stopped")
    jobs = entries(job("a"))
    assert asyncio.run(run.run(jobs, api=api, check_balance=True, brake=brake)) == "stopped"
    assert api.requests() == 0


def test_an_expired_job_that_is_tried_again_is_paid_again_and_both_count(folder: Path) -> None:
    from pipeline.planning import Choice
    from pipeline.state import Book

    run, api = desk(folder)
    api.on_fetch = gone
    asyncio.run(run.run(entries(job("a")), api=api))
    assert run.statuses() == [Status.EXPIRED]
    api.on_fetch = lambda n, url: png(1) if len(api.tasks) > 1 else gone(n, url)
    choice = Choice(retry=frozenset({Status.EXPIRED}))
    asyncio.run(run.run(entries(job("a")), api=api, choice=choice))
    book = Book(run.state)
    assert book.totals().spent == 2 * ESTIMATE
    book.close()


def test_an_expired_job_whose_image_is_there_again_is_fetched_and_not_paid_again(
    folder: Path,
) -> None:
    from pipeline.planning import Choice

    run, api = desk(folder)
    api.on_fetch = gone
    asyncio.run(run.run(entries(job("a")), api=api))
    api.on_fetch = lambda n, url: png(1)
    choice = Choice(retry=frozenset({Status.EXPIRED}))
    asyncio.run(run.run(entries(job("a")), api=api, choice=choice))
    assert run.statuses() == [Status.DOWNLOADED]
    assert len(api.tasks) == 1
    run.sound()
