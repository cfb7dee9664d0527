"""Does something often enough and never too often, however many events there are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.clock import Clock


class Beat:
    """Runs `work` at most once in `interval` seconds, and once more after the last call.

    With `idle` it also runs every `idle` seconds while nobody calls, so that an ETA stays true.
    The calls that come later need a running event loop; without one only `touch` and `now` work.
    A `work` that cannot write any more (`OSError`, `ValueError`) raises in `touch` and ends the
    later calls silently.
    """

    def __init__(
        self, work: Callable[[], None], clock: Clock, interval: float, *, idle: float = 0.0
    ) -> None:
        self._work = work
        self._clock = clock
        self._interval = interval
        self._idle = idle
        self._last = -interval + clock.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._soon = False

    def touch(self) -> None:
        """Run the work now when it is time, else as soon as it is."""
        wait = self._last + self._interval - self._clock.monotonic()
        if wait <= 0:
            self.now()
        elif not self._soon:
            self._soon = self._call_later(wait)

    def now(self) -> None:
        """Run the work at once."""
        self.stop()
        self._last = self._clock.monotonic()
        self._work()
        if self._idle:
            self._call_later(self._idle)

    def stop(self) -> None:
        """Forget what was to come."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._soon = None, False

    def _call_later(self, wait: float) -> bool:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(wait, self._ring)
        return True

    def _ring(self) -> None:
        try:
            self.now()
        except (OSError, ValueError):
            self.stop()
