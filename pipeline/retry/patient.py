"""Manners around the API and the hosts of images: waiting one's turn, trying again what heals.

A submit is sent once for each call, except after a 429, which promises that nothing happened;
what any other outcome means for money, and whether it goes out again, is the engine's to decide.
Everything else is free, and is tried again here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from pipeline.api import Phase
from pipeline.errors import (
    AccountError,
    ApiError,
    FetchError,
    InProgress,
    KeyDoubt,
    NotExecuted,
    RateLimited,
    Refused,
    UnknownTask,
)
from pipeline.events import Noted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pipeline.api import Accepted, Api, Balance, Brought, Parcel, Porter, Task, Uploaded
    from pipeline.brake import Brake
    from pipeline.clock import Clock
    from pipeline.events import Listener
    from pipeline.retry.backoff import Backoff
    from pipeline.retry.pace import Lane, Pace

Answer = TypeVar("Answer")

_SPOKEN = (Refused, AccountError, KeyDoubt, RateLimited, NotExecuted, InProgress)
"""Errors that the API itself said, so that it is within reach. A 5xx may come from a gateway."""


@dataclass(frozen=True, slots=True)
class Manners:
    """What it takes to wait one's turn and to try again. `pace` rules the hosts that are asked;
    `listener` hears of each try that failed and may heal."""

    pace: Pace
    backoff: Backoff
    clock: Clock
    brake: Brake
    listener: Listener


class _Mannered:
    """Waits for the turn, calls, and tells the pace, and whoever listens, how it went."""

    def __init__(self, manners: Manners) -> None:
        self._pace = manners.pace
        self._backoff = manners.backoff
        self._clock = manners.clock
        self._brake = manners.brake
        self._listener = manners.listener

    async def _healing(
        self, lane: Lane, call: Callable[[], Awaitable[Answer]], most: int, **details: str
    ) -> Answer:
        """Call until it succeeds, or fails for good, or failed `most` times; a 429 is no failure.

        What came but was no image is not asked for again here.
        """
        tries = 0
        while True:
            try:
                return await self._once(lane, call, details)
            except RateLimited:
                continue
            except ApiError as error:
                tries += 1
                if not error.heals or tries >= most or isinstance(error, FetchError):
                    raise
                await self._brake.rest(max(error.retry_after or 0.0, self._backoff.delay(tries)))

    async def _once(
        self, lane: Lane, call: Callable[[], Awaitable[Answer]], details: dict[str, str]
    ) -> Answer:
        """Wait for the turn and call, once."""
        pace = self._pace
        await pace.turn(lane)
        started = self._clock.monotonic()
        try:
            answer = await call()
        except ApiError as error:
            self._failed(lane, error, started, details)
            raise
        except BaseException:
            pace.dropped(lane)
            raise
        self._succeeded(lane, self._clock.monotonic() - started, answer)
        return answer

    def _succeeded(self, lane: Lane, seconds: float, _answer: object) -> None:
        self._pace.answered(lane, seconds)

    def _failed(self, lane: Lane, error: ApiError, started: float, details: dict[str, str]) -> None:
        """Tell of a try that failed and may heal.

        Refusals are not told here: a 429 has everybody wait, which is told as such, and the rest
        stops its job, whose step says why.
        """
        if isinstance(error, RateLimited):
            self._pace.refused(lane, error.retry_after)
            return
        if error.heals:
            self._tell(lane, error, details)
        if error.heals and not isinstance(error, InProgress | FetchError):
            self._pace.broke(lane, error.retry_after)
        else:
            self._pace.answered(lane, self._clock.monotonic() - started)

    def _tell(self, lane: Lane, error: ApiError, details: dict[str, str]) -> None:
        message = f"a {_CALLED[lane]} did not work out: {error.summary}"
        self._listener(Noted(self._clock.now(), "info", message, details))


_CALLED: dict[Lane, str] = {
    "submit": "submit",
    "look": "poll",
    "upload": "upload",
    "fetch": "download",
}


class Careful(_Mannered):
    """Wraps a `Porter` and is one. The pace is that of the hosts of images.

    A call may raise `Halted` while it waits: then nothing of it is under way.
    """

    def __init__(self, porter: Porter, manners: Manners) -> None:
        """Pass every parcel on to `porter`."""
        super().__init__(manners)
        self._porter = porter

    async def bring(self, parcel: Parcel) -> Brought:
        """Bring an image home, and try once more when what fails may heal."""
        most = self._backoff.fetch_attempts
        return await self._healing(
            "fetch", lambda: self._porter.bring(parcel), most, url=parcel.url
        )

    def _failed(self, lane: Lane, error: ApiError, started: float, details: dict[str, str]) -> None:
        """Slow down for a 429 only: another image, or its host, may be quite well."""
        if error.heals and not isinstance(error, RateLimited):
            self._tell(lane, error, details)
            self._pace.dropped(lane)
        else:
            super()._failed(lane, error, started, details)

    def _succeeded(self, lane: Lane, _seconds: float, answer: object) -> None:
        """Tell the pace how long the host took to answer, without the picture's own way."""
        self._pace.answered(lane, cast("Brought", answer).seconds)


class Patient(_Mannered):
    """Wraps an `Api` and is one. The pace is that of the API's host.

    Every call may raise `Halted` while it waits: then nothing of it is on the wire, and what was
    sent of it before was certainly not executed.
    """

    def __init__(self, api: Api, manners: Manners) -> None:
        """Pass every call on to `api`."""
        super().__init__(manners)
        self._api = api
        self._running: set[str] = set()
        self._answered_at = manners.clock.monotonic()

    # ── is the API there? ───────────────────────────────────────────────────────────────────

    @property
    def last_answer(self) -> float:
        """When the API last answered anything, in monotonic seconds; at first, the beginning.

        A pause that the API asked for is no silence: then this is the end of it, or now.
        """
        return max(self._answered_at, min(self._pace.asked_until, self._clock.monotonic()))

    def _heard(self) -> None:
        self._answered_at = self._clock.monotonic()

    def _succeeded(self, lane: Lane, seconds: float, answer: object) -> None:
        self._heard()
        super()._succeeded(lane, seconds, answer)

    def _failed(self, lane: Lane, error: ApiError, started: float, details: dict[str, str]) -> None:
        if isinstance(error, _SPOKEN):
            self._heard()
        super()._failed(lane, error, started, details)

    # ── the calls ───────────────────────────────────────────────────────────────────────────

    async def submit(self, body: bytes, key: str) -> Accepted:
        """Send `body` when its turn comes, and again after every 429, unchanged.

        A 429 costs no attempt. Raises every other error at once, and `Halted` when the brake is
        pulled before an answer other than 429 came.
        """
        details = {"idempotency_key": key}
        while True:
            try:
                accepted = await self._once("submit", lambda: self._api.submit(body, key), details)
            except RateLimited:
                continue
            self._pace.started()
            self._running.add(accepted.task_id)
            return accepted

    async def look(self, task_id: str) -> Task:
        """Ask for a task's state, again and again while what fails heals."""
        try:
            task = await self._healing(
                "look",
                lambda: self._api.look(task_id),
                self._backoff.attempts,
                task_id=task_id,
            )
        except UnknownTask:
            self._ended(task_id)
            raise
        if task.phase is not Phase.RUNNING:
            self._ended(task_id)
        elif task_id not in self._running:  # from an earlier run
            self._pace.started()
            self._running.add(task_id)
        return task

    def _ended(self, task_id: str) -> None:
        if task_id in self._running:
            self._running.discard(task_id)
            self._pace.finished()

    async def upload(self, path: Path, media_type: str) -> Uploaded:
        """Send a reference image, again and again while what fails heals."""
        return await self._healing(
            "upload",
            lambda: self._api.upload(path, media_type),
            self._backoff.attempts,
            file=path.name,
        )

    async def balance(self) -> Balance:
        """Ask how much money the account has, again and again while what fails heals."""
        return await self._healing("look", self._api.balance, self._backoff.attempts)

    async def close(self) -> None:
        """Let go of every connection."""
        await self._api.close()
