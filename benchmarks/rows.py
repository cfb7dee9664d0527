"""Expands a csv file of N rows; prints the seconds, the microseconds a row and the peak memory.

    python benchmarks/rows.py 100000

The spec is the one of the README's catalogue: an id, a prompt and a suffix from the row.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from pipeline.entries import expand
from pipeline.spec import load

SPEC = """\
version: 1
vars: {style: soft watercolor}
defaults: {size: "16:9", prompt_suffix: ", ${{ style }}"}
entries:
  - from: rows.csv
    id: ${{ sku }}
    prompt: Studio photo of ${{ title }}, item ${{ index }}
    tags: ["${{ row['product group'] | lower }}"]
"""


def main(count: int) -> None:
    """Write the files, expand them, print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "spec.yaml").write_text(SPEC, encoding="utf-8")
        with (folder / "rows.csv").open("w", encoding="utf-8") as file:
            file.write("sku,title,product group\n")
            file.writelines(f"SKU-{n},A mug with the number {n},Mugs\n" for n in range(count))
        spec = load("spec.yaml", environ={}, cwd=folder)
        problems = list(spec.problems)
        began, worked = time.perf_counter(), time.process_time()
        entries = expand(spec, environ={}, today=date(2026, 1, 31), report=problems.append)
        made = sum(1 for _ in entries)
        seconds, work = time.perf_counter() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{made:,} of {count:,} rows in {seconds:.2f} s, {work:.2f} s of processor")
    print(f"{work / max(count, 1) * 1e6:.1f} microseconds a row, peak {peak:.0f} MB")
    for problem in problems[:5]:
        print(problem)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
