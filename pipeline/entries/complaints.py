"""Collects what is wrong: every problem once, and an end when there are too many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.entries.limits import limit
from pipeline.problem import Place, Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.entries.fault import Fault


_SAME_IN_EVERY_ROW = frozenset(
    ("unknown-name", "unlisted-environment", "unset-environment", "template-unsafe")
)
"""Mistakes of the template, not of the row: said for the first row and not for each."""


class Complaints:
    """Hands problems on. `full` when so many entries are wrong that looking further is no use."""

    def __init__(self, report: Callable[[Problem], None]) -> None:
        self._report = report
        self._told: set[tuple[str, Place, str, str]] = set()
        self._warned: set[tuple[str, Place, str]] = set()
        self._errors = 0

    @property
    def errors(self) -> int:
        """How many errors there were, repeated ones included."""
        return self._errors

    @property
    def full(self) -> bool:
        """Whether there were too many errors to go on."""
        return self._errors >= limit("problems")

    def add(self, problem: Problem) -> None:
        """Report a problem, unless the very same was reported before."""
        if problem.severity is Severity.WARNING:
            self._warn(problem)
            return
        self._errors += 1
        within = "" if problem.code in _SAME_IN_EVERY_ROW else problem.within
        key = (problem.code, problem.place, problem.message, within)
        if key not in self._told:
            self._told.add(key)
            self._report(problem)

    def error(self, fault: Fault, place: Place, text: str = "", within: str = "") -> None:
        """Report a fault as an error at its place."""
        self.add(_problem(fault, place, text, within, Severity.ERROR))

    def warning(self, fault: Fault, place: Place, text: str = "", within: str = "") -> None:
        """Report a fault as a warning at its place."""
        self.add(_problem(fault, place, text, within, Severity.WARNING))

    def close(self, place: Place) -> None:
        """Say that looking stopped here, because there were too many errors."""
        self._report(
            Problem(
                code="too-many-problems",
                message=f"stopped looking after {self._errors:,} problems",
                place=place,
                why="They are likely to have few causes; what repeats itself is shown once.",
                fix="Mend these and validate again.",
            )
        )

    def _warn(self, problem: Problem) -> None:
        """Report a warning once for all the rows of an entry, and not without end."""
        key = (problem.code, problem.place, problem.message)
        if key in self._warned or len(self._warned) > limit("warnings"):
            return
        self._warned.add(key)
        if len(self._warned) <= limit("warnings"):
            self._report(problem)
            return
        self._report(
            Problem(
                code="too-many-warnings",
                message=f"there are more than {limit('warnings'):,} warnings; the rest is not said",
                place=Place(problem.place.file),
                severity=Severity.WARNING,
            )
        )


def _problem(fault: Fault, place: Place, text: str, within: str, severity: Severity) -> Problem:
    return Problem(
        code=fault.code,
        message=fault.message,
        place=place,
        why=fault.why,
        fix=fault.fix,
        text=text,
        within=within,
        severity=severity,
    )
