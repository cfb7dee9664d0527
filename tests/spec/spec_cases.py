"""The drop-in cases of tests/specs: a spec, and beside an invalid one the exact message.

To add one, drop a file into tests/specs/valid or tests/specs/invalid and let its message be
written, then read that message as a user would:

    python tests/spec/spec_cases.py
"""

from __future__ import annotations

import importlib
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import report, spec
from pipeline.errors import SpecError

if TYPE_CHECKING:
    from pipeline.problem import Problem

FOLDER = Path(__file__).parent.parent / "specs"
ENVIRON = {"SEASON": "spring"}
TODAY = date(2026, 3, 14)
WIDTH = 100


def cases(kind: str) -> list[Path]:
    """Return the cases of a kind, `valid` or `invalid`."""
    return sorted((FOLDER / kind).glob("*.yaml"))


def problems(path: Path) -> list[Problem]:
    """Return everything that `validate` has to say of a spec, as if run in its folder."""
    try:
        loaded = spec.load(path.name, environ=ENVIRON, cwd=path.parent)
    except SpecError as error:
        return list(error.problems)
    found = list(loaded.problems)
    entries = importlib.import_module("pipeline.entries")
    for _ in entries.expand(loaded, environ=ENVIRON, today=TODAY, report=found.append):
        pass
    return found


def message(path: Path) -> str:
    """Return the text that a user is shown for a spec."""
    return report.render(problems(path), "text", color=False, width=WIDTH)


def main() -> None:
    """Write the message of every invalid case that has none."""
    for path in cases("invalid"):
        beside = path.with_suffix(".txt")
        if not beside.exists():
            beside.write_text(message(path), encoding="utf-8")


if __name__ == "__main__":
    main()
