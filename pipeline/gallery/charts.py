"""The three small drawings in the header, as numbers for inline SVG.

Every drawing is 100 units wide and 40 high, y downwards; the page stretches it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

from pipeline import money
from pipeline.lifecycle import Status
from pipeline.money import Money

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 100.0, 40.0
_POINTS = 100
_BARS = 16


@dataclass(frozen=True, slots=True)
class Share:
    """One status in the bar of statuses: where its piece starts and how wide it is."""

    status: Status
    count: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Money spent over time: a line and the area under it, as SVG paths, with its labels."""

    line: str
    area: str
    total: str
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """How long tasks took: bars from `low` to `high`, and the middle one."""

    bars: tuple[Bar, ...]
    low: str
    high: str
    middle: str


def shares(counts: Mapping[Status, int]) -> tuple[Share, ...]:
    """Divide the width among the statuses that have jobs, best news first."""
    order = (
        Status.DOWNLOADED,
        Status.COMPLETED,
        Status.SUBMITTED,
        Status.SUBMITTING,
        Status.PENDING,
        Status.EXPIRED,
        Status.HELD,
        Status.FAILED,
    )
    total = sum(counts.values())
    found: list[Share] = []
    x = 0.0
    for status in order:
        if count := counts.get(status, 0):
            width = WIDTH * count / total
            found.append(Share(status, count, round(x, 2), round(width, 2)))
            x += width
    return tuple(found)


def spending(times: Sequence[float], costs: Sequence[int]) -> Curve | None:
    """Draw the sum of `costs` (billionths of a dollar) as it grew over `times`.

    None when nothing was spent, or all of it in one moment: there is no curve to draw then.
    """
    paid = sorted(zip(times, costs, strict=True))
    total = sum(costs)
    if len(paid) < 2 or total <= 0 or paid[0][0] == paid[-1][0]:
        return None
    start, end = paid[0][0], paid[-1][0]
    points: list[tuple[float, float]] = [(0.0, HEIGHT)]
    spent, step = 0, max(1, len(paid) // _POINTS)
    for number, (at, cost) in enumerate(paid, 1):
        spent += cost
        if number % step == 0 or number == len(paid):
            points.append((WIDTH * (at - start) / (end - start), HEIGHT * (1 - spent / total)))
    line = "M" + " L".join(f"{x:.2f} {y:.2f}" for x, y in points)
    return Curve(
        line=line,
        area=f"{line} V{HEIGHT:.0f} H0 Z",
        total=money.display(Money(total)),
        start=_moment(start, end),
        end=_moment(end, start),
    )


def durations(seconds: Sequence[float]) -> Histogram | None:
    """Draw how often tasks took how long; the slowest twentieth shares the last bar.

    None when nothing was measured.
    """
    if not seconds:
        return None
    ordered = sorted(seconds)
    low, high = ordered[0], ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    count = min(_BARS, max(1, len(ordered)))
    span = (high - low) / count or 1.0
    bins = [0] * count
    for value in ordered:
        bins[min(int((value - low) / span), count - 1)] += 1
    width = WIDTH / count
    bars = tuple(
        Bar(
            x=round(number * width, 2),
            y=round(HEIGHT * (1 - tall / max(bins)), 2),
            width=round(width * 0.86, 2),
            height=round(HEIGHT * tall / max(bins), 2),
            label=f"{tall} from {span_text(low + number * span)}",
        )
        for number, tall in enumerate(bins)
    )
    return Histogram(bars, span_text(low), span_text(ordered[-1]), span_text(median(ordered)))


def span_text(seconds: float) -> str:
    """Write a length of time for people: `8.4 s`, `2 min 05 s`, `3 h 20 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"


def _moment(at: float, other: float) -> str:
    """Write a time, with its day only when the drawing covers more than one."""
    day, same = (datetime.fromtimestamp(one, UTC) for one in (at, other))
    return f"{day:%H:%M}" if day.date() == same.date() else f"{day:%d %b %H:%M}"
