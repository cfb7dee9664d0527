"""What docs/python.md and the notebook show works as it is shown, in this order."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.library.options import RunWords, SelectWords

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NOTEBOOK = json.loads((ROOT / "examples/notebook/batch.ipynb").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with the specs and without a key."""
    shutil.copytree(ROOT / "specs", tmp_path / "specs", ignore=shutil.ignore_patterns("out"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("APIMART_API_KEY", raising=False)
    return tmp_path


def execute(blocks: Iterable[str]) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"<block {number}>", "exec"), names)
    return names


def test_the_blocks_of_the_page_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = execute(BLOCKS)
    said = capsys.readouterr().out
    assert "quickstart 12 entries, 14 jobs" in said
    assert "wrong.yaml:3:" in said
    assert "--max-cost cannot be" in said
    assert "14 images" in said
    assert names["outcome"].folder == folder / "specs/out/quickstart-sandbox"


def test_every_word_of_run_and_plan_is_on_the_page() -> None:
    words = RunWords.__annotations__.keys()
    assert {word for word in words if f"`{word}`" not in PAGE} == set()


def test_the_page_says_which_words_plan_takes() -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| `only`"))
    ours, theirs = (set(re.findall(r"`(\w+)`", cell)) for cell in row.strip("|").split("|"))
    assert ours == SelectWords.__annotations__.keys()
    assert theirs == RunWords.__annotations__.keys() - ours


def cells(kind: str) -> list[dict[str, Any]]:
    return [one for one in NOTEBOOK["cells"] if one["cell_type"] == kind]


def test_the_cells_of_the_notebook_run(capsys: pytest.CaptureFixture[str]) -> None:
    names = execute("".join(one["source"]) for one in cells("code"))
    said = capsys.readouterr().out
    assert "5 images, about $0.17" in said
    assert "shelf - changed: prompt" in said
    shown = names["outcome"]._repr_html_()
    assert shown.count("<img ") == 5
    assert "<script" not in shown


def test_the_notebook_is_one_and_holds_no_outputs() -> None:
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    ids = [one["id"] for one in NOTEBOOK["cells"]]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", one) for one in ids)
    assert [one["outputs"] for one in cells("code")] == [[]] * len(cells("code"))
    assert {one["execution_count"] for one in cells("code")} == {None}
