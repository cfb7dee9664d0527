"""What the parts of the sandbox share: its faults, clock, dice, book and address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from pipeline.clock import Clock
    from pipeline.sandbox.faults import Faults, Span
    from pipeline.sandbox.ledger import Ledger


@dataclass(slots=True)
class World:
    """Passed to every part. `faults` may be replaced while the sandbox runs."""

    faults: Faults
    clock: Clock
    dice: random.Random
    ledger: Ledger
    url: str = ""

    def happens(self, share: float) -> bool:
        """Throw the dice for a share; a fault that is off throws none."""
        return share > 0 and self.dice.random() < share

    def drawn(self, span: Span) -> float:
        """Return a number of the span."""
        return span.low if span.low == span.high else self.dice.uniform(*span)
