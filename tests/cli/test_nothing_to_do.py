"""What is written again when nothing changed: nothing. When something did: all of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Call

WRITTEN = ("manifest.csv", "manifest.json", "gallery.html")


@pytest.fixture
def folder(spec: Path, banana: Call) -> Path:
    """The results of a finished run, whose files bear a date long ago."""
    assert banana("run", spec, "--sandbox").code == 0
    results = spec.parent / "out/menu-sandbox"
    for name in WRITTEN:
        os.utime(results / name, (1, 1))
    return results


def fresh(results: Path) -> set[str]:
    return {name for name in WRITTEN if (results / name).stat().st_mtime > 1}


def test_a_finished_run_writes_nothing_again(folder: Path, spec: Path, banana: Call) -> None:
    assert banana("run", spec, "--sandbox").code == 0
    assert fresh(folder) == set()


def test_a_tag_that_changed_is_in_the_manifest(folder: Path, spec: Path, banana: Call) -> None:
    spec.write_text(spec.read_text().replace("[hot]", "[warm]"))
    assert banana("run", spec, "--sandbox").code == 0
    assert fresh(folder) == set(WRITTEN)
    assert "warm" in (folder / "manifest.csv").read_text()


def test_a_removed_entry_leaves_the_manifest(folder: Path, spec: Path, banana: Call) -> None:
    lines = spec.read_text().splitlines(keepends=True)
    spec.write_text("".join(line for line in lines if "soup" not in line))
    assert banana("run", spec, "--sandbox").code == 0
    assert "soup" not in (folder / "manifest.csv").read_text()


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_that_was_deleted_is_written_again(
    name: str, folder: Path, spec: Path, banana: Call
) -> None:
    (folder / name).unlink()
    assert banana("run", spec, "--sandbox").code == 0
    assert (folder / name).is_file()
