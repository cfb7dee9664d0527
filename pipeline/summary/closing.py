"""The closing summary: how the run went, what it cost, what went wrong, where it is, what next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline import money
from pipeline.errors import Exit
from pipeline.lifecycle import STOPPED, Status
from pipeline.summary.advice import advice
from pipeline.summary.parts import (
    INDENT,
    STYLES,
    amounts,
    causes,
    cautions,
    counted,
    failures_data,
    heading,
    next_steps,
    paragraph,
    steps_data,
    totals_data,
)
from pipeline.terminal import clean, duration, paint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipeline.events import Ended
    from pipeline.model import Failure

_WORDS = {
    Exit.DONE: "done",
    Exit.SOME_FAILED: "finished",
    Exit.STOPPED: "stopped",
    Exit.UNFINISHED: "not finished",
    Exit.INTERRUPTED: "interrupted",
    Exit.TERMINATED: "ended by SIGTERM",
}


def closing(
    ended: Ended,
    failures: Sequence[Failure],
    *,
    spec: str,
    output: Path,
    warnings: Sequence[str],
    columns: int,
    color: bool,
    gallery: bool = True,
    options: Sequence[str] = (),
) -> str:
    """Return the summary that a run ends with, ready to print, with a line feed at its end.

    `gallery` says whether there is one. `options` are words that the commands to copy need to
    find the same results, such as `--sandbox`. Every line is clean; only paths and commands may
    be wider than `columns`, for they must be copied whole.
    """
    lines = [
        *_headline(ended, spec, columns, color),
        "",
        *_figures(ended, color, rehearsal="--sandbox" in options),
    ]
    lines += causes(failures, columns, color)
    lines += cautions(warnings, columns, color)
    lines += heading("Results", color)
    for name, path in _places(output, gallery).items():
        lines.append(f"{INDENT}{name:<9} {clean(path)}")
    lines += next_steps(advice(ended.totals.counts, spec, options, ended.exit), columns, color)
    return "\n".join(lines) + "\n"


def _headline(ended: Ended, spec: str, columns: int, color: bool) -> Iterator[str]:
    style = {Exit.DONE: "green", Exit.SOME_FAILED: "yellow"}.get(ended.exit, "red")
    word = paint(_WORDS.get(ended.exit, "ended"), style, color)
    yield f"{paint(clean(spec), 'bold', color)}  {word} in {duration(ended.seconds)}"
    if ended.reason:
        yield from paragraph(ended.reason, columns)


def _figures(ended: Ended, color: bool, *, rehearsal: bool) -> Iterator[str]:
    totals = ended.totals
    told = [
        paint(f"{totals.counts[status]:,} {status}", STYLES.get(status, "bold"), color)
        for status in (Status.DOWNLOADED, *(one for one in Status if one != Status.DOWNLOADED))
        if totals.counts.get(status)
    ]
    without = sum(totals.counts.get(status, 0) for status in STOPPED)
    of_all = f"  of {counted(totals.jobs, 'job')}" if without or len(told) != 1 else ""
    yield INDENT + (", ".join(told) or "no jobs") + of_all
    others = [f"{amount} {name}" for name, amount, _ in amounts(totals) if name != "spent"]
    yield INDENT + ", ".join([money.spent(ended.spent, totals.spent), *others])
    if rehearsal and ended.spent:
        yield f"{INDENT}in play money: a rehearsal costs nothing"


def closing_data(
    ended: Ended,
    failures: Sequence[Failure],
    *,
    spec: str,
    output: Path,
    warnings: Sequence[str],
    gallery: bool = True,
    options: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the same as plain data, ready for JSON. Money is US dollars, time seconds."""
    return {
        "spec": spec,
        "exit": int(ended.exit),
        "outcome": ended.exit.name.lower(),
        "reason": ended.reason,
        "seconds": round(ended.seconds, 3),
        **totals_data(ended.totals),
        "failures": failures_data(failures),
        "warnings": list(warnings),
        "output": str(output),
        "results": _places(output, gallery),
        "next": steps_data(advice(ended.totals.counts, spec, options, ended.exit)),
    }


def _places(output: Path, gallery: bool) -> dict[str, str]:
    places = {"images": str(output / "images"), "manifest": str(output / "manifest.csv")}
    return places | ({"gallery": str(output / "gallery.html")} if gallery else {})
