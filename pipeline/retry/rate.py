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
        facts = self._facts
        low, high, active = self._bounds(now)
        if self.mode is Mode.RAMP:
            self.value = math.sqrt(low * high)
            self.mode = Mode.SEEK
        else:
            self.value = low**0.3 * high**0.7 * facts["headroom"]
            self.mode = Mode.SEEK
            if low >= high * facts["agreement"] or active >= facts["sure_seconds"]:
                self._settle(now, high)
        self._refused_at = now
        self._paused = 0.0
        self._accepted = 0

    def _bounds(self, now: float) -> tuple[float, float, float]:
        """Return the rates between which the limit must lie after a refusal, and the seconds
        of going that tell so.

        Not less than what was accepted since the last refusal, its pause included: a bucket
        filled up meanwhile. Hardly more than what was accepted without that pause: a window that
        was used up gave nothing meanwhile. Not more than the rate that was refused.
        """
        gone, elapsed = self._gone(now), max(now - self._refused_at, 0.001)
        active = max(elapsed - self._paused, 0.001)
        if self.mode is Mode.RAMP:
            elapsed += 1.0  # what was accepted first may have been a quota saved up
        low = self._accepted / elapsed
        # Quotas are mostly for a second: what was accepted in less is not a rate.
        high = min(self._accepted / max(active, 1.0), gone * self._facts["headroom"])
        floor = _LOWEST if self.mode is Mode.RAMP else gone * self._facts["most_at_once"]
        high = max(high, floor, _LOWEST)
        return max(min(low, high), floor * 0.6, _LOWEST), high, active

    def slacken(self, now: float) -> None:
        """Go slower without a pause: the API gets slow, or breaks."""
        gone = self._gone(now)
        self.value = max(gone * self._facts["slow_keep"], _LOWEST)
        self._settle(now, gone)

    def pause(self, now: float, until: float) -> None:
        """Let nothing go before `until`; what is under way tells nothing about afterwards."""
        self._paused += max(until - max(now, self._resumed_at), 0.0)
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
