"""Time, passed in: the system's clock here, a clock of their own in tests."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


def stamp(seconds: float, precision: str = "seconds") -> str:
    """Write seconds since 1970 UTC as ISO 8601 with a Z; `""` for 0 and what is no date.

    `precision` is `seconds` or `milliseconds`.
    """
    if not seconds:
        return ""
    try:
        whole, part = divmod(seconds, 1)
        text = _second(int(whole))
    except (OverflowError, ValueError, OSError):  # a far-off time that somebody else told
        return ""
    return f"{text}.{int(part * 1000):03}Z" if precision == "milliseconds" else f"{text}Z"


@lru_cache(maxsize=64)  # what happens, happens many times in a second
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


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
        import asyncio  # here, because most commands never wait and it is slow to load

        await asyncio.sleep(seconds)
