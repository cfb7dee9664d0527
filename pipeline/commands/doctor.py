"""`doctor`: check the set-up, and a spec's state file, without changing anything."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from typing import TYPE_CHECKING

from pipeline import __version__, schema, terminal
from pipeline.commands import account, batch
from pipeline.errors import Exit, SpecError, Trouble
from pipeline.lock import holder
from pipeline.problem import Severity
from pipeline.state import Book

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.commands.batch import Batch
    from pipeline.commands.world import World

Finding = tuple[str, str, str]
"""A mark (`ok`, `warn` or `fail`), what was looked at, and what was found."""

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}
_LITTLE_ROOM = 1 << 30
"""Bytes of free disk below which a warning is due."""


def doctor(
    world: World, source: str | None, *, sandbox: bool, output: str | None, key_file: Path | None
) -> int:
    """Print what was checked; returns 2 when something must be mended, else 0."""
    findings = [*_machine(world), *_account(world, key_file)]
    if source is not None:
        findings += _spec(world, source, sandbox, output)
    color = terminal.colored(world.stdout, world.environ)
    for mark, what, found in findings:
        word = terminal.paint(f"{mark:<4}", _STYLES[mark], color)
        world.stdout.write(f"{word}  {what:<10} {terminal.clean(found)}\n")
    return Exit.WRONG_INPUT if any(mark == "fail" for mark, _, _ in findings) else Exit.DONE


def _machine(world: World) -> Iterator[Finding]:
    python = platform.python_version()
    yield "ok", "version", f"banana-batch {__version__}, Python {python} on {sys.platform}"
    yield "ok", "schemas", f"{len(schema.models())} models, {schema.folder()}"
    free = shutil.disk_usage(world.cwd).free
    mark = "warn" if free < _LITTLE_ROOM else "ok"
    yield mark, "disk", f"{free / 2**30:.1f} GB free here"
    writable = os.access(world.cwd, os.W_OK)
    yield ("ok" if writable else "warn"), "folder", "writable" if writable else "not writable"


def _account(world: World, key_file: Path | None) -> Iterator[Finding]:
    host = account.host(world.environ, world.cwd)
    yield "ok", "host", host
    try:
        found = account.find(world.environ, world.cwd, key_file)
    except Trouble as error:
        yield "fail", "key", error.summary
        return
    if found is None:
        yield "warn", "key", f"none: set {account.KEY} before a paid run; --sandbox needs none"
    else:
        yield "ok", "key", f"{len(found.key)} characters, mark {found.mark}"


def _spec(world: World, source: str, sandbox: bool, output: str | None) -> Iterator[Finding]:
    try:
        opened = batch.opened(world, source, sandbox=sandbox, output=output)
        entries = sum(1 for _ in opened.entries())
    except SpecError as error:
        yield "fail", "spec", f"{len(error.problems)} problems: banana-batch validate {source}"
        return
    errors = sum(one.severity is Severity.ERROR for one in opened.problems)
    if errors:
        yield "fail", "spec", f"{errors} problems: banana-batch validate {source}"
    else:
        yield "ok", "spec", f"{source}: {entries:,} entries"
    yield from _state(opened)


def _state(opened: Batch) -> Iterator[Finding]:
    running = holder(opened.lock)
    yield "ok", "lock", f"held by {running}" if running else "free"
    if not opened.state.is_file():
        yield "ok", "state", "no state file yet"
        return
    try:
        book = Book(opened.state)
    except Trouble as error:
        yield "fail", "state", error.summary
        return
    try:
        wrong = book.check()
        jobs = book.highest()
        size = opened.state.stat().st_size / 2**20
    except Trouble as error:
        yield "fail", "state", error.summary
        return
    finally:
        book.close()
    for line in wrong[:20]:
        yield "fail", "state", line
    if not wrong:
        yield "ok", "state", f"{opened.state}: {jobs:,} jobs, {size:.1f} MB, sound"
    loose = opened.state.stat().st_mode & 0o077
    if loose:
        yield "warn", "state", f"others can read it: chmod 600 {opened.state}"
