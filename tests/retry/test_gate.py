"""The gate of running tasks opens again: by tasks that end, or by patience when nobody tells."""

from __future__ import annotations

import asyncio

import pytest
from virtual import LoopClock, run

from pipeline import schema
from pipeline.brake import Brake
from pipeline.retry import Memory, Pace
from pipeline.retry.gate import Gate

LONGEST: float = schema.api("pace", "max_pause_seconds")
PAUSE: float = schema.api("pace", "pause_seconds")


def full(limit: int, now: float = 0.0) -> Gate:
    gate = Gate(limit)
    for _ in range(limit):
        gate.started(now)
    return gate


@pytest.mark.parametrize("told", [True, False])
def test_the_patience_of_a_full_gate_comes_to_its_end(told: bool) -> None:
    gate = full(3)
    if told:
        gate.finished(0.0)
        gate.started(0.0)
    assert gate.full(0)
    assert gate.patience(0.0) > 0
    assert gate.patience(LONGEST) <= 0


def test_whoever_dares_makes_the_others_wait_anew() -> None:
    gate = full(3)
    gate.dared(100.0)
    assert gate.patience(100.0) > 0


def test_a_refused_dare_makes_the_next_one_wait_longer() -> None:
    gate = full(3)
    waits = []
    for _ in range(9):
        gate.refused(0.0, alone=True)
        waits.append(gate.patience(0.0))
    assert waits == sorted(waits)
    assert waits[0] >= PAUSE
    assert waits[-1] == LONGEST


def test_a_gate_that_was_remembered_too_low_opens_when_hardly_anything_runs() -> None:
    gate = full(8)
    for _ in range(5):
        gate.finished(1.0)
    assert gate.refused(1.0, alone=False) is False
    assert not gate.closed


def test_submits_go_on_though_no_task_is_ever_told_to_have_ended() -> None:
    async def scene() -> int:
        clock = LoopClock()
        brake = Brake(clock)
        memory = Memory(in_flight=2)
        pace = Pace(clock=clock, brake=brake, listener=lambda event: None, memory=memory)
        gone = 0
        async with asyncio.timeout(10 * LONGEST):  # of virtual time
            while gone < 8:
                await pace.turn("submit")
                pace.answered("submit", 0.02)
                pace.started()
                gone += 1
        return gone

    assert run(scene()) == 8


def test_a_task_that_ends_lets_a_waiting_submit_go_at_once() -> None:
    async def scene() -> float:
        clock = LoopClock()
        brake = Brake(clock)
        memory = Memory(in_flight=2)
        pace = Pace(clock=clock, brake=brake, listener=lambda event: None, memory=memory)
        for _ in range(2):
            await pace.turn("submit")
            pace.answered("submit", 0.02)
            pace.started()
        pace.finished()
        pace.started()  # one has ended before: from now on ends are expected, and waited for
        began = clock.monotonic()
        asyncio.get_running_loop().call_later(5.0, pace.finished)
        await pace.turn("submit")
        return clock.monotonic() - began

    assert run(scene()) == pytest.approx(5.0, abs=0.1)
