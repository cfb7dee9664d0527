"""Whole runs of banana-batch next to what one would write instead, against nginx on loopback.

    make bench
    python benchmarks/bench.py --rounds 5 --jobs 3000 --connections 64 --schemes plain
    python benchmarks/bench.py --publish

Each contender is a program of its own, started anew for every figure: rows from a csv file in,
verified (or, for the others, plain) image files out. They take turns inside a round, so that what
else the machine does hits all of them; the figures are medians of the rounds, and the ratios
medians of each round's own ratio.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from measure import TOOL, Cost, first_line, machine, run
from stand_in import Missing, StandIn, program, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
OURS = "banana-batch"
TARGETS = {"bare aiohttp": 1.0, "bare httpx": 8.0, "GNU parallel, curl": 20.0}
"""How many times as fast as each peer we mean to be, at 64 connections over plain http."""

_FORGETS = 6.0
"""Seconds after which ext4 uses the inodes of removed files again without looking at each."""

SPEC = """\
version: 1
name: bench
defaults: {size: "1:1"}
entries:
  - from: rows.csv
    id: ${{ sku }}
    prompt: Studio photo of ${{ title }}
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """A program to measure. `share` of the jobs keep a slow one's turn as short as the others'."""

    name: str
    words: tuple[str, ...]
    share: float = 1.0

    def command(self, base: str, connections: int, out: str) -> list[str]:
        """Return the command that makes every row's image in the folder `out`."""
        if self.words[0] == TOOL:
            return [*self.words, "--output", out, "--concurrency", str(connections)]
        return [*self.words, base, "rows.csv", out, str(connections)]


CONTENDERS = (
    Contender(OURS, (TOOL, "run", "spec.yaml", "--no-gallery")),
    Contender(f"{OURS} with gallery", (TOOL, "run", "spec.yaml"), 0.5),
    Contender("bare aiohttp", (sys.executable, str(HERE / "peers" / "bare_aiohttp.py"))),
    Contender("bare httpx", (sys.executable, str(HERE / "peers" / "bare_httpx.py")), 0.05),
    Contender("GNU parallel, curl", ("sh", str(HERE / "peers" / "parallel_curl.sh")), 0.025),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One turn: jobs a second of the whole process, and without what it costs to start and end."""

    whole: float
    steady: float
    cpu: float
    peak: int


class Course:
    """The folder, the server and the environment that every contender runs in."""

    def __init__(self, folder: Path, stand_in: StandIn) -> None:
        self._folder = folder
        self._stand_in = stand_in
        self._runs = 0

    def turn(self, contender: Contender, base: str, connections: int, jobs: int) -> Figure:
        """Measure one contender once: a small run, then a large one."""
        few = connections
        many = max(round(jobs * contender.share), 3 * few)
        small = self._run(contender, base, connections, few)
        large = self._run(contender, base, connections, many)
        return Figure(
            whole=many / large.wall,
            steady=(many - few) / max(large.wall - small.wall, 1e-9),
            cpu=large.cpu / many,
            peak=large.peak,
        )

    def _run(self, contender: Contender, base: str, connections: int, jobs: int) -> Cost:
        self._runs += 1
        out = f"out-{self._runs}"
        write_rows(self._folder / "rows.csv", jobs)
        (self._folder / "spec.yaml").write_text(SPEC, encoding="utf-8")
        cost, _ = run(
            contender.command(base, connections, out),
            cwd=self._folder,
            environ={
                "APIMART_API_KEY": "sk-benchmark",
                "APIMART_BASE_URL": base,
                "SSL_CERT_FILE": str(self._stand_in.certificate),
                "CURL_CA_BUNDLE": str(self._stand_in.certificate),
            },
        )
        made = [file.stat().st_size for file in (self._folder / out).rglob("*.jpg")]
        if made != [len(self._stand_in.image)] * jobs:
            raise RuntimeError(f"{contender.name} made {len(made)} of {jobs} images, or not whole")
        return cost

    def clear(self) -> None:
        """Remove what was made, and let the disk forget it: new files are slow until then."""
        made = list(self._folder.glob("out-*"))
        for out in made:
            shutil.rmtree(out)
        if made:
            os.sync()
            time.sleep(_FORGETS)


def write_rows(file: Path, count: int) -> None:
    """Write a csv file of `count` products. No cell holds a comma: a shell reads it as well."""
    with file.open("w", encoding="utf-8") as stream:
        stream.write("sku,title\n")
        stream.writelines(f"SKU-{n:07},mug number {n} in soft light\n" for n in range(count))


class Round(dict[str, list[Figure]]):
    """The figures of one combination: each contender's, one for each round."""

    def ratios(self, name: str) -> tuple[float, float]:
        """Return how many times as fast as `name` we are: whole processes, and steady."""
        pairs = list(zip(self[OURS], self[name], strict=True))
        return (
            statistics.median(our.whole / their.whole for our, their in pairs),
            statistics.median(our.steady / their.steady for our, their in pairs),
        )

    def table(self) -> Iterator[str]:
        """Yield the lines of a table in Markdown."""
        yield "| program | jobs/s | steady | CPU ms/job | peak MB | we, whole | we, steady |"
        yield "|---|---:|---:|---:|---:|---:|---:|"
        for name, figures in self.items():
            whole, steady = self.ratios(name)
            yield (
                f"| {name} | {statistics.median(one.whole for one in figures):,.0f}"
                f" | {statistics.median(one.steady for one in figures):,.0f}"
                f" | {statistics.median(one.cpu for one in figures) * 1e3:.2f}"
                f" | {statistics.median(one.peak for one in figures) / 1e6:.0f}"
                f" | {whole:.2f}× | {steady:.2f}× |"
            )

    def targets(self) -> Iterator[str]:
        """Yield a line for each peer that we mean to beat."""
        for name, target in TARGETS.items():
            whole, steady = self.ratios(name)
            word = "ok" if steady >= target else "MISSED"
            yield f"- {name}: {steady:.2f}× steady, {whole:.2f}× whole (target {target:g}×) {word}"


def measured(course: Course, base: str, connections: int, options: argparse.Namespace) -> Round:
    """Measure one combination, contender after contender, round after round."""
    found = Round({one.name: [] for one in CONTENDERS})
    for number in range(1, options.rounds + 1):
        for one in CONTENDERS:
            print(f"\r\033[Kround {number}: {one.name} …", end="", file=sys.stderr, flush=True)
            found[one.name].append(course.turn(one, base, connections, options.jobs))
        course.clear()
    print("\r\033[K", end="", file=sys.stderr)
    return found


def report(options: argparse.Namespace) -> Iterator[str]:
    """Measure everything that was asked for; yields the report in Markdown as it grows."""
    yield "# Whole runs next to what one would write instead\n"
    yield "Made by `make bench`; `benchmarks/README.md` says how and what the columns mean.\n"
    yield "\n".join(f"- {line}" for line in (*machine(), *_programs()))
    yield f"- {options.rounds} rounds of {options.jobs:,} jobs, less for the slow peers\n"
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        served = Path(name, "served")
        served.mkdir()
        Path(name).chmod(0o755)  # nginx reads the image as itself
        with serving(served) as stand_in:
            course = Course(Path(name), stand_in)
            for scheme in options.schemes:
                base = stand_in.plain if scheme == "plain" else stand_in.secure
                for connections in options.connections:
                    yield f"## {connections} connections, {base.partition(':')[0]}\n"
                    found = measured(course, base, connections, options)
                    yield "\n".join(found.table()) + "\n"
                    if (scheme, connections) == ("plain", 64):
                        yield "\n".join(found.targets()) + "\n"


def _programs() -> list[str]:
    nginx, parallel = program("nginx", "nginx-light"), program("parallel", "parallel")
    program("jq", "jq")
    return [
        first_line([nginx, "-v"]),
        first_line([parallel, "--version"]),
        first_line([program("curl", "curl"), "--version"]),
    ]


def main() -> int:
    """Print the report as it grows, keep it in `results/`, and publish it when asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=6000, help="of the fast contenders")
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--schemes", nargs="+", choices=["plain", "tls"], default=["plain", "tls"])
    parser.add_argument("--folder", type=Path, help="work here instead of the temporary folder")
    parser.add_argument("--publish", action="store_true", help="also write RESULTS.md")
    options = parser.parse_args()
    lines: list[str] = []
    try:
        for line in report(options):
            print(line, flush=True)
            lines.append(line)
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 2
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    text = "\n".join(lines)
    (results / f"bench-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.md").write_text(text, encoding="utf-8")
    if options.publish:
        (HERE / "RESULTS.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
