"""An `Api` that tells of every try that failed, so that a slow run can be understood."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import ApiError, RateLimited
from pipeline.events import Noted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from pipeline.api import Accepted, Api, Balance, Download, Task, Uploaded
    from pipeline.clock import Clock
    from pipeline.events import Listener


class Telling:
    """Calls `api`, raises what it raises, and emits a `Noted` for each error that may heal.

    Refusals are not told here: a 429 has everybody wait, which is told as such, and the rest
    stops its job, whose step says why.
    """

    def __init__(self, api: Api, clock: Clock, emit: Listener) -> None:
        """Pass every call on to `api`."""
        self._api = api
        self._clock = clock
        self._emit = emit

    async def submit(self, body: bytes, key: str) -> Accepted:
        """Send `body` under `key`."""
        with self._told("submit", idempotency_key=key):
            return await self._api.submit(body, key)

    async def look(self, task_id: str) -> Task:
        """Ask for a task's state."""
        with self._told("poll", task_id=task_id):
            return await self._api.look(task_id)

    async def upload(self, path: Path, media_type: str) -> Uploaded:
        """Send a reference image."""
        with self._told("upload", file=path.name):
            return await self._api.upload(path, media_type)

    async def balance(self) -> Balance:
        """Ask how much money the account has."""
        with self._told("balance"):
            return await self._api.balance()

    @asynccontextmanager
    async def fetch(self, url: str) -> AsyncIterator[Download]:
        """Open a result image."""
        with self._told("download", url=url):
            async with self._api.fetch(url) as download:
                yield download

    async def close(self) -> None:
        """Let go of every connection."""
        await self._api.close()

    @contextmanager
    def _told(self, call: str, **details: str) -> Iterator[None]:
        try:
            yield
        except ApiError as error:
            if error.heals and not isinstance(error, RateLimited):
                message = f"a {call} did not work out: {error.summary}"
                self._emit(Noted(self._clock.now(), "info", message, details))
            raise
