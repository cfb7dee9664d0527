"""The parts that the closing summary and the status view share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline import money, schema, terminal
from pipeline.lifecycle import Status
from pipeline.terminal import clean, cut, pad, paint, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pipeline.model import Failure, Totals
    from pipeline.summary.advice import Advice

INDENT = "  "
STYLES = {
    Status.DOWNLOADED: "green",
    Status.FAILED: "red",
    Status.HELD: "yellow",
    Status.EXPIRED: "red",
}
_WIDEST = 100
"""Columns that running text takes at most: longer lines are hard to read on wide terminals."""


def text_columns(columns: int) -> int:
    """Return how wide running text may be on a terminal of `columns`."""
    return max(min(columns, _WIDEST), 20)


def heading(title: str, color: bool) -> Iterator[str]:
    """Yield a blank line and a title."""
    yield ""
    yield paint(title, "bold", color)


def paragraph(text: str, columns: int, indent: str = INDENT) -> Iterator[str]:
    """Yield `text` from anywhere, made harmless and broken into indented lines."""
    for line in wrap(clean(text), text_columns(columns) - len(indent)):
        yield indent + line


def causes(failures: Sequence[Failure], columns: int, color: bool) -> Iterator[str]:
    """Yield the section that says what went wrong: each cause, then its jobs by name."""
    if not failures:
        return
    most: int = schema.document("limits")["summary"]["causes"]
    yield from heading("What went wrong", color)
    for failure in failures[:most]:
        yield from _cause(failure, columns, color)
    if rest := failures[most:]:
        jobs = sum(failure.count for failure in rest)
        yield f"{INDENT}and {len(rest)} more causes ({counted(jobs, 'job')}): see the manifest"


def _cause(failure: Failure, columns: int, color: bool) -> Iterator[str]:
    kind = clean(failure.error_type) or "no cause told"
    style = STYLES.get(failure.status, "red")
    count = paint(f"{failure.count} {failure.status}", style, color)
    yield f"{INDENT}{count}  {cut(kind, text_columns(columns) - 24)}"
    if failure.error_message:
        yield from paragraph(failure.error_message, columns, INDENT * 2)
    names = [clean(entry) for entry, _ in failure.examples]
    widest = min(max(map(terminal.width, names), default=0), columns // 2)
    for name, (_, task) in zip(names, failure.examples, strict=True):
        told = clean(task) or "no task id"
        yield f"{INDENT * 2}{pad(name, widest)}  {paint(told, 'dim', color)}"
    if (more := failure.count - len(failure.examples)) > 0 and names:
        yield f"{INDENT * 2}and {more} more"


def cautions(warnings: Sequence[str], columns: int, color: bool) -> Iterator[str]:
    """Yield the section of warnings."""
    if not warnings:
        return
    most: int = schema.document("limits")["summary"]["warnings"]
    yield from heading("Warnings", color)
    for warning in warnings[:most]:
        yield from paragraph(warning, columns)
    if more := len(warnings) - most:
        yield from [f"{INDENT}and {more} more"] if more > 0 else []


def next_steps(steps: Sequence[Advice], columns: int, color: bool) -> Iterator[str]:
    """Yield the section of what to type, each command whole on a line of its own."""
    if not steps:
        return
    yield from heading("Next", color)
    for step in steps:
        yield from paragraph(step.why, columns)
        yield INDENT * 2 + paint(step.command, "cyan", color)


def amounts(totals: Totals) -> list[tuple[str, str, str]]:
    """Return the sums of money worth a line: their name, the amount, what it is."""
    told = [("spent", totals.spent, "by this spec so far")]
    if totals.reserved:
        told.append(("reserved", totals.reserved, "estimated, for jobs under way"))
    if totals.to_pay:
        told.append(("to pay", totals.to_pay, "estimated, for jobs not sent yet"))
    return [(name, money.display(amount), meaning) for name, amount, meaning in told]


def counted(count: int, noun: str) -> str:
    """Return `1 job`, `2 jobs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# ── as data ─────────────────────────────────────────────────────────────────────────────────


def totals_data(totals: Totals) -> dict[str, Any]:
    """Return counts and US dollars; every status is there, also those of no job."""
    return {
        "jobs": totals.jobs,
        "images": totals.images,
        "counts": {status.value: totals.counts.get(status, 0) for status in Status},
        "spent_usd": _usd(totals.spent),
        "reserved_usd": _usd(totals.reserved),
        "to_pay_usd": _usd(totals.to_pay),
    }


def _usd(amount: money.Money) -> float:
    return amount / 1_000_000_000


def failures_data(failures: Sequence[Failure]) -> list[dict[str, Any]]:
    """Return the causes; a missing task id is None."""
    return [
        {
            "status": failure.status.value,
            "error_type": failure.error_type,
            "error_message": failure.error_message,
            "count": failure.count,
            "examples": [
                {"entry_id": entry, "task_id": task or None} for entry, task in failure.examples
            ],
        }
        for failure in failures
    ]


def steps_data(steps: Sequence[Advice]) -> list[Mapping[str, str]]:
    """Return what to type next."""
    return [step._asdict() for step in steps]
