"""A folder to type commands in: real specs, state files, images and HTTP to the sandbox.

Time jumps instead of passing, so that nothing here waits.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.commands.manifest import ManifestOptions, manifest
from pipeline.commands.plan import PlanOptions, plan
from pipeline.commands.run import RunOptions, run
from pipeline.commands.world import World
from pipeline.lock import holder
from pipeline.state import Book

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pipeline.model import Record

NOON = 1_767_355_200.0  # 2026-01-02T12:00:00Z


@dataclass
class JumpingClock:
    """Sleeps end at once and move it on. `slept` is told of each sleep, before it ends."""

    moment: float = NOON
    slept: Callable[[float], None] = lambda seconds: None

    def now(self) -> float:
        return self.moment

    def monotonic(self) -> float:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += max(seconds, 0.0)
        self.slept(seconds)
        await asyncio.sleep(0)


@dataclass
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@dataclass
class Desk:
    folder: Path
    clock: JumpingClock = field(default_factory=JumpingClock)
    columns: int = 80

    @property
    def results(self) -> Path:
        return self.folder / "out/batch-sandbox"

    @property
    def images(self) -> Path:
        return self.results / "images"

    def write(self, text: str, name: str = "batch.yaml") -> None:
        """Write a spec; `version` and `name` are put before it."""
        head = f"version: 1\nname: {name.removesuffix('.yaml')}\n"
        (self.folder / name).write_text(head + text, encoding="utf-8")

    def entries(self, *ids: str, more: str = "") -> None:
        """Write a spec of so many entries, each with a prompt of its own."""
        lines = "".join(f"  - {{id: {one}, prompt: picture of {one}}}\n" for one in ids)
        self.write(f"{more}entries:\n{lines}")

    def world(self, stdout: io.StringIO, stderr: io.StringIO) -> World:
        return World(
            environ={"COLUMNS": str(self.columns)},
            cwd=self.folder,
            stdin=io.BytesIO(),
            stdout=stdout,
            stderr=stderr,
            clock=self.clock,
            dice=random.Random(7),
        )

    def say(self, command: Callable[..., int], *words: Any, **options: Any) -> Said:
        """Call a command as the command line would."""
        stdout, stderr = io.StringIO(), io.StringIO()
        code = command(self.world(stdout, stderr), *words, **options)
        return Said(code, stdout.getvalue(), stderr.getvalue())

    def run(self, *faults: str, plain: bool = True, **options: Any) -> Said:
        words = ("plain=true", *faults) if plain else faults
        asked = RunOptions("batch.yaml", sandbox=True, faults=words, **options)
        return self.say(run, asked)

    def plan(self, **options: Any) -> Said:
        return self.say(plan, PlanOptions("batch.yaml", sandbox=True, **options))

    def manifest(self, **options: Any) -> Said:
        return self.say(manifest, ManifestOptions("batch.yaml", sandbox=True, **options))

    def records(self) -> list[Record]:
        book = Book(self.results / "state.sqlite")
        try:
            return list(book.active())
        finally:
            book.close()

    def told(self) -> dict[str, Any]:
        """The manifest as it is on disk."""
        found: dict[str, Any] = json.loads((self.results / "manifest.json").read_text("utf-8"))
        return found

    def pictures(self) -> list[dict[str, Any]]:
        """Every image of the manifest."""
        jobs = (job for entry in self.told()["entries"] for job in entry["jobs"])
        return [image for job in jobs for image in job["images"]]

    def files(self) -> list[str]:
        """What is under `images/`, hidden files and folders left out."""
        return shown(self.images, self.images.rglob("*"))

    @property
    def held(self) -> bool:
        return bool(holder(self.results / ".lock"))


def shown(folder: Path, paths: Iterable[Path]) -> list[str]:
    names = (path.relative_to(folder) for path in paths if path.is_file())
    return sorted(str(name) for name in names if not name.parts[0].startswith("."))
