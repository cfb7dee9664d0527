"""Plain lines for where there is no terminal, a cron mail say; and silence but for errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from pipeline import money, terminal
from pipeline.clock import stamp
from pipeline.errors import Exit
from pipeline.events import Ended, Noted, Started, Stepped
from pipeline.lifecycle import Status
from pipeline.progress.notices import Notices
from pipeline.progress.tally import Tally

if TYPE_CHECKING:
    from pipeline.clock import Clock
    from pipeline.events import Event

_SOONEST = 10.0
"""Seconds between two lines at least: ten lines for a short run."""
_PART = 0.1
"""Share of this run's jobs that a line waits for …"""
_LATEST = 600.0
"""… unless so many seconds passed: a long run shows that it lives."""


class Lines:
    """One line at the start, few on the way, one for each failure (bounded), one at the end.

    On the way a line comes when a tenth of this run's jobs were settled since the last one and
    10 seconds passed, or when 10 minutes passed. Every line is whole, clean and flushed.
    """

    def __init__(self, stream: TextIO, *, clock: Clock, goal: Status = Status.DOWNLOADED) -> None:
        self._stream = stream
        self._clock = clock
        self._tally = Tally(goal)
        self._notices = Notices()
        self._told_at = clock.monotonic()
        self._told = 0

    def __call__(self, event: Event) -> None:
        """Raises `OSError` or `ValueError` when the stream is gone."""
        moment = self._clock.monotonic()
        if isinstance(event, Stepped):
            self._tally.step(event)
            self._tally.sample(moment)
        elif isinstance(event, Started):
            self._start(event, moment)
        elif isinstance(event, Ended):
            self._write(ending(event))
            return
        if (notice := self._notices.of(event, moment)) is not None:
            self._write(notice.text)
        if self._due(moment):
            self._told_at, self._told = moment, self._tally.settled
            self._write(standing(self._tally, moment))

    def _start(self, event: Started, moment: float) -> None:
        self._tally.start(event, moment)
        self._told_at, self._told = moment, 0
        self._write(beginning(event, self._tally))

    def _due(self, moment: float) -> bool:
        quiet = moment - self._told_at
        if quiet >= _LATEST:
            return True
        fresh = self._tally.settled - self._told
        return quiet >= _SOONEST and fresh > 0 and fresh >= _PART * self._tally.todo

    def _write(self, text: str) -> None:
        self._stream.write(terminal.encodable(terminal.clean(text), self._stream) + "\n")
        self._stream.flush()


class Silent:
    """Says nothing unless something is wrong: an error, or a run that did not get everything."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Raises `OSError` or `ValueError` when the stream is gone."""
        if isinstance(event, Noted) and event.level == "error":
            self._write(f"error: {event.message}")
        elif isinstance(event, Ended) and event.exit is not Exit.DONE:
            self._write(ending(event))

    def _write(self, text: str) -> None:
        self._stream.write(terminal.encodable(terminal.clean(text), self._stream) + "\n")
        self._stream.flush()


def beginning(event: Started, tally: Tally) -> str:
    """Return one line that says what a run sets out to do; `tally` has been started."""
    before = f", {tally.already} already there" if tally.already else ""
    return (
        f"{stamp(event.at)} {event.spec}: {event.todo} of {tally.jobs} jobs to do{before};"
        f" results in {event.output}"
    )


def standing(tally: Tally, moment: float) -> str:
    """Return one line that says how far a run is."""
    parts = [f"{tally.done}/{tally.jobs} done", f"{tally.running} running"]
    if tally.failed:
        parts.append(f"{tally.failed} failed")
    if pace := tally.pace(moment):
        parts.append(f"{rate(pace)} images/s")
    if (eta := tally.eta(moment)) is not None:
        parts.append(f"{terminal.duration(eta)} left")
    parts.append(f"{money.display(tally.spent)} spent")
    return f"{percent(tally.done, tally.jobs)}  {', '.join(parts)}"


def ending(event: Ended) -> str:
    """Return one line that says how a run ended, and why when not everything is there."""
    counts = ", ".join(
        f"{count} {status}" for status, count in event.totals.counts.items() if count
    )
    word = "done" if event.exit is Exit.DONE else f"ended with exit code {int(event.exit)}"
    why = f": {event.reason}" if event.reason else ""
    return (
        f"{word}{why} ({counts or 'no jobs'}; {money.spent(event.spent, event.totals.spent)};"
        f" {terminal.duration(event.seconds)})"
    )


def percent(part: int, whole: int) -> str:
    """Return a share as `39%`; 100% only when nothing is missing."""
    return f"{part * 100 // whole if whole else 100}%"


def rate(pace: float) -> str:
    """Return a pace with two digits that matter: `0.25`, `3.1`, `120`."""
    return f"{pace:.2f}" if pace < 1 else f"{pace:.1f}" if pace < 100 else f"{pace:.0f}"
