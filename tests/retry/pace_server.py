"""Servers that allow only so much, and a crowd that sends to them, in virtual time."""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from virtual import LoopClock, run

from pipeline.brake import Brake, Halted
from pipeline.retry import Memory, Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pipeline.retry.pace import Lane


@dataclass
class Limited:
    """A server with an undisclosed limit.

    `kind` is `fixed` (windows of `window` seconds), `bucket` (`burst` tokens) or `none`;
    `retry_after` is how it says when to come back: whole seconds, `exact`, a `date`, or `none`.
    `scope` tells whether looks count too; `tasks` how many may run, for `lasts` seconds each;
    `capacity` how many requests a second it works through, the others queueing.
    """

    kind: str = "none"
    rate: float = 100.0
    window: float = 1.0
    phase: float = 0.0
    burst: float | None = None
    retry_after: str = "whole"
    scope: str = "submit"
    latency: float = 0.02
    tasks: float = math.inf
    lasts: float = 2.0
    capacity: float = math.inf
    changes: list[tuple[float, float]] = field(default_factory=list)
    taken: list[tuple[float, str]] = field(default_factory=list)
    refused: list[tuple[float, str]] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    slowest: float = 0.0

    def __post_init__(self) -> None:
        self._dice = random.Random(7)
        self._window, self._used = -1, 0
        self._tokens, self._filled_at = self.burst or self.rate, 0.0
        self._running = 0
        self._free_at = 0.0

    async def call(self, lane: str) -> float | None:
        """Serve one request; return None when it was taken, else what Retry-After says, or -1."""
        clock, loop = LoopClock(), asyncio.get_running_loop()
        began = clock.monotonic()
        self.sent.append(began)
        await clock.sleep(self.latency * self._dice.uniform(0.4, 0.6))
        now = clock.monotonic()
        wait = self._wait(now) if lane == "submit" or self.scope == "all" else 0.0
        if not wait and lane == "submit" and self._running >= self.tasks:
            wait = 1.0
        if not wait:
            self._free_at = max(self._free_at, now) + 1 / self.capacity
            await clock.sleep(self._free_at - now)
            if lane == "submit":
                self._running += 1
                loop.call_later(self.lasts, self._end)
        (self.refused if wait else self.taken).append((clock.monotonic(), lane))
        await clock.sleep(self.latency * self._dice.uniform(0.4, 0.6))
        self.slowest = max(self.slowest, clock.monotonic() - began)
        return self._told(wait) if wait else None

    def _end(self) -> None:
        self._running -= 1

    def _wait(self, now: float) -> float:
        while self.changes and now >= self.changes[0][0]:
            self.rate = self.changes.pop(0)[1]
        if self.kind == "fixed":
            window = int((now + self.phase) // self.window)
            if window != self._window:
                self._window, self._used = window, 0
            if self._used >= int(self.rate * self.window):
                return (window + 1) * self.window - now - self.phase
            self._used += 1
        elif self.kind == "bucket":
            most = self.burst or self.rate
            self._tokens = min(most, self._tokens + (now - self._filled_at) * self.rate)
            self._filled_at = now
            if self._tokens < 1:
                return (1 - self._tokens) / self.rate
            self._tokens -= 1
        return 0.0

    def _told(self, wait: float) -> float:
        match self.retry_after:
            case "exact":
                return wait
            case "date":
                return max(1, math.ceil(wait)) - self._dice.random()
            case "none":
                return -1.0
            case _:
                return float(max(1, math.ceil(wait)))

    def useful(self, start: float, end: float, limit: float | None = None) -> float:
        """Return the share of the limit that was used between two times."""
        count = sum(start <= at < end for at, _ in self.taken)
        return count / ((limit or self.rate) * (end - start))

    def wasted(self, start: float, end: float) -> float:
        """Return the share of the requests between two times that was refused."""
        no = sum(start <= at < end for at, _ in self.refused)
        return no / max(1, no + sum(start <= at < end for at, _ in self.taken))


@dataclass
class Crowd:
    """Workers that submit one task after another, as fast as the pace lets them."""

    server: Limited
    pace: Pace
    brake: Brake
    looks: int

    async def ask(self, lane: Lane) -> None:
        clock = LoopClock()
        while True:
            await self.pace.turn(lane)
            began = clock.monotonic()
            told = await self.server.call(lane)
            if told is None:
                self.pace.answered(lane, clock.monotonic() - began)
                return
            self.pace.refused(lane, None if told < 0 else told)

    async def life(self) -> None:
        self.pace.started()
        clock = LoopClock()
        for _ in range(self.looks):
            await clock.sleep(self.server.lasts / self.looks + 0.1)
            await self.ask("look")
        if not self.looks:
            await clock.sleep(self.server.lasts + 0.1)
        self.pace.finished()

    async def work(self, group: asyncio.TaskGroup) -> None:
        try:
            while True:
                await self.ask("submit")
                if self.looks:
                    await self.life()
                else:
                    group.create_task(quietly(self.life()))
        except Halted:
            return


async def quietly(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Halted:
        return


def drive(
    server: Limited,
    seconds: float,
    *,
    workers: int = 64,
    looks: int = 0,
    rate: float | None = None,
    memory: Memory | None = None,
    listener: Callable[[Any], None] = lambda _: None,
) -> Pace:
    """Let a crowd send to `server` for `seconds`; return the pace as it ended."""

    async def scene() -> Pace:
        clock = LoopClock()
        brake = Brake(clock)
        pace = Pace(clock=clock, brake=brake, listener=listener, rate=rate, memory=memory)
        crowd = Crowd(server, pace, brake, looks)
        asyncio.get_running_loop().call_later(seconds, brake.pull, "the end")
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(crowd.work(group))
        return pace

    return run(scene())
