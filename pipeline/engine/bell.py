"""Between our callback receiver and the lanes: a ring makes a run look sooner, and nothing else.

Rings may come early, late, twice, for jobs long done, or from a forger: only a job that this run
has open is heard of, once, and what became of its task is always asked of the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_BENEFIT = 3
"""Tasks that may end without a ring before polling no longer waits for rings."""
_RARE = 10
"""One task in so many may end without a ring while callbacks count as proven."""


class Bell:
    """Remembers which open jobs were rung for. Silent, and free, without an `address`."""

    def __init__(self, address: Callable[[int], str] | None = None) -> None:
        """`address` gives the `webhook` of a job, where its callback will arrive."""
        self._address = address
        self._expected: set[int] = set()
        self._rung: dict[int, str] = {}
        self._hearers: list[Callable[[int], None]] = []
        self._heard = 0
        self._missed = 0

    def address(self, number: int) -> str:
        """Return where a job's callback is to arrive, `""` when nobody listens."""
        return self._address(number) if self._address is not None else ""

    @property
    def trusted(self) -> bool:
        """Whether it pays to wait for a ring: callbacks arrive, as far as was seen."""
        return self._address is not None and self._missed < self._heard + _BENEFIT

    @property
    def proven(self) -> bool:
        """Whether nearly every task that has ended so far was rung for."""
        return self._heard > 0 and self._missed * _RARE <= self._heard

    def hear(self, hearer: Callable[[int], None]) -> None:
        """Tell `hearer` the number of every open job that is rung for."""
        self._hearers.append(hearer)

    def expect(self, number: int) -> None:
        """From now on a ring for this job is heard."""
        if self._address is not None:
            self._expected.add(number)

    def forget(self, number: int) -> None:
        """This run is done with the job."""
        self._expected.discard(number)
        self._rung.pop(number, None)

    def ring(self, number: int, hint: str) -> None:
        """A callback arrived for a job; `hint` is the task id that it named, or `""`."""
        if number not in self._expected:
            return
        self._rung[number] = hint
        for hearer in self._hearers:
            hearer(number)

    def hint(self, number: int) -> str:
        """Return the task id that a ring named for the job, `""` for none."""
        return self._rung.get(number, "")

    def answered(self, number: int) -> bool:
        """Take a ring: whether one came for the job since the last time."""
        return self._rung.pop(number, None) is not None

    def count(self, *, rung: bool) -> None:
        """Learn whether callbacks arrive: a task has ended, found by a ring or by polling."""
        self._heard += rung
        self._missed += not rung
