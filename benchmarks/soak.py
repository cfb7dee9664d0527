"""Kill `banana-batch run` again and again, at random moments, and count what it cost.

    make soak
    python benchmarks/soak.py --kills 50 --jobs 120 --seed 7

A sandbox with faults serves in a process of its own and keeps its ledger on disk. Real runs of a
growing spec die by SIGKILL; now and then the process that fetches their images dies alone, before
them, or a finished image is deleted. In the end the spec is run to its end, and the ledger, the
manifest and the files must agree: every job has its image, no job was paid for twice, and nobody
is left over. Exits with 1 when they do not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ledgers import sandbox
from measure import TOOL

from pipeline.state import Book

FAULTS = (
    "cut_before=0.05", "cut_after=0.1", "error=0.05", "error_after=0.05",
    "rubbish=0.05", "in_progress=0.03", "unavailable=0.03", "truncate=0.1", "not_image=0.03",
    "redirect=0.1", "rate=60", "latency=0-0.03", "task_seconds=0.05-0.6",
)  # fmt: skip
_STEP = 125
"""Jobs by which the spec grows: enough for a run to have its images fetched by a second process."""
_ALONE = 0.3
"""Share of the runs whose second process is killed first."""
_AT_THE_END = 30
"""Runs that may be needed to finish once nobody kills them any more."""


@dataclass(slots=True)
class Figures:
    """What happened."""

    kills: int = 0
    porters: int = 0
    runs: int = 0
    harmed: int = 0
    seconds: float = 0.0


class Soak:
    """One soak in a folder of its own."""

    def __init__(self, folder: Path, url: str, jobs: int, dice: random.Random) -> None:
        self._folder = folder
        self._jobs = jobs
        self._dice = dice
        self._listed = 0
        self._words = [TOOL, "run", "spec.yaml", "--quiet", "--concurrency", "16"]
        self._environ = {**os.environ, "APIMART_BASE_URL": url, "APIMART_API_KEY": "soak-key"}
        self.out = folder / "out" / "spec"
        self.figures = Figures()

    def list_jobs(self, count: int) -> None:
        """Have the spec ask for so many images, each of its own prompt."""
        self._listed = count
        lines = ["version: 1", 'defaults: {size: "1:1"}', "entries:"]
        lines += [f"  - {{id: e{n:04}, prompt: picture number {n}}}" for n in range(count)]
        (self._folder / "spec.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def kill_often(self, kills: int) -> None:
        """Run and kill until there were so many kills, the spec growing to its full length."""
        longest = 1.5
        while self.figures.kills < kills:
            share = (self.figures.kills + 1) / kills
            wanted = -(-round(self._jobs * share) // _STEP) * _STEP
            self.list_jobs(max(self._listed, min(self._jobs, wanted)))
            if self._run_for(self._dice.uniform(0.02, longest)):
                self.figures.kills += 1
                longest = min(longest * 1.05, 3.0)
            else:  # it finished first: nothing was left to kill
                longest = max(longest * 0.8, 0.6)
                self._harm()
            self._harm(share=0.1)

    def finish(self) -> int:
        """Run to the end; returns the last exit code."""
        self.list_jobs(self._jobs)
        for _ in range(_AT_THE_END):
            self.figures.runs += 1
            code = subprocess.run(self._words, cwd=self._folder, env=self._environ).returncode
            if code == 0:
                break
        return code

    def _run_for(self, seconds: float) -> bool:
        """Run, and kill after so many seconds; returns whether there was something to kill."""
        self.figures.runs += 1
        run = subprocess.Popen(
            self._words,
            cwd=self._folder,
            env=self._environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if self._dice.random() < _ALONE:
                share = self._dice.random()
                self._lose_the_second(run, seconds * share)
                seconds *= 1 - share
            code = run.wait(seconds)
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            return True
        if code in (2, 4, 70):
            raise SystemExit(f"a run ended with {code}, which no kill explains")
        return False

    def _lose_the_second(self, run: subprocess.Popen[bytes], seconds: float) -> None:
        """Kill the process that fetches the images of `run`, if it has one by then."""
        with suppress(subprocess.TimeoutExpired):
            run.wait(seconds)
        for process in children(run.pid):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
                self.figures.porters += 1

    def _harm(self, share: float = 1.0) -> None:
        """Delete a finished image, or cut it short."""
        files = sorted(one for one in (self.out / "images").glob("*") if one.is_file())
        if not files or self._dice.random() >= share:
            return
        file = self._dice.choice(files)
        if self._dice.random() < 0.5:
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:10])
        self.figures.harmed += 1

    # ── what became of it ───────────────────────────────────────────────────────────────────

    def lost(self, ledger: list[dict[str, str]]) -> list[str]:
        """Say which jobs have no image, or another than the record says; and what else is odd."""
        book = Book(self.out / "state.sqlite")
        try:
            records, wrong = list(book.active()), book.check()
        finally:
            book.close()
        for record in records:
            for image in record.results:
                file = self.out / image.file
                if not file.is_file() or _sha256(file) != image.sha256:
                    wrong.append(f"{record.entry_id}: {image.file or 'no file'}")
            if not record.results:
                wrong.append(f"{record.entry_id}: {record.status}")
        known = {record.task_id for record in records}
        wrong += [f"{one['id']}: nobody knows it" for one in ledger if one["id"] not in known]
        wrong += [f"{one}: left over" for one in (self.out / ".parts").glob("*")]
        wrong += [f"process {one}: left over" for one in left_over(self._folder)]
        return wrong + ["a job"] * (self._jobs - len(records))


def children(process: int) -> list[int]:
    """Return the processes that a process has started, as far as this system tells."""
    try:
        told = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(one) for one in told.split()]


def left_over(folder: Path) -> list[int]:
    """Return the processes that still work in a folder, as far as this system tells."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if place.readlink() == folder:
                found.append(int(place.parent.name))
    return found


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _tasks(ledger: Path) -> list[dict[str, str]]:
    """Return the id and the prompt of every task that the sandbox accepted and billed."""
    lines = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
    tasks = [line["task"] for line in lines if "task" in line]
    return [{"id": one["id"], "prompt": one["body"]["prompt"]} for one in tasks]


def main() -> int:
    """Soak; print the figures; return the exit code."""
    parser = argparse.ArgumentParser(description="Kill runs at random and count the cost.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None)
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        began = time.monotonic()
        with sandbox(*FAULTS, remember=folder / "ledger.jsonl") as url:
            soak = Soak(folder, url, chosen.jobs, random.Random(seed))
            soak.kill_often(chosen.kills)
            code = soak.finish()
        soak.figures.seconds = time.monotonic() - began
        tasks = _tasks(folder / "ledger.jsonl")
        twice = {one: n for one, n in Counter(t["prompt"] for t in tasks).items() if n > 1}
        lost = soak.lost(tasks)
        return _tell(soak.figures, chosen.jobs, seed, code, len(tasks), twice, lost)


def _tell(
    figures: Figures,
    jobs: int,
    seed: int,
    code: int,
    tasks: int,
    twice: dict[str, int],
    lost: list[str],
) -> int:
    told = {
        "seed": seed, "kills": figures.kills, "second processes killed": figures.porters,
        "runs": figures.runs, "files harmed": figures.harmed,
        "jobs": jobs, "tasks in the ledger": tasks, "paid twice": len(twice), "lost": len(lost),
        "last exit code": code, "seconds": round(figures.seconds),
    }  # fmt: skip
    for name, value in told.items():
        print(f"{name:<24} {value:>8}")
    for line in [*(f"paid {n} times: {prompt}" for prompt, n in twice.items()), *lost][:20]:
        print(f"  {line}")
    return 1 if twice or lost or code else 0


if __name__ == "__main__":
    sys.exit(main())
