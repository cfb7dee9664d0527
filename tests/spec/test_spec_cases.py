"""Every drop-in case of tests/specs says exactly what is written beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import spec_cases

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", spec_cases.cases("valid"), ids=lambda path: path.stem)
def test_a_valid_spec_has_no_error(path: Path) -> None:
    errors = [one for one in spec_cases.problems(path) if one.severity == "error"]
    assert errors == []


@pytest.mark.parametrize("path", spec_cases.cases("invalid"), ids=lambda path: path.stem)
def test_an_invalid_spec_gets_exactly_the_message_beside_it(path: Path) -> None:
    assert spec_cases.message(path) == path.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", spec_cases.cases("invalid"), ids=lambda path: path.stem)
def test_every_error_says_what_to_do(path: Path) -> None:
    errors = [one for one in spec_cases.problems(path) if one.severity == "error"]
    assert errors
    assert all(one.fix for one in errors if one.code != "too-many-problems")


def test_no_message_stands_beside_nothing() -> None:
    texts = {path.stem for path in (spec_cases.FOLDER / "invalid").glob("*.txt")}
    assert texts == {path.stem for path in spec_cases.cases("invalid")}
