"""The rate that nobody tells: found, held, given up and found again, in virtual time."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from pace_server import Limited, drive
from virtual import LoopClock, run

from pipeline.brake import Brake, Halted
from pipeline.retry import Memory, Pace
from pipeline.retry.rate import Cap, Rate

if TYPE_CHECKING:
    from pipeline.events import Waiting

HELD, WASTED = 0.9, 0.05


@pytest.mark.parametrize("kind", ["fixed", "bucket"])
@pytest.mark.parametrize("rate", [20, 100, 400])
def test_an_undisclosed_limit_is_used_and_hardly_ever_hit(kind: str, rate: int) -> None:
    server = Limited(kind, rate, phase=0.3)
    drive(server, 25)
    assert server.useful(15, 25) >= HELD
    assert server.wasted(0, 15) <= WASTED
    assert server.wasted(15, 25) <= WASTED


@pytest.mark.parametrize("retry_after", ["exact", "date", "none"])
@pytest.mark.parametrize("kind", ["fixed", "bucket"])
def test_however_the_server_says_when_to_come_back(kind: str, retry_after: str) -> None:
    server = Limited(kind, 100, phase=0.6, retry_after=retry_after)
    drive(server, 30)
    assert server.useful(15, 30) >= HELD
    assert server.wasted(0, 30) <= WASTED


@pytest.mark.parametrize("kind", ["fixed", "bucket"])
def test_a_limit_that_looks_share_is_shared_without_starving_submits(kind: str) -> None:
    server = Limited(kind, 100, scope="all", phase=0.3)
    pace = drive(server, 40, workers=200, looks=2)
    assert server.useful(15, 40) >= HELD
    assert server.wasted(15, 40) <= WASTED
    submits = sum(lane == "submit" for at, lane in server.taken if at >= 15)
    assert submits >= 100 * 25 * 0.9 / 3 * 0.9
    assert pace.memory().shared


def test_looks_are_not_slowed_by_a_limit_on_submits() -> None:
    server = Limited("fixed", 20, scope="submit")
    drive(server, 20, workers=64, looks=8)
    looks = sum(lane == "look" for at, lane in server.taken if at >= 15)
    assert looks >= 20 * 5 * 0.9 * 6


@pytest.mark.parametrize("kind", ["fixed", "bucket"])
def test_a_sudden_cut_is_followed_and_a_raise_is_found(kind: str) -> None:
    server = Limited(kind, 100, changes=[(20, 30), (45, 100)])
    drive(server, 120)
    assert server.useful(30, 45, limit=30) >= HELD
    assert server.wasted(25, 45) <= WASTED
    assert server.useful(105, 120, limit=100) >= HELD
    assert server.wasted(45, 120) <= WASTED


@pytest.mark.parametrize("retry_after", ["whole", "none"])
def test_a_limit_on_running_tasks_is_found_as_one(retry_after: str) -> None:
    server = Limited(tasks=10, lasts=5.0, retry_after=retry_after)
    pace = drive(server, 200)
    assert pace.memory().in_flight in (10, 11)
    assert server.useful(20, 200, limit=10 / 5.1) >= HELD
    assert server.wasted(20, 200) <= WASTED


def test_a_server_that_gets_slow_is_not_pushed() -> None:
    server = Limited(capacity=50.0)
    drive(server, 60, workers=1000)
    assert server.useful(30, 60, limit=50) >= HELD
    assert server.slowest < 1000 / 50 / 2  # what it would be with all of them at once, halved


def test_an_unlimited_server_is_not_slowed() -> None:
    server = Limited(latency=0.01)
    drive(server, 1, workers=32)
    assert server.useful(0.5, 1, limit=32 / 0.01) >= 0.95


def test_a_start_is_gentle() -> None:
    server = Limited(latency=0.1)
    drive(server, 0.5, workers=500)
    assert sum(at < 0.1 for at in server.sent) <= 5


def test_the_users_own_rate_is_never_exceeded() -> None:
    server = Limited()
    drive(server, 20, rate=10.0)
    for at in server.sent:
        assert sum(at <= other < at + 0.999 for other in server.sent) <= 10
    assert len(server.sent) >= 195


def test_a_rate_below_one_a_second_spaces_requests() -> None:
    cap = Cap(0.25)
    assert cap.wait(10.0) <= 0
    cap.go(10.0)
    assert cap.wait(10.0) == 4.0
    assert cap.wait(14.0) <= 0


def test_what_was_found_is_where_the_next_run_starts() -> None:
    memory = drive(Limited("fixed", 100), 25).memory()
    again = Limited("fixed", 100)
    drive(again, 15, memory=memory)
    assert again.useful(0, 15) >= HELD
    assert again.wasted(0, 15) <= 0.01


def test_nothing_is_remembered_of_a_server_that_never_said_no() -> None:
    assert drive(Limited(), 2, workers=8).memory() == Memory()


# ── one pause for everybody ─────────────────────────────────────────────────────────────────


def paused(work: Any) -> tuple[Any, list[Waiting]]:
    told: list[Any] = []

    async def scene() -> Any:
        clock = LoopClock()
        brake = Brake(clock)
        return await work(Pace(clock=clock, brake=brake, listener=told.append), brake)

    return run(scene()), told


def test_retry_after_holds_for_every_kind_of_request() -> None:
    async def work(pace: Pace, brake: Brake) -> list[float]:
        await pace.turn("submit")
        pace.refused("submit", 7.0)
        times = []
        for lane in ("submit", "look", "upload"):
            await pace.turn(lane)  # type: ignore[arg-type]
            times.append(LoopClock().monotonic())
        return times

    times, _ = paused(work)
    assert min(times) >= 7.0


def test_a_long_pause_is_told_once_and_a_short_one_never() -> None:
    async def work(pace: Pace, brake: Brake) -> None:
        for seconds in (0.5, 7.0):
            for _ in range(5):
                await pace.turn("look")
            for _ in range(5):
                pace.refused("look", seconds)

    _, told = paused(work)
    assert [(one.seconds, one.reason) for one in told] == [(7.0, "the API asked to slow down")]


def test_a_pulled_brake_wakes_everybody_who_waits_for_a_turn() -> None:
    async def work(pace: Pace, brake: Brake) -> list[Any]:
        await pace.turn("submit")
        pace.refused("submit", 3600.0)
        waiting = [asyncio.ensure_future(pace.turn("submit")) for _ in range(50)]
        await asyncio.sleep(1)
        brake.pull("stop")
        return await asyncio.gather(*waiting, return_exceptions=True)

    woken, _ = paused(work)
    assert [type(one) for one in woken] == [Halted] * 50


def test_an_api_that_breaks_again_and_again_is_left_alone_longer_each_time() -> None:
    async def work(pace: Pace, brake: Brake) -> list[float]:
        times = []
        for _ in range(12):
            await pace.turn("look")
            times.append(LoopClock().monotonic())
            pace.broke("look")
        return times

    times, _ = paused(work)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert max(gaps[:4]) < 0.1
    assert gaps[5:] == sorted(gaps[5:])
    assert gaps[-1] >= 8


def test_single_breaks_among_answers_slow_nothing() -> None:
    rate = Rate(0.0, start=30)
    before = rate.value
    for _ in range(100):
        rate.go(0.0)
        rate.back()
        rate.accepted(0.0, 0.01, news=True)
    assert rate.value >= before


@pytest.mark.parametrize("retry_after", [None, 0.0, 1e9])
def test_a_pause_is_neither_nothing_nor_for_ever(retry_after: float | None) -> None:
    async def work(pace: Pace, brake: Brake) -> float:
        await pace.turn("submit")
        pace.refused("submit", retry_after)
        return pace.paused_until

    until, _ = paused(work)
    assert 0.25 <= until <= 3600
