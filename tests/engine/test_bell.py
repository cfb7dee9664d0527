"""Runs with callbacks, end to end over real sockets: a ring saves looks, and decides nothing."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from engine_rig import FastClock, Rig, entries, job, rig
from engine_script import Paid, desk

from pipeline import sandbox
from pipeline.api import Phase, Task
from pipeline.clock import SystemClock
from pipeline.engine import Bell
from pipeline.lifecycle import Status
from pipeline.model import WebhookSettings
from pipeline.state import Book
from pipeline.webhook import Doorbell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    from pipeline.clock import Clock

JOBS = 6
FORGED = json.dumps({"code": 200, "data": {"id": "task_FORGED", "status": "failed"}}).encode()


class House:
    """A rig whose front door has a bell."""

    def __init__(self, run: Rig, bell: Bell, doorbell: Doorbell) -> None:
        self.rig = run
        self.bell = bell
        self.doorbell = doorbell

    async def finish(self, count: int = JOBS, **how: Any) -> None:
        """Run so many jobs to their end; each must be there, sound and paid for once."""
        jobs = entries(*(job(f"e{n}", str(n)) for n in range(count)))
        cause = await self.rig.run(jobs, bell=self.bell, **how)
        assert cause is None
        assert self.rig.statuses() == [Status.DOWNLOADED] * count
        assert self.rig.billed() == count
        paid = {one.task_id for one in self.rig.server.ledger.entries}
        assert {one.task_id for one in self.rig.records()} == paid
        self.rig.sound()

    @property
    def looks(self) -> int:
        return self.rig.server.ledger.requests["task"]

    @property
    def rung(self) -> int:
        return self.rig.server.ledger.callbacks["delivered"]

    def history(self, number: int) -> list[str]:
        book = Book(self.rig.state)
        try:
            return [step for _, step, _ in book.history(number)]
        finally:
            book.close()


@asynccontextmanager
async def house(folder: Path, *faults: str, clock: Clock | None = None) -> AsyncIterator[House]:
    """A house on a clock of its own, by default the real one: callbacks take real time."""
    told = sandbox.faults(["plain=true", *faults])
    clock = clock or SystemClock()
    settings = WebhookSettings(listen="127.0.0.1:0", public_url="")
    doorbell = Doorbell(settings, b"secret", lambda number, hint: bell.ring(number, hint))
    bell = Bell(doorbell.address)
    await doorbell.start()
    try:
        async with sandbox.serve(told, clock=clock, dice=random.Random(1)) as server:
            yield House(Rig(folder, server, clock), bell, doorbell)  # type: ignore[arg-type]
    finally:
        await doorbell.stop()


def live(scene: Awaitable[None]) -> None:
    """Run a scene; one that hangs fails instead."""

    async def whole() -> None:
        await asyncio.wait_for(scene, 30)

    asyncio.run(whole())


# ── what callbacks bring ────────────────────────────────────────────────────────────────────


def test_with_callbacks_a_task_needs_one_look(folder: Path) -> None:
    async def scene() -> None:
        async with house(folder, "task_seconds=0.05-0.1") as here:
            await here.finish()
            assert here.looks == JOBS
            assert here.rung == JOBS

    live(scene())


def test_without_any_callback_arriving_polling_finishes_just_the_same(folder: Path) -> None:
    async def scene() -> None:
        async with house(folder, "task_seconds=5-60", "callback_lost=1", clock=FastClock()) as here:
            await here.finish(12)
            assert here.rung == 0
            assert not here.bell.trusted

    live(scene())


def test_callbacks_that_come_twice_and_out_of_order_are_harmless(folder: Path) -> None:
    async def scene() -> None:
        faults = ("task_seconds=0.05", "callback_twice=1", "callback_late=0-0.2")
        async with house(folder, *faults) as here:
            await here.finish(task_retries=0)
            assert here.looks == JOBS

    live(scene())


def test_a_job_with_a_webhook_of_the_users_own_is_not_waited_for(folder: Path) -> None:
    bell = Bell(lambda number: f"http://me.example/{number}")
    for _ in range(20):
        bell.count(rung=True)
    run, api = desk(folder)
    own = replace(job("a"), webhook="https://user.example/hooks")
    began = run.clock.time
    asyncio.run(run.run(entries(own), api=api, bell=bell))
    assert run.statuses() == [Status.DOWNLOADED]
    assert [json.loads(body)["webhook"] for _, body in api.sent] == ["https://user.example/hooks"]
    assert run.clock.time - began < 5
    assert bell.proven


@pytest.mark.parametrize("proven", [True, False])
def test_once_callbacks_are_proven_no_look_comes_before_its_callback_is_overdue(
    folder: Path, proven: bool
) -> None:
    run, api = desk(folder)
    bell = Bell(lambda number: f"http://me.example/{number}")
    for _ in range(100 if proven else 0):
        bell.count(rung=True)
    lasts, began = [5.0, 5.0, 5.0, 60.0, 55.0], dict[str, float]()

    def start(n: int, key: str) -> None:
        began[f"task_{n}"] = run.clock.time

    def running_until_done(paid: Paid, task: Task) -> Task:
        seconds = lasts[int(paid.id.removeprefix("task_")) - 1]
        if run.clock.time < began[paid.id] + seconds:
            return Task(task.id, Phase.RUNNING)
        return replace(task, actual=seconds)

    api.on_submit, api.on_look = start, running_until_done
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(5)))
    asyncio.run(run.run(jobs, api=api, bell=bell, concurrency=1))
    assert run.statuses() == [Status.DOWNLOADED] * 5
    assert (api.tasks[4].looks == 1) is proven


# ── a lost answer ───────────────────────────────────────────────────────────────────────────


def test_a_lost_submit_answer_is_recovered_by_its_callback(folder: Path) -> None:
    async def scene() -> None:
        async with house(folder, "cut_after=1") as here:
            await here.finish(3)
            for number in (1, 2, 3):
                assert "recover" in here.history(number)
                assert "accept" not in here.history(number)
            assert here.rig.server.ledger.requests["submit"] == 3

    live(scene())


def test_a_forged_hint_recovers_nothing(folder: Path) -> None:
    async def scene() -> None:
        faults = ("cut_after=0.2", "callback_lost=1", "task_seconds=1")
        async with house(folder, *faults, clock=FastClock()) as here:

            def ring_everywhere(event: object) -> None:
                for number in range(1, JOBS + 1):
                    here.bell.ring(number, "task_FORGED")

            here.rig.heed = ring_everywhere
            await here.finish()
            assert all("recover" not in here.history(one) for one in range(1, JOBS + 1))

    live(scene())


# ── rings that lie ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [0, 2, 10**18])
def test_a_ring_for_a_job_that_is_not_open_is_not_heard(number: int) -> None:
    heard: list[int] = []
    bell = Bell(lambda number: f"http://me.example/{number}")
    bell.hear(heard.append)
    bell.expect(1)
    bell.expect(2)
    bell.forget(2)
    bell.ring(number, "task_x")
    assert heard == []
    assert not bell.answered(number)


def test_a_ring_while_the_task_runs_only_costs_a_look(folder: Path) -> None:
    run, api = desk(folder)
    bell = Bell(lambda number: f"http://me.example/{number}")

    def early(paid: Paid, task: Task) -> Task:
        bell.ring(1, "task_FORGED")
        return task if paid.looks > 3 else Task(task.id, Phase.RUNNING)

    api.on_look = early
    asyncio.run(run.run(entries(job("a")), api=api, bell=bell))
    (record,) = run.records()
    assert (record.status, record.task_id) == (Status.DOWNLOADED, "task_1")
    run.sound()


# ── under attack ────────────────────────────────────────────────────────────────────────────

Attack = tuple[str, bytes]


def attacks(here: House) -> list[Attack]:
    """Every kind of post, for jobs that there are, by somebody who knows job 1's address."""
    right = f"{here.bell.address(1)}/callback"
    forged = f"{here.doorbell.url}/2-{'A' * 43}/callback"
    return [
        (forged, FORGED),
        (right, FORGED),
        (right, b"x" * 100_000),
        (right, b"{" * 5_000),
        (right, b"\xff\x00"),
        (f"{here.doorbell.url}/../../etc/passwd", FORGED),
    ]


async def burst(posts: list[Attack], times: int) -> list[int]:
    """Send so many posts, 50 at once; returns the statuses, 0 for a connection closed on us."""
    places = asyncio.Semaphore(50)
    async with aiohttp.ClientSession() as session:

        async def one(url: str, body: bytes) -> int:
            async with places:
                try:
                    async with session.post(url, data=body) as answer:
                        return answer.status
                except aiohttp.ClientError:
                    return 0

        return await asyncio.gather(*(one(*posts[n % len(posts)]) for n in range(times)))


async def dawdle(here: House) -> None:
    """Announce a body that never comes, for as long as one may."""
    host, port = here.doorbell.url.removeprefix("http://").split(":")
    path = here.bell.address(1).removeprefix(here.doorbell.url)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST {path}/callback HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode()
    )
    try:
        await reader.read()
    finally:
        writer.close()


def test_a_receiver_under_attack_changes_no_state_and_the_run_finishes_right(folder: Path) -> None:
    async def scene() -> None:
        async with house(folder, "task_seconds=0.1-0.3") as here:
            slow = [asyncio.ensure_future(dawdle(here)) for _ in range(20)]
            storm = asyncio.ensure_future(burst(attacks(here), 1000))
            await here.finish(12)
            assert set(await storm) <= {0, 200, 400, 404, 413}
            for one in slow:
                one.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
            usual = here.history(12)
            assert [here.history(one) for one in range(1, 13)] == [usual] * 12

    live(scene())


def test_a_run_with_faults_and_callbacks_together_pays_nothing_twice(folder: Path) -> None:
    async def scene() -> None:
        faults = (
            "cut_after=0.3", "error_after=0.2", "callback_lost=0.3", "callback_twice=0.5",
            "callback_late=0-90", "task_seconds=1-20",
        )  # fmt: skip
        async with house(folder, *faults, clock=FastClock()) as here:
            await here.finish(20)

    live(scene())


def test_a_silent_bell_gives_no_address(folder: Path) -> None:
    async def scene() -> None:
        async with rig(folder) as run:
            await run.run(entries(job("a")), bell=Bell())
            (task,) = run.server.ledger.entries
            assert "webhook" not in task.body

    live(scene())
