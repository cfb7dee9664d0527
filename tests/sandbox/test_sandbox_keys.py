"""Idempotency: one key is one task, whatever became of the answer."""

from __future__ import annotations

import asyncio

import pytest


def test_the_same_key_and_body_replay_the_first_answer(play):
    async def scenario(bench):
        first, second = await bench.submit(key="k"), await bench.submit(key="k")
        assert "Idempotency-Replayed" not in first.headers
        assert second.headers["Idempotency-Replayed"] == "true"
        assert first.body == second.body
        assert len(bench.sandbox.ledger.entries) == 1

    play(scenario)


def test_without_a_key_every_submit_is_a_task(play):
    async def scenario(bench):
        assert (await bench.submit()).task_id != (await bench.submit()).task_id

    play(scenario)


def test_the_same_key_with_another_body_is_a_conflict(play):
    async def scenario(bench):
        await bench.submit(key="k")
        answer = await bench.submit(key="k", prompt="another")
        assert answer.status == 409
        assert answer.error["code"] == "idempotency_key_reused"
        assert len(bench.sandbox.ledger.entries) == 1

    play(scenario)


def test_a_key_whose_request_still_runs_is_in_progress(play, clock):
    async def scenario(bench):
        arrived, go_on = asyncio.Event(), asyncio.Event()

        async def hold(seconds: float) -> None:
            arrived.set()
            await go_on.wait()

        clock.sleep = hold
        first = asyncio.create_task(bench.submit(key="k"))
        await arrived.wait()
        second = await bench.submit(key="k")
        go_on.set()
        assert second.status == 409
        assert second.error["code"] == "idempotency_in_progress"
        assert second.headers["Retry-After"] == "1"
        assert (await first).status == 200

    play(scenario, "latency=1")


def test_in_progress_can_be_asked_for_and_heals(play):
    async def scenario(bench):
        assert (await bench.submit(key="k")).error["code"] == "idempotency_in_progress"
        bench.sandbox.faults = type(bench.sandbox.faults)()
        assert (await bench.submit(key="k")).headers["Idempotency-Replayed"] == "true"
        assert len(bench.sandbox.ledger.entries) == 1

    play(scenario, "in_progress=1")


def test_an_indeterminate_key_stays_so(play):
    async def scenario(bench):
        word = "idempotency_result_indeterminate"
        assert (await bench.submit(key="k")).error["code"] == word
        bench.sandbox.faults = type(bench.sandbox.faults)()
        assert (await bench.submit(key="k")).error["code"] == word
        assert len(bench.sandbox.ledger.entries) == 1

    play(scenario, "indeterminate=1")


def test_unavailable_idempotency_executes_nothing(play):
    async def scenario(bench):
        answer = await bench.submit(key="k")
        assert answer.status == 503
        assert answer.error["code"] == "idempotency_unavailable"
        assert bench.sandbox.ledger.entries == []

    play(scenario, "unavailable=1")


@pytest.mark.parametrize("key", ["a b", "k" * 192, "ключ"])
def test_a_key_must_be_short_and_visible_ascii(play, key):
    async def scenario(bench):
        assert (await bench.submit(key=key)).status == 400

    play(scenario)


def test_a_key_is_forgotten_after_a_day_and_then_pays_again(play, clock):
    async def scenario(bench):
        first = await bench.submit(key="k")
        clock.time += 86_401
        assert (await bench.submit(key="k")).task_id != first.task_id

    play(scenario)


def test_a_replay_needs_no_balance(play):
    async def scenario(bench):
        first = await bench.submit(key="k")
        assert (await bench.submit(key="other")).status == 402
        assert (await bench.submit(key="k")).task_id == first.task_id

    play(scenario, "balance=0.04")
