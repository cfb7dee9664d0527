"""Manners around any Api: what is tried again, what is not, and when the API is out of reach."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from virtual import LoopClock, run

from pipeline import errors, schema
from pipeline.api import Accepted, Balance, Brought, Parcel, Phase, Task, Uploaded
from pipeline.brake import Brake, Halted
from pipeline.model import Image
from pipeline.retry import Backoff, Careful, Manners, Pace, Patient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


ATTEMPTS: int = schema.api("backoff", "attempts")
FETCH_ATTEMPTS: int = schema.api("backoff", "fetch_attempts")


PARCEL = Parcel("https://i/1", "1-1", "a", {})
BROUGHT = Brought(Image(0, "", file="images/a.png"), 0.1)


class Scripted:
    """An Api, and a Porter, that says what it is told to: errors in turn, then success for ever."""

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

    async def bring(self, parcel: Parcel) -> Brought:
        self._next("bring", parcel)
        return BROUGHT

    async def close(self) -> None:
        self.calls.append(("close",))


class Both(Patient):
    """Patient with the API, and beside it careful with images."""

    porter: Careful


def serve(
    api: Scripted,
    work: Callable[[Both, Brake, Pace], Awaitable[Any]],
    heard: list[Any] | None = None,
) -> Any:
    async def scene() -> Any:
        clock = LoopClock()
        brake = Brake(clock)
        pace, images = (Pace(clock=clock, brake=brake, listener=lambda _: None) for _ in range(2))
        listener = heard.append if heard is not None else lambda _: None
        manners = Manners(pace, Backoff(random.Random(3)), clock, brake, listener)
        patient = Both(api, manners)
        patient.porter = Careful(api, replace(manners, pace=images))
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


CALLS: dict[str, Callable[[Both], Awaitable[Any]]] = {
    "look": lambda patient: patient.look("t1"),
    "upload": lambda patient: patient.upload(Path("mug.png"), "image/png"),
    "balance": lambda patient: patient.balance(),
    "fetch": lambda patient: patient.porter.bring(PARCEL),
}


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
        await patient.porter.bring(PARCEL)
        return pace.paused_until

    assert serve(api, work) == 0.0


def test_images_that_cannot_be_had_do_not_hold_up_the_others() -> None:
    async def work(patient: Both, brake: Brake, pace: Pace) -> float:
        for _ in range(20):
            api.says = [errors.Cut("x")]
            await patient.porter.bring(PARCEL)
        began = LoopClock().monotonic()
        await patient.porter.bring(PARCEL)
        return LoopClock().monotonic() - began

    api = Scripted()
    assert serve(api, work) < 0.1


def test_what_came_and_was_no_image_is_not_asked_for_again_here() -> None:
    api = Scripted(errors.NotAnImage("x"))
    with pytest.raises(errors.NotAnImage):
        serve(api, lambda patient, brake, pace: patient.porter.bring(PARCEL))
    assert len(api.calls) == 1


@pytest.mark.parametrize(
    ("name", "called", "details"),
    [
        ("look", "poll", {"task_id": "t1"}),
        ("fetch", "download", {"url": "https://i/1"}),
        ("balance", "poll", {}),
    ],
)
def test_a_try_that_failed_and_may_heal_is_told(
    name: str, called: str, details: dict[str, str]
) -> None:
    heard: list[Any] = []
    api = Scripted(errors.Cut("it broke"), errors.RateLimited("slow", retry_after=1.0))
    serve(api, lambda patient, brake, pace: CALLS[name](patient), heard)
    (noted,) = heard
    assert noted.message == f"a {called} did not work out: it broke"
    assert noted.details == details


def test_silence_is_counted_from_the_last_answer() -> None:
    api = Scripted()

    async def work(patient: Patient, brake: Brake, pace: Pace) -> float:
        await patient.balance()
        heard = patient.last_answer
        await LoopClock().sleep(1000)
        api.says = [errors.Unreachable("x") for _ in range(ATTEMPTS)]
        with pytest.raises(errors.Unreachable):
            await patient.look("t1")
        return patient.last_answer - heard

    assert serve(api, work) == 0.0


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
        await patient.look("done in an earlier run")
        api.phase = Phase.RUNNING
        await patient.look("sent by an earlier run")
        await patient.look("sent by an earlier run")
        api.phase = Phase.COMPLETED
        await patient.look("sent by an earlier run")

    api = Scripted()
    serve(api, work)
    assert counted == ["started", "finished", "started", "finished"]


# ── backoff ─────────────────────────────────────────────────────────────────────────────────


def test_delays_grow_to_a_limit_and_are_spread() -> None:
    facts = schema.api("backoff")
    backoff = Backoff(random.Random(1))
    for tries in range(1, 200):
        full = min(facts["first_seconds"] * facts["factor"] ** (tries - 1), facts["max_seconds"])
        drawn = {backoff.delay(tries) for _ in range(20)}
        assert full / 2 <= min(drawn) < max(drawn) <= full
