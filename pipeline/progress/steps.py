"""Every step of every job as a plain line: what `--verbose` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from pipeline import money, terminal
from pipeline.clock import stamp
from pipeline.events import Ended, Noted, Started, Stepped, Waiting
from pipeline.lifecycle import STOPPED, Status, Step
from pipeline.progress.lines import beginning, ending, standing
from pipeline.progress.record import unchanged
from pipeline.progress.tally import Tally

if TYPE_CHECKING:
    from pipeline.clock import Clock
    from pipeline.events import Event
    from pipeline.progress.record import Hide

_NAME = 28
"""Columns that a job's name is filled up to; a longer one pushes the rest of its line."""
_PAID = frozenset({Step.COMPLETE, Step.FAIL})
"""The steps at which the API tells what a task cost."""
_COUNTED = 60.0
"""Seconds between two lines that say how far the run is."""


class Steps:
    """One line for each event, in the order in which things happened, with its time in UTC.

    A step's line holds the job, the step, the status it led to, the task id, the cost where the
    API told it, and the error where there is one. Waits, tries that failed and notes have lines
    of their own, and once a minute one says how far the run is. Nothing is folded or left out.
    Every line is whole, clean and flushed. `hide` takes secrets out of what others wrote.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Clock,
        goal: Status = Status.DOWNLOADED,
        hide: Hide = unchanged,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._hide = hide
        self._tally = Tally(goal)
        self._told_at = clock.monotonic()

    def __call__(self, event: Event) -> None:
        """Raises `OSError` or `ValueError` when the stream is gone."""
        moment = self._clock.monotonic()
        match event:
            case Started():
                self._tally.start(event, moment)
                self._told_at = moment
                self._write(beginning(event, self._tally))
            case Stepped():
                self._tally.step(event)
                self._tally.sample(moment)
                self._write(f"{_time(event.at)}  {_step(event)}")
            case Waiting():
                waits = f"waiting {terminal.duration(event.seconds)}: {event.reason}"
                self._write(f"{_time(event.at)}  {waits}")
            case Noted():
                self._write(f"{_time(event.at)}  {_note(event)}")
            case Ended():
                self._write(ending(event))
                return
        if moment - self._told_at >= _COUNTED:
            self._told_at = moment
            self._write(standing(self._tally, moment))

    def _write(self, text: str) -> None:
        line = terminal.clean(self._hide(text))
        self._stream.write(terminal.encodable(line, self._stream) + "\n")
        self._stream.flush()


def _time(at: float) -> str:
    """Return the time of day in UTC; the first line of a run has the date."""
    return stamp(at).rpartition("T")[2]


def _step(event: Stepped) -> str:
    name = event.entry_id if event.image_index == 1 else f"{event.entry_id} #{event.image_index}"
    wide = max(_NAME, terminal.width(terminal.clean(name)))
    parts = [
        terminal.pad(terminal.clean(name), wide),
        f"{event.step.value:<8}",
        f"{event.status.value:<10}",
        event.task_id,
        money.display(event.cost) if event.step in _PAID and event.cost is not None else "",
    ]
    if event.status in STOPPED:
        parts.append(": ".join(filter(None, (event.error_type, event.error_message))))
    return "  ".join(filter(None, parts)).rstrip()


def _note(event: Noted) -> str:
    details = ", ".join(f"{name}={value}" for name, value in event.details.items())
    return f"{event.level}: {event.message}{f' ({details})' if details else ''}"
