"""When to look at a task: neither so often that polls fill the wire, nor so late that it waits.

Pure, but for what it learns: how long each model's tasks took on this account. A task's own
progress or estimate beats what was learned; what was learned beats growing gaps.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from typing import TYPE_CHECKING

from pipeline import schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.api import Task


class Looks:
    """Times looks for every model. All times are seconds."""

    def __init__(self, known: Mapping[str, Sequence[float]] | None = None) -> None:
        """Start from the durations that an earlier run learned, as `snapshot` gave them."""
        facts = schema.api("looks")
        self._first: float = facts["default_seconds"]
        self._least: float = facts["min_gap_seconds"]
        self._most: float = facts["max_gap_seconds"]
        self._memory: int = facts["remembered"]
        self._recent: dict[str, deque[float]] = {}
        self._sorted: dict[str, list[float]] = {}
        for model, durations in (known or {}).items():
            for seconds in durations:
                self.learn(model, seconds)

    def first(self, model: str) -> float:
        """Return the wait between a submit and the first look: most tasks run that long."""
        return self._quantile(model, 0.1, self._first)

    def next(self, model: str, elapsed: float, task: Task) -> float:
        """Return the wait after a look that found the task running, `elapsed` after its submit."""
        left = self._left(model, elapsed, task)
        if left <= 0:  # overdue by its own word or by what is usual: wait in growing steps
            left = elapsed / 8
        return min(max(left, self._least), self._most)

    def _left(self, model: str, elapsed: float, task: Task) -> float:
        if 0 < task.progress < 100:
            return elapsed * (100 / task.progress - 1) + self._least
        if task.estimated > 0:
            return task.estimated - elapsed + self._least
        known = self._sorted.get(model, [])
        longer = known[bisect_right(known, elapsed) :]
        return longer[len(longer) // 2] - elapsed + self._least if longer else 0.0

    def learn(self, model: str, seconds: float) -> None:
        """Remember how long a task took, forgetting the oldest one beyond the memory."""
        recent = self._recent.setdefault(model, deque())
        known = self._sorted.setdefault(model, [])
        recent.append(seconds)
        insort(known, seconds)
        if len(recent) > self._memory:
            del known[bisect_right(known, recent.popleft()) - 1]

    def snapshot(self) -> dict[str, list[float]]:
        """Return what was learned, for the next run."""
        return {model: [round(one, 3) for one in recent] for model, recent in self._recent.items()}

    def _quantile(self, model: str, share: float, unknown: float) -> float:
        known = self._sorted.get(model)
        return known[int(share * (len(known) - 1))] if known else unknown
