"""The one way to stop a run: whoever waits, waits here, and is woken when the brake is pulled."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from pipeline.clock import Clock


class Halted(Exception):
    """The brake was pulled while somebody waited."""


class Brake:
    """Pulled once, by a signal, a deadline, an empty balance or a full disk.

    `cause` is what it was pulled for, None while the run may go on. The first cause stays.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pulled = asyncio.Event()
        self.cause: BaseException | str | None = None

    @property
    def pulled(self) -> bool:
        """Whether the run is stopping."""
        return self._pulled.is_set()

    def pull(self, cause: BaseException | str) -> None:
        """Stop the run: everybody who rests is woken with `Halted`."""
        if self.cause is None:
            self.cause = cause
        self._pulled.set()

    def check(self) -> None:
        """Raise `Halted` when the brake was pulled."""
        if self.pulled:
            raise Halted

    async def rest(self, seconds: float, *, unless: asyncio.Event | None = None) -> None:
        """Wait for `seconds`, or for the event `unless` when it comes first.

        Raises `Halted` at once when the brake is, or gets, pulled.
        """
        await self._unless_pulled(self._clock.sleep(seconds), *([unless.wait()] if unless else []))

    async def until(self, event: asyncio.Event) -> None:
        """Wait for `event`. Raises `Halted` at once when the brake is, or gets, pulled."""
        await self._unless_pulled(event.wait())

    async def pulled_or(self, event: asyncio.Event) -> None:
        """Wait for `event` or the brake, whichever comes first."""
        try:
            await self.until(event)
        except Halted:
            return

    async def _unless_pulled(self, *waits: Coroutine[Any, Any, Any]) -> None:
        """Wait for the first of `waits`, or the brake."""
        if self.pulled:
            for wait in waits:
                wait.close()
            raise Halted
        tasks = [asyncio.ensure_future(wait) for wait in (*waits, self._pulled.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        self.check()
