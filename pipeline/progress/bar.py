"""The progress bar on a terminal."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TextIO

from tqdm import tqdm

from pipeline import money, terminal
from pipeline.events import Ended, Started, Stepped, Waiting
from pipeline.lifecycle import Status
from pipeline.progress.beat import Beat
from pipeline.progress.lines import percent, rate
from pipeline.progress.notices import Notices
from pipeline.progress.tally import Tally

if TYPE_CHECKING:
    from pipeline.clock import Clock
    from pipeline.events import Event

_REDRAW = 0.1
"""Seconds between two drawings at least."""
_IDLE = 1.0
"""Seconds between two drawings while nothing happens: the ETA and a wait go on counting."""
_SHORTEST = 10
"""Columns that the bar itself keeps; words give way before it does."""


class _Meter(tqdm):  # type: ignore[type-arg]  # generic in its stubs only
    """tqdm without its monitor thread and its lock between processes: we draw when we want to."""

    monitor_interval = 0


_Meter.set_lock(threading.RLock())


class Bar:
    """Jobs done of all, running, failed, already there, images a second, ETA, money spent.

    True after a resume: it starts from what the state file holds. Failures, warnings and waits
    are printed above it. At most ten drawings a second; between events it goes on counting when
    an event loop runs. `columns` None asks the terminal at each drawing. The last column stays
    free, so that no terminal wraps. `close`, or the end of the run, wipes it away.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Clock,
        columns: int | None,
        color: bool,
        goal: Status = Status.DOWNLOADED,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._columns = columns
        self._color = color
        self._tally = Tally(goal)
        self._notices = Notices()
        self._waits_until = 0.0
        self._digits = 1
        self._meter: _Meter | None = None
        self._beat = Beat(self._draw, clock, _REDRAW, idle=_IDLE)

    def __call__(self, event: Event) -> None:
        """Raises `OSError` or `ValueError` when the stream is gone."""
        moment = self._clock.monotonic()
        if isinstance(event, Stepped):
            self._tally.step(event)
            self._tally.sample(moment)
        elif isinstance(event, Started):
            self._tally.start(event, moment)
            self._open()
        elif isinstance(event, Waiting):
            self._waits_until = max(self._waits_until, moment + event.seconds)
        elif isinstance(event, Ended):
            self.close()
            return
        if (notice := self._notices.of(event, moment)) is not None:
            self._above(terminal.paint(notice.text, notice.style, self._color))
        if self._meter is not None:
            self._beat.touch()

    def close(self) -> None:
        """Wipe the bar away and leave the cursor at the start of its line. Harmless twice."""
        self._beat.stop()
        if self._meter is not None:
            meter, self._meter = self._meter, None
            meter.close()

    def _open(self) -> None:
        self.close()
        self._meter = _Meter(
            total=1,
            file=self._stream,
            leave=False,
            position=0,
            nrows=20,  # a terminal that says it has no rows would show no bar at all
            disable=False,
            ascii="─╾━" if terminal.unicode(self._stream) else "-=",
            colour="green" if self._color else None,
            bar_format=" ",
        )

    def _above(self, text: str) -> None:
        """Print a line where the bar is, and the bar again below it."""
        if self._meter is not None:
            self._meter.clear()
        self._stream.write(terminal.encodable(text, self._stream) + "\n")
        if self._meter is not None:
            self._beat.now()

    def _draw(self) -> None:
        meter = self._meter
        if meter is None:
            return
        columns = max((self._columns or terminal.columns(self._stream, {})) - 1, 1)
        meter.ncols = columns
        meter.n, meter.total = self._tally.done, max(self._tally.jobs, 1)
        meter.bar_format = self._format(columns)
        meter.refresh()

    def _format(self, columns: int) -> str:
        """Return the line with `{bar}` in it, the words chosen so that it fits in `columns`."""
        tally = self._tally
        count = f"{tally.done}/{tally.jobs}"
        words = self._words()
        room = columns - len(count) - len(" ") - _SHORTEST
        kept = {word for word, _ in _fitting(words, room)}
        if not kept:
            return terminal.cut(count, columns) if columns < len(count) + 4 else count + " {bar}"
        shown = [
            terminal.paint(word, style, self._color) if style else word
            for _, word, style in words
            if word in kept
        ]
        return f"{count} {{bar}} {'  '.join(shown)}"

    def _words(self) -> list[tuple[int, str, str]]:
        """Return what may stand right of the bar: how much it matters, the word, its style."""
        tally, moment = self._tally, self._clock.monotonic()
        self._digits = max(self._digits, len(str(tally.running)))
        pace, eta = tally.pace(moment), tally.eta(moment)
        waits = self._waits_until - moment
        words = [
            (1, f"{percent(tally.done, tally.jobs):>3}", "bold"),
            (4, f"{tally.running:>{self._digits}} running", ""),
            (0, f"{tally.failed} failed" if tally.failed else "", "red"),
            (6, f"{tally.already} already there" if tally.already else "", "dim"),
            (5, f"{rate(pace)} images/s" if pace else "", ""),
            (2, f"waits {terminal.duration(waits)}" if waits > 0 else "", "yellow"),
            (2, f"{_clockwise(eta)} left" if eta is not None and waits <= 0 else "", ""),
            (3, _dollars(tally.spent), "cyan"),
        ]
        return [word for word in words if word[1]]


def _clockwise(seconds: float) -> str:
    """Return `02:25`: unlike words it keeps its width, so the bar keeps its own."""
    return str(tqdm.format_interval(seconds))


def _dollars(amount: money.Money) -> str:
    """Return `$0.0336` below a dollar and `$3.26` above: always as wide, so nothing jitters."""
    return f"${amount / 1e9:.4f}" if 0 < amount < 1e9 else f"${amount / 1e9:.2f}"


def _fitting(words: list[tuple[int, str, str]], room: int) -> list[tuple[str, int]]:
    """Choose the words that matter most and fit: each takes its width and two columns."""
    chosen: list[tuple[str, int]] = []
    for _, word, _ in sorted(words):
        need = terminal.width(word) + (2 if chosen else 1)
        if need <= room:
            chosen.append((word, need))
            room -= need
    return chosen
