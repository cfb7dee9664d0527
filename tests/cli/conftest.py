"""A desk to work at: a folder of its own, and an environment with nothing of this machine's."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from cli_desk import Said, call
from command_desk import Desk

if TYPE_CHECKING:
    from pathlib import Path

Call = Callable[..., Said]


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith(("APIMART_", "BANANA_BATCH_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def banana(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return what runs a command in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    return functools.partial(call, cwd=tmp_path, environ=os.environ)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """Return a spec of two entries and three jobs."""
    path = tmp_path / "menu.yaml"
    path.write_text(
        "version: 1\n"
        "entries:\n"
        "  - {id: soup, prompt: A bowl of soup, tags: [hot]}\n"
        "  - {id: salad, prompt: A green salad, n: 2}\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a desk for calling commands as functions, in a folder of its own."""
    return Desk(tmp_path)
