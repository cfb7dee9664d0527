"""How long to wait before trying the same thing again: longer each time, never in step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import schema

if TYPE_CHECKING:
    import random


class Backoff:
    """The delays of `schemas/api.json`, `backoff`, spread by dice.

    The n-th delay (n from 1) is drawn evenly from the upper half of
    `first_seconds * factor ** (n - 1)`, cut at `max_seconds`: many that failed together do not
    come back together, and none comes back at once.
    """

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        facts = schema.api("backoff")
        self._first: float = facts["first_seconds"]
        self._factor: float = facts["factor"]
        self._most: float = facts["max_seconds"]
        self.attempts: int = facts["attempts"]
        """Tries of one call, the first included."""
        self.fetch_attempts: int = facts["fetch_attempts"]
        """The same for an image, for which a fresh url can be asked instead."""

    def delay(self, tries: int) -> float:
        """Return the seconds to wait after `tries` tries that failed."""
        steps = min(max(tries, 1) - 1, 64)  # beyond, the power only overflows
        full = min(self._first * self._factor**steps, self._most)
        return full * (0.5 + 0.5 * self._dice.random())
