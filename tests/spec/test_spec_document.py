"""A document knows where everything in it stands, and what each line says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline import spec

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
version: 1
vars:
  wide: &wide
    size: 16:9
entries:
  - id: one
    prompt: A red mug
  - <<: *wide
    id: two
    prompt: >
      A blue
      mug
    tags: [a, bb]
"""


@pytest.fixture
def document(tmp_path: Path) -> spec.Document:
    (tmp_path / "a.yaml").write_text(TEXT)
    return spec.load("a.yaml", environ={}, cwd=tmp_path).document


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (1, 1)),
        (("version",), (1, 10)),
        (("entries",), (6, 3)),
        (("entries", 0), (6, 5)),
        (("entries", 0, "prompt"), (7, 13)),
        (("entries", 1, "tags", 1), (13, 15)),
        (("entries", 1, "size"), (4, 11)),
        (("entries", 1, "none", "below"), (8, 5)),
        (("entries", 7), (6, 3)),
        (("nothing",), (1, 1)),
    ],
)
def test_a_value_is_found(
    document: spec.Document, path: tuple[str | int, ...], place: tuple[int, int]
) -> None:
    found = document.place(path)
    assert (found.line, found.column) == place


def test_a_key_is_found(document: spec.Document) -> None:
    found = document.place(("entries", 1, "tags"), key=True)
    assert (found.line, found.column) == (13, 5)


def test_the_key_of_what_does_not_exist_is_its_parent(document: spec.Document) -> None:
    found = document.place(("entries", 1, "none"), key=True)
    assert (found.line, found.column) == (8, 5)


def test_a_line_is_given_as_it_is_written(document: spec.Document) -> None:
    assert document.line(document.place(("entries", 0, "prompt"))) == "    prompt: A red mug"


def test_a_huge_line_is_cut_around_its_column(tmp_path: Path) -> None:
    prompt = "x" * 100_000
    (tmp_path / "a.yaml").write_text(
        f"{{version: 1, entries: [{{prompt: {prompt}, id: here-it-is}}]}}"
    )
    document = spec.load("a.yaml", environ={}, cwd=tmp_path).document
    line = document.line(document.place(("entries", 0, "id")))
    assert "here-it-is" in line
    assert len(line) <= 2000
