"""How long `--help` and `validate` of a small spec take, next to bare Python doing nothing.

python benchmarks/start.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from measure import TOOL, run, verdict

TARGET = 3.0
BARE = [sys.executable, "-c", "pass"]
_SPEC = """\
version: 1
entries:
  - {id: night-city, prompt: "A cyberpunk city at night, neon lights", size: "16:9", n: 2}
  - {id: "mug-${{ color }}", prompt: "A ${{ color }} mug", matrix: {color: [red, blue]}}
"""


def main(rounds: int) -> int:
    """Print the medians in milliseconds and as multiples of bare Python."""
    commands = {
        "bare Python": BARE,
        "--help": [TOOL, "--help"],
        "run --help": [TOOL, "run", "--help"],
        "validate": [TOOL, "validate", "spec.yaml"],
    }
    walls: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "spec.yaml").write_text(_SPEC, encoding="utf-8")
        for _ in range(rounds + 1):
            for what, command in commands.items():
                walls[what].append(run(command, cwd=folder)[0].wall)
    medians = {what: statistics.median(figures[1:]) for what, figures in walls.items()}
    bare = medians.pop("bare Python")
    print(f"bare Python {bare * 1e3:.0f} ms")
    for what, wall in medians.items():
        if what != "--help":
            print(f"{what} {wall * 1e3:.0f} ms, {wall / bare:.1f}× bare Python")
    factor = medians["--help"] / bare
    return verdict(
        f"--help {medians['--help'] * 1e3:.0f} ms", f"{factor:.1f}× bare Python",
        f"under {TARGET:g}×", reached=factor < TARGET,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
