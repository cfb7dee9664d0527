from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from manifest_samples import about, sample

from pipeline.manifest import COLUMNS, publish

GUIDE = Path(__file__).parents[2] / "docs" / "manifest.md"
RECIPES = re.findall(
    r"```(sh|python)\n(.*?)```\n```text\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL
)


def missing(language: str, recipe: str) -> str:
    """Return the tool that a recipe needs and this machine does not have."""
    if language == "sh":
        tool = recipe.split()[0]
        return "" if shutil.which(tool) else tool
    imports = re.findall(r"^import (\w+)", recipe, re.MULTILINE)
    return next((name for name in imports if importlib.util.find_spec(name) is None), "")


@pytest.mark.parametrize(("language", "recipe", "shown"), RECIPES)
def test_a_recipe_of_the_guide_gives_what_the_guide_shows(
    tmp_path: Path, language: str, recipe: str, shown: str
) -> None:
    if tool := missing(language, recipe):
        pytest.skip(f"{tool} is not installed")
    publish(tmp_path, about(downloaded=2, failed=1), sample)
    command = ["sh", "-c", recipe] if language == "sh" else [sys.executable, "-c", recipe]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (done.stdout.decode(), done.stderr.decode()) == (shown, "")


def test_the_guide_has_a_recipe_for_every_promised_tool() -> None:
    text = "".join(recipe for _, recipe, _ in RECIPES)
    assert all(tool in text for tool in ("jq ", "import csv", "import pandas", "import duckdb"))


def test_the_guide_explains_every_column() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    assert [name for name in COLUMNS if f"`{name}`" not in guide] == []
