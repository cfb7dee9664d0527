"""A rate limit as APIs have them: a fixed window, or a bucket of tokens."""

from __future__ import annotations

import math


class RateLimit:
    """Counts requests against the clock it is told; the rate may change between calls."""

    def __init__(self) -> None:
        self._window = -1
        self._used = 0
        self._tokens = math.inf
        self._filled_at = 0.0

    def wait(self, rate: float, kind: str, now: float) -> float:
        """Count a request at `now` (seconds that never run backwards).

        Returns 0 when it may pass, else the seconds until one may: `rate` requests a second in
        windows of one second (longer below one a second), or out of a bucket of one second's
        tokens.
        """
        return self._bucket(rate, now) if kind == "bucket" else self._fixed(rate, now)

    def _fixed(self, rate: float, now: float) -> float:
        length = max(1.0, 1 / rate)
        window = int(now // length)
        if window != self._window:
            self._window, self._used = window, 0
        if self._used >= int(rate * length + 1e-9):
            return (window + 1) * length - now
        self._used += 1
        return 0.0

    def _bucket(self, rate: float, now: float) -> float:
        size = max(1.0, rate)
        self._tokens = min(size, self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / rate
        self._tokens -= 1
        return 0.0
