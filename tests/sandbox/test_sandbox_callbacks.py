"""Callbacks as the platform sends them: when, what, how often, and when it gives up."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from aiohttp import web


class Receiver:
    """Answers with the statuses in turn, the last one for ever, and keeps what it got."""

    def __init__(self, clock, *statuses: int) -> None:
        self.clock = clock
        self.statuses = list(statuses)
        self.got: list[tuple[float, str, dict]] = []
        self.news = asyncio.Event()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.got.append((self.clock.time, request.path, json.loads(await request.read())))
        self.news.set()
        return web.Response(status=self.statuses.pop(0) if self.statuses[1:] else self.statuses[0])

    async def until(self, claim) -> None:
        async with asyncio.timeout(5):
            while not claim():
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def listening(clock, *statuses):
    receiver = Receiver(clock, *statuses)
    runner = web.ServerRunner(web.Server(receiver.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield receiver, f"http://{host}:{port}/hook"
    finally:
        await runner.cleanup()


async def settled(bench, **counts):
    """Wait until the sandbox has counted so many callbacks."""
    async with asyncio.timeout(5):
        got = bench.sandbox.ledger.callbacks
        while any(got[name] < n for name, n in counts.items()):  # noqa: ASYNC110 - counts only
            await asyncio.sleep(0)


def test_a_finished_task_is_called_back_with_what_a_look_shows(play, clock):
    async def scenario(bench):
        async with listening(clock, 200) as (receiver, url):
            started = clock.time
            task_id = (await bench.submit(webhook=url)).task_id
            await receiver.until(lambda: receiver.got)
            [(at, path, body)] = receiver.got
            assert at >= started + 30
            assert path == "/hook/callback"
            assert body["data"] == await bench.look(task_id)

    play(scenario, "task_seconds=30")


def test_a_failed_task_is_called_back_too(play, clock):
    async def scenario(bench):
        async with listening(clock, 200) as (receiver, url):
            await bench.submit(webhook=url)
            await receiver.until(lambda: receiver.got)
            assert receiver.got[0][2]["data"]["status"] == "failed"

    play(scenario, "fail=1")


def test_a_5xx_is_tried_again_after_10_30_and_60_seconds_and_then_dropped(play, clock):
    async def scenario(bench):
        async with listening(clock, 503) as (receiver, url):
            await bench.submit(webhook=url)
            await settled(bench, dropped=1)
            times = [at for at, _, _ in receiver.got]
            waits = [later - earlier for earlier, later in pairwise(times)]
            assert waits == pytest.approx([10, 30, 60])

    play(scenario)


def test_the_waits_can_be_scaled(play, clock):
    async def scenario(bench):
        async with listening(clock, 500, 200) as (receiver, url):
            await bench.submit(webhook=url)
            await settled(bench, delivered=1)
            assert receiver.got[1][0] - receiver.got[0][0] == pytest.approx(0.1)

    play(scenario, "callback_scale=0.01")


def test_a_4xx_is_dropped_at_once(play, clock):
    async def scenario(bench):
        async with listening(clock, 404) as (receiver, url):
            await bench.submit(webhook=url)
            await settled(bench, dropped=1)
            assert len(receiver.got) == 1

    play(scenario)


def test_nobody_there_is_tried_again(play, clock):
    async def scenario(bench):
        async with listening(clock, 200) as (_, url):
            pass
        await bench.submit(webhook=url)
        await settled(bench, dropped=1)
        assert bench.sandbox.ledger.callbacks["sent"] == 4

    play(scenario)


def test_a_callback_can_come_twice_late_or_never(play, clock):
    async def scenario(bench):
        async with listening(clock, 200) as (receiver, url):
            started = clock.time
            await bench.submit(webhook=url)
            await settled(bench, delivered=2)
            assert [at - started for at, _, _ in receiver.got] == pytest.approx([45, 45])
            bench.sandbox.faults = type(bench.sandbox.faults)(callback_lost=1)
            await bench.submit(webhook=url)
            await settled(bench, lost=1)
            assert len(receiver.got) == 2

    play(scenario, "callback_twice=1", "callback_late=45")


def test_without_a_webhook_nobody_is_called(play):
    async def scenario(bench):
        await bench.submit()
        assert not bench.sandbox.ledger.callbacks

    play(scenario)
