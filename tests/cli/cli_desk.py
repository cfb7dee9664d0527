"""Runs commands as a user types them: in this process, with a clock that skips every wait."""

from __future__ import annotations

import asyncio
import io
import os
import random
import sqlite3
import time
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli import main
from pipeline.commands.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
KEY = "sk-cli-0123456789abcdefABCDEF"


class Skipping:
    """A clock on which a wait is over at once, and has lasted as long as it should."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def now(self) -> float:
        """Return the system's time and all that was skipped."""
        return time.time() + self._skipped

    def monotonic(self) -> float:
        """Return the same, counted from somewhere."""
        return time.monotonic() + self._skipped

    async def sleep(self, seconds: float) -> None:
        """Let others do what they can do, then skip the rest."""
        until = self.monotonic() + seconds
        await asyncio.sleep(0.001)
        self._skipped += max(0.0, until - self.monotonic())


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said and how it ended."""

    code: Any
    out: str
    err: str


def call(*words: str | Path, cwd: Path, stdin: bytes = b"", environ: Mapping[str, str]) -> Said:
    """Run one command line in the folder `cwd`."""
    out, err = io.StringIO(), io.StringIO()
    world = World(
        environ=environ,
        cwd=cwd,
        stdin=io.BytesIO(stdin),
        stdout=out,
        stderr=err,
        clock=Skipping(),
        dice=random.Random(7),
    )
    code: Any = "it did not end the process"
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(word) for word in words], world)
        except SystemExit as end:
            code = end.code
    return Said(code, out.getvalue(), err.getvalue())


def facts(state: Path, question: str) -> list[tuple[Any, ...]]:
    """Ask a state file."""
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as db:
        return db.execute(question).fetchall()


def every_file(folder: Path) -> list[Path]:
    """Return every file below a folder."""
    return [Path(at) / name for at, _, names in os.walk(folder) for name in names]
