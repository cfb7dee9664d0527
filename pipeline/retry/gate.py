"""How many tasks may run at once, where the API limits that: found by being refused.

Closed only after refusals that no rate explains. Then a submit waits until a task has finished;
now and then one more is tried, less often each time that it is refused.
"""

from __future__ import annotations

import math

from pipeline import schema


class Gate:
    """Counts running tasks, and keeps them under the limit once there seems to be one."""

    def __init__(self, known: int = 0) -> None:
        """Start open, or at `known`, a limit found earlier."""
        self._facts = schema.api("pace")
        self.running = 0
        self.limit: float = known or math.inf
        self._rounds: float = self._facts["steady_rounds"]
        self._steady = 0
        self._tries = 0
        self._told = False
        self._refused = False
        self._moved_at = 0.0

    @property
    def closed(self) -> bool:
        """Whether a limit was found."""
        return self.limit != math.inf

    def full(self, sending: int) -> bool:
        """Whether another submit, beside those `sending`, would go over the limit."""
        return self.running + sending >= self.limit

    def patience(self, now: float) -> float:
        """Return the seconds after which one more is tried although no task has finished; 0 or
        less when that is now.

        Long when finished tasks are told: then one will be. Else nobody looks at the tasks.
        """
        facts = self._facts
        most: float = facts["max_pause_seconds"]
        if not self._told:
            most = min(facts["pause_seconds"] * 2.0**self._tries, most)
        return self._moved_at + most - now

    def dared(self, now: float) -> None:
        """One more is tried over the limit: the others wait their patience out anew."""
        self._moved_at = now

    def started(self, now: float) -> None:
        """A submit was accepted: its task runs."""
        self.running += 1
        self._moved_at = now
        self._tries = 0
        if not self.closed:
            return
        if self.running > self.limit:
            self.limit = self.running
        if self.running >= self.limit - 1:
            self._steady += 1
        if self._steady >= self.limit * self._rounds:
            self._steady = 0
            self.limit += 1 if self._refused else max(1, self.limit // 4)
            self._refused = False

    def finished(self, now: float) -> None:
        """A task has ended."""
        self._told = True
        self.running = max(self.running - 1, 0)
        self._moved_at = now

    def refused(self, now: float, *, alone: bool) -> bool:
        """Say whether a refused submit is explained by the tasks that run, and learn from it.

        `alone`: submits were refused one by one, with pauses between, so no rate explains it.
        """
        if self.closed and self.running < self.limit / 2:
            self.limit = math.inf  # many tasks have finished and it is refused all the same
            return False
        if not self.running or not (alone or (self.closed and self.full(1))):
            return False
        self.limit = self.running
        self._steady = 0
        self._refused = True
        self._tries = min(self._tries + 1, 16)
        self._moved_at = now
        return True
