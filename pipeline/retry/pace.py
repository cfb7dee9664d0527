"""One controller for everybody who sends to one host: who may go, when, and how many.

A limit may hold for submits alone, or for every request. As long as only submits are refused,
they alone are slowed; once another request is, all go at one rate, in turn by kind, so that polls
never starve submits. A refusal, a `Retry-After` or an API that breaks pauses everybody.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipeline import schema
from pipeline.events import Waiting
from pipeline.retry.gate import Gate
from pipeline.retry.rate import NEAR, Cap, Rate

if TYPE_CHECKING:
    from pipeline.brake import Brake
    from pipeline.clock import Clock
    from pipeline.events import Listener

Lane = Literal["submit", "look", "upload", "fetch"]
_LANES: tuple[Lane, ...] = ("submit", "look", "upload", "fetch")
_GLANCE = 0.25
"""Seconds after which whoever waits looks again: the rate may have grown meanwhile."""
_UNLIMITED = 1e6


@dataclass(frozen=True, slots=True)
class Memory:
    """What worked with one host and key: where the next run starts.

    `rate` is requests a second, of submits or, when `shared`, of all kinds together, and
    `in_flight` running tasks; 0 for what was never refused.
    """

    rate: float = 0.0
    in_flight: int = 0
    shared: bool = False


class Pace:
    """Lets requests go as fast as the API allows, which nobody tells it.

    Whoever sends calls `turn` before, and exactly one of `answered`, `refused`, `broke`,
    `dropped` after.
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
        found = memory or Memory()
        now, start = clock.monotonic(), self._facts["start_per_second"]
        self._shared = found.shared
        self._rates = {lane: Rate(now, start=start) for lane in _LANES}
        if found.rate and not found.shared:
            self._rates["submit"] = Rate(now, start=start, known=found.rate)
        known = found.rate if found.shared else 0.0
        self._all = Rate(now, start=_UNLIMITED, known=known)  # counts along until it rules
        self._cap = None if rate is None else Cap(rate)
        self._gate = Gate(found.in_flight)
        self._bell = asyncio.Event()
        self._queues = {lane: asyncio.Lock() for lane in _LANES}
        self._heads = asyncio.Lock()
        self.paused_until = now
        self.asked_until = now
        """Until when the API itself last asked to wait, with a 429."""

    def memory(self) -> Memory:
        """Return what was found, to be kept for the next run."""
        in_flight = int(self._gate.limit) if self._gate.closed else 0
        return Memory(self._ruling("submit").limit, in_flight, self._shared)

    # ── before a request ────────────────────────────────────────────────────────────────────

    async def turn(self, lane: Lane) -> None:
        """Return when the next request of `lane` may go. Raises `Halted` when the run stops."""
        self._brake.check()
        queue = self._queues[lane]
        if queue.locked() or self._heads.locked() or self._wait(lane) > 0:
            async with queue:
                await self._come_first(lane)
        now = self._clock.monotonic()
        if lane == "submit" and self._gate.full(self._rates[lane].in_flight):
            self._gate.dared(now)
        self._rates[lane].go(now)
        self._all.go(now)
        if lane == "submit" and self._cap is not None:
            self._cap.go(now)

    async def _come_first(self, lane: Lane) -> None:
        """Wait at the head of a lane's queue; where all share one rate, the heads take turns."""
        while (wait := self._wait(lane)) > 0 and not self._shared:
            await self._rest(min(wait, _GLANCE), lane)
        while (wait := self._own_wait(lane)) > 0:
            await self._rest(min(wait, _GLANCE), lane)
        if self._shared:
            async with self._heads:
                while (wait := self._common_wait(self._all)) > 0:
                    await self._brake.rest(min(wait, _GLANCE))

    def _wait(self, lane: Lane) -> float:
        return self._common_wait(self._ruling(lane)) or self._own_wait(lane)

    def _common_wait(self, rate: Rate) -> float:
        now = self._clock.monotonic()
        if now < self.paused_until:
            return self.paused_until - now
        wait = rate.wait(now)
        return wait if wait > NEAR else 0.0

    def _own_wait(self, lane: Lane) -> float:
        """Return how long a submit has to wait for reasons that no other request has."""
        if lane != "submit":
            return 0.0
        now = self._clock.monotonic()
        if self._gate.full(self._rates["submit"].in_flight):
            return self._gate.patience(now)
        return self._cap.wait(now) if self._cap is not None else 0.0

    def _ruling(self, lane: Lane) -> Rate:
        return self._all if self._shared else self._rates[lane]

    async def _rest(self, seconds: float, lane: Lane) -> None:
        """Rest, or until a task finishes when that may be what a submit waits for."""
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
            nap.cancel()
        if nap.done():
            nap.result()

    # ── after it ────────────────────────────────────────────────────────────────────────────

    def answered(self, lane: Lane, seconds: float) -> None:
        """The request was answered, well or not, after `seconds`, and not for being too many."""
        now, ruling = self._clock.monotonic(), self._ruling(lane)
        for rate in (self._rates[lane], self._all):
            rate.accepted(now, seconds, news=rate.back() and rate is ruling)

    def refused(self, lane: Lane, retry_after: float | None) -> None:
        """429: everybody waits `retry_after` seconds, or for as long as seems right."""
        now = self._clock.monotonic()
        shared, self._shared = self._shared, self._shared or lane != "submit"
        news = self._back(lane) or shared != self._shared
        pause = min(retry_after or 0.0, self._facts["max_retry_after_seconds"])
        self.asked_until = max(self.asked_until, now + pause)
        if news:
            rate = self._ruling(lane)
            alone = rate.refusals >= self._facts["alone_refusals"]
            crowd = lane == "submit" and self._gate.refused(now, alone=alone)
            if not pause or rate.refusals:
                pause = max(pause, self._own_pause(rate.refusals))
                rate.probing = True
            rate.refusals += 1
            if not crowd and rate.refusals == 1:  # else nothing was accepted since the last pause
                rate.refused(now)
        self._pause(now, pause, "the API asked to slow down")

    def broke(self, lane: Lane, retry_after: float | None = None) -> None:
        """A 5xx, a cut or no connection: after some in a row, everybody waits."""
        now, rate = self._clock.monotonic(), self._ruling(lane)
        pause = min(retry_after or 0.0, self._facts["max_retry_after_seconds"])
        row: int = self._facts["broken_in_a_row"]
        if self._back(lane):
            rate.breaks += 1
            if rate.breaks >= row:
                rate.slacken(now)
                rate.probing = True
                pause = max(pause, self._own_pause(rate.breaks - row))
        self._pause(now, pause, "the API does not answer well")

    def dropped(self, lane: Lane) -> None:
        """The request was given up by ourselves: it tells nothing."""
        self._back(lane)

    def _back(self, lane: Lane) -> bool:
        """Count a request that is over; say whether it is news to the rate that rules."""
        news = {id(rate): rate.back() for rate in (self._rates[lane], self._all)}
        return news[id(self._ruling(lane))]

    def _own_pause(self, times: int) -> float:
        first: float = self._facts["pause_seconds"]
        return float(
            min(first * 2.0 ** min(max(times - 1, 0), 16), self._facts["max_pause_seconds"])
        )

    def _pause(self, now: float, seconds: float, reason: str) -> None:
        """Let nobody go for `seconds`. Told once, when it begins and is long."""
        until = now + seconds
        if until <= self.paused_until:
            return
        fresh = self.paused_until <= now
        self.paused_until = until
        for rate in (*self._rates.values(), self._all):
            rate.pause(now, until)
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
