"""An Api with manners: waits for its turn, tries again what heals, and never pays twice.

A submit is sent once for each call, except after a 429, which promises that nothing happened;
what any other outcome means for money, and whether it goes out again, is the engine's to decide.
Everything else is free, and is tried again here.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeVar

from pipeline.api import Download, Phase
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

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from types import TracebackType

    from pipeline.api import Accepted, Api, Balance, Task, Uploaded
    from pipeline.brake import Brake
    from pipeline.clock import Clock
    from pipeline.retry.backoff import Backoff
    from pipeline.retry.pace import Lane, Pace

Answer = TypeVar("Answer")

_SPOKEN = (Refused, AccountError, KeyDoubt, RateLimited, NotExecuted, InProgress)
"""Errors that the API itself said, so that it is within reach. A 5xx may come from a gateway."""


class Patient:
    """Wraps an `Api` and is one. `pace` rules the API's host, `images` the hosts of images.

    Every call may raise `Halted` while it waits: then nothing of it is on the wire, and what was
    sent of it before was certainly not executed.
    """

    def __init__(
        self, api: Api, *, pace: Pace, images: Pace, backoff: Backoff, clock: Clock, brake: Brake
    ) -> None:
        self._api = api
        self._pace = pace
        self._images = images
        self._backoff = backoff
        self._clock = clock
        self._brake = brake
        self._running: set[str] = set()
        self._silent_since: float | None = None
        self._answered_at = clock.monotonic()

    # ── is the API there? ───────────────────────────────────────────────────────────────────

    @property
    def last_answer(self) -> float:
        """When the API last answered anything, in monotonic seconds; at first, the beginning.

        A pause that the API asked for is no silence: then this is the end of it, or now.
        """
        return max(self._answered_at, min(self._pace.asked_until, self._clock.monotonic()))

    @property
    def out_of_reach(self) -> float:
        """For how many seconds nothing that was asked got an answer; 0 while the last one did.

        Unlike `last_answer` it does not grow while there is nothing to ask.
        """
        if self._silent_since is None:
            return 0.0
        return max(self._clock.monotonic() - max(self._silent_since, self.last_answer), 0.0)

    def _heard(self) -> None:
        self._answered_at = self._clock.monotonic()
        self._silent_since = None

    def _missed(self, started: float) -> None:
        if self._silent_since is None:
            self._silent_since = started

    # ── the calls ───────────────────────────────────────────────────────────────────────────

    async def submit(self, body: bytes, key: str) -> Accepted:
        """Send `body` when its turn comes, and again after every 429, unchanged.

        A 429 costs no attempt. Raises every other error at once, and `Halted` when the brake is
        pulled before an answer other than 429 came.
        """
        while True:
            try:
                accepted = await self._once("submit", lambda: self._api.submit(body, key))
            except RateLimited:
                continue
            self._pace.started()
            self._running.add(accepted.task_id)
            return accepted

    async def look(self, task_id: str) -> Task:
        """Ask for a task's state, again and again while what fails heals."""
        try:
            task = await self._healing("look", lambda: self._api.look(task_id))
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
        return await self._healing("upload", lambda: self._api.upload(path, media_type))

    async def balance(self) -> Balance:
        """Ask how much money the account has, again and again while what fails heals."""
        return await self._healing("look", self._api.balance)

    def fetch(self, url: str) -> AbstractAsyncContextManager[Download]:
        """Open a result image, and once more when what fails may heal.

        What goes wrong after it was opened is raised.
        """
        return _Fetch(self, self._api, url)

    async def close(self) -> None:
        """Let go of every connection."""
        await self._api.close()

    # ── manners ─────────────────────────────────────────────────────────────────────────────

    async def _healing(self, lane: Lane, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Call until it succeeds, or fails for good, or failed too often; a 429 does not count."""
        backoff, tries = self._backoff, 0
        most = backoff.fetch_attempts if lane == "fetch" else backoff.attempts
        while True:
            try:
                return await self._once(lane, call)
            except RateLimited:
                continue
            except ApiError as error:
                tries += 1
                if not error.heals or tries >= most:
                    raise
                await self._brake.rest(max(error.retry_after or 0.0, backoff.delay(tries)))

    async def _once(self, lane: Lane, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Wait for the turn, call once, and tell the pace and ourselves how it went."""
        pace = self._images if lane == "fetch" else self._pace
        await pace.turn(lane)
        started = self._clock.monotonic()
        try:
            answer = await call()
        except ApiError as error:
            self._note(pace, lane, error, started)
            raise
        except BaseException:
            pace.dropped(lane)
            raise
        if lane != "fetch":
            self._heard()
        pace.answered(lane, self._clock.monotonic() - started)
        return answer

    def _note(self, pace: Pace, lane: Lane, error: ApiError, started: float) -> None:
        if lane != "fetch":
            if isinstance(error, _SPOKEN):
                self._heard()
            else:
                self._missed(started)
        if isinstance(error, RateLimited):
            pace.refused(lane, error.retry_after)
        elif error.heals and not isinstance(error, InProgress | FetchError):
            pace.broke(lane, error.retry_after)
        else:
            pace.answered(lane, self._clock.monotonic() - started)


class _Fetch(AbstractAsyncContextManager[Download]):
    """One image, opened with manners."""

    def __init__(self, patient: Patient, api: Api, url: str) -> None:
        self._patient = patient
        self._api = api
        self._url = url
        self._opened: AbstractAsyncContextManager[Download] | None = None

    async def __aenter__(self) -> Download:
        """Open it, with fewer tries than a call of the API has."""
        return await self._patient._healing("fetch", self._open)

    async def _open(self) -> Download:
        opened = self._api.fetch(self._url)
        download = await opened.__aenter__()
        self._opened = opened
        return download

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        """Close what was opened."""
        if self._opened is None:
            return None
        return await self._opened.__aexit__(kind, error, trace)
