"""An `Api` with manners: waits its turn before each request, and tries again what heals.

A submit is the exception. Only a 429, which certainly executed nothing, is waited out here; what
any other outcome means for money is the engine's to decide.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pipeline.api import Phase
from pipeline.errors import ApiError, RateLimited, Unreachable, Unsure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path
    from typing import TypeVar

    from pipeline.api import Accepted, Api, Balance, Download, Task, Uploaded
    from pipeline.brake import Brake
    from pipeline.clock import Clock
    from pipeline.retry.backoff import Backoff
    from pipeline.retry.pace import Lane, Pace

    T = TypeVar("T")


class Patient:
    """Wraps an `Api`; raises what it raises, and `Halted` when the run stops meanwhile.

    `last_answer` is the monotonic time of the last answer of any kind, even a refusal.
    """

    def __init__(
        self, api: Api, *, pace: Pace, backoff: Backoff, brake: Brake, clock: Clock
    ) -> None:
        """Send through `api`, in turn by `pace`."""
        self._api = api
        self._pace = pace
        self._backoff = backoff
        self._brake = brake
        self._clock = clock
        self._running: set[str] = set()
        self.last_answer = clock.monotonic()

    async def submit(self, body: bytes, key: str) -> Accepted:
        """Send `body` under `key`; a 429 is waited out, with the same body and key."""
        while True:
            try:
                accepted = await self._once("submit", lambda: self._api.submit(body, key))
            except RateLimited:
                continue
            self._running.add(accepted.task_id)
            self._pace.started()
            return accepted

    async def look(self, task_id: str) -> Task:
        """Ask for a task's state; what heals is tried again."""
        task = await self._again("look", lambda: self._api.look(task_id))
        if task.phase is not Phase.RUNNING and task_id in self._running:
            self._running.discard(task_id)
            self._pace.finished()
        return task

    async def upload(self, path: Path, media_type: str) -> Uploaded:
        """Send a reference image; what heals is tried again."""
        return await self._again("upload", lambda: self._api.upload(path, media_type))

    async def balance(self) -> Balance:
        """Ask how much money the account has; what heals is tried again."""
        return await self._again("look", self._api.balance)

    @asynccontextmanager
    async def fetch(self, url: str) -> AsyncIterator[Download]:
        """Open a result image, once: whoever fetches decides what to try next."""
        await self._pace.turn("fetch")
        began = self._clock.monotonic()
        try:
            async with self._api.fetch(url) as download:
                self._answered("fetch", began)
                yield download
        except ApiError as error:
            self._failed("fetch", began, error)
            raise

    async def close(self) -> None:
        """Let go of every connection."""
        await self._api.close()

    async def _again(self, lane: Lane, call: Callable[[], Awaitable[T]]) -> T:
        tries = 0
        while True:
            try:
                return await self._once(lane, call)
            except RateLimited:
                continue  # costs no attempt; the pace has everybody wait
            except ApiError as error:
                tries += 1
                if not error.heals or tries >= self._backoff.attempts:
                    raise
                wait = max(error.retry_after or 0.0, self._backoff.delay(tries))
            await self._brake.rest(wait)

    async def _once(self, lane: Lane, call: Callable[[], Awaitable[T]]) -> T:
        await self._pace.turn(lane)
        began = self._clock.monotonic()
        try:
            answer = await call()
        except ApiError as error:
            self._failed(lane, began, error)
            raise
        except BaseException:
            self._pace.broke(lane)
            raise
        self._answered(lane, began)
        return answer

    def _answered(self, lane: Lane, began: float) -> None:
        self.last_answer = self._clock.monotonic()
        self._pace.answered(lane, self.last_answer - began)

    def _failed(self, lane: Lane, began: float, error: ApiError) -> None:
        if error.code is not None or not isinstance(error, Unreachable | Unsure):
            self.last_answer = self._clock.monotonic()
        if isinstance(error, RateLimited):
            self._pace.refused(lane, error.retry_after)
        elif error.heals:
            self._pace.broke(lane, error.retry_after)
        else:
            self._pace.answered(lane, self._clock.monotonic() - began)
