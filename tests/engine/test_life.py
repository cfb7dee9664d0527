"""No sequence of answers leaves a job where it may not be, or paid twice under one attempt."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from engine_rig import Dead, Fuse, entries, job
from engine_script import Paid, Script, desk, png
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.api import Phase, Result, Task
from pipeline.errors import (
    ApiError,
    BalanceEmpty,
    Cut,
    Disguised,
    Gone,
    Indeterminate,
    InProgress,
    KeyRefused,
    KeyReused,
    NotAnImage,
    NotExecuted,
    NotPermitted,
    RateLimited,
    Refused,
    Rubbish,
    TimedOut,
    Unavailable,
    UnknownTask,
    Unreachable,
)
from pipeline.lifecycle import Status
from pipeline.planning import Choice

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine_rig import Rig

SUBMITS: list[type[ApiError]] = [
    BalanceEmpty, Cut, Disguised, Indeterminate, InProgress, KeyRefused, KeyReused, NotExecuted,
    NotPermitted, RateLimited, Refused, Rubbish, TimedOut, Unavailable, Unreachable,
]  # fmt: skip
LOOKS = [
    "ok", "ok", "ok", "running", "failed", "no cost", "no urls", "two urls", "late", "unknown",
    "cut", "refused", "no money",
]  # fmt: skip
FETCHES = ["ok", "ok", "ok", "gone", "half", "broken"]


@st.composite
def histories(draw: st.DrawFn) -> dict[str, Any]:
    """Answers of an API to some runs, and what happens between the runs."""
    few = {"max_size": 8}
    runs = st.fixed_dictionaries(
        {
            "hours": st.sampled_from([0, 0, 1, 23, 25, 80, -2]),
            "dies": st.none() | st.integers(1, 40),
            "retry": st.booleans(),
            "wait": st.sampled_from([True, True, True, False]),
            "key": st.sampled_from(["one", "one", "one", "two"]),
            "max_cost": st.none() | st.integers(0, 3).map(lambda jobs: jobs * 33_600_000),
        }
    )
    return {
        "jobs": draw(st.integers(1, 3)),
        "images": draw(st.integers(1, 2)),
        "submits": draw(st.lists(st.none() | st.sampled_from(SUBMITS), **few)),
        "looks": draw(st.lists(st.sampled_from(LOOKS), **few)),
        "fetches": draw(st.lists(st.sampled_from(FETCHES), **few)),
        "runs": draw(st.lists(runs, min_size=1, max_size=4)),
    }


def play(api: Script, told: dict[str, Any]) -> None:
    """Have the script answer as told, and well when all of it was said."""
    submits, looks, fetches = (iter(told[name]) for name in ("submits", "looks", "fetches"))

    def submit(n: int, key: str) -> ApiError | None:
        kind = next(submits, None)
        return kind("no") if kind else None

    def look(paid: Paid, task: Task) -> Task:
        return LOOK[next(looks, "ok")](task)

    def fetch(n: int, url: str) -> bytes:
        return FETCH[next(fetches, "ok")](n)

    api.images = told["images"]
    api.on_submit, api.on_look, api.on_fetch = submit, look, fetch


def refuse(kind: type[ApiError]) -> Callable[[Any], Any]:
    def answer(_: Any) -> Any:
        raise kind("no")

    return answer


LOOK: dict[str, Callable[[Task], Task]] = {
    "ok": lambda task: task,
    "running": lambda task: Task(task.id, Phase.RUNNING, progress=50),
    "failed": lambda task: Task(task.id, Phase.FAILED, error_message="no"),
    "no cost": lambda task: Task(task.id, Phase.COMPLETED, results=task.results),
    "no urls": lambda task: Task(task.id, Phase.COMPLETED, cost=task.cost),
    "two urls": lambda task: Task(
        task.id, Phase.COMPLETED, cost=task.cost, results=(Result("http://a"), Result("http://b"))
    ),
    "late": lambda task: Task(
        task.id, Phase.COMPLETED, cost=task.cost, results=(Result("http://a", 5.0),)
    ),
    "unknown": refuse(UnknownTask),
    "cut": refuse(Cut),
    "refused": refuse(Refused),
    "no money": refuse(BalanceEmpty),
}
FETCH: dict[str, Callable[[int], bytes]] = {
    "ok": png,
    "gone": refuse(Gone),
    "half": refuse(NotAnImage),
    "broken": refuse(Unavailable),
}


def check(run: Rig, api: Script, retries: int) -> None:
    """What must hold after every run, however it ended."""
    run.sound()
    bodies: dict[str, set[bytes]] = {}
    for key, body in api.sent:
        bodies.setdefault(key, set()).add(body)
    assert all(len(one) == 1 for one in bodies.values()), "one key, two bodies"
    assert max(Counter(one.key for one in api.tasks).values(), default=1) == 1, "one key, two tasks"
    for record in run.records():
        attempts = [key for key in api.keys if f"-{record.number}-" in key]
        paid = [one for one in api.tasks if one.key in attempts]
        # one by itself after a failed task in each life, and one for each time a user said so
        assert len(paid) <= 2 * (1 + retries)
        if record.status is Status.PENDING and record.attempt:
            assert record.task_id == ""
        if record.status is Status.FAILED and record.task_id == "":
            assert not [one for one in paid if one.key == record.key], "failed, yet executed"
        if record.status is Status.DOWNLOADED:
            assert record.results
            for image in record.results:
                assert (run.folder / image.file).stat().st_size == image.bytes
    assert not [name for name in run.files() if ".parts" in name]


@settings(max_examples=40, deadline=None)
@given(histories())
def test_no_sequence_of_answers_pays_twice_or_breaks_a_life(told: dict[str, Any]) -> None:
    with TemporaryDirectory() as made:
        run, api = desk(Path(made))
        play(api, told)
        jobs = entries(
            *(job(f"e{n}", "the same", images=told["images"]) for n in range(told["jobs"]))
        )
        retries = 0
        for one in told["runs"]:
            run.clock.time += one["hours"] * 3600
            run.key = one["key"]
            retries += one["retry"]
            asked = frozenset({Status.FAILED, Status.HELD, Status.EXPIRED})
            before = len(api.tasks)
            choice = Choice(retry=asked) if one["retry"] else None
            how = {"wait": one["wait"], "max_cost": one["max_cost"], "choice": choice}
            with suppress(Dead):
                asyncio.run(run.run(jobs, api=api, fuse=Fuse(one["dies"]), **how))
            if one["max_cost"] is not None:
                assert (len(api.tasks) - before) * api.price <= one["max_cost"] or told_late(told)
            check(run, api, retries)
        # The API has no more surprises: what is not stopped comes to its end.
        run.key = "one"
        asyncio.run(run.run(jobs, api=api))
        run.key = "two"
        asyncio.run(run.run(jobs, api=api))
        check(run, api, retries)


def told_late(told: dict[str, Any]) -> bool:
    """A failed task is given back, so that more tasks than the limit pays for may have run."""
    return "failed" in told["looks"] or told["images"] > 1
