"""A run of many jobs has a second process bring its images, and nobody sees a difference."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from pipeline import schema

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Call

LEAST: int = schema.document("limits")["porter"]["least_jobs"]


@pytest.mark.parametrize("jobs", [LEAST - 1, LEAST])
def test_a_second_process_brings_the_images_when_there_are_enough(
    banana: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    started: list[Any] = []
    real = subprocess.Popen

    class Popen(real):  # type: ignore[type-arg]
        """The real one, which says that it was used."""

        def __init__(self, words: Any, *args: Any, **options: Any) -> None:
            if "pipeline.porter" in words:
                started.append(words)
            super().__init__(words, *args, **options)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    rows = "".join(f"n{number},bowl number {number}\n" for number in range(jobs))
    (tmp_path / "rows.csv").write_text(f"sku,title\n{rows}", encoding="utf-8")
    (tmp_path / "many.yaml").write_text(
        "version: 1\noutput: {metadata: embed}\n"
        "entries:\n  - {from: rows.csv, id: '${{ sku }}', prompt: 'A ${{ title }}'}\n",
        encoding="utf-8",
    )
    said = banana(
        "run",
        "many.yaml",
        "--sandbox",
        "--fault",
        "task_seconds=0.01",
        "--fault",
        "plain=true",
        "--format",
        "json",
        "--no-gallery",
    )
    assert said.code == 0, said.err
    assert json.loads(said.out)["counts"]["downloaded"] == jobs
    assert len(list((tmp_path / "out/many-sandbox/images").glob("n*.*"))) == jobs
    assert not (tmp_path / "out/many-sandbox/.parts").exists()
    assert len(started) == (jobs >= LEAST)
    log = (tmp_path / "out/many-sandbox/run.log").read_text(encoding="utf-8")
    assert "has ended" not in log, "the first process had to do it"
