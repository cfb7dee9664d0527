"""What ends a run before its time, and that nothing is lost by it."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from typing import TYPE_CHECKING

from engine_rig import FastClock, entries, job, rig
from engine_script import desk

from pipeline.api import Phase, Task
from pipeline.engine.drive import DeadlineReached, OutOfReach
from pipeline.errors import BalanceEmpty, DiskError, Exit, Unreachable
from pipeline.lifecycle import Status

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.errors import ApiError


class DayClock(FastClock):
    """Short sleeps end at once and move the time on; long ones end when it has come that far."""

    async def sleep(self, seconds: float) -> None:
        until = self.time + seconds
        if seconds <= 60:
            self.time = until
        await asyncio.sleep(0)
        while self.time < until:  # noqa: ASYNC110 - no event says that somebody else slept
            await asyncio.sleep(0)


def test_at_the_deadline_a_run_stops_and_the_next_one_collects(folder: Path) -> None:
    run, api = desk(folder)
    run.clock = api.clock = DayClock()
    api.on_look = lambda paid, task: Task(task.id, Phase.RUNNING)
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(6)))
    cause = asyncio.run(run.run(jobs, api=api, concurrency=2, deadline=1800.0))
    assert isinstance(cause, DeadlineReached)
    assert cause.exit is Exit.UNFINISHED
    assert run.statuses() == [Status.SUBMITTED] * 2 + [Status.PENDING] * 4
    api.on_look = lambda paid, task: task
    asyncio.run(run.run(jobs, api=api, deadline=1800.0))
    assert set(run.statuses()) == {Status.DOWNLOADED}
    assert len(api.tasks) == 6
    run.sound()


def test_an_api_out_of_reach_stops_the_run_when_its_patience_ends(folder: Path) -> None:
    run, api = desk(folder)
    api.on_submit = lambda n, key: Unreachable("no route")
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(6)))
    began = run.clock.time
    cause = asyncio.run(run.run(jobs, api=api, patience=300.0))
    assert isinstance(cause, OutOfReach)
    assert cause.exit is Exit.UNFINISHED
    assert 300 <= run.clock.time - began < 3600
    assert set(run.statuses()) == {Status.PENDING}
    assert api.tasks == []
    run.sound()


def test_an_api_that_comes_back_in_time_is_waited_for(folder: Path) -> None:
    run, api = desk(folder)

    def away(n: int, key: str) -> ApiError | None:
        return Unreachable("no route") if n <= 6 else None

    api.on_submit = away
    assert asyncio.run(run.run(entries(job("a")), api=api)) is None
    assert run.statuses() == [Status.DOWNLOADED]
    assert len(api.keys) == 1


def test_a_full_disk_stops_the_run_and_the_task_ids_are_found_again(folder: Path) -> None:
    run, api = desk(folder)
    jobs = entries(*(job(f"e{n}", str(n) * 400) for n in range(40)))
    asyncio.run(run.run(jobs[:1], api=api))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = run.state.stat().st_size + 220_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        cause = asyncio.run(run.run(jobs, api=api, concurrency=8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(cause, DiskError)
    assert 1 < len(api.tasks) < 40
    run.sound()
    asyncio.run(run.run(jobs, api=api))
    assert set(run.statuses()) == {Status.DOWNLOADED}
    assert len(api.tasks) == 40
    run.sound()


def test_images_without_room_stop_the_run_and_stay_paid(folder: Path) -> None:
    run, api = desk(folder)
    (run.folder / "images").parent.mkdir(parents=True)
    (run.folder / "images").write_text("a file where the folder must go")
    cause = asyncio.run(run.run(entries(job("a")), api=api))
    assert isinstance(cause, DiskError)
    assert run.statuses() == [Status.COMPLETED]
    (run.folder / "images").unlink()
    asyncio.run(run.run(entries(job("a")), api=api))
    assert run.statuses() == [Status.DOWNLOADED]
    assert len(api.tasks) == 1


def test_an_empty_balance_stops_the_sending_and_what_is_paid_comes_home(folder: Path) -> None:
    async def main() -> None:
        async with rig(folder, "balance=0.07", "task_seconds=20") as run:
            cause = await run.run(entries(*(job(f"e{n}", f"cup {n}") for n in range(5))))
            assert isinstance(cause, BalanceEmpty)
            assert Counter(run.statuses()) == {Status.DOWNLOADED: 2, Status.PENDING: 3}
            assert run.billed() == 2

    asyncio.run(main())
