"""The platform's callbacks: one POST to `webhook + "/callback"` when a task has finished.

[public] Not 2xx within about 10 s, or no answer: tried again after 10, 30 and 60 s. 4xx: dropped.
Whoever gets one may get it twice. There is no signature.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.sandbox.tasks import Task
    from pipeline.sandbox.world import World

_TIMEOUT = 10.0
_RETRIES = (10.0, 30.0, 60.0)
_AT_ONCE = 64


class Callbacks:
    """Sends callbacks in the background, all from one timer; `body` makes what is sent."""

    def __init__(self, world: World, body: Callable[[Task], bytes]) -> None:
        self._world = world
        self._body = body
        self._due: list[tuple[float, int, int, Task]] = []
        self._order = 0
        self._more = asyncio.Event()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._sending: set[asyncio.Task[None]] = set()
        self._driver: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    def schedule(self, task: Task) -> None:
        """See to it that the task's callback, if it wants one, comes when it has finished."""
        if not task.body.get("webhook"):
            return
        if task.callback_lost:
            self._world.ledger.callbacks["lost"] += 1
            return
        faults = self._world.faults
        times = 2 if self._world.happens(faults.callback_twice) else 1
        for _ in range(times):
            self._at(task.finished_at + self._world.drawn(faults.callback_late), 0, task)

    async def stop(self) -> None:
        """Send nothing more and let go of every connection."""
        for one in (self._driver, *self._sending):
            if one is not None:
                one.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await one
        self._driver = None
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _at(self, when: float, attempt: int, task: Task) -> None:
        self._order += 1
        heapq.heappush(self._due, (when, self._order, attempt, task))
        self._more.set()
        if self._driver is None:
            self._driver = asyncio.create_task(self._drive())

    async def _drive(self) -> None:
        while True:
            self._more.clear()
            wait = self._due[0][0] - self._world.clock.now() if self._due else None
            if wait is None:
                await self._more.wait()
            elif wait > 0:
                await self._nap(wait)
            else:
                _, _, attempt, task = heapq.heappop(self._due)
                await self._places.acquire()
                sending = asyncio.create_task(self._send(task, attempt))
                self._sending.add(sending)
                sending.add_done_callback(self._sent)

    def _sent(self, sending: asyncio.Task[None]) -> None:
        self._sending.discard(sending)
        self._places.release()

    async def _nap(self, seconds: float) -> None:
        """Wait, or wake because something was added that may be due sooner."""
        sleeping = asyncio.ensure_future(self._world.clock.sleep(seconds))
        waking = asyncio.ensure_future(self._more.wait())
        try:
            await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()

    async def _send(self, task: Task, attempt: int) -> None:
        counts, scale = self._world.ledger.callbacks, self._world.faults.callback_scale
        counts["sent"] += 1
        status = await self._post(f"{task.body['webhook']}/callback", self._body(task), scale)
        if 200 <= status < 300:
            counts["delivered"] += 1
        elif 400 <= status < 500 or attempt == len(_RETRIES):
            counts["dropped"] += 1
        else:
            again = self._world.clock.now() + _RETRIES[attempt] * scale
            self._at(again, attempt + 1, task)

    async def _post(self, url: str, body: bytes, scale: float) -> int:
        """Return the status of the answer, 0 when none came."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        try:
            async with self._session.post(
                url,
                data=body,
                headers={"Content-Type": "application/json"},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=max(1.0, _TIMEOUT * scale)),
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return 0
