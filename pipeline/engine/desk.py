"""What the three lanes share: one API, one journal, one budget, one brake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.state import fresh_attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.api import Api
    from pipeline.brake import Brake
    from pipeline.clock import Clock
    from pipeline.engine.budget import Budget
    from pipeline.engine.journal import Journal
    from pipeline.engine.work import Work
    from pipeline.errors import ApiError
    from pipeline.model import Record


@dataclass(frozen=True, slots=True)
class Desk:
    """Shared by the lanes of one run.

    `host` and `account` say whose tasks this run may send and collect. `delays` gives the wait
    before the n-th further try, in seconds. `weary` is asked after each failed try: it stops the
    run, and says True, when nothing has answered for longer than the run's patience. `agreed`
    numbers the jobs that the user agreed to pay for again, should their task give nothing.
    """

    api: Api
    host: str
    account: str
    journal: Journal
    budget: Budget
    work: Work
    brake: Brake
    clock: Clock
    delays: Callable[[int], float]
    weary: Callable[[ApiError], bool]
    agreed: set[int]

    def owns(self, record: Record) -> bool:
        """Whether the job's task lives where this run looks, under the key that it has."""
        return (record.host, record.account) == (self.host, self.account)

    def again(self, record: Record) -> Record:
        """Start a stopped job again, once, when the user agreed to pay; else leave it as it is."""
        if record.number not in self.agreed:
            return record
        self.agreed.discard(record.number)
        change = fresh_attempt(record, self.journal.now())
        self.journal.put(change)
        return change.after
