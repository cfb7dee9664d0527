"""`plan`: what a run would do, and what it may cost. Needs no key and no network."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pipeline import outline, terminal
from pipeline.commands import batch
from pipeline.download import Shelf, whole
from pipeline.errors import Exit, InputError
from pipeline.planning import Choice, Comparison, select
from pipeline.state import Book

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.commands.batch import Batch
    from pipeline.commands.world import World
    from pipeline.model import Item


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What `plan` was asked for."""

    source: str
    choice: Choice = field(default_factory=Choice)
    output: str | None = None
    sandbox: bool = False
    verify: bool = False
    explain: str | None = None
    out: Path | None = None
    format: str = "text"


def plan(world: World, options: PlanOptions) -> int:
    """Tell the plan; returns the exit code. Raises `SpecError` when the spec has errors."""
    opened = batch.opened(world, options.source, sandbox=options.sandbox, output=options.output)
    opened.check()
    with compared(opened, options.choice, verify=options.verify) as (book, items):
        _tell(opened, options, book, items)
    return Exit.DONE


@contextmanager
def compared(
    opened: Batch, choice: Choice, *, verify: bool
) -> Iterator[tuple[Book, Iterator[tuple[Item, bool]]]]:
    """Give the record as of this moment, and what a run would do with each job, as it is asked.

    Errors of the spec's entries are in `opened.problems` once every item was read.
    """
    book = Book(opened.state)
    try:
        with book.snapshot():
            shelf = Shelf(opened.folder, thorough=verify)
            comparison = Comparison(book, choice, shelf.lost)
            yield book, select(comparison.items(opened.entries()), choice)
    finally:
        book.close()


def _tell(
    opened: Batch, options: PlanOptions, book: Book, items: Iterator[tuple[Item, bool]]
) -> None:
    world = opened.world
    columns = terminal.columns(world.stdout, world.environ)
    if options.explain is not None:
        told = outline.explain(_of(items, options.explain), columns=columns)
        opened.check()
        if not told.strip():
            raise InputError(
                f"no entry is called {options.explain!r}",
                fix=f"See what there is:\n  banana-batch plan {options.source}",
            )
        world.stdout.write(told)
        return
    seen = outline.Outline()
    if options.format == "json" or options.out is not None:
        _write(opened, options, items, seen)
    else:
        for _ in seen.watch(items):
            pass
    opened.check()
    outline.check_choice(seen.tally, options.choice)
    batch.tell(world, opened.problems)
    if options.format == "text":
        world.stdout.write(
            outline.text(
                seen,
                name=opened.spec.name,
                spec=options.source,
                pace=book.pace(),
                columns=columns,
                color=terminal.colored(world.stdout, world.environ),
            )
        )


def _write(
    opened: Batch, options: PlanOptions, items: Iterator[tuple[Item, bool]], seen: outline.Outline
) -> None:
    """Write the whole plan as JSON, to a file or to standard output, once all of it is right."""
    head = {"spec": options.source, "name": opened.spec.name, "output": str(opened.folder)}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as spool:
        spool.writelines(outline.document(items, seen, head, options.choice))
        opened.check()
        outline.check_choice(seen.tally, options.choice)
        spool.seek(0)
        if options.out is None:
            shutil.copyfileobj(spool, opened.world.stdout)
        else:
            with whole(opened.world.cwd / options.out) as file:
                shutil.copyfileobj(spool, file)
            opened.world.stderr.write(f"Wrote {options.out}. To do just this:\n{_to_do(options)}")


def _to_do(options: PlanOptions) -> str:
    where = ["--sandbox"] if options.sandbox else []
    where += ["--output", options.output] if options.output is not None else []
    words = ("banana-batch", "run", options.source, "--plan", str(options.out), *where)
    return f"  {terminal.command(words)}\n"


def _of(items: Iterator[tuple[Item, bool]], wanted: str) -> Iterator[Item]:
    for item, _ in items:
        one = item.job or item.record
        if one is not None and (one.entry_id == wanted or fnmatchcase(one.entry_id, wanted)):
            yield item
