"""A task: its whole life is settled when it is accepted; what it is *now* is worked out.

So no task costs a timer, a clock of a test's own drives them all, and a sandbox that was killed
and started again goes on as if nothing had happened.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.money import NOTHING, Money

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Task:
    """One accepted request. Times are seconds since 1970 UTC; `seconds` how long it takes.

    `key` is the Idempotency-Key (`""` without one), `digest` the SHA-256 of the body as it came.
    `images` were asked for, `delivered` will come; none when it fails, and `failure` says why.
    `price` is that of one image. `forgotten`: the API will deny to know it. `indeterminate`:
    its key gets 409 for ever.
    """

    id: str
    number: int
    key: str
    digest: str
    accepted_at: float
    seconds: float
    price: Money
    images: int
    delivered: int
    failure: str = ""
    forgotten: bool = False
    indeterminate: bool = False
    callback_lost: bool = False
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def finished_at(self) -> float:
        """When it is, or will be, done."""
        return self.accepted_at + self.seconds

    @property
    def reserved(self) -> Money:
        """What the account is charged until the task is done."""
        return Money(self.price * self.images)

    @property
    def cost(self) -> Money:
        """What it costs in the end: the delivered images, nothing when it failed."""
        return Money(self.price * self.delivered)

    def finished(self, now: float) -> bool:
        """Say whether it is done at `now`."""
        return now >= self.finished_at

    def outcome(self, now: float) -> str:
        """Return `submitted`, `processing`, `completed` or `failed`."""
        if self.finished(now):
            return "failed" if self.failure else "completed"
        return "submitted" if self.progress(now) == 0 else "processing"

    def progress(self, now: float) -> int:
        """Return 0 to 99 while it runs, 100 when it is done."""
        if self.finished(now):
            return 100
        if now <= self.accepted_at:  # a clock that was set back, in a sandbox started again
            return 0
        return min(99, int(100 * (now - self.accepted_at) / self.seconds))

    def billed(self, now: float) -> Money:
        """Return what the account is charged for it at `now`; a failed task is refunded."""
        return self.cost if self.finished(now) else self.reserved


def to_line(task: Task) -> dict[str, Any]:
    """Return the task as plain data for one line of the ledger's file."""
    return asdict(task)


def from_line(line: Mapping[str, Any]) -> Task:
    """Return the task that `to_line` wrote."""
    return Task(**{**line, "price": Money(line.get("price", NOTHING))})
