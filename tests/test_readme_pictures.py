"""The README's pictures are there, small and sound, and the script that makes them draws text."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from PIL import Image

if TYPE_CHECKING:
    from types import ModuleType

DOCS = Path(__file__).parents[1] / "docs"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    pytest.importorskip("pyte")
    pytest.importorskip("playwright")
    found = importlib.util.spec_from_file_location("make_pictures", DOCS / "make_pictures.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_gallerys_picture_is_as_wide_as_a_readme_wants_it_and_small() -> None:
    path = DOCS / "pictures/gallery.png"
    with Image.open(path) as picture:
        assert picture.width == 1280
    assert path.stat().st_size < 400_000


def test_the_recording_shows_the_whole_run_and_loads_nothing() -> None:
    text = (DOCS / "pictures/run.svg").read_text("utf-8")
    said = " ".join(ElementTree.fromstring(text).itertext())
    assert "0/14" in said
    assert "14 downloaded" in said
    assert "<script" not in text
    assert text.count("http") == text.count("http://www.w3.org/2000/svg")


def test_what_a_terminal_shows_is_drawn_as_text_with_its_colours(script: ModuleType) -> None:
    written = [(0.5, b"\x1b[31mfailed\x1b[0m <b> & co\r\n"), (2.0, b"\x1b[1mdone\x1b[0m")]
    frames = script.frames(written, Path("/nowhere"))
    drawn = ElementTree.fromstring(script.drawing(frames))
    texts = {one.text: one for one in drawn.iter(f"{SVG}text")}
    assert "red" not in texts
    assert texts["failed"].get("fill") == script._COLOURS["red"]
    assert texts["done"].get("class") == "b"
    assert "<b> & co" in texts
    assert len(frames) == 3


def test_frames_that_come_quickly_are_put_together(script: ModuleType) -> None:
    written = [(1 + number / 100, f"\r{number}".encode()) for number in range(30)]
    assert len(script.frames(written, Path("/nowhere"))) < 8
