"""From a task id to files on disk: answers in any order, urls that come and go, repair for free."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from engine_rig import Rig, entries, job, rig
from engine_script import Paid, Script, desk, gone, png

from pipeline import schema
from pipeline.api import Phase, Result, Task
from pipeline.brake import Brake
from pipeline.errors import (
    BalanceEmpty,
    Gone,
    NotAnImage,
    Refused,
    Unavailable,
    UnknownTask,
    Unreachable,
)
from pipeline.lifecycle import Status
from pipeline.planning import Choice
from pipeline.retry import Looks
from pipeline.state import Book

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.model import Entry


def history(run: Rig, number: int = 1) -> list[str]:
    book = Book(run.state)
    try:
        return [step for _, step, _ in book.history(number)]
    finally:
        book.close()


def go(run: Rig, api: Script, jobs: list[Entry] | None = None, **how: object) -> object:
    return asyncio.run(run.run(jobs or entries(job("a")), api=api, **how))  # type: ignore[arg-type]


def verified(run: Rig) -> None:
    """Every file of every downloaded job is what the record says."""
    for record in run.records():
        for image in record.results:
            data = (run.folder / image.file).read_bytes()
            assert hashlib.sha256(data).hexdigest() == image.sha256


class Told(Looks):
    """Remembers what it was taught."""

    def __init__(self) -> None:
        super().__init__()
        self.lessons: list[tuple[float, str, float]] = []

    def learn(self, model: str, seconds: float, task: Task | None = None) -> None:
        self.lessons.append((seconds, task.id if task else "", task.actual if task else 0.0))
        super().learn(model, seconds, task)


def test_what_a_finished_task_says_of_itself_is_learned(folder: Path) -> None:
    run, api = desk(folder)
    run.timing = told = Told()
    api.on_look = lambda paid, task: replace(task, actual=0.25)
    go(run, api)
    assert [lesson[1:] for lesson in told.lessons] == [("task_1", 0.25)]
    assert told.lessons[0][0] >= 0


# ── what a look may say ─────────────────────────────────────────────────────────────────────


def test_a_failed_task_is_tried_again_once_and_both_attempts_stay_in_the_history(
    folder: Path,
) -> None:
    run, api = desk(folder)
    api.on_look = lambda paid, task: (
        Task(task.id, Phase.FAILED, error_type="policy", error_message="no")
        if task.id == "task_1"
        else task
    )
    go(run, api)
    (record,) = run.records()
    assert (record.status, record.task_id, record.attempt) == (Status.DOWNLOADED, "task_2", 2)
    assert len(api.keys) == 2
    assert history(run) == [
        "add", "intend", "accept", "fail", "retry", "intend", "accept", "complete", "download",
    ]  # fmt: skip
    run.sound()


@pytest.mark.parametrize(("retries", "tasks"), [(0, 1), (1, 2), (2, 3)])
def test_a_task_that_always_fails_is_not_tried_for_ever(
    folder: Path, retries: int, tasks: int
) -> None:
    run, api = desk(folder)
    api.on_look = lambda paid, task: Task(task.id, Phase.FAILED)
    for _ in range(3):
        go(run, api, task_retries=retries)
    assert run.statuses() == [Status.FAILED]
    assert len(api.tasks) == tasks
    assert run.records()[0].error_message == "the task failed; the API gave no reason"


def test_a_task_that_stays_unknown_is_held_and_only_a_retry_pays_again(folder: Path) -> None:
    run, api = desk(folder)

    def deny(paid: Paid, task: Task) -> Task:
        raise UnknownTask("no such task")

    api.on_look = deny
    go(run, api)
    go(run, api)
    (record,) = run.records()
    assert (record.status, record.error_type) == (Status.HELD, "unknown_task")
    assert len(api.tasks) == 1
    api.on_look = lambda paid, task: task
    go(run, api, choice=Choice(retry=frozenset({Status.HELD})))
    assert run.statuses() == [Status.DOWNLOADED]


def test_a_task_that_is_not_known_everywhere_yet_is_asked_for_again(folder: Path) -> None:
    run, api = desk(folder)

    def lag(paid: Paid, task: Task) -> Task:
        if paid.looks < 2:
            raise UnknownTask("no such task")
        return task

    api.on_look = lag
    go(run, api)
    assert run.statuses() == [Status.DOWNLOADED]
    assert len(api.tasks) == 1


def test_answers_out_of_order_do_not_take_a_finished_task_back(folder: Path) -> None:
    run, api = desk(folder)
    api.on_look = lambda paid, task: Task(task.id, Phase.RUNNING) if paid.looks > 1 else task
    fetches: Counter[str] = Counter()

    def late(n: int, url: str) -> bytes:
        fetches[url] += 1
        if fetches[url] < 3:
            raise NotAnImage("half of it")
        return png(1)

    api.on_fetch = late
    go(run, api)
    go(run, api)
    assert run.statuses() == [Status.DOWNLOADED]
    assert len(api.tasks) == 1


def test_a_finished_task_whose_urls_come_later_is_waited_for(folder: Path) -> None:
    run, api = desk(folder)
    api.on_look = lambda paid, task: (
        Task(task.id, Phase.COMPLETED, cost=api.cost) if paid.looks < 4 else task
    )
    go(run, api)
    assert run.statuses() == [Status.DOWNLOADED]
    verified(run)


def test_a_finished_task_that_never_gives_an_image_is_expired_and_never_called_there(
    folder: Path,
) -> None:
    run, api = desk(folder)
    api.images = 0
    go(run, api)
    assert run.statuses() == [Status.COMPLETED], "its urls may come yet"
    run.clock.time += 25 * 3600
    go(run, api)
    assert run.statuses() == [Status.EXPIRED]
    assert run.files() == []


def test_urls_that_come_late_bring_the_image_home_for_free(folder: Path) -> None:
    run, api = desk(folder)
    api.images = 0
    go(run, api)
    api.images = 1
    go(run, api)
    assert run.statuses() == [Status.DOWNLOADED]
    assert len(api.tasks) == 1


@pytest.mark.parametrize("key", ["key-for-tests", "another-key"])
def test_an_empty_result_is_no_download_under_any_key(folder: Path, key: str) -> None:
    run, api = desk(folder)
    api.images = 0
    go(run, api, download=False)
    run.key = key
    run.clock.time += 25 * 3600
    go(run, api)
    assert run.statuses() == [Status.EXPIRED if key == "key-for-tests" else Status.COMPLETED]


@pytest.mark.parametrize(("given", "files"), [(1, 1), (2, 2), (3, 3), (5, 3)])
def test_a_request_for_several_images_takes_what_comes(
    folder: Path, given: int, files: int
) -> None:
    run, api = desk(folder)
    api.images = given
    go(run, api, entries(job("a", images=3)))
    assert run.statuses() == [Status.DOWNLOADED]
    assert len(run.files()) == files
    said = [getattr(one, "message", "") for one in run.events]
    assert any(f"{given} of 3 images" in one for one in said) is (given != 3)
    verified(run)


def test_a_look_that_is_refused_for_ever_does_not_keep_the_run(folder: Path) -> None:
    run, api = desk(folder)

    def refuse(paid: Paid, task: Task) -> Task:
        raise Refused("bad request", code=400)

    api.on_look = refuse
    go(run, api)
    assert run.statuses() == [Status.SUBMITTED]


def test_an_empty_account_at_a_look_stops_the_run_and_loses_nothing(folder: Path) -> None:
    run, api = desk(folder)

    def refuse(paid: Paid, task: Task) -> Task:
        raise BalanceEmpty("empty", code=402)

    api.on_look = refuse
    assert isinstance(go(run, api), BalanceEmpty)
    assert run.statuses() == [Status.SUBMITTED]
    api.on_look = lambda paid, task: task
    go(run, api)
    assert run.statuses() == [Status.DOWNLOADED]
    assert len(api.tasks) == 1


# ── urls ────────────────────────────────────────────────────────────────────────────────────


def test_a_url_that_is_gone_is_asked_for_anew_and_then_the_job_is_expired(folder: Path) -> None:
    run, api = desk(folder)
    api.on_fetch = gone
    go(run, api)
    (record,) = run.records()
    assert (record.status, record.error_type) == (Status.EXPIRED, "expired")
    assert api.tasks[0].looks == 2
    assert (record.cost, record.results[0].url) == (api.cost, "http://images/task_1/1")
    go(run, api)
    assert len(api.tasks) == 1


def test_a_fresh_url_brings_the_image(folder: Path) -> None:
    run, api = desk(folder)
    api.on_look = lambda paid, task: Task(
        task.id, Phase.COMPLETED, cost=api.cost, results=(Result(f"http://images/{paid.looks}"),)
    )

    def only_fresh(n: int, url: str) -> bytes:
        if url.endswith("/1"):
            raise Gone("gone")
        return png(3)

    api.on_fetch = only_fresh
    go(run, api)
    assert run.statuses() == [Status.DOWNLOADED]
    assert run.records()[0].results[0].url == "http://images/2"


def test_a_clock_far_ahead_does_not_make_every_image_expire(folder: Path) -> None:
    run, api = desk(folder)
    past = run.clock.time - 10**7
    api.on_look = lambda paid, task: Task(
        task.id, Phase.COMPLETED, cost=api.cost, results=(Result("http://images/1", past),)
    )
    go(run, api)
    assert run.statuses() == [Status.DOWNLOADED]


def test_urls_that_change_between_looks_never_lose_an_image(folder: Path) -> None:
    run, api = desk(folder)
    lists = {1: ("x", "y", "z"), 2: ("y2",), 3: ("x3", "y3", "z3", "w3")}

    def change(paid: Paid, task: Task) -> Task:
        names = lists[min(paid.looks, 3)]
        results = tuple(Result(f"http://images/{name}") for name in names)
        return Task(task.id, Phase.COMPLETED, cost=api.cost, results=results)

    def first_ones_break(n: int, url: str) -> bytes:
        if url.endswith(("/y", "/z", "/y2")):
            raise NotAnImage("half of it")
        return png(n)

    api.on_look, api.on_fetch = change, first_ones_break
    go(run, api, entries(job("a", images=3)))
    go(run, api, entries(job("a", images=3)))
    assert run.statuses() == [Status.DOWNLOADED]
    assert len(run.records()[0].results) == 3
    verified(run)


def test_one_image_that_is_gone_does_not_keep_the_others_from_coming_home(folder: Path) -> None:
    run, api = desk(folder)
    api.images = 4

    def first_is_gone(n: int, url: str) -> bytes:
        if url.endswith("/1"):
            raise Gone("gone")
        return png(n)

    api.on_fetch = first_is_gone
    go(run, api, entries(job("a", images=4)))
    assert run.statuses() == [Status.EXPIRED]
    assert run.files() == ["images/a-2.png", "images/a-3.png", "images/a-4.png"]
    assert [bool(one.file) for one in run.records()[0].results] == [False, True, True, True]


def test_a_broken_image_host_leaves_the_job_paid_and_to_be_fetched(folder: Path) -> None:
    run, api = desk(folder)

    def broken(n: int, url: str) -> bytes:
        raise Unavailable("broken", code=503)

    api.on_fetch = broken
    go(run, api, patience=10**9)
    assert run.statuses() == [Status.COMPLETED]
    api.on_fetch = lambda n, url: png(1)
    go(run, api)
    assert run.statuses() == [Status.DOWNLOADED]
    assert len(api.tasks) == 1


@pytest.mark.parametrize("data", [b"", b"<html>no</html>", png(1)[:-9]])
def test_what_is_no_image_is_never_called_downloaded(folder: Path, data: bytes) -> None:
    run, api = desk(folder)
    api.on_fetch = lambda n, url: data
    go(run, api)
    assert run.statuses() == [Status.COMPLETED]
    assert run.files() == []


def test_a_dead_image_host_is_given_up_within_a_minute(folder: Path) -> None:
    run, api = desk(folder)

    def dead(n: int, url: str) -> bytes:
        raise Unreachable("nobody there")

    api.on_fetch = dead
    began = run.clock.time
    go(run, api, patience=10**9)
    assert run.statuses() == [Status.COMPLETED]
    assert api.calls["fetch"] == 4 * schema.api("backoff", "fetch_attempts")
    assert api.calls["look"] == 3  # one that saw it done, two that asked for a fresh url
    assert run.clock.time - began < 60


# ── in two runs ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("how", "between"),
    [({"wait": False}, Status.SUBMITTED), ({"download": False}, Status.COMPLETED)],
)
def test_what_one_run_sent_the_next_one_collects(
    folder: Path, how: dict[str, bool], between: Status
) -> None:
    run, api = desk(folder)
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(8)))
    go(run, api, jobs, **how)
    assert set(run.statuses()) == {between}
    go(run, api, jobs)
    assert set(run.statuses()) == {Status.DOWNLOADED}
    assert len(api.tasks) == 8
    verified(run)


def test_a_second_run_of_a_finished_spec_asks_nobody_anything(folder: Path) -> None:
    run, api = desk(folder)
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(8)))
    go(run, api, jobs)
    api.calls.clear()
    before = run.records()
    go(run, api, jobs)
    assert api.requests() == 0
    assert run.records() == before


# ── repair ──────────────────────────────────────────────────────────────────────────────────


def delete(file: Path) -> None:
    file.unlink()


def shorten(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def overwrite(file: Path) -> None:
    file.write_bytes(b"\x00" * file.stat().st_size)


@pytest.mark.parametrize(
    ("harm", "thorough"), [(delete, False), (shorten, False), (overwrite, True)]
)
def test_a_harmed_file_is_fetched_again_for_free(
    folder: Path, harm: Callable[[Path], None], thorough: bool
) -> None:
    run, api = desk(folder)
    jobs = entries(job("a"), job("b", "b"))
    go(run, api, jobs)
    harm(run.folder / "images" / "a.png")
    api.calls.clear()
    go(run, api, jobs, thorough=thorough)
    assert api.calls["submit"] == 0
    assert api.calls["fetch"] == 1
    assert run.statuses() == [Status.DOWNLOADED] * 2
    verified(run)
    run.sound()


def test_a_file_that_was_only_moved_is_found_without_any_request(folder: Path) -> None:
    run, api = desk(folder)
    go(run, api)
    images = run.folder / "images"
    (images / ".kept").mkdir()
    digest = run.records()[0].results[0].sha256
    (images / "a.png").rename(images / ".kept" / f"{digest[:16]}.png")
    run.clock.time += 10**7
    api.calls.clear()
    go(run, api)
    assert api.requests() == 0
    assert run.statuses() == [Status.DOWNLOADED]
    verified(run)


def test_a_lost_file_whose_urls_are_all_gone_is_expired_and_still_paid(folder: Path) -> None:
    run, api = desk(folder)
    go(run, api)
    (run.folder / "images" / "a.png").unlink()
    api.on_fetch = gone
    go(run, api)
    assert run.statuses() == [Status.EXPIRED]
    assert run.records()[0].cost == api.cost
    assert len(api.tasks) == 1


def test_a_renamed_entry_keeps_its_file_without_any_request(folder: Path) -> None:
    run, api = desk(folder)
    go(run, api, entries(job("a", "1"), job("b", "2"), job("c", "3")))
    before = {one.prompt: one.results[0].sha256 for one in run.records()}
    api.calls.clear()
    go(run, api, entries(job("b", "1"), job("a", "2"), job("d", "3")))
    assert api.requests() == 0
    assert {one.prompt: one.results[0].sha256 for one in run.records()} == before
    assert run.files() == ["images/a.png", "images/b.png", "images/d.png"]
    verified(run)
    run.sound()


def test_an_entry_that_comes_back_gets_its_file_back(folder: Path) -> None:
    run, api = desk(folder)
    go(run, api, entries(job("a", "old")))
    go(run, api, entries(job("a", "new")))
    assert len(run.files()) == 2
    api.calls.clear()
    go(run, api, entries(job("a", "old")))
    assert api.requests() == 0
    assert len(run.files()) == 2
    verified(run)


# ── all over HTTP ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "faults",
    [
        ("shape=string",),
        ("shape=items", "odd_status=true", "timestamps=milliseconds"),
        ("cost=missing", "timestamps=missing"),
        ("cost=text", "redirect=1", "error_shape=success"),
        ("format=webp", "error_shape=public", "language=zh", "fail_first=1"),
    ],
    ids=" ".join,
)
def test_every_shape_of_the_api_leads_to_the_same_files(
    folder: Path, faults: tuple[str, ...]
) -> None:
    async def live() -> None:
        async with rig(folder / "out", *faults) as run:
            await run.run(entries(job("a", images=3), job("b", "b")))
            assert set(run.statuses()) == {Status.DOWNLOADED}
            assert len(run.files()) == 4
            assert run.server is not None
            assert run.server.ledger.requests["leaked_keys"] == 0
            verified(run)
            run.sound()

    asyncio.run(live())


def test_a_run_that_is_stopped_in_the_middle_is_finished_by_the_next(folder: Path) -> None:
    async def live() -> None:
        for moment in (1, 3, 7, 12, 20):
            async with rig(folder / str(moment), "task_seconds=5-60") as run:
                brake = Brake(run.clock)
                seen = 0

                def stop(event: object, brake: Brake = brake, moment: int = moment) -> None:
                    nonlocal seen
                    seen += 1
                    if seen == moment:
                        brake.pull("stopped")

                jobs = entries(*(job(f"e{n}", str(n)) for n in range(6)))
                run.heed = stop
                assert await run.run(jobs, brake=brake) == "stopped"
                run.sound()
                run.heed = lambda event: None
                await run.run(jobs)
                assert set(run.statuses()) == {Status.DOWNLOADED}
                assert run.billed() == 6
                run.sound()

    asyncio.run(live())


@pytest.mark.parametrize("concurrency", [1, 256])
def test_hundreds_of_jobs_are_each_paid_once_at_any_concurrency(
    folder: Path, concurrency: int
) -> None:
    run, api = desk(folder)
    api.on_fetch = lambda n, url: png(7)
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(400)))
    go(run, api, jobs, concurrency=concurrency)
    assert set(run.statuses()) == {Status.DOWNLOADED}
    assert len(api.tasks) == len(api.keys) == len(api.sent) == 400
    run.sound()
