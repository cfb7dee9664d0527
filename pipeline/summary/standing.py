"""The `status` view: how far, how much, what went wrong, what to do; and the table of all runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline import money
from pipeline.clock import stamp
from pipeline.lifecycle import MEANING, RUNNING, STOPPED, Status
from pipeline.summary.advice import advice, command
from pipeline.summary.parts import (
    INDENT,
    STYLES,
    amounts,
    causes,
    counted,
    failures_data,
    next_steps,
    steps_data,
    text_columns,
    totals_data,
)
from pipeline.terminal import clean, cut, duration, pad, paint, tail, width

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipeline.model import About, Failure
    from pipeline.summary.advice import Advice


@dataclass(frozen=True, slots=True)
class Standing:
    """How one spec stands. `options` are words its commands need, such as `--sandbox`.

    `lock_holder` says who runs it now, `""` when nobody does; `pace` is images a second and
    `eta` seconds, None when unknown or nothing runs.
    """

    about: About
    failures: Sequence[Failure]
    output: Path
    pace: float | None = None
    eta: float | None = None
    lock_holder: str = ""
    options: Sequence[str] = ()


def status(standing: Standing, *, columns: int, color: bool) -> str:
    """Return the view of one spec, ready to print, with a line feed at its end."""
    lines = [*_top(standing, columns, color), ""]
    lines += _counts(standing, columns, color)
    lines += ["", *_money(standing, columns, color)]
    lines += causes(standing.failures, columns, color)
    lines += next_steps(_advice(standing), columns, color)
    return "\n".join(lines) + "\n"


def _top(standing: Standing, columns: int, color: bool) -> Iterator[str]:
    about = standing.about
    word, style = _state(standing)
    sandbox = "  sandbox" if about.sandbox else ""
    yield f"{paint(clean(about.name), 'bold', color)}  {paint(word, style, color)}{sandbox}"
    if standing.lock_holder:
        yield INDENT + cut(f"run by {clean(standing.lock_holder)}", columns - len(INDENT))
    yield f"{INDENT}{clean(about.spec)} → {clean(str(standing.output))}"
    yield ""
    done, jobs = about.totals.counts.get(Status.DOWNLOADED, 0), about.totals.jobs
    told = f"{done:,} of {counted(jobs, 'job')}, {_percent(done, jobs)}"
    told += "".join(f", {part}" for part in _speed(standing))
    room = text_columns(columns) - len(INDENT) - width(told) - 2
    bar = _gauge(done, jobs, min(room, 40), color) + "  " if room >= 10 else ""
    yield f"{INDENT}{bar}{told}"


def _state(standing: Standing) -> tuple[str, str]:
    """Return one word for how a spec stands, and its style."""
    counts = standing.about.totals.counts
    if standing.lock_holder:
        return "running", "cyan"
    if not standing.about.totals.jobs:
        return "not run yet", "yellow"
    if any(counts.get(status) for status in (*RUNNING, Status.PENDING)):
        return "not finished", "yellow"
    if any(counts.get(status) for status in STOPPED):
        return "finished, not everything is there", "yellow"
    return "done", "green"


def _speed(standing: Standing) -> Iterator[str]:
    if standing.pace:
        yield f"{standing.pace:.2g} images/s"
    if standing.eta is not None:
        yield f"{duration(standing.eta)} left"


def _gauge(part: int, whole: int, columns: int, color: bool) -> str:
    filled = part * columns // whole if whole else columns
    return paint("━" * filled, "green", color) + paint("─" * (columns - filled), "dim", color)


def _percent(part: int, whole: int) -> str:
    return f"{part * 100 // whole if whole else 0}%"


def _counts(standing: Standing, columns: int, color: bool) -> Iterator[str]:
    counts = standing.about.totals.counts
    for one in Status:
        if count := counts.get(one, 0):
            yield _line(one.value, f"{count:,}", MEANING[one], columns, color, STYLES.get(one))
    if not standing.about.totals.jobs:
        yield f"{INDENT}no jobs yet"


def _money(standing: Standing, columns: int, color: bool) -> Iterator[str]:
    for name, amount, meaning in amounts(standing.about.totals):
        yield _line(name, amount, meaning, columns, color, None)


def _line(
    name: str, figure: str, meaning: str, columns: int, color: bool, style: str | None
) -> str:
    """Return a name, a figure and, where there is room, what it means."""
    start = f"{name:<11}{figure:>9}"
    room = columns - len(INDENT) - len(start) - 2
    told = paint(cut(meaning, room), "dim", color) if room >= 20 else ""
    return f"{INDENT}{paint(start, style, color) if style else start}  {told}".rstrip()


def _advice(standing: Standing) -> list[Advice]:
    if standing.lock_holder:
        return []
    about = standing.about
    return advice(about.totals.counts, about.spec, standing.options, None)


def status_data(standing: Standing) -> dict[str, Any]:
    """Return the same as plain data, ready for JSON. Money is US dollars, times seconds."""
    about = standing.about
    return {
        "name": about.name,
        "spec": about.spec,
        "state": _state(standing)[0],
        "sandbox": about.sandbox,
        "host": about.host,
        "git_commit": about.git_commit or None,
        "generated_at": stamp(about.generated_at) or None,
        "output": str(standing.output),
        "lock_holder": standing.lock_holder or None,
        **totals_data(about.totals),
        "images_per_second": standing.pace,
        "eta_seconds": standing.eta,
        "failures": failures_data(standing.failures),
        "next": steps_data(_advice(standing)),
    }


# ── several runs ────────────────────────────────────────────────────────────────────────────

_TITLES = ("spec", "done", "", "running", "failed", "spent", "")


def table(standings: Sequence[Standing], *, columns: int, color: bool) -> str:
    """Return one line for each run, ready to print; the spec's path gives way when it is narrow."""
    if not standings:
        return "No runs below this folder. To make one:\n  banana-batch run SPEC\n"
    rows = [_TITLES, *map(_row, standings)]
    widths = [max(width(row[place]) for row in rows) for place in range(len(_TITLES))]
    others = sum(widths[1:]) + 2 * (len(widths) - 1)
    widths[0] = min(widths[0], max(columns - others, 12))
    lines = [_joined(row, widths) for row in rows]
    styles = ["dim", *(_state(standing)[1] for standing in standings)]
    painted = [
        paint(line, style, color) if style in ("dim", "yellow") else line
        for line, style in zip(lines, styles, strict=True)
    ]
    return "\n".join([*painted, "", "More about one of them:", f"  {_example(standings)}"]) + "\n"


def _row(standing: Standing) -> tuple[str, ...]:
    totals = standing.about.totals
    done, jobs = totals.counts.get(Status.DOWNLOADED, 0), totals.jobs
    running = sum(totals.counts.get(status, 0) for status in RUNNING)
    failed = sum(totals.counts.get(status, 0) for status in STOPPED)
    word = "finished" if _state(standing)[0].startswith("finished") else _state(standing)[0]
    return (
        clean(standing.about.spec) + (" (sandbox)" if standing.about.sandbox else ""),
        f"{done:,}/{jobs:,}",
        _percent(done, jobs),
        f"{running:,}" if running else "–",
        f"{failed:,}" if failed else "–",
        money.display(totals.spent),
        word,
    )


def _joined(row: tuple[str, ...], widths: list[int]) -> str:
    first, *middle, last = row
    cells = [
        f"{' ' * (room - width(cell))}{cell}"
        for cell, room in zip(middle, widths[1:-1], strict=True)
    ]
    return "  ".join([pad(tail(first, widths[0]), widths[0]), *cells, last]).rstrip()


def _example(standings: Sequence[Standing]) -> str:
    worst = next((one for one in standings if _state(one)[0] != "done"), standings[0])
    return command("status", worst.about.spec, *worst.options)


def table_data(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """Return every run as plain data."""
    return [status_data(standing) for standing in standings]
