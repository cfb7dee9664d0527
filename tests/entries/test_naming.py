"""File names: the usual template is worked out without the engine, and comes to the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline import schema

if TYPE_CHECKING:
    from entries_desk import Desk

SPEC = 'output: {{name: "{}"}}\nentries:\n  - {{id: {}, prompt: x, n: 3}}\n'


@pytest.mark.parametrize("name", ["mug", "a/b", '"..."', "COM1", "夜景", "x" * 300])
def test_the_usual_names_are_what_the_usual_template_comes_to(desk: Desk, name: str) -> None:
    usual = schema.defaults("output")["name"]
    written_out = usual.replace("${{ id }}", "${{ id | string }}")
    plain = desk.expand(SPEC.format(usual, name))
    engine = desk.expand(SPEC.format(written_out, name))
    assert [one.stems for one in plain.jobs] == [one.stems for one in engine.jobs]
    assert len(plain.jobs) == 3
