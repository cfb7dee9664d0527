"""Time, passed in: the system's clock here, a clock of their own in tests."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What the program asks of time. No room calls `time` or `asyncio.sleep` by itself."""

    def now(self) -> float:
        """Return seconds since 1970 UTC: what is written down."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never run backwards: what is measured."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class SystemClock:
    """The real one."""

    def now(self) -> float:
        """Return seconds since 1970 UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(seconds)
