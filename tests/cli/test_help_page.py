"""The page that `--help` shows is kept as text, so that it comes without loading click."""

from __future__ import annotations

import subprocess
import sys

KEPT = "import sys; sys.argv[1:] = ['{}']; from pipeline.cli import main; main()"


def test_the_page_comes_without_click() -> None:
    for word in ("--help", "-h"):
        script = KEPT.format(word) + "; sys.stderr.write(str('click' in sys.modules))"
        said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert (said.stdout.startswith("Usage: banana-batch"), said.stderr) == (True, "False")
