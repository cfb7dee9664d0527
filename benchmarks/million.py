"""A million rows through `validate`, `plan` and `run --no-download`, against a server that is done
at once: peak memory, seconds, and the bytes of the state file for each job.

    python benchmarks/million.py [ROWS]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench import SPEC, write_rows
from measure import TOOL, run, verdict
from stand_in import Missing, serving

TARGET = 500e6
"""Bytes of memory."""
_MORE_TO_DO = 5
"""How a run ends that leaves the images for a later one."""


def main(rows: int) -> int:
    """Print the figures of the three commands; returns 1 when one took too much memory."""
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx reads the image as itself
        write_rows(folder / "rows.csv", rows)
        (folder / "spec.yaml").write_text(SPEC, encoding="utf-8")
        (folder / "served").mkdir()
        with serving(folder / "served") as stand_in:
            environ = {"APIMART_API_KEY": "sk-benchmark", "APIMART_BASE_URL": stand_in.plain}
            for words in (
                ("validate", "spec.yaml"),
                ("plan", "spec.yaml"),
                ("run", "spec.yaml", "--no-download", "--no-gallery", "--concurrency", "64"),
            ):
                cost, _ = run([TOOL, *words], cwd=folder, environ=environ, well=(0, _MORE_TO_DO))
                missed |= verdict(
                    f"{words[0]} of {rows:,} rows: {cost.wall:.0f} s, {rows / cost.wall:,.0f} a"
                    " second, peak memory",
                    f"{cost.peak / 1e6:.0f} MB", f"under {TARGET / 1e6:.0f} MB",
                    reached=cost.peak < TARGET,
                )  # fmt: skip
        for file in sorted((folder / "out" / "bench").iterdir()):
            if file.is_file():
                size = file.stat().st_size
                print(f"{file.name}: {size / 1e6:,.0f} MB, {size / rows:,.0f} bytes a job")
    return missed


if __name__ == "__main__":
    try:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
    except Missing as missing:
        sys.exit(str(missing))
