"""The counts that every listener needs, kept from the events alone."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from pipeline.lifecycle import RUNNING, STOPPED, Status, Step
from pipeline.money import NOTHING, Money

if TYPE_CHECKING:
    from pipeline.events import Started, Stepped

_ROAD = (Status.SUBMITTED, Status.COMPLETED, Status.DOWNLOADED)
_WINDOW = 60.0
"""Seconds that the pace looks back: long enough for tasks that take a minute."""
_SAMPLE = 1.0
"""Seconds between two samples of the pace."""


class Tally:
    """Where the jobs of the spec stand now. `goal` is the status at which this run is content.

    The goal is `downloaded`; `completed` for a run that does not download, `submitted` for one
    that does not wait. Jobs that were at the goal before the run count as done, never as pace.
    """

    def __init__(self, goal: Status = Status.DOWNLOADED) -> None:
        self._content = frozenset(_ROAD[_ROAD.index(goal) :])
        self._counts = dict.fromkeys(Status, 0)
        self._samples: deque[tuple[float, int, int]] = deque()
        self.todo = self.settled = self.images = self.already = 0
        self.spent: Money = NOTHING

    def start(self, event: Started, moment: float) -> None:
        """Begin from what the state file holds. `moment` is monotonic seconds."""
        self._counts = {status: event.totals.counts.get(status, 0) for status in Status}
        self.todo, self.already = event.todo, self.done
        self.spent = event.totals.spent
        self.settled = self.images = 0
        self._samples = deque([(moment, 0, 0)])

    def step(self, event: Stepped) -> None:
        """Count one step of one job."""
        before, status = event.before, event.status
        if before is not None:
            self._counts[before] -= 1
        self._counts[status] += 1
        if event.step is Step.COMPLETE and event.cost is not None:
            self.spent = Money(self.spent + event.cost)
        arrived = self._over(status) - self._over(before)
        if arrived:
            self.settled += arrived
            content = (status in self._content) - (before in self._content)
            self.images += content * event.images

    def _over(self, status: Status | None) -> bool:
        return status in self._content or status in STOPPED

    @property
    def jobs(self) -> int:
        """Every job of the spec."""
        return sum(self._counts.values())

    @property
    def done(self) -> int:
        """Jobs at the goal, whenever they got there."""
        return sum(self._counts[status] for status in self._content)

    @property
    def running(self) -> int:
        """Jobs on their way to the goal."""
        return sum(self._counts[status] for status in RUNNING - self._content)

    @property
    def failed(self) -> int:
        """Jobs that stopped without an image: failed, held or expired."""
        return sum(self._counts[status] for status in STOPPED)

    def sample(self, moment: float) -> None:
        """Remember how far things are at `moment`, for the pace; cheap to call often."""
        if not self._samples or moment - self._samples[-1][0] < _SAMPLE:
            return
        self._samples.append((moment, self.settled, self.images))
        while len(self._samples) > 2 and self._samples[1][0] <= moment - _WINDOW:
            self._samples.popleft()

    def pace(self, moment: float) -> float:
        """Return images per second over the last minute, 0 before the first one."""
        return self._per_second(moment, self.images, 2)

    def eta(self, moment: float) -> float | None:
        """Return the seconds that the rest of this run takes at its pace; None when unknown."""
        pace = self._per_second(moment, self.settled, 1)
        left = self.todo - self.settled
        return left / pace if pace > 0 and left > 0 else None

    def _per_second(self, moment: float, now: int, column: int) -> float:
        if not self._samples or moment <= self._samples[0][0]:
            return 0.0
        return max(now - self._samples[0][column], 0) / (moment - self._samples[0][0])
