"""When to look at a task: seldom, and soon after it is done.

Learns how long each model's tasks take on this account, and whether what the API says of a task
while it runs (`estimated_time`, `progress`) can be believed. Pure: it is told the times.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline import schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.api import Task

_MISSED = 0.4
"""The error that is counted when a task still runs although it was foretold to be done."""
_OPEN = 16_384
"""Tasks whose last look is remembered; beyond, the oldest is forgotten, which costs a look."""


@dataclass(slots=True)
class _Seen:
    """The last look at a running task: when, and what was foretold then. 0 for nothing."""

    elapsed: float
    estimated: float
    extrapolated: float


@dataclass(slots=True)
class _Belief:
    """How far one kind of foretelling is off, as a rule: 0.3 is 30%."""

    error: float = 0.0
    begun: bool = False

    def told(self, error: float) -> None:
        """Take note of one foretelling that has come to its end."""
        self.begun = True
        self.error += (min(error, 1.0) - self.error) * 0.1


@dataclass(slots=True)
class _Model:
    """One model: how long its tasks took, and what its tasks' own words are worth.

    `early` is the share of first looks that found the task running (`ran` of them since the last
    task was done). Durations are mostly known from the look that saw the end, so they are too
    long, the more so the later that look is; `haste` shortens first looks until enough are early.
    """

    order: deque[float] = field(default_factory=deque)
    sorted: list[float] = field(default_factory=list)
    begun: int = 0
    ran: int = 0
    early: float = 0.5
    haste: float = 1.0
    estimate: _Belief = field(default_factory=_Belief)
    progress: _Belief = field(default_factory=_Belief)

    def add(self, seconds: float, most: int) -> None:
        """Remember how long a task took, and forget what is old."""
        self.order.append(seconds)
        insort(self.sorted, seconds)
        if len(self.order) > most:
            self.sorted.pop(bisect_right(self.sorted, self.order.popleft()) - 1)

    def after(self, share: float) -> float:
        """Return the seconds within which `share` of the tasks were done."""
        return self.sorted[min(int(share * len(self.sorted)), len(self.sorted) - 1)]

    def done(self, elapsed: float) -> float:
        """Return the share of the tasks that were done within `elapsed`."""
        return bisect_right(self.sorted, elapsed) / len(self.sorted)


class Looks:
    """Says how long to wait before each look at a task."""

    def __init__(self, known: Mapping[str, Sequence[float]] | None = None) -> None:
        """Start from the durations that an earlier run learned, as `snapshot` gave them."""
        self._facts = schema.api("looks")
        self._models: dict[str, _Model] = {}
        self._seen: dict[str, _Seen] = {}
        for model, durations in (known or {}).items():
            for seconds in durations:
                self._model(model).add(max(seconds, 0.0), self._facts["remembered"])

    def first(self, model: str) -> float:
        """Return the seconds to wait after a task's submit before its first look."""
        known = self._model(model)
        known.begun += 1
        if not known.sorted:
            scouts = self._facts["scouts"]
            at = known.begun - 1
            return float(scouts[at] if at < len(scouts) else self._facts["default_seconds"])
        shortest, tolerance = known.sorted[0], self._tolerance(known)
        if self._foretold(known) and known.after(0.9) - known.after(0.1) > 2 * tolerance:
            # The task itself will say how long it takes: asked early, when few are done.
            return float(min(known.after(0.05), self._facts["max_gap_seconds"]))
        step = max(known.after(1 / self._facts["steps"]), shortest + tolerance) * known.haste
        return float(min(step, self._facts["max_gap_seconds"]))

    def nearly_all(self, model: str) -> float:
        """Return the seconds within which nearly all tasks were done, 0 when none is known."""
        known = self._models.get(model)
        return known.after(0.95) if known is not None and known.sorted else 0.0

    def next(self, model: str, elapsed: float, task: Task) -> float:
        """Return the seconds to wait before another look at a task that still runs.

        `elapsed` is the seconds since its submit.
        """
        facts, known = self._facts, self._model(model)
        estimated = task.estimated
        extrapolated = elapsed * 100 / task.progress if task.progress >= 5 else 0.0
        before = self._seen.get(task.id)
        known.ran += before is None
        self._judge(known, before, elapsed, over=False)
        while len(self._seen) >= _OPEN:
            self._seen.pop(next(iter(self._seen)))
        self._seen[task.id] = _Seen(elapsed, estimated, extrapolated)
        least = max(facts["min_gap_seconds"], elapsed * facts["min_gap_share"])
        most: float = facts["max_foretold_gap_seconds"]
        if estimated and known.estimate.error <= facts["believed_error"]:
            wait = estimated - elapsed
        elif extrapolated and known.progress.error <= facts["believed_error"]:
            wait = extrapolated - elapsed
        else:
            wait, most = self._usual(known, elapsed), facts["max_gap_seconds"]
        if most != facts["max_gap_seconds"]:
            wait += facts["margin_seconds"]  # a look just too early costs another one
        return float(min(max(wait, least), most))

    def learn(self, model: str, seconds: float, task: Task | None = None) -> None:
        """Take note that a task was seen to be done `seconds` after its submit.

        How long it took is taken from `task`, the look that saw it done, when that tells.
        """
        known = self._model(model)
        seen = self._seen.pop(task.id, None) if task is not None else None
        took = (seconds + seen.elapsed) / 2 if seen else seconds
        if task is not None and (told := _told(task)):
            took = min(max(told, seen.elapsed if seen else 0.0), seconds)
        known.add(took, self._facts["remembered"])
        self._hasten(known)
        if took:
            self._judge(known, seen, took, over=True)

    def _hasten(self, known: _Model) -> None:
        """Look earlier while hardly any first look is too early, and later when many are."""
        known.early += (min(known.ran, 1) - known.early) * 0.05
        known.ran = max(known.ran - 1, 0)
        low, high = self._facts["early_share"]
        if known.early < low:
            known.haste *= 0.97
        elif known.early > high:
            known.haste = min(known.haste * 1.03, 1.0)

    def _judge(self, known: _Model, seen: _Seen | None, elapsed: float, *, over: bool) -> None:
        """Compare what was foretold with what came: the end (`over`), or no end when due."""
        if seen is None:
            return
        for foretold, belief in (
            (seen.estimated, known.estimate),
            (seen.extrapolated, known.progress),
        ):
            if foretold and over:
                belief.told(abs(foretold - elapsed) / elapsed)
            elif foretold and elapsed > foretold:
                belief.told(_MISSED)
            elif foretold:
                belief.told(0.0)

    def snapshot(self) -> dict[str, list[float]]:
        """Return what was learned, for the next run: 21 durations a model, shortest first."""
        return {
            name: [round(model.after(step / 20), 3) for step in range(21)]
            for name, model in self._models.items()
            if model.sorted
        }

    def _model(self, name: str) -> _Model:
        return self._models.setdefault(name, _Model())

    def _foretold(self, known: _Model) -> bool:
        """Whether a task's own words, once asked for, can be believed."""
        believed: float = self._facts["believed_error"]
        return any(one.begun and one.error <= believed for one in (known.estimate, known.progress))

    def _tolerance(self, known: _Model) -> float:
        """Return by how many seconds a task may be seen late without anybody minding."""
        return float(min(known.after(0.5) * 0.1, self._facts["tolerance_seconds"]))

    def _usual(self, known: _Model, elapsed: float) -> float:
        """Return the wait that this model's tasks suggest: another step of their share."""
        grown = float(elapsed * self._facts["growth"])
        if not known.sorted:
            return grown
        target = known.done(elapsed) + 1 / self._facts["steps"]
        if target > 1.0:
            return grown
        return max(known.after(target) - elapsed, self._tolerance(known))


def _told(task: Task) -> float:
    """Return how many seconds a finished task says it took, 0 when it does not say."""
    return task.actual or (max(task.completed - task.created, 0.0) if task.created else 0.0)
