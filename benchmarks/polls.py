"""How often a task is asked for, and how soon after its end that is noticed.

    python benchmarks/polls.py
    python benchmarks/polls.py --jobs 1000 --concurrency 200

Two real runs at once, each against a sandbox of its own whose tasks take 5 to 60 seconds: one that
polls, one that receives callbacks. The sandbox's ledger says when each task was done and how many
looks there were, the run's state file when it was noticed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ledgers import environ, ledger, sandbox, write_spec
from measure import TOOL, machine, run, verdict

from pipeline.state import Book

_LOOKS, _LOOKS_WITH_CALLBACKS, _NOTICED = 3.0, 1.2, 2.0


@dataclass(frozen=True, slots=True)
class Figure:
    """Looks a task, and seconds from its end to the moment that the run knew: median, and worst."""

    looks: float
    median: float
    worst: float


def measured(options: argparse.Namespace, *, callbacks: bool) -> Figure:
    """Run once, with callbacks or without."""
    with (
        tempfile.TemporaryDirectory(prefix="polls-") as name,
        sandbox(f"task_seconds={options.task_seconds}", "latency=0.02-0.1") as url,
    ):
        folder = Path(name)
        write_spec(folder, options.jobs)
        words = [TOOL, "run", "spec.yaml", "--quiet", "--no-gallery"]
        words += ["--concurrency", str(options.concurrency)]
        if callbacks:
            words += ["--listen", "127.0.0.1:0"]
        run(words, cwd=folder, environ=environ(url))
        book = ledger(url)
        done = {task["task_id"]: task["finished_at"] for task in book["tasks"]}
        late = [seen - done[task] for task, seen in _noticed(folder).items()]
        return Figure(book["requests"]["task"] / len(done), statistics.median(late), max(late))


def _noticed(folder: Path) -> dict[str, float]:
    """Return when the run learned of each task's end."""
    book = Book(folder / "out" / "bench" / "state.sqlite")
    try:
        return {record.task_id: record.completed_at for record in book.active()}
    finally:
        book.close()


def main() -> int:
    """Print the figures; returns 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--task-seconds", default="5-60")
    options = parser.parse_args()
    print("\n".join(machine()))
    with ThreadPoolExecutor(2) as pool:
        asked, told = pool.map(lambda on: measured(options, callbacks=on), (False, True))
    missed = 0
    for name, found, most in (
        ("polling", asked, _LOOKS),
        ("callbacks", told, _LOOKS_WITH_CALLBACKS),
    ):
        missed |= verdict(
            name,
            f"{found.looks:.2f} looks a task, noticed after {found.median:.2f} s"
            f" (median; worst {found.worst:.1f} s)",
            f"{most:g} looks, {_NOTICED:g} s",
            reached=found.looks <= most and found.median <= _NOTICED,
        )
    return missed


if __name__ == "__main__":
    sys.exit(main())
