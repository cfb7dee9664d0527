"""One controller for everybody who sends to one host: who may go, when, and how many.

Each kind of request has a lane with a rate of its own, so that polls cannot starve submits and a
limit on submits alone does not slow the polls. A refusal, a `Retry-After` or an API that breaks
pauses all lanes together.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipeline import schema
from pipeline.events import Waiting
from pipeline.retry.gate import Gate
from pipeline.retry.rate import NEAR, Rate

if TYPE_CHECKING:
    from pipeline.brake import Brake
    from pipeline.clock import Clock
    from pipeline.events import Listener

Lane = Literal["submit", "look", "upload", "fetch"]
_GLANCE = 0.25
"""Seconds after which whoever waits looks again: the rate may have grown meanwhile."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What worked with one host and key: where the next run starts.

    `rate` is submits a second and `in_flight` running tasks; 0 for what was never refused.
    """

    rate: float = 0.0
    in_flight: int = 0


class _Line:
    """One lane: its rate, and the queue before it."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.lock = asyncio.Lock()
        self.again = 0
        self.broken = 0


class Pace:
    """Lets requests go as fast as the API allows, which nobody tells it.

    Whoever sends calls `turn` before, and exactly one of `answered`, `refused`, `broke` after.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        brake: Brake,
        listener: Listener,
        rate: float | None = None,
        memory: Memory | None = None,
    ) -> None:
        """Start where `memory` left off. Submits never exceed `rate` a second."""
        self._clock = clock
        self._brake = brake
        self._listener = listener
        self._facts = schema.api("pace")
        memory = memory or Memory()
        now = clock.monotonic()
        self._lines: dict[str, _Line] = {
            "submit": _Line(Rate(now, cap=rate, known=memory.rate)),
            "look": _Line(Rate(now)),
            "upload": _Line(Rate(now)),
            "fetch": _Line(Rate(now)),
        }
        self._gate = Gate(memory.in_flight)
        self._alone: int = self._facts["alone_refusals"]
        self._bell = asyncio.Event()
        self._together = 0.0
        self._slack_at = now
        self._slack_found = False
        self.paused_until = now

    def memory(self) -> Memory:
        """Return what was found, to be kept for the next run."""
        limit = int(self._gate.limit) if self._gate.closed else 0
        return Memory(self._lines["submit"].rate.limit, limit)

    # ── before a request ────────────────────────────────────────────────────────────────────

    async def turn(self, lane: Lane) -> None:
        """Return when the next request of `lane` may go. Raises `Halted` when the run stops."""
        line = self._lines[lane]
        self._brake.check()
        if line.lock.locked() or self._wait(line, lane) > 0:
            async with line.lock:
                while (wait := self._wait(line, lane)) > 0:
                    await self._rest(min(wait, _GLANCE), lane)
        line.rate.go(self._clock.monotonic())

    def _wait(self, line: _Line, lane: Lane) -> float:
        now = self._clock.monotonic()
        if now < self.paused_until:
            return self.paused_until - now
        wait = line.rate.wait(now)
        if wait > NEAR:
            return wait
        if lane == "submit" and self._gate.full(line.rate.in_flight):
            return self._gate.patience(now)
        return 0.0

    async def _rest(self, seconds: float, lane: Lane) -> None:
        """Rest, or until a task finishes when that is what a submit waits for."""
        if lane != "submit" or not self._gate.closed:
            await self._brake.rest(seconds)
            return
        self._bell.clear()
        nap = asyncio.ensure_future(self._brake.rest(seconds))
        bell = asyncio.ensure_future(self._bell.wait())
        try:
            await asyncio.wait({nap, bell}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            bell.cancel()
            if not nap.done():
                nap.cancel()
        if nap.done() and not nap.cancelled():
            nap.result()

    # ── after it ────────────────────────────────────────────────────────────────────────────

    def answered(self, lane: Lane, seconds: float) -> None:
        """The request was answered, well or not, after `seconds`, and not for being too many."""
        now, line = self._clock.monotonic(), self._lines[lane]
        news = line.rate.back()
        if news:
            line.again = line.broken = 0
        line.rate.accepted(now, seconds, news=news, slack=self._slack(now))

    def refused(self, lane: Lane, retry_after: float | None) -> None:
        """429: everybody waits `retry_after` seconds, or for as long as seems right."""
        now, line = self._clock.monotonic(), self._lines[lane]
        news = line.rate.back()
        pause = min(retry_after or 0.0, self._facts["max_retry_after_seconds"])
        if news:
            crowd = lane == "submit" and self._gate.refused(now, alone=line.again >= self._alone)
            if not pause or line.again:
                pause = max(pause, self._own_pause(line.again))
                line.rate.probing = True
            line.again += 1
            if not crowd and line.again == 1:  # else nothing was accepted since the last pause
                self._too_fast(now, line)
        self._pause(now, pause, "the API asked to slow down")

    def broke(self, lane: Lane, retry_after: float | None = None) -> None:
        """A 5xx, a cut or no connection: after some in a row, everybody waits."""
        now, line = self._clock.monotonic(), self._lines[lane]
        news = line.rate.back()
        line.broken += news
        pause = min(retry_after or 0.0, self._facts["max_retry_after_seconds"])
        row: int = self._facts["broken_in_a_row"]
        if news and line.broken >= row:
            line.rate.slacken(now)
            line.rate.probing = True
            pause = max(pause, self._own_pause(line.broken - row))
        self._pause(now, pause, "the API does not answer well")

    def _too_fast(self, now: float, line: _Line) -> None:
        """Slow the lane that was refused; let no other one that may share its limit climb."""
        line.rate.refused(now)
        for other in self._lines.values():
            if other is not line:
                other.rate.freeze(now)
        self._together = self._going(now)

    def _going(self, now: float) -> float:
        return sum(line.rate.going(now) for line in self._lines.values() if line.rate.limit)

    def _slack(self, now: float) -> bool:
        """Whether lanes that seem to share a limit use clearly less of it together than they did.

        Then one may have what another does not need. Asked at every answer, found out now and
        then.
        """
        if now >= self._slack_at:
            self._slack_at = now + _GLANCE
            sharing = sum(line.rate.limit > 0 for line in self._lines.values()) > 1
            self._slack_found = sharing and self._going(now) < self._together * 0.85
        return self._slack_found

    def _own_pause(self, times: int) -> float:
        first: float = self._facts["pause_seconds"]
        return float(min(first * 2.0 ** min(max(times - 1, 0), 16), self._facts["max_pause_seconds"]))

    def _pause(self, now: float, seconds: float, reason: str) -> None:
        """Let nobody go for `seconds`. Told once, when it begins and is long."""
        until = now + seconds
        if until <= self.paused_until:
            return
        for line in self._lines.values():
            line.rate.pause(now, until)
        fresh = self.paused_until <= now
        self.paused_until = until
        if fresh and seconds > self._facts["announce_seconds"]:
            self._listener(Waiting(self._clock.now(), reason, seconds))

    # ── running tasks ───────────────────────────────────────────────────────────────────────

    def started(self) -> None:
        """A submit was accepted: one more task runs."""
        self._gate.started(self._clock.monotonic())

    def finished(self) -> None:
        """A task that was counted as running has ended."""
        self._gate.finished(self._clock.monotonic())
        self._bell.set()
