"""Row files of 100,000 and of one million rows through `validate` and `plan`: seconds and memory.

    python benchmarks/rows.py [ROWS]

Each command is the installed program in a process of its own. The spec is a catalogue's: an id, a
prompt, a suffix from `vars` and a tag by an expression.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from measure import TOOL, run, verdict

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
COMMANDS = ("validate", "plan")
SECONDS, MEMORY, ROWS = 15, 300e6, 100_000
"""Targets for 100,000 rows: the seconds of both commands together, and bytes of memory."""
MILLION_MEMORY, MILLION = 500e6, 1_000_000
"""Target for more rows, up to a million: bytes of memory."""


def write(folder: Path, count: int) -> None:
    """Write the spec and its rows."""
    (folder / "spec.yaml").write_text(SPEC, encoding="utf-8")
    with (folder / "rows.csv").open("w", encoding="utf-8") as file:
        file.write("sku,title,product group\n")
        file.writelines(f"SKU-{n},A mug with the number {n},Mugs\n" for n in range(count))


def main(count: int) -> int:
    """Print the figures of both commands; returns 1 when a target is missed."""
    missed = 0
    most = MEMORY if count <= ROWS else MILLION_MEMORY
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, count)
        costs = {}
        for command in COMMANDS:
            costs[command], said = run([TOOL, command, "spec.yaml"], cwd=folder)
            if f"{count:,}" not in said:
                raise RuntimeError(f"{command} saw other entries than there are:\n{said}")
    for command, cost in costs.items():
        missed |= verdict(
            f"{command} of {count:,} rows: {cost.wall:.1f} s ({cost.cpu:.1f} s of processor,"
            f" {cost.cpu / count * 1e6:.0f} us a row), peak memory",
            f"{cost.peak / 1e6:.0f} MB",
            f"under {most / 1e6:.0f} MB",
            reached=cost.peak < most,
        )
    if count <= ROWS:
        whole = sum(cost.wall for cost in costs.values())
        missed |= verdict(
            f"both of {count:,} rows", f"{whole:.1f} s", f"{SECONDS} s", reached=whole < SECONDS
        )
    return missed


if __name__ == "__main__":
    asked = [int(word) for word in sys.argv[1:]] or [ROWS, MILLION]
    sys.exit(max(main(count) for count in asked))
