"""When to look at a task: simulated lives of tasks, no time passes."""

from __future__ import annotations

import heapq
import random
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from pipeline import schema
from pipeline.api import Phase, Task
from pipeline.retry import Looks

if TYPE_CHECKING:
    from collections.abc import Callable

FACTS = schema.api("looks")


@dataclass
class Watched:
    """What a run of many tasks cost in looks, and how late each was seen to be done."""

    looks: int = 0
    late: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)

    @property
    def each(self) -> float:
        return self.looks / len(self.late)


def watch(
    lasts: Callable[[random.Random], float],
    *,
    tasks: int = 500,
    at_once: int = 32,
    progress: bool = False,
    estimate: bool = False,
    looks: Looks | None = None,
    latency: float = 0.05,
) -> Watched:
    """Live through `tasks` tasks, `at_once` at a time."""
    dice, looks, seen = random.Random(5), looks or Looks(), Watched()
    due: list[tuple[float, int, float, float]] = []

    def submit(now: float, number: int) -> None:
        heapq.heappush(due, (now + looks.first("m"), number, now, lasts(dice)))

    for number in range(min(at_once, tasks)):
        submit(number * 0.05, number)
    begun = min(at_once, tasks)
    while due:
        at, number, born, length = heapq.heappop(due)
        now = at + latency
        elapsed = now - born
        seen.looks += 1
        if elapsed >= length:
            seen.late.append(elapsed - length)
            looks.learn("m", elapsed)
            if begun < tasks:
                submit(now, begun)
                begun += 1
            continue
        task = Task(
            f"t{number}",
            Phase.RUNNING,
            progress=int(100 * elapsed / length) if progress else 0,
            estimated=round(length) if estimate else 0,
        )
        gap = looks.next("m", elapsed, task)
        seen.gaps.append(gap)
        heapq.heappush(due, (now + gap, number, born, length))
    return seen


def usual(dice: random.Random) -> float:
    return dice.uniform(5, 60)


@pytest.mark.parametrize("tasks", [60, 500])
@pytest.mark.parametrize(("progress", "estimate"), [(True, True), (True, False), (False, True)])
def test_three_looks_do_and_the_median_task_is_seen_within_two_seconds(
    tasks: int, progress: bool, estimate: bool
) -> None:
    seen = watch(usual, tasks=tasks, progress=progress, estimate=estimate)
    assert seen.each <= 3
    assert statistics.median(seen.late) <= 2


def test_tasks_that_say_nothing_of_themselves_take_four_looks_and_ten_seconds() -> None:
    seen = watch(usual)
    assert seen.each <= 4
    assert statistics.median(seen.late) <= 10


def test_tasks_that_take_alike_are_looked_at_when_they_are_done() -> None:
    seen = watch(lambda dice: dice.gauss(12, 1))
    assert seen.each <= 3
    assert statistics.median(seen.late) <= 2


def test_tasks_done_at_once_are_looked_at_at_once() -> None:
    looks = Looks()
    looks.learn("m", 0.003)
    assert looks.first("m") <= 0.01
    seen = watch(lambda _: 0.0, looks=looks, latency=0.002)
    assert seen.each == 1
    assert max(seen.late) <= 0.01


def test_the_first_task_ever_is_looked_at_soon_for_all_the_others() -> None:
    looks = Looks()
    assert looks.first("m") <= 0.05
    assert [looks.first("m") for _ in range(10)][-1] == FACTS["default_seconds"]


@pytest.mark.parametrize("lie", [{"progress": 50}, {"estimated": 2.0}, {"progress": 99.9}])
def test_tasks_that_lie_are_soon_not_believed(lie: dict[str, float]) -> None:
    looks, told = Looks(), 0
    for number in range(60):
        elapsed = 0.0
        while elapsed < 40:
            wait = looks.next("m", elapsed, Task(f"t{number}", Phase.RUNNING, **lie))  # type: ignore[arg-type]
            elapsed += wait if elapsed else looks.first("m")
            told += 1
        looks.learn("m", 40)
    assert told / 60 <= 8


@pytest.mark.parametrize("elapsed", [0.0, 0.001, 1.0, 10.0, 3600.0])
@pytest.mark.parametrize(
    "task",
    [
        Task("t", Phase.RUNNING),
        Task("t", Phase.RUNNING, progress=100.0),
        Task("t", Phase.RUNNING, progress=0.001, estimated=1e-9),
        Task("t", Phase.RUNNING, estimated=1e7),
    ],
)
def test_a_gap_is_never_nothing_and_never_long(elapsed: float, task: Task) -> None:
    for known in ({}, {"m": [0.0] * 5}, {"m": [30.0, 31.0, 90.0]}):
        gap = Looks(known).next("m", elapsed, task)
        assert FACTS["min_gap_seconds"] <= gap <= FACTS["max_foretold_gap_seconds"]


def test_a_late_task_is_looked_at_less_and_less_often() -> None:
    looks, elapsed, gaps = Looks({"m": [5.0] * 50}), 5.0, []
    while elapsed < 600:
        gaps.append(looks.next("m", elapsed, Task("t", Phase.RUNNING)))
        elapsed += gaps[-1]
    assert len(gaps) < 60
    assert gaps[-1] == FACTS["max_gap_seconds"]


def test_what_was_learned_is_where_the_next_run_starts() -> None:
    first = Looks()
    for seconds in range(10, 30):
        first.learn("m", float(seconds))
    again = Looks(first.snapshot())
    assert again.first("m") == pytest.approx(first.first("m"), rel=0.2)
    assert len(first.snapshot()["m"]) <= 21
    assert Looks().snapshot() == {}


def test_old_tasks_are_forgotten() -> None:
    looks = Looks()
    for _ in range(FACTS["remembered"]):
        looks.learn("m", 60.0)
    for _ in range(FACTS["remembered"]):
        looks.learn("m", 2.0)
    assert looks.first("m") <= 2.5


def test_models_are_learned_apart() -> None:
    looks = Looks({"slow": [50.0] * 20, "fast": [0.01] * 20})
    assert looks.first("slow") > 10
    assert looks.first("fast") < 0.05


@pytest.mark.parametrize(
    ("says", "took"),
    [
        ({"actual": 20.0}, 20.0),
        ({"created": 100.0, "completed": 120.0}, 20.0),
        ({"created": 120.0, "completed": 100.0}, 30.0),
        ({"actual": 90.0}, 30.0),
        ({}, 30.0),
    ],
)
def test_a_task_knows_best_how_long_it_took_unless_that_cannot_be(
    says: dict[str, float], took: float
) -> None:
    looks = Looks()
    looks.learn("m", 30.0, Task("t", Phase.COMPLETED, **says))
    assert looks.nearly_all("m") == took


def test_a_task_that_was_seen_running_took_longer_than_that() -> None:
    looks = Looks()
    looks.next("m", 25.0, Task("t", Phase.RUNNING))
    looks.learn("m", 30.0, Task("t", Phase.COMPLETED, actual=4.0))
    assert looks.nearly_all("m") == 25.0


def test_nothing_is_known_of_a_model_without_tasks() -> None:
    assert Looks().nearly_all("m") == 0.0
