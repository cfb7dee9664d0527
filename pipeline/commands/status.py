"""`status`: how far, how much, what went wrong, what to do. Disturbs no run."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from pipeline import summary, terminal
from pipeline.commands import account, batch
from pipeline.errors import Exit, SpecError, Trouble
from pipeline.lifecycle import RUNNING, STOPPED, Status
from pipeline.lock import holder
from pipeline.state import Book
from pipeline.summary import Standing

if TYPE_CHECKING:
    from pipeline.commands.batch import Batch
    from pipeline.commands.world import World

_WATCH_EVERY = 2.0
"""Seconds between two looks of `--watch`."""


def status(
    world: World,
    source: str | None,
    *,
    format: str = "text",
    watch: bool = False,
    sandbox: bool = False,
    output: str | None = None,
) -> int:
    """Show how a spec stands, or every run below this folder; returns the exit code."""
    if source is None:
        return _all(world, format)
    opened = batch.opened(world, source, sandbox=sandbox, output=output)
    if watch:
        return _watch(world, opened, format)
    _show(world, standing(opened), format)
    return Exit.DONE


def standing(opened: Batch) -> Standing:
    """Read how one spec stands from its state file and its lock."""
    book = Book(opened.state)
    try:
        totals = book.totals()
        host = account.host(opened.world.environ, opened.home)
        finished, seconds = book.recent(opened.world.clock.now())
        running = holder(opened.lock)
        pace = finished / seconds if running and finished and seconds else None
        left = sum(totals.counts.get(one, 0) for one in (*RUNNING, Status.PENDING))
        return Standing(
            about=opened.about(totals, host),
            failures=book.failures(statuses=STOPPED),
            output=opened.folder,
            pace=pace,
            eta=left / pace if pace else None,
            lock_holder=running,
            options=opened.words,
        )
    finally:
        book.close()


def _show(world: World, one: Standing, format: str) -> None:
    if format == "json":
        world.stdout.write(json.dumps(summary.status_data(one), ensure_ascii=False) + "\n")
        return
    columns = terminal.columns(world.stdout, world.environ)
    color = terminal.colored(world.stdout, world.environ)
    world.stdout.write(summary.status(one, columns=columns, color=color))


def _watch(world: World, opened: Batch, format: str) -> int:
    """Show it again and again until no run holds the spec any more."""
    clear = "\x1b[H\x1b[2J" if terminal.interactive(world.stdout, world.environ) else ""
    while True:
        one = standing(opened)
        world.stdout.write(clear if format == "text" else "")
        _show(world, one, format)
        world.stdout.flush()
        if not one.lock_holder:
            return Exit.DONE
        asyncio.run(world.clock.sleep(_WATCH_EVERY))


def _all(world: World, format: str) -> int:
    """Show every run below this folder, as far as its spec is still there."""
    found = []
    for state in sorted(world.cwd.rglob("state.sqlite")):
        book = Book(state)
        source = book.fact("spec")
        book.close()
        try:
            path = (state.parent / source).resolve()
            shown = (
                str(path.relative_to(world.cwd)) if path.is_relative_to(world.cwd) else str(path)
            )
            rehearsal = state.parent.name.endswith("-sandbox")
            opened = batch.opened(world, shown, sandbox=rehearsal)
            if opened.state != state:
                where = (
                    str(state.parent).removesuffix("-sandbox") if rehearsal else str(state.parent)
                )
                opened = batch.opened(world, shown, sandbox=rehearsal, output=where)
            found.append(standing(opened))
        except (SpecError, Trouble):
            continue
    found.sort(key=lambda one: one.about.spec)
    if format == "json":
        world.stdout.write(json.dumps(summary.table_data(found), ensure_ascii=False) + "\n")
        return Exit.DONE
    columns = terminal.columns(world.stdout, world.environ)
    color = terminal.colored(world.stdout, world.environ)
    world.stdout.write(summary.table(found, columns=columns, color=color))
    return Exit.DONE
