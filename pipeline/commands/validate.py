"""`validate`: every problem of every spec in one go. Needs no key and no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import report, terminal
from pipeline.commands import batch
from pipeline.errors import Exit, SpecError
from pipeline.problem import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.commands.world import World
    from pipeline.problem import Problem


def validate(
    world: World, sources: Sequence[str], *, format: str = "text", quiet: bool = False
) -> int:
    """Check specs and print what is wrong with them; returns the exit code."""
    problems: list[Problem] = []
    counted: list[str] = []
    for source in sources:
        found, entries, jobs = _check(world, source)
        problems += found
        if not any(one.severity is Severity.ERROR for one in found):
            counted.append(
                f"{terminal.clean(source)}: {_count(entries, 'entry', 'entries')},"
                f" {_count(jobs, 'job', 'jobs')}, no errors"
            )
    if problems:
        width = terminal.columns(world.stdout, world.environ)
        color = terminal.colored(world.stdout, world.environ)
        world.stdout.write(report.render(problems, format, color=color, width=width))
    if format == "text" and not quiet:
        world.stdout.write("".join(f"{line}\n" for line in counted))
    wrong = any(one.severity is Severity.ERROR for one in problems)
    return Exit.WRONG_INPUT if wrong else Exit.DONE


def _check(world: World, source: str) -> tuple[list[Problem], int, int]:
    """Return a spec's problems, and how many entries and jobs are right."""
    try:
        opened = batch.opened(world, source)
    except SpecError as error:
        return list(error.problems), 0, 0
    entries = jobs = 0
    for entry in opened.entries():
        entries += 1
        jobs += len(entry.jobs)
    return opened.problems, entries, jobs


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
