"""`retry`: failed, held or expired jobs again. Says first what it may cost."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pipeline import money, terminal
from pipeline.commands import batch
from pipeline.commands.run import RunOptions, run
from pipeline.errors import Exit, InputError
from pipeline.lifecycle import STOPPED, Status
from pipeline.money import Money
from pipeline.planning import Choice
from pipeline.state import Book

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.commands.batch import Batch
    from pipeline.commands.world import World
    from pipeline.model import Record

_AGAIN = {
    Status.FAILED: "nothing was paid for them so far",
    Status.HELD: "nobody knows whether they were paid; trying again may pay a second time",
    Status.EXPIRED: "they were paid, and are paid again",
}


def retry(
    world: World,
    options: RunOptions,
    *,
    only: Sequence[str],
    statuses: Sequence[str],
    yes: bool,
) -> int:
    """Start stopped jobs again, after saying what it may cost; returns the exit code.

    Without `yes` it asks, and without a terminal to ask on it raises `InputError`.
    """
    wanted = frozenset(Status(word) for word in statuses) or STOPPED
    opened = batch.opened(world, options.source, sandbox=options.sandbox, output=options.output)
    opened.check()
    found = _found(opened, wanted, only)
    if not found:
        words = " or ".join(sorted(wanted))
        world.stdout.write(f"Nothing to retry: no job of {options.source} is {words}.\n")
        return Exit.DONE
    world.stderr.write(_cost(found))
    if not yes and not _agreed(world):
        return Exit.WRONG_INPUT
    choice = Choice(only=tuple(only), retry=wanted, only_retried=True)
    return run(world, replace(options, choice=choice))


def _found(opened: Batch, wanted: frozenset[Status], only: Sequence[str]) -> list[Record]:
    book = Book(opened.state)
    try:
        return [
            one
            for one in book.standing_at(wanted)
            if not only or any(fnmatchcase(one.entry_id, pattern) for pattern in only)
        ]
    finally:
        book.close()


def _cost(found: list[Record]) -> str:
    lines = []
    for status, meaning in _AGAIN.items():
        jobs = [one for one in found if one.status is status]
        if jobs:
            price = money.display(Money(sum(one.estimate for one in jobs)))
            lines.append(f"  {len(jobs):>6,} {status:<8} about {price}: {meaning}")
    total = money.display(Money(sum(one.estimate for one in found)))
    return "\n".join(["To try again:", *lines, f"It may cost about {total}.", ""])


def _agreed(world: World) -> bool:
    if not terminal.interactive(world.stderr, world.environ):
        raise InputError(
            "nobody is there to agree to the cost",
            why="`retry` pays only when it was told to.",
            fix="Say so with --yes.",
        )
    world.stderr.write("Go on? [y/N] ")
    world.stderr.flush()
    return world.stdin.readline().strip().lower() in (b"y", b"yes")
