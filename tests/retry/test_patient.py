"""Manners around any Api: what is tried again, what is not, and when the API is out of reach."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from virtual import LoopClock, run

from pipeline import errors, schema
from pipeline.api import Accepted, Balance, Download, Phase, Task, Uploaded
from pipeline.brake import Brake, Halted
from pipeline.retry import Backoff, Pace, Patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

ATTEMPTS: int = schema.api("backoff", "attempts")
FETCH_ATTEMPTS: int = schema.api("backoff", "fetch_attempts")


class Scripted:
    """An Api that says what it is told to: errors in turn, then success for ever."""

    def __init__(self, *says: Exception) -> None:
        self.says = list(says)
        self.calls: list[tuple[Any, ...]] = []
        self.phase = Phase.COMPLETED

    def _next(self, *call: Any) -> None:
        self.calls.append(call)
        if self.says:
            raise self.says.pop(0)

    async def submit(self, body: bytes, key: str) -> Accepted:
        self._next("submit", body, key)
        return Accepted(f"t{len(self.calls)}")

    async def look(self, task_id: str) -> Task:
        self._next("look", task_id)
        return Task(task_id, self.phase)

    async def upload(self, path: Path, media_type: str) -> Uploaded:
        self._next("upload", path, media_type)
        return Uploaded("https://up/1")

    async def balance(self) -> Balance:
        self._next("balance")
        return Balance(None, None)

    @asynccontextmanager
    async def fetch(self, url: str) -> AsyncIterator[Download]:
        self._next("fetch", url)

        async def chunks() -> AsyncIterator[bytes]:
            yield b"x"

        yield Download(1, chunks())

    async def close(self) -> None:
        self.calls.append(("close",))


def serve(api: Scripted, work: Callable[[Patient, Brake, Pace], Awaitable[Any]]) -> Any:
    async def scene() -> Any:
        clock = LoopClock()
        brake = Brake(clock)
        pace, images = (Pace(clock=clock, brake=brake, listener=lambda _: None) for _ in range(2))
        backoff = Backoff(random.Random(3))
        patient = Patient(api, pace=pace, images=images, backoff=backoff, clock=clock, brake=brake)
        return await work(patient, brake, pace)

    return run(scene())


def test_a_submit_waits_out_every_429_with_the_same_body_and_key() -> None:
    api = Scripted(*(errors.RateLimited("slow", retry_after=1.0) for _ in range(20)))
    found = serve(api, lambda patient, brake, pace: patient.submit(b"body", "key"))
    assert found.task_id == "t21"
    assert set(api.calls) == {("submit", b"body", "key")}


@pytest.mark.parametrize(
    "error",
    [
        errors.Cut("x"),
        errors.TimedOut("x"),
        errors.Unavailable("x"),
        errors.Rubbish("x"),
        errors.InProgress("x"),
        errors.Unreachable("x"),
        errors.NotExecuted("x"),
        errors.Refused("x"),
        errors.KeyRefused("x"),
        errors.Indeterminate("x"),
    ],
)
def test_any_other_outcome_of_a_submit_is_the_engines_to_decide(error: errors.ApiError) -> None:
    api = Scripted(error)
    with pytest.raises(type(error)):
        serve(api, lambda patient, brake, pace: patient.submit(b"", "k"))
    assert len(api.calls) == 1


def test_a_submit_that_waits_out_a_429_is_woken_by_the_brake() -> None:
    api = Scripted(errors.RateLimited("slow", retry_after=600.0))

    async def work(patient: Patient, brake: Brake, pace: Pace) -> None:
        import asyncio

        asyncio.get_running_loop().call_later(5, brake.pull, "stop")
        await patient.submit(b"", "k")

    with pytest.raises(Halted):
        serve(api, work)
    assert len(api.calls) == 1


CALLS: dict[str, Callable[[Patient], Awaitable[Any]]] = {
    "look": lambda patient: patient.look("t1"),
    "upload": lambda patient: patient.upload(None, "image/png"),  # type: ignore[arg-type]
    "balance": lambda patient: patient.balance(),
    "fetch": lambda patient: opened(patient),
}


async def opened(patient: Patient) -> None:
    async with patient.fetch("https://i/1") as download:
        assert [chunk async for chunk in download.chunks] == [b"x"]


@pytest.mark.parametrize("name", CALLS)
def test_what_heals_is_tried_again_and_then_raised(name: str) -> None:
    most = FETCH_ATTEMPTS if name == "fetch" else ATTEMPTS
    healing = [errors.Cut("x"), errors.Unavailable("x"), errors.Unreachable("x")][: most - 1]
    api = Scripted(*healing)
    serve(api, lambda patient, brake, pace: CALLS[name](patient))
    assert len(api.calls) == len(healing) + 1
    api = Scripted(*(errors.Cut("x") for _ in range(50)))
    with pytest.raises(errors.Cut):
        serve(api, lambda patient, brake, pace: CALLS[name](patient))
    assert len(api.calls) == most


@pytest.mark.parametrize("name", CALLS)
def test_what_does_not_heal_is_raised_at_once(name: str) -> None:
    for error in (errors.Refused("x"), errors.KeyRefused("x"), errors.Gone("x")):
        api = Scripted(error)
        with pytest.raises(type(error)):
            serve(api, lambda patient, brake, pace: CALLS[name](patient))
        assert len(api.calls) == 1


@pytest.mark.parametrize("name", CALLS)
def test_a_429_costs_no_attempt(name: str) -> None:
    api = Scripted(*(errors.RateLimited("x", retry_after=1.0) for _ in range(ATTEMPTS * 3)))
    serve(api, lambda patient, brake, pace: CALLS[name](patient))
    assert len(api.calls) == ATTEMPTS * 3 + 1


def test_refusals_of_an_image_host_do_not_hold_up_the_api() -> None:
    api = Scripted(errors.RateLimited("x", retry_after=100.0))

    async def work(patient: Patient, brake: Brake, pace: Pace) -> float:
        await opened(patient)
        return pace.paused_until

    assert serve(api, work) == 0.0


def test_an_error_inside_an_open_image_passes_through_and_closes_it() -> None:
    async def work(patient: Patient, brake: Brake, pace: Pace) -> None:
        async with patient.fetch("https://i/1"):
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        serve(Scripted(), work)


# ── out of reach ────────────────────────────────────────────────────────────────────────────


def test_silence_is_counted_from_the_first_request_without_an_answer() -> None:
    async def work(patient: Patient, brake: Brake, pace: Pace) -> tuple[float, float, float]:
        await patient.balance()
        heard = patient.last_answer
        await LoopClock().sleep(1000)
        idle = patient.out_of_reach
        with pytest.raises(errors.Unreachable):
            await patient.look("t1")
        return heard, idle, patient.out_of_reach

    api = Scripted()
    api.says = []

    async def scene(patient: Patient, brake: Brake, pace: Pace) -> tuple[float, float, float]:
        await patient.balance()
        heard = patient.last_answer
        await LoopClock().sleep(1000)
        idle = patient.out_of_reach
        api.says = [errors.Unreachable("x") for _ in range(ATTEMPTS)]
        with pytest.raises(errors.Unreachable):
            await patient.look("t1")
        return patient.last_answer - heard, idle, patient.out_of_reach

    moved, idle, silent = serve(api, scene)
    assert moved == 0.0
    assert idle == 0.0
    assert 30 <= silent < 200


@pytest.mark.parametrize(
    ("error", "heard"),
    [
        (errors.Refused("x"), True),
        (errors.KeyRefused("x"), True),
        (errors.Indeterminate("x"), True),
        (errors.NotExecuted("x"), True),
        (errors.Unavailable("x"), False),
        (errors.Rubbish("x"), False),
        (errors.Cut("x"), False),
        (errors.Unreachable("x"), False),
    ],
)
def test_only_what_the_api_itself_says_is_an_answer(error: errors.ApiError, heard: bool) -> None:
    async def work(patient: Patient, brake: Brake, pace: Pace) -> float:
        await LoopClock().sleep(100)
        with pytest.raises(errors.ApiError):
            await patient.submit(b"", "k")
        return patient.last_answer

    assert (serve(Scripted(error), work) >= 100) is heard


def test_a_pause_that_the_api_asked_for_is_no_silence() -> None:
    api = Scripted(errors.RateLimited("x", retry_after=600.0))

    async def work(patient: Patient, brake: Brake, pace: Pace) -> float:
        import asyncio

        asking = asyncio.ensure_future(patient.look("t1"))
        await LoopClock().sleep(500)
        silent = LoopClock().monotonic() - patient.last_answer
        await asking
        return silent

    assert serve(api, work) == 0.0


def test_running_tasks_are_counted_from_submit_to_the_last_look() -> None:
    counted: list[str] = []

    async def work(patient: Patient, brake: Brake, pace: Pace) -> None:
        pace.started = lambda: counted.append("started")  # type: ignore[method-assign]
        pace.finished = lambda: counted.append("finished")  # type: ignore[method-assign]
        accepted = await patient.submit(b"", "k")
        await patient.look(accepted.task_id)
        await patient.look(accepted.task_id)
        await patient.look("from an earlier run")

    serve(Scripted(), work)
    assert counted == ["started", "finished"]


# ── backoff ─────────────────────────────────────────────────────────────────────────────────


def test_delays_grow_to_a_limit_and_are_spread() -> None:
    facts = schema.api("backoff")
    backoff = Backoff(random.Random(1))
    for tries in range(1, 200):
        full = min(facts["first_seconds"] * facts["factor"] ** (tries - 1), facts["max_seconds"])
        drawn = {backoff.delay(tries) for _ in range(20)}
        assert full / 2 <= min(drawn) < max(drawn) <= full
