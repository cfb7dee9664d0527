"""A folder with a spec in it, expanded for real."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

from pipeline.entries import expand
from pipeline.problem import Problem, Severity
from pipeline.spec import load

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.model import Entry, Job


@dataclass(frozen=True)
class Outcome:
    """What an expansion yielded and what it reported."""

    entries: list[Entry]
    problems: list[Problem]

    @property
    def jobs(self) -> list[Job]:
        return [job for entry in self.entries for job in entry.jobs]

    @property
    def prompts(self) -> list[str]:
        return [entry.jobs[0].prompt for entry in self.entries]

    @property
    def ids(self) -> list[str]:
        return [entry.id for entry in self.entries]

    @property
    def errors(self) -> list[Problem]:
        return [one for one in self.problems if one.severity is Severity.ERROR]

    @property
    def codes(self) -> list[str]:
        return [one.code for one in self.problems]

    @property
    def only(self) -> Problem:
        assert len(self.problems) == 1, self.problems
        return self.problems[0]


@dataclass(frozen=True)
class Desk:
    """A folder to put files in, and the way from a spec in it to its entries."""

    folder: Path

    def put(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def expand(self, text: str, environ: dict[str, str] | None = None) -> Outcome:
        """Expand a spec; `text` may leave out the line with the version."""
        self.put("spec.yaml", text if "version:" in text else "version: 1\n" + text)
        spec = load("spec.yaml", environ={}, cwd=self.folder)
        problems = list(spec.problems)
        entries = list(
            expand(spec, environ=environ or {}, today=date(2026, 1, 31), report=problems.append)
        )
        return Outcome(entries, problems)

    def entry(self, text: str, environ: dict[str, str] | None = None) -> Outcome:
        """Expand a spec with one item, given as the lines of its mapping."""
        lines = text.strip("\n").splitlines()
        item = "\n".join(("  - " if n == 0 else "    ") + line for n, line in enumerate(lines))
        return self.expand(f"entries:\n{item}\n", environ)


def picture(kind: str = "PNG", size: tuple[int, int] = (8, 8), color: str = "red") -> bytes:
    """Return the bytes of a small image."""
    data = BytesIO()
    Image.new("RGB", size, color).save(data, kind)
    return data.getvalue()
