"""How fast one kind of request may go: found by going faster until the API says no.

Three modes. *ramp*: nothing is known, the rate doubles every few answer times. *seek*: a first
refusal told the region, the rate climbs by a tenth a second. *settle*: the limit is known, the rate
stays a little below it, and after a long calm feels whether more is allowed by now.

A fixed window shows its limit at once: one request too many in a second is refused. A bucket of
tokens hides it until the bucket is empty, and then what was accepted since it was last empty is
the limit exactly. So each refusal weighs two numbers: the rate gone at (too much, but maybe only
a little) and what was accepted since the last refusal (not more than allowed, maybe less).
"""

from __future__ import annotations

import math
from collections import deque
from enum import Enum, auto

from pipeline import schema

_HIGHEST = 1e6
_LOWEST = 0.01
_TICK = 0.05
_TICKS = 50
NEAR = 0.001
"""Seconds that are not worth a timer, which would come later than that anyway."""


class Mode(Enum):
    """What is known of the limit."""

    RAMP = auto()
    SEEK = auto()
    SETTLE = auto()


class Rate:
    """The rate of one lane, in requests a second. Times are monotonic seconds, passed in."""

    def __init__(self, now: float, *, cap: float | None = None, known: float = 0.0) -> None:
        """Start gently, or at `known`, a limit found earlier. Never exceed `cap`."""
        self._facts = schema.api("pace")
        self._cap = min(cap or _HIGHEST, _HIGHEST)
        self._sent: deque[float] | None = None
        if cap is not None:
            self._sent = deque(maxlen=max(1, math.floor(cap)))
        self.mode = Mode.SETTLE if known > 0 else Mode.RAMP
        self.value = min(known or self._facts["start_per_second"], self._cap)
        self.in_flight = 0
        self._crowded = False  # somebody had to wait for this rate since it last grew
        self._crowded_at = now
        self._paused = 0.0
        self._lost = 0.0
        self._recent: deque[tuple[float, int]] = deque(maxlen=_TICKS)
        self.probing = False
        """One request at a time, until one is accepted."""
        self._top = self.value
        self._slot = now
        self._grown_at = now
        self._resumed_at = now
        self._refused_at = now
        self._settled_at = now
        self._accepted = 0
        self._used = 0
        self._stale = 0
        self._latency = 0.0
        self._usual = 0.0
        self._slowed_at = now

    # ── going ───────────────────────────────────────────────────────────────────────────────

    def wait(self, now: float) -> float:
        """Return the seconds until the next request may go, 0 or less when it may go now."""
        if self.probing and self.in_flight:
            return 0.01
        wait = self._slot - now
        if wait > NEAR:
            self._crowded = True
            self._crowded_at = now
        if self._sent is not None and len(self._sent) == self._sent.maxlen:
            wait = max(wait, self._sent[0] + len(self._sent) / self._cap - now)
        return wait

    def go(self, now: float) -> None:
        """Count a request that leaves now."""
        # What a late waker missed is made up for, a little: timers are never early.
        slot = max(self._slot, now - self._facts["credit_seconds"])
        self._slot = slot + 1 / self.value
        self.in_flight += 1
        self._used += 1
        if self._sent is not None:
            self._sent.append(now)

    def back(self) -> bool:
        """Count an answer, or none. Return False when it tells of the time before a pause."""
        self.in_flight -= 1
        if self._stale:
            self._stale -= 1
            return False
        return True

    # ── what came of it ─────────────────────────────────────────────────────────────────────

    def accepted(self, now: float, seconds: float, *, news: bool = True) -> None:
        """Take note of a request that was answered well after `seconds`.

        Goes faster when somebody had to wait, unless it is no news (see `back`).
        """
        self._accepted += 1
        self._count(now - self._lost)
        if not news:
            return
        self.probing = False
        self._feel(now, seconds)
        if self._crowded:
            self._crowded = False
            self.value = min(self._grown(now), self._cap, _HIGHEST)
        self._grown_at = now

    def refused(self, now: float) -> None:
        """Go slower after a refusal. A pause follows (see `pause`)."""
        active = now - self._refused_at - self._paused
        worked = self._worked(now, active)
        if self.mode is Mode.RAMP:
            self.value, self.mode = worked * self._facts["ramp_keep"], Mode.SEEK
        elif active < self._facts["sure_seconds"]:
            self.value, self.mode = worked * self._facts["keep"], Mode.SEEK
        else:
            if self.mode is Mode.SETTLE:
                # Refused at a rate that was fine before: a bucket has run dry, and it filled up
                # during the pause, which therefore counts.
                overall = self._accepted / (now - self._refused_at)
                worked = math.sqrt(worked * min(max(overall, worked * 0.6), worked))
            self.value = worked * self._facts["keep"]
            self._settle(now, worked)
        self.value = max(self.value, _LOWEST)
        self._refused_at = now
        self._paused = 0.0
        self._accepted = 0

    def _worked(self, now: float, active: float) -> float:
        """Return the rate of late that was not refused: over two seconds of going, or one.

        In less than a second nothing shows: quotas are mostly for a second, and used up at once.
        """
        span = min(max(active, 1.0), 1.0 if self.mode is Mode.RAMP else 2.0)
        since = now - self._lost - span
        if active < 1.0:
            count = self._accepted
        else:
            count = sum(number for stamp, number in self._recent if stamp > since)
        gone = self._gone(now)
        return min(max(count / span, gone * self._facts["most_at_once"] * (active < 1)), gone)

    def slacken(self, now: float) -> None:
        """Go slower without a pause: the API gets slow, or breaks."""
        gone = self._gone(now)
        self.value = max(gone * self._facts["slow_keep"], _LOWEST)
        self._settle(now, gone)

    def pause(self, now: float, until: float) -> None:
        """Let nothing go before `until`; what is under way tells nothing about afterwards."""
        more = max(until - max(now, self._resumed_at), 0.0)
        self._paused += more
        self._lost += more
        self._stale = self.in_flight
        self._slot = max(self._slot, until)
        self._resumed_at = max(until, self._resumed_at)
        self._grown_at = self._resumed_at
        self._used = 0

    @property
    def limit(self) -> float:
        """The rate that the API was found to allow, 0 while it never said no."""
        return 0.0 if self.mode is Mode.RAMP else self.value

    def _gone(self, now: float) -> float:
        """Return the rate really gone at: less than allowed when there was less to send."""
        if now - self._crowded_at < max(1.0, 2 / self.value):
            return self.value
        elapsed = max(now - self._resumed_at, 0.25)
        return max(min(self.value, self._used / elapsed), _LOWEST)

    def _count(self, stamp: float) -> None:
        """Remember an accepted request by the clock of going, which stands during pauses."""
        if self._recent and stamp - self._recent[-1][0] < _TICK:
            last, number = self._recent.pop()
            self._recent.append((last, number + 1))
        else:
            self._recent.append((stamp, 1))

    def _settle(self, now: float, limit: float) -> None:
        self.mode = Mode.SETTLE
        self._top = limit * self._facts["headroom"]
        self._settled_at = now

    def _grown(self, now: float) -> float:
        facts, passed = self._facts, max(now - self._grown_at, 0.0)
        if self.mode is Mode.RAMP:
            doubling = min(
                max(self._latency * facts["doubling_latencies"], facts["min_doubling_seconds"]),
                facts["max_doubling_seconds"],
            )
            return self.value * 2.0 ** min(passed / doubling, 1.0)
        passed = min(passed, 1.0)
        if self.mode is Mode.SEEK:
            return self.value * math.exp(facts["seek_growth"] * passed)
        if self.value < self._top:
            return min(self.value * math.exp(facts["settle_growth"] * passed), self._top)
        calm = now - self._settled_at - facts["hold_seconds"]
        if calm < 0:
            return self.value
        growth = min(facts["probe_growth"] * 2.0 ** (calm / 10), facts["seek_growth"])
        return self.value * math.exp(growth * passed)

    def _feel(self, now: float, seconds: float) -> None:
        """Follow how long answers take, and go slower when they take much longer than usual."""
        if not self._latency:
            self._latency = self._usual = seconds
        self._latency += (seconds - self._latency) * 0.2
        self._usual += (self._latency - self._usual) * (0.2 if self._latency < self._usual else 0.001)
        facts = self._facts
        slow = max(self._usual * facts["slow_factor"], self._usual + facts["slow_seconds"])
        if self._latency > slow and now - self._slowed_at > self._latency:
            self._slowed_at = now
            self.slacken(now)
