"""How fast one kind of request may go: found by going faster until the API says no.

Three modes. *ramp*: nothing is known, the rate doubles every few answer times. *seek*: a first
refusal told the region, the rate climbs by a tenth a second. *settle*: the limit is known, the rate
stays a little below it, and after a long calm feels whether more is allowed by now.

What a refusal tells is the rate that worked until then, over the last two seconds of going: the
quotas of fixed windows are mostly for a second. A bucket of tokens hides its limit while it is not
empty, so that the rate which worked may be too high; then the next refusals come soon, and each
brings it nearer.
"""

from __future__ import annotations

import math
from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING

from pipeline import schema

if TYPE_CHECKING:
    from collections.abc import Mapping

NEAR = 0.001
"""Seconds that are not worth a timer, which would come later than that anyway."""

_HIGHEST = 1e6
_LOWEST = 0.01
_TELLING = 3
_SPARSE = 1.2  # requests a second, fewer of which two seconds cannot measure
_SPREAD = 16  # requests under way that need no explanation
_TICK = 0.05
_TICKS = 50  # of accepted requests are remembered, longer than the two seconds that are asked for


class Mode(Enum):
    """What is known of the limit."""

    RAMP = auto()
    SEEK = auto()
    SETTLE = auto()


class Rate:
    """The rate of one lane, in requests a second. Times are monotonic seconds, passed in."""

    def __init__(self, now: float, *, start: float, known: float = 0.0) -> None:
        """Start gently at `start`, or at `known`, a limit found earlier."""
        self._facts: Mapping[str, float] = schema.api("pace")
        self.mode = Mode.SETTLE if known > 0 else Mode.RAMP
        self.value = known or start
        self.in_flight = 0
        self.refusals = 0
        """Refused in a row, with a pause after each."""
        self.breaks = 0
        """Broken in a row."""
        self.probing = False
        """One request at a time, until one is accepted."""
        self._stale = 0
        self._slot = now  # when the next request may go
        self._crowded_at = -math.inf  # when somebody last had to wait for this rate
        self._grown_at = now
        self._top = self.value  # where settling ends
        self._calm_until = now + self._facts["rest_seconds"]
        self._hasty = 0  # refusals in a row soon after the one before
        self._refused_at = now
        self._resumed_at = now
        self._paused = 0.0  # seconds of pauses so far
        self._paused_before = 0.0  # and what that was at the last refusal
        self._accepted = 0  # since the last refusal
        self._recent: deque[tuple[float, int]] = deque(maxlen=_TICKS)
        self._latency = 0.0
        self._usual = 0.0
        self._slow_until = now

    # ── going ───────────────────────────────────────────────────────────────────────────────

    def wait(self, now: float) -> float:
        """Return the seconds until the next request may go, 0 or less when it may go now."""
        if self.probing and self.in_flight:
            return 0.01
        wait = self._slot - now
        if wait > NEAR:
            self._crowded_at = now
        return wait

    def go(self, now: float) -> None:
        """Count a request that leaves now."""
        # What a late waker missed is made up for, a little: timers are never early.
        self._slot = max(self._slot, now - self._facts["credit_seconds"]) + 1 / self.value
        self.in_flight += 1

    def back(self) -> bool:
        """Count an answer, or none. Return False when it tells of the time before a pause."""
        self.in_flight -= 1
        if self._stale:
            self._stale -= 1
            return False
        return True

    def pause(self, now: float, until: float) -> None:
        """Let nothing go before `until`."""
        self._paused += max(until - max(now, self._resumed_at), 0.0)
        self._resumed_at = self._grown_at = max(until, self._resumed_at)
        self._slot = max(self._slot, until)

    # ── what came of it ─────────────────────────────────────────────────────────────────────

    def accepted(self, now: float, seconds: float, *, news: bool) -> None:
        """Take note of a request that was answered well after `seconds`.

        Goes faster when somebody had to wait, unless it is no news (see `back`).
        """
        self._accepted += 1
        self._count(self._gone_by(now))
        if not news:
            return
        self.probing = False
        self.refusals = self.breaks = 0
        self._feel(now, seconds)
        if self._filling():
            self._calm_until = max(self._calm_until, now + self._facts["rest_seconds"])
        elif now - self._crowded_at < max(0.1, 2 / self.value):
            self.value = min(self._grown(now), _HIGHEST)
        self._grown_at = now

    def refused(self, now: float) -> None:
        """Go slower after a refusal; what is under way now tells nothing about afterwards."""
        facts = self._facts
        self.stale()
        if self._accepted < _TELLING and now - self._refused_at < 1.0:
            return  # that says nothing about a rate
        active = now - self._refused_at - (self._paused - self._paused_before)
        worked = self._worked(now, active)
        if self.mode is Mode.RAMP:
            self.value, self.mode = worked * facts["ramp_keep"], Mode.SEEK
        else:
            sure = self.mode is Mode.SETTLE and active >= facts["calm_seconds"]
            keep = facts["settle_keep"] if sure else facts["seek_keep"]
            top = worked * keep
            if active < facts["calm_seconds"]:  # what was settled on last did not hold at all
                keep *= facts["hasty_keep"] ** self._hasty
                self._hasty = min(self._hasty + 1, 2)
            else:
                self._hasty = 0
            fell = worked < self._gone(now) * facts["fall"]
            self.value = worked * keep
            self._settle(now, top, sure=sure)
            if fell:  # the limit itself was cut, and nobody knows to what
                self.mode = Mode.SEEK
        self.value = max(self.value, _LOWEST)
        self._refused_at = now
        self._paused_before = self._paused
        self._accepted = 0

    def slacken(self, now: float) -> None:
        """Go slower than what was answered lately, because the API gets slow, or breaks."""
        least = min(self.value, self._facts["start_per_second"])
        worked = max(min(self.value, self._lately(now, 2.0)), least)
        self.value = worked * self._facts["slow_keep"]
        self._settle(now, worked * self._facts["settle_keep"], sure=False)
        self.stale()

    def stale(self) -> None:
        """Take what is under way for old news: it left before what is known by now."""
        self._stale = self.in_flight

    @property
    def limit(self) -> float:
        """The rate that the API was found to allow, 0 while it never said no."""
        return 0.0 if self.mode is Mode.RAMP else self.value

    # ── how ─────────────────────────────────────────────────────────────────────────────────

    def _worked(self, now: float, active: float) -> float:
        """Return the rate that worked until now, `active` seconds of going after a refusal."""
        overall = self._accepted / max(now - self._refused_at, 0.001)
        if self.mode is Mode.RAMP:
            # Others' pauses have let windows begin anew: then the second of going was a longer one.
            worked = self._lately(now, 1.0)
            return min(worked, overall) if self._paused > self._paused_before else worked
        gone = self._gone(now)
        if gone < _SPARSE:
            return min(max(overall, gone * self._facts["most_at_once"]), gone)
        if active >= 2.0:
            return min(self._lately(now, 2.0), gone)
        if active >= 1.0:
            return min(self._lately(now, 1.0), gone)
        # In less than a second nothing shows: a second's quota may be used up at once.
        return min(max(self._accepted, overall, gone * self._facts["most_at_once"]), gone)

    def _gone_by(self, now: float) -> float:
        """Return the clock of going, which stands during pauses."""
        return max(now, self._resumed_at) - self._paused

    def _lately(self, now: float, seconds: float) -> float:
        """Return the requests a second that were accepted in the last `seconds` of going."""
        since = self._gone_by(now) - seconds
        return sum(number for stamp, number in self._recent if stamp > since) / seconds

    def _gone(self, now: float) -> float:
        """Return the rate gone at: less than allowed when there was less to send."""
        if now - self._crowded_at < max(1.0, 2 / self.value):
            return self.value
        return max(min(self.value, self._lately(now, 2.0)), _LOWEST)

    def _settle(self, now: float, top: float, *, sure: bool) -> None:
        """Climb to `top`, stay there, and feel for more: soon, unless `top` is `sure`."""
        self.mode = Mode.SETTLE
        self._top = top
        self._calm_until = now + self._facts["hold_seconds" if sure else "rest_seconds"]

    def _grown(self, now: float) -> float:
        facts, passed = self._facts, max(now - self._grown_at, 0.0)
        if self.mode is Mode.RAMP:
            doubling = min(
                max(self._latency * facts["doubling_latencies"], facts["min_doubling_seconds"]),
                facts["max_doubling_seconds"],
            )
            return self.value * math.exp2(min(passed / doubling, 1.0))
        passed = min(passed, 1.0)
        if self.mode is Mode.SEEK:
            return self.value * math.exp(facts["seek_growth"] * passed)
        if self.value < self._top:
            return min(self.value * math.exp(facts["settle_growth"] * passed), self._top)
        calm = now - self._calm_until
        if calm < 0:
            return self.value
        growth = min(facts["probe_growth"] * 2.0 ** (calm / 5), facts["seek_growth"])
        return self.value * math.exp(growth * passed)

    def _filling(self) -> bool:
        """Whether more is under way than the rate and the usual time for an answer explain.

        The answers will come late then, and say so too late to stop a rate that doubles.
        """
        return self.in_flight > _SPREAD + 2 * self.value * self._usual

    def _feel(self, now: float, seconds: float) -> None:
        """Follow how long answers take, and go slower when they take much longer than usual."""
        facts = self._facts
        if not self._latency:
            self._latency = self._usual = seconds
        self._latency += (seconds - self._latency) * 0.2
        # What is usual falls at once and rises within minutes: a slow hour becomes usual, too.
        passed = max(now - self._grown_at, 0.0)
        share = 0.2 if self._latency < self._usual else min(passed / facts["usual_seconds"], 0.2)
        self._usual += (self._latency - self._usual) * share
        slow = max(self._usual * facts["slow_factor"], self._usual + facts["slow_seconds"])
        if self._latency > slow and now > self._slow_until:
            self.slacken(now)
            # Not again before what is under way has had the time to come back.
            self._slow_until = now + self.in_flight / (self.value * (1 / facts["slow_keep"] - 1))

    def _count(self, stamp: float) -> None:
        """Remember an accepted request by the clock of going."""
        if self._recent and stamp - self._recent[-1][0] < _TICK:
            last, number = self._recent.pop()
            self._recent.append((last, number + 1))
        else:
            self._recent.append((stamp, 1))


class Cap:
    """A rate that is never exceeded: no more than so many in any span of time."""

    def __init__(self, rate: float) -> None:
        """Allow `rate` a second: as many whole requests as fit a second, or one in longer."""
        number = max(1, math.floor(rate))
        self._sent: deque[float] = deque(maxlen=number)
        self._span = number / rate

    def wait(self, now: float) -> float:
        """Return the seconds until one more may go, 0 or less when it may go now."""
        full = len(self._sent) == self._sent.maxlen
        return self._sent[0] + self._span - now if full else 0.0

    def go(self, now: float) -> None:
        """Count a request that leaves now."""
        self._sent.append(now)
