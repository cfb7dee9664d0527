"""The manifest while a run goes on: written now and then, at a cost that does not grow."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from pipeline.errors import Trouble
from pipeline.events import Stepped
from pipeline.lifecycle import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.clock import Clock
    from pipeline.events import Event, Listener

_EVERY = 10.0
"""Seconds between two writings, at least."""

_SHARE = 25
"""A writing takes at most one part in so many of the run's time, however large the spec is."""


class Refresh:
    """A listener that has the manifest written after images came, but not too often."""

    def __init__(self, publish: Callable[[], None], clock: Clock, emit: Listener) -> None:
        """Call `publish` in a thread; events pass on to `emit`."""
        self._publish = publish
        self._clock = clock
        self._emit = emit
        self._next = clock.monotonic() + _EVERY
        self._task: asyncio.Task[None] | None = None

    def listen(self, event: Event) -> None:
        """Pass an event on, and write when it is time."""
        self._emit(event)
        if not isinstance(event, Stepped) or event.step is not Step.DOWNLOAD:
            return
        if self._task is None and self._clock.monotonic() >= self._next:
            self._task = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        began = self._clock.monotonic()
        with suppress(Trouble):  # the writing at the end of the run says it, if it has to
            await asyncio.to_thread(self._publish)
        took = self._clock.monotonic() - began
        self._next = self._clock.monotonic() + max(_EVERY, took * _SHARE)
        self._task = None

    async def close(self) -> None:
        """Wait for a writing under way."""
        if self._task is not None:
            await self._task
