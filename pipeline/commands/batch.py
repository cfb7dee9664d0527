"""A spec opened for a command: its entries, its problems, and where its results live."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline import __version__, report, spec, terminal
from pipeline.entries import expand
from pipeline.errors import SpecError
from pipeline.model import About
from pipeline.problem import Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.commands.world import World
    from pipeline.model import Entry, Totals
    from pipeline.spec import Spec


@dataclass(slots=True)
class Batch:
    """One spec, opened. `problems` grows while `entries` is read.

    `source` is what the user typed, for the commands that messages suggest.
    """

    world: World
    source: str
    spec: Spec
    sandbox: bool
    output: str | None = None
    problems: list[Problem] = field(default_factory=list)
    _expanded: bool = False

    @property
    def words(self) -> list[str]:
        """The words that a further command needs to find the same results."""
        where = ["--output", self.output] if self.output is not None else []
        return [*(["--sandbox"] if self.sandbox else []), *where]

    @property
    def folder(self) -> Path:
        """Where everything a run makes lives."""
        return self.spec.output.folder

    @property
    def state(self) -> Path:
        """The state file."""
        return self.folder / "state.sqlite"

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.folder / ".lock"

    @property
    def home(self) -> Path:
        """The folder of the spec."""
        return self.spec.document.folder

    def entries(self) -> Iterator[Entry]:
        """Yield every entry that is right, collecting what is wrong with the others."""
        self._expanded = True
        return expand(
            self.spec,
            environ=self.world.environ,
            today=datetime.fromtimestamp(self.world.clock.now(), UTC).date(),
            report=self.problems.append,
        )

    def wrong(self) -> bool:
        """Whether anything found so far must stop a run."""
        return any(one.severity is Severity.ERROR for one in self.problems)

    def check(self) -> None:
        """Raise `SpecError` with every problem when one of them must stop a run.

        With one known there is nothing else to do than to find the others, so that the user is
        told all of them in one go.
        """
        if self.wrong():
            for _ in () if self._expanded else self.entries():
                pass
            raise SpecError(self.problems)

    def about(self, totals: Totals, host: str) -> About:
        """Say whose results these are."""
        return About(
            name=self.spec.name,
            spec=self.spec.document.file,
            git_commit=git_commit(self.spec.document.path),
            host=host,
            sandbox=self.sandbox,
            generated_at=self.world.clock.now(),
            version=__version__,
            totals=totals,
        )


def opened(world: World, source: str, *, sandbox: bool = False, output: str | None = None) -> Batch:
    """Open a spec. Raises `SpecError` when nothing can be made of the file."""
    found = spec.load(
        source, stdin=world.stdin, environ=world.environ, cwd=world.cwd, sandbox=sandbox
    )
    if output is not None:
        folder = (world.cwd / output).resolve()
        folder = folder.with_name(f"{folder.name}-sandbox") if sandbox else folder
        found = replace(found, output=replace(found.output, folder=folder))
    return Batch(world, source, found, sandbox, output, list(found.problems))


def git_commit(path: Path | None) -> str:
    """Return the commit that the spec's repository is at, `""` outside of one."""
    if path is None:
        return ""
    import subprocess

    try:
        said = subprocess.run(
            ["git", "-C", str(path.parent), "rev-parse", "HEAD"],
            capture_output=True, text=True, timeout=5, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


def tell(world: World, problems: list[Problem]) -> None:
    """Print problems to standard error, as people read them."""
    if problems:
        world.stderr.write(
            report.render(
                problems,
                "text",
                color=terminal.colored(world.stderr, world.environ),
                width=terminal.columns(world.stderr, world.environ),
            )
        )
