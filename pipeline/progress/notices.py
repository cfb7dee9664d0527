"""Which events deserve a line of their own for people, and the words of that line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline import schema, terminal
from pipeline.events import Noted, Stepped, Waiting
from pipeline.lifecycle import STOPPED

if TYPE_CHECKING:
    from pipeline.events import Event

_QUIET = 600.0
"""Seconds in which the same wait is told once."""
_LONGEST = 400
"""Columns of one line: an API that answers with a whole page must not fill the screen."""


class Notice(NamedTuple):
    """A line and the style it is painted in where there are colours."""

    text: str
    style: str


class Notices:
    """Turns failures, warnings and waits into lines, a bounded number of each.

    A run that fails ten thousand times says so in the counts, not in ten thousand lines.
    """

    def __init__(self) -> None:
        self._most: int = schema.document("limits")["progress"]["lines"]
        self._told = {"failure": 0, "warning": 0}
        self._waits: dict[str, float] = {}

    def of(self, event: Event, moment: float) -> Notice | None:
        """Return the line of `event`, or None. `moment` is monotonic seconds."""
        if isinstance(event, Stepped):
            if event.status in STOPPED and event.before not in STOPPED and not event.again:
                return self._bounded("failure", failure(event), "red")
        elif isinstance(event, Noted):
            if event.level != "info":
                text = f"{event.level}: {_line(event.message)}"
                return self._bounded("warning", text, "yellow")
        elif isinstance(event, Waiting):
            return self._wait(event, moment)
        return None

    def _bounded(self, kind: str, text: str, style: str) -> Notice | None:
        self._told[kind] += 1
        if self._told[kind] <= self._most:
            return Notice(text, style)
        if self._told[kind] == self._most + 1:
            return Notice(f"further {kind}s are not shown here; the summary has them", "dim")
        return None

    def _wait(self, event: Waiting, moment: float) -> Notice | None:
        reason = _line(event.reason)
        if moment - self._waits.get(reason, -_QUIET) < _QUIET:
            return None
        if len(self._waits) > self._most:
            self._waits.clear()
        self._waits[reason] = moment
        return Notice(f"waiting {terminal.duration(event.seconds)}: {reason}", "dim")


def failure(event: Stepped) -> str:
    """Return what became of a job that stopped: its name, the cause and its task id."""
    name = terminal.clean(event.entry_id)
    if event.image_index > 1:
        name += f", image {event.image_index}"
    task = terminal.clean(event.task_id) or "no task id"
    cause = ": ".join(filter(None, (event.error_type, event.error_message)))
    return f"{event.status}: {name} ({task}){': ' if cause else ''}{_line(cause)}"


def _line(text: str) -> str:
    return terminal.cut(terminal.clean(text), _LONGEST)
