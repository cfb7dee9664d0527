"""Money that may still be spent: reserved before a request leaves, settled by its real cost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pipeline.errors import Exit, Trouble
from pipeline.money import NOTHING, Money, display

if TYPE_CHECKING:
    from pipeline.brake import Brake


class BudgetReached(Trouble):
    """The next job would take the run above `--max-cost`."""

    exit = Exit.STOPPED


class Budget:
    """At most `limit` is ever spent and reserved together; None is no limit.

    Once a task has cost more than its estimate, every later reservation grows in the same
    proportion, so that a dearer account cannot outrun the limit.
    """

    def __init__(self, limit: Money | None, brake: Brake) -> None:
        """Start with nothing spent. Whoever waits for room is woken when `brake` is pulled."""
        self._limit = limit
        self._brake = brake
        self._reserved: dict[int, Money] = {}
        self.reserved = NOTHING
        """What jobs under way may still cost."""
        self._dearest = (1, 1)
        self._changed = asyncio.Event()
        self.spent = NOTHING

    async def reserve(self, number: int, estimate: Money) -> None:
        """Set `estimate` aside for a job, once there is room for it.

        Waits while jobs under way may still cost less than was set aside for them. Raises
        `BudgetReached` when nothing is under way and there is no room, `Halted` when the run
        stops meanwhile.
        """
        while True:
            dear, cheap = self._dearest
            amount = Money(-(-estimate * dear // cheap))
            if self._limit is None or self.spent + self.reserved + amount <= self._limit:
                self.reserved = Money(self.reserved + amount - self._reserved.get(number, 0))
                self._reserved[number] = amount
                return
            if not self._reserved:
                raise BudgetReached(
                    f"--max-cost {display(self._limit)} is reached: {display(self.spent)} spent,"
                    f" and the next job may cost {display(amount)}",
                    why="Nothing is sent that could take this run above the limit.",
                    fix="Raise --max-cost (or `run.max_cost` in the spec) and run again.",
                )
            self._changed.clear()
            await self._brake.until(self._changed)

    def settle(self, number: int, cost: Money | None, estimate: Money) -> None:
        """Turn a reservation into what the job cost; None counts the estimate.

        A job that this run did not reserve for changes nothing: an earlier run paid for it.
        """
        amount = self._reserved.pop(number, None)
        if amount is None:
            return
        self.reserved = Money(self.reserved - amount)
        if (
            cost is not None
            and estimate > 0
            and cost * self._dearest[1] > estimate * self._dearest[0]
        ):
            self._dearest = (cost, estimate)
        self.spent = Money(self.spent + (estimate if cost is None else cost))
        self._changed.set()
